//! The loop of one session.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use protocol::messages::{
    DataPacket, DisconnectReason, JoinResponse, LeaveRequest, MuteTrackRequest, Ping, SessionDescription, SignalTarget,
    TrickleRequest, UpdateParticipantMetadata, UpdateSubscription, leave_request, signal_request, signal_response,
};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::Instant;
use transport::{AddTrack, Peer, PeerConfig, PeerEvent, PeerState, Role, TransportError};

use super::negotiation::Negotiation;
use super::publishing::{LocalTrack, LocalTracks, TrackSender, refusal};
use super::{
    EndReason, Joined, LostReason, PublishRequest, RefusedPublish, SessionCommand, SessionEvent, SessionParams,
    SessionSink, TrackKind,
};
use crate::embedded_server;
use crate::signalling::{Connection, connect};
use crate::wall_clock::unix_ms;

/// Used when the server names no interval.
const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(5);
/// Silence of the server for so long means that it is lost.
const DEFAULT_PING_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn run(
    params: SessionParams,
    mut commands: UnboundedReceiver<SessionCommand>,
    sink: &impl SessionSink,
) -> EndReason {
    let connecting = async {
        if let Some((key, secret)) = &params.embed {
            embedded_server::ensure(key, secret).await;
        }
        connect(&params.server, &params.token).await
    };
    tokio::pin!(connecting);
    let mut held = Vec::new();
    let joined = loop {
        tokio::select! {
            joined = &mut connecting => break joined,
            command = commands.recv() => match command {
                None | Some(SessionCommand::Leave) => return EndReason::Done,
                Some(command) => held.push(command),
            },
        }
    };
    let (connection, join) = match joined {
        Ok(joined) => joined,
        Err(error) => return EndReason::Connect(error),
    };
    let mut session = match Session::new(connection, &join, sink).await {
        Ok(session) => session,
        Err(error) => {
            tracing::error!(%error, "no peer connection");
            return EndReason::Lost(LostReason("no peer connection"));
        }
    };
    sink.emit(SessionEvent::Joined(Box::new(Joined {
        room_sid: join.room.map(|room| room.sid).unwrap_or_default(),
        participants: join.other_participants,
        publisher: session.publisher.clone(),
        subscriber: session.subscriber.clone(),
    })));
    let reason = session.run(held, commands).await;
    session.end().await;
    reason
}

struct Session<'a, S> {
    connection: Connection,
    sink: &'a S,
    publisher: Arc<Peer>,
    subscriber: Arc<Peer>,
    publisher_events: UnboundedReceiver<PeerEvent>,
    subscriber_events: UnboundedReceiver<PeerEvent>,
    publisher_up: bool,
    negotiation: Negotiation,
    tracks: LocalTracks,
    ping_interval: Duration,
    ping_timeout: Duration,
    heard: Instant,
}

type Step = Result<(), EndReason>;

impl<'a, S: SessionSink> Session<'a, S> {
    async fn new(connection: Connection, join: &JoinResponse, sink: &'a S) -> Result<Self, TransportError> {
        let ice_servers: Vec<_> = join
            .ice_servers
            .iter()
            .map(|server| transport::IceServer {
                urls: server.urls.clone(),
                username: server.username.clone(),
                credential: server.credential.clone(),
            })
            .collect();
        let seconds = |value: i32, default| {
            u64::try_from(value).ok().filter(|value| *value > 0).map_or(default, Duration::from_secs)
        };
        let (publisher_sender, publisher_events) = mpsc::unbounded_channel();
        let (subscriber_sender, subscriber_events) = mpsc::unbounded_channel();
        let server_address = connection.server_ip();
        let config = |role| PeerConfig { role, ice_servers: ice_servers.clone(), server_address };
        Ok(Self {
            connection,
            sink,
            publisher: Peer::new(config(Role::Publisher), publisher_sender).await?,
            subscriber: Peer::new(config(Role::Subscriber), subscriber_sender).await?,
            publisher_events,
            subscriber_events,
            publisher_up: false,
            negotiation: Negotiation::default(),
            tracks: LocalTracks::default(),
            ping_interval: seconds(join.ping_interval, DEFAULT_PING_INTERVAL),
            ping_timeout: seconds(join.ping_timeout, DEFAULT_PING_TIMEOUT),
            heard: Instant::now(),
        })
    }

    async fn run(&mut self, held: Vec<SessionCommand>, mut commands: UnboundedReceiver<SessionCommand>) -> EndReason {
        // The publisher connection comes up at once, with its data channels: publishing is then one exchange away.
        if let Err(reason) = self.negotiate().await {
            return reason;
        }
        for command in held {
            if let Err(reason) = self.command(command).await {
                return reason;
            }
        }
        let mut ping = tokio::time::interval_at(Instant::now() + self.ping_interval, self.ping_interval);
        loop {
            let step = tokio::select! {
                message = self.connection.receive() => match message {
                    Some(message) => {
                        self.heard = Instant::now();
                        self.message(message).await
                    }
                    None => Err(EndReason::Lost(LostReason("the signalling connection closed"))),
                },
                command = commands.recv() => self.command(command.unwrap_or(SessionCommand::Leave)).await,
                Some(event) = self.publisher_events.recv() => self.peer_event(Role::Publisher, event).await,
                Some(event) = self.subscriber_events.recv() => self.peer_event(Role::Subscriber, event).await,
                _ = ping.tick() => self.ping().await,
            };
            if let Err(reason) = step {
                return reason;
            }
        }
    }

