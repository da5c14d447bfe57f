//! `startNetworkSpeedTest`: how well the paths to and from the room server carry what the application wants to send.
//!
//! Two sessions of this engine meet in a hidden room: one sends a synthetic video of the requested bitrate, the other plays
//! it. So the test measures what a call would meet, with any LiveKit server; but only the appSign opens such a room. One
//! task; the numbers are evaluated sans-IO.

mod evaluation;
mod synthetic_video;

use std::sync::Arc;
use std::time::Duration;

use dial::Dialer;
use protocol::messages::{TrackType, VideoLayer};
use protocol::token::{self, Claims};
use rand::RngCore as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval, sleep_until};
use transport::{AccessUnitToSend, Peer, RemoteTrack};

use self::evaluation::{Evaluation, Reading};
use self::synthetic_video::SyntheticVideo;
use crate::address::ServerAddress;
use crate::engine::EventGate;
use crate::error::code;
use crate::event;
use crate::reconnect_policy::ReconnectPolicy;
use crate::session::{
    self, AudioTrack, PublishRequest, RouteSettings, SenderSlot, SessionCommand, SessionEvent, SessionHandle,
    SessionParams, SessionSink, VideoSenders, VideoTrack,
};
use crate::simulcast::WantedLayers;

/// As long as the vendor's server lets one run.
const LIMIT: Duration = Duration::from_secs(30);
/// The connections have to be there by then.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Interval of synthetic frames.
const FRAME_INTERVAL: Duration = Duration::from_millis(33);
/// Bitrate while only the downlink is tested and none is requested, kbit/s.
const DEFAULT_KBPS: u32 = 600;
/// Tokens are for this test alone.
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// Names within the test's room.
const USERS: [&str; 2] = ["zg.speed.up", "zg.speed.down"];

/// `ZegoNetworkSpeedTestType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up = 0,
    Down = 1,
}

/// `ZegoNetworkSpeedTestConfig`, and the interval of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeedTestConfig {
    /// Requested bitrate of the uplink in kbit/s; `None` = it is not tested, 0 = 600.
    pub uplink_kbps: Option<u32>,
    /// Requested bitrate of the downlink, as above.
    pub downlink_kbps: Option<u32>,
    /// Time between two reports, in milliseconds.
    pub interval_ms: u32,
}

/// A test that runs. Dropping it ends it without a word.
pub(crate) struct SpeedTest(oneshot::Sender<i32>);

impl SpeedTest {
    /// Ends it with a code.
    pub(crate) fn stop(self, code: i32) {
        let _ = self.0.send(code);
    }
}

/// What a test needs.
pub(crate) struct Access {
    pub(crate) server: ServerAddress,
    pub(crate) app: String,
    pub(crate) secret: String,
    pub(crate) policy: Arc<dyn ReconnectPolicy>,
    pub(crate) ways: RouteSettings,
    pub(crate) dialer: Dialer,
    /// Unix seconds by the server's clock.
    pub(crate) now_s: u64,
}

/// Starts a test on the current runtime.
pub(crate) fn start(config: SpeedTestConfig, access: &Access, gate: Arc<EventGate>) -> SpeedTest {
    let (stop, stopped) = oneshot::channel();
    let ways: Vec<Way> = [(Way::Up, config.uplink_kbps), (Way::Down, config.downlink_kbps)]
        .into_iter()
        .filter_map(|(way, kbps)| kbps.map(|_| way))
        .collect();
    let test = Test::new(config, access, gate.clone());
    tokio::spawn(async move {
        let code = match test {
            Some(test) => test.until(stopped).await,
            None => Some(code::SPEED_TEST_CONNECT_FAILED),
        };
        for way in code.is_some().then_some(ways).into_iter().flatten() {
            gate.emit(event::speed_test_error(code.unwrap_or_default(), way as u32));
        }
    });
    SpeedTest(stop)
}

/// Sends both sessions' events to the test.
struct Inbox {
    way: Way,
    events: mpsc::UnboundedSender<(Way, SessionEvent)>,
}

impl SessionSink for Inbox {
    fn emit(&self, event: SessionEvent) {
        let _ = self.events.send((self.way, event));
    }
}