    async fn command(&mut self, command: SessionCommand) -> Step {
        match command {
            SessionCommand::Publish(request) => self.publish(&request).await,
            SessionCommand::Unpublish { channel } => return self.unpublish(channel).await,
            SessionCommand::SetMuted { channel, kind, muted } => self.set_muted(channel, kind, muted).await,
            SessionCommand::Subscribe { track_sids, subscribe } => {
                let update = UpdateSubscription { track_sids, subscribe, ..UpdateSubscription::default() };
                self.connection.send(signal_request::Message::Subscription(update)).await;
            }
            SessionCommand::SendData { kind, packet } => {
                if let Err(error) = self.publisher.send_data(kind, packet.encode_to_vec().into()) {
                    tracing::warn!(%error, "a data packet was not sent");
                }
            }
            SessionCommand::SetAttributes(attributes) => {
                let update = UpdateParticipantMetadata { attributes, ..UpdateParticipantMetadata::default() };
                self.connection.send(signal_request::Message::UpdateMetadata(update)).await;
            }
            SessionCommand::Leave => {
                let leave = LeaveRequest {
                    reason: DisconnectReason::ClientInitiated as i32,
                    action: leave_request::Action::Disconnect as i32,
                    ..LeaveRequest::default()
                };
                self.connection.send(signal_request::Message::Leave(leave)).await;
                return Err(EndReason::Done);
            }
        }
        Ok(())
    }

    async fn publish(&mut self, request: &PublishRequest) {
        for message in self.tracks.add(request) {
            self.connection.send(signal_request::Message::AddTrack(message)).await;
        }
    }

    async fn unpublish(&mut self, channel: u32) -> Step {
        let gone = self.tracks.remove(channel);
        let mut offered = false;
        for track in gone {
            track.close();
            if track.sid.is_some() {
                offered = true;
                if let Err(error) = self.publisher.remove_track(&track.cid).await {
                    tracing::warn!(%error, "a track was not removed");
                }
            }
        }
        if offered { self.request_negotiation().await } else { Ok(()) }
    }

    async fn set_muted(&mut self, channel: u32, kind: TrackKind, muted: bool) {
        let Some(track) = self.tracks.find(channel, kind) else { return };
        track.muted = muted;
        // Without a sid the server has not answered yet: the mute is sent with the answer.
        if let Some(sid) = track.sid.clone() {
            self.connection.send(signal_request::Message::Mute(MuteTrackRequest { sid, muted })).await;
        }
    }

    async fn message(&mut self, message: signal_response::Message) -> Step {
        use signal_response::Message;
        match message {
            Message::Offer(offer) => {
                let sdp = self.subscriber.accept_offer(&offer.sdp).await.map_err(lost("the server's offer"))?;
                let answer = description("answer", sdp, offer.id);
                self.connection.send(signal_request::Message::Answer(answer)).await;
            }
            Message::Answer(answer) if self.negotiation.accepts(answer.id) => {
                self.publisher.accept_answer(&answer.sdp).await.map_err(lost("the server's answer"))?;
                self.tracks.answered(self.negotiation.last_offer());
                if self.negotiation.answered() {
                    self.negotiate().await?;
                }
                self.announce();
            }
            Message::Trickle(trickle) => {
                let peer = match SignalTarget::try_from(trickle.target) {
                    Ok(SignalTarget::Subscriber) => &self.subscriber,
                    _ => &self.publisher,
                };
                if let Err(error) = peer.add_remote_candidate(&trickle.candidate_init).await {
                    tracing::debug!(%error, "a remote candidate was not used");
                }
            }
            Message::TrackPublished(published) => {
                if let Some(info) = published.track {
                    return self.agreed(&published.cid, info.sid).await;
                }
            }
            Message::RequestResponse(response) => {
                if let Some((cid, reason)) = refusal(&response) {
                    let cid = cid.to_owned();
                    return self.refused(&cid, reason).await;
                }
            }
            Message::Update(update) => self.sink.emit(SessionEvent::Participants(update.participants)),
            Message::Leave(leave) => {
                let reconnect = leave.action != leave_request::Action::Disconnect as i32;
                return Err(EndReason::Left { reason: leave.reason, reconnect });
            }
            _ => {}
        }
        Ok(())
    }

    /// The server agreed to one of our tracks.
    async fn agreed(&mut self, cid: &str, sid: String) -> Step {
        // Unpublished in the meantime: nothing was offered, so the server drops it by itself.
        let Some(track) = self.tracks.by_cid(cid) else { return Ok(()) };
        let wanted = match track.kind {
            TrackKind::Audio => track.request.audio.muted,
            TrackKind::Video => track.request.video.muted,
        };
        let changed = (track.muted != wanted).then(|| MuteTrackRequest { sid: sid.clone(), muted: track.muted });
        track.sid = Some(sid);
        let (channel, kind) = (track.channel, track.kind);
        let add = AddTrack { track_id: cid.to_owned(), stream_id: track.request.stream_id.clone() };
        let sender = match kind {
            TrackKind::Video => TrackSender::Video(self.publisher.add_video(add).await.map_err(lost("adding video"))?),
            TrackKind::Audio => TrackSender::Audio(self.publisher.add_audio(add).await.map_err(lost("adding audio"))?),
        };
        if let Some(track) = self.tracks.by_cid(cid) {
            track.sender = Some(sender);
        }
        if let Some(mute) = changed {
            self.connection.send(signal_request::Message::Mute(mute)).await;
        }
        if self.tracks.all_agreed(channel) { self.request_negotiation().await } else { Ok(()) }
    }

    async fn refused(&mut self, cid: &str, reason: RefusedPublish) -> Step {
        let Some(channel) = self.tracks.channel_of(cid) else { return Ok(()) };
        self.unpublish(channel).await?;
        self.sink.emit(SessionEvent::PublishRefused { channel, reason });
        Ok(())
    }

    async fn request_negotiation(&mut self) -> Step {
        if self.negotiation.request() { self.negotiate().await } else { Ok(()) }
    }

    async fn negotiate(&mut self) -> Step {
        let sdp = self.publisher.create_offer(false).await.map_err(lost("making an offer"))?;
        let id = self.negotiation.offer();
        self.tracks.offered(id);
        self.connection.send(signal_request::Message::Offer(description("offer", sdp, id))).await;
        Ok(())
    }

    async fn peer_event(&mut self, role: Role, event: PeerEvent) -> Step {
        match event {
            PeerEvent::LocalCandidate { candidate_init_json } => {
                let target = match role {
                    Role::Publisher => SignalTarget::Publisher,
                    Role::Subscriber => SignalTarget::Subscriber,
                };
                let trickle = TrickleRequest {
                    candidate_init: candidate_init_json,
                    target: target as i32,
                    ..TrickleRequest::default()
                };
                self.connection.send(signal_request::Message::Trickle(trickle)).await;
            }
            PeerEvent::State(PeerState::Connected) if role == Role::Publisher => {
                self.publisher_up = true;
                self.announce();
            }
            PeerEvent::State(PeerState::Failed) => {
                return Err(EndReason::Lost(LostReason("the media connection failed")));
            }
            PeerEvent::State(_) | PeerEvent::DataOpen(_) => {}
            PeerEvent::Track(track) => self.sink.emit(SessionEvent::Track(Box::new(track))),
            PeerEvent::DataReceived { payload, .. } => self.data(payload),
            PeerEvent::KeyframeRequested { track_id } => {
                if let Some(channel) = self.tracks.channel_of(&track_id) {
                    self.sink.emit(SessionEvent::KeyframeRequested { channel });
                }
            }
        }
        Ok(())
    }

    fn data(&self, payload: Bytes) {
        match DataPacket::decode(payload) {
            Ok(packet) => self.sink.emit(SessionEvent::Data(Box::new(packet))),
            Err(error) => tracing::warn!(%error, "a data packet could not be read"),
        }
    }

    /// Tells which channels are through, once the publisher connection is up.
    fn announce(&mut self) {
        if self.publisher_up {
            for channel in self.tracks.newly_published() {
                // In this order the first picture is told after the publishing.
                self.sink.emit(SessionEvent::Published { channel });
                self.tracks.open(channel);
            }
        }
    }

    async fn ping(&mut self) -> Step {
        if self.heard.elapsed() >= self.ping_timeout {
            return Err(EndReason::Lost(LostReason("the room server fell silent")));
        }
        let timestamp = i64::try_from(unix_ms()).unwrap_or_default();
        self.connection.send(signal_request::Message::Ping(timestamp)).await;
        self.connection.send(signal_request::Message::PingReq(Ping { timestamp, rtt: 0 })).await;
        Ok(())
    }

    async fn end(mut self) {
        for channel in 0..4 {
            self.tracks.remove(channel).iter().for_each(LocalTrack::close);
        }
        self.connection.close().await;
        self.publisher.close().await;
        self.subscriber.close().await;
    }
}

fn description(kind: &str, sdp: String, id: u32) -> SessionDescription {
    SessionDescription { r#type: kind.to_owned(), sdp, id, ..SessionDescription::default() }
}

fn lost(step: &'static str) -> impl Fn(TransportError) -> EndReason {
    move |error| {
        tracing::error!(%error, step, "the media connection cannot go on");
        EndReason::Lost(LostReason(step))
    }
}