struct Side {
    session: SessionHandle,
    /// The sending and the receiving peer connection.
    peers: Option<(Arc<Peer>, Arc<Peer>)>,
    evaluation: Evaluation,
    /// Tested, and not only a help for the other way.
    is_wanted: bool,
}

struct Test {
    began: Instant,
    events: mpsc::UnboundedReceiver<(Way, SessionEvent)>,
    up: Side,
    down: Side,
    slot: SenderSlot<VideoSenders>,
    synthetic_video: SyntheticVideo,
    max_bps: u64,
    /// Kept, so that it goes on being received.
    track: Option<RemoteTrack>,
    interval: Duration,
    gate: Arc<EventGate>,
}

impl Test {
    fn new(config: SpeedTestConfig, access: &Access, gate: Arc<EventGate>) -> Option<Self> {
        let room = format!("zg.speed.{:016x}", rand::rng().next_u64());
        let (sender, events) = mpsc::unbounded_channel();
        let wanted = |kbps: Option<u32>| kbps.map(|kbps| if kbps == 0 { DEFAULT_KBPS } else { kbps });
        let (up_kbps, down_kbps) = (wanted(config.uplink_kbps), wanted(config.downlink_kbps));
        let side = |way: Way, kbps: Option<u32>| {
            let claims = Claims {
                identity: USERS[way as usize].to_owned(),
                room: room.clone(),
                ttl: TOKEN_LIFE,
                ..Claims::default()
            };
            let token = token::mint_at(&access.app, &access.secret, &claims, access.now_s).ok()?;
            let params = SessionParams {
                server: access.server.url.clone(),
                token,
                query: String::new(),
                embed: access.server.may_embed.then(|| (access.app.clone(), access.secret.clone())),
                policy: access.policy.clone(),
                ways: access.ways.clone(),
                dialer: access.dialer.clone(),
            };
            let session = session::spawn(params, Inbox { way, events: sender.clone() });
            Some(Side {
                session,
                peers: None,
                evaluation: Evaluation::new(kbps.unwrap_or(0)),
                is_wanted: kbps.is_some(),
            })
        };
        let most = up_kbps.max(down_kbps).unwrap_or(DEFAULT_KBPS);
        Some(Self {
            began: Instant::now(),
            up: side(Way::Up, up_kbps)?,
            down: side(Way::Down, down_kbps)?,
            events,
            slot: SenderSlot::default(),
            synthetic_video: SyntheticVideo::default(),
            max_bps: u64::from(most) * 1000,
            track: None,
            interval: Duration::from_millis(u64::from(config.interval_ms)),
            gate,
        })
    }

    /// Runs until it is stopped or fails; returns the code to report, if any.
    async fn until(mut self, stopped: oneshot::Receiver<i32>) -> Option<i32> {
        let code = tokio::select! {
            code = stopped => code.ok(),
            code = self.run() => Some(code),
        };
        for side in [&self.up, &self.down] {
            side.session.send(SessionCommand::Leave);
        }
        code
    }

    async fn run(&mut self) -> i32 {
        let (mut pictures, mut reports) = (interval(FRAME_INTERVAL), interval(self.interval));
        loop {
            let is_up =
                self.up.evaluation.is_connected() && (self.down.evaluation.is_connected() || !self.down.is_wanted);
            let deadline = self.began + if is_up { LIMIT } else { CONNECT_LIMIT };
            tokio::select! {
                Some((way, event)) = self.events.recv() => {
                    if let SessionEvent::Ended(reason) = event {
                        tracing::info!(%reason, ?way, "a session of the speed test ended");
                        return if is_up { code::SPEED_TEST_TIMEOUT } else { code::SPEED_TEST_CONNECT_FAILED };
                    }
                    self.news(way, event).await;
                }
                _ = pictures.tick() => self.send_picture(),
                _ = reports.tick() => self.report().await,
                () = sleep_until(deadline) => {
                    return if is_up { code::SPEED_TEST_ENDED } else { code::SPEED_TEST_CONNECT_FAILED };
                }
            }
        }
    }

    async fn news(&mut self, way: Way, event: SessionEvent) {
        match (way, event) {
            (Way::Up, SessionEvent::Joined(joined)) => {
                self.up.peers = Some((joined.publisher, joined.subscriber));
                self.up.session.send(SessionCommand::Publish(self.publish_request()));
            }
            (Way::Up, SessionEvent::Published { .. }) => {
                let reading = self.up.reading(Way::Up).await;
                self.up.evaluation.connected(self.began.elapsed(), Instant::now(), reading);
            }
            (Way::Down, SessionEvent::Joined(joined)) => {
                self.down.peers = Some((joined.publisher, joined.subscriber));
                self.subscribe(&joined.participants);
            }
            (Way::Down, SessionEvent::Participants(participants)) => self.subscribe(&participants),
            (Way::Down, SessionEvent::Track(track)) => {
                self.track = Some(*track);
                let reading = self.down.reading(Way::Down).await;
                self.down.evaluation.connected(self.began.elapsed(), Instant::now(), reading);
            }
            _ => {}
        }
    }

    fn publish_request(&self) -> PublishRequest {
        let bitrate = u32::try_from(self.max_bps).unwrap_or(u32::MAX);
        let layer = VideoLayer {
            quality: 2,
            width: synthetic_video::WIDTH,
            height: synthetic_video::HEIGHT,
            bitrate,
            ..Default::default()
        };
        PublishRequest {
            channel: 0,
            stream_id: USERS[0].to_owned(),
            video: VideoTrack {
                width: synthetic_video::WIDTH,
                height: synthetic_video::HEIGHT,
                layers: vec![layer],
                wanted: Arc::new(WantedLayers::default()),
                is_screen: false,
                muted: false,
                slot: self.slot.clone(),
            },
            audio: AudioTrack { muted: false, is_stereo: false, slot: SenderSlot::default() },
        }
    }

    fn subscribe(&self, participants: &[protocol::messages::ParticipantInfo]) {
        let sender = participants.iter().filter(|participant| participant.identity == USERS[Way::Up as usize]);
        let videos = sender.flat_map(|sender| &sender.tracks).filter(|track| track.r#type == TrackType::Video as i32);
        let track_sids: Vec<String> = videos.map(|track| track.sid.clone()).collect();
        if self.down.is_wanted && self.track.is_none() && !track_sids.is_empty() {
            self.down.session.send(SessionCommand::Subscribe { track_sids, subscribe: true });
        }
    }

    fn send_picture(&mut self) {
        let Some(senders) = self.slot.read().clone() else { return };
        let Some(sender) = senders.first() else { return };
        sender.set_desired_bps(self.max_bps);
        let bytes = sender.budget().bps as f64 * FRAME_INTERVAL.as_secs_f64() / 8.0;
        // The RTP clock wraps by design.
        let timestamp = (self.began.elapsed().as_secs_f64() * 90_000.0) as u64 as u32;
        sender.send(AccessUnitToSend { data: self.synthetic_video.picture(bytes as usize), timestamp });
    }

    async fn report(&mut self) {
        for way in [Way::Up, Way::Down] {
            let side = if way == Way::Up { &mut self.up } else { &mut self.down };
            if !side.is_wanted {
                continue;
            }
            let reading = side.reading(way).await;
            if let Some(quality) = side.evaluation.report(Instant::now(), reading) {
                self.gate.emit(event::speed_test_quality(&quality, way as u32));
            }
        }
    }
}

impl Side {
    async fn reading(&self, way: Way) -> Reading {
        let Some((publisher, subscriber)) = &self.peers else { return Reading::default() };
        let (up, down) = (publisher.stats().await, subscriber.stats().await);
        let rtt_ms = up.rtt_ms.or(down.rtt_ms).unwrap_or(0.0);
        match way {
            Way::Up => Reading {
                packets: up.path_packets,
                lost: up.path_packets_lost,
                bytes: up.bytes_sent,
                carries_kbps: up.send_estimate_bps / 1000,
                rtt_ms,
            },
            Way::Down => Reading {
                packets: down.packets_received + down.packets_lost,
                lost: down.packets_lost + down.packets_recovered,
                bytes: down.bytes_received,
                carries_kbps: 0,
                rtt_ms,
            },
        }
    }
}
