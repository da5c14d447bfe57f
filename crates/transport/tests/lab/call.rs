//! A call in one direction: an encoder, the sending half, a link in both directions, the receiving half.

use bytes::Bytes;
use congestion::send_controller::{MAX_ENCODER_BACKLOG, VIDEO_PAYLOAD_SHARE};
use congestion::{BitrateLimits, PacketStatus, Priority, SendAction, SendController};
use netsim::{Link, LinkConfig, LinkStats, Random};
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::packetizer::Payloader;
use rtp::{Bitrate, DataSize, SentHistory, SequenceExtender};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use transport::VideoCodec;
use transport::assembler::{Assembler, Packet as VideoPacket};
use transport::loss_log::LossLog;
use transport::nack::NackTracker;
use transport::rtt::SharedRtt;

/// SSRCs of the streams.
const AUDIO: u32 = 1;
const VIDEO: u32 = 2;
/// Headers of RTP with the transport-wide number, SRTP tag, UDP and IPv4.
const HEADERS: usize = 12 + 8 + 16 + 28;
const MAX_PAYLOAD: usize = 1160;
const FPS: u64 = 30;
/// Size of a padding packet.
const PADDING: usize = 1000;
/// Opus, 48 kbit/s.
const AUDIO_PAYLOAD: usize = 120;
const AUDIO_SIZE: DataSize = DataSize::of(AUDIO_PAYLOAD + HEADERS);
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
/// Size of a key frame in mean frame sizes.
const KEYFRAME_SIZE: f64 = 5.0;
const KEYFRAME_DISTANCE: Duration = Duration::from_millis(300);
/// Interval of transport-wide feedback.
const FEEDBACK: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
pub struct CallConfig {
    pub time: Duration,
    pub up: LinkConfig,
    pub down: LinkConfig,
    /// The encoder follows the estimate up to this many bits per second.
    pub max_bps: f64,
    pub start_bps: f64,
    /// A server next to the receiver sends the NACKs, with a timing of its own.
    pub has_server: bool,
    /// Both machines are so busy that the sending and the receiving thread wake up only after pauses of this range, in ms.
    pub busy_pauses: Option<RangeInclusive<u64>>,
}

/// Schedule of a thread on a busy machine.
struct BusyThread {
    pauses: Option<RangeInclusive<u64>>,
    rng: Random,
    next: u64,
}

impl BusyThread {
    fn new(config: &CallConfig, seed: u64) -> Self {
        Self { pauses: config.busy_pauses.clone(), rng: Random::new(config.up.seed ^ seed), next: 0 }
    }

    /// Whether the thread wakes in this millisecond of the run.
    fn wakes_at(&self, at: u64) -> bool {
        self.pauses.is_none() || at >= self.next
    }

    /// Whether the thread wakes in this millisecond; if so, schedules its next wake-up.
    fn wake(&mut self, at: u64) -> bool {
        let wakes_at = self.wakes_at(at);
        let Some(pauses) = self.pauses.as_ref().filter(|_| wakes_at) else { return wakes_at };
        let span = (pauses.end() - pauses.start()) as f64;
        self.next = at + pauses.start() + (span * self.rng.unit()) as u64;
        true
    }
}

/// NACKs as `str0m` sends them: at a fixed interval, repeated after an assumed round trip, a few times.
#[derive(Default)]
struct ServerNacks {
    seen: BTreeSet<u64>,
    newest: u64,
    asked: BTreeMap<u64, (Instant, u32)>,
    next: Option<Instant>,
}

const SERVER_NACK_INTERVAL: Duration = Duration::from_millis(33);
const SERVER_RETRY_INTERVAL: Duration = Duration::from_millis(105);
const SERVER_MAX_ATTEMPTS: u32 = 5;
const SERVER_WINDOW: u64 = 100;
/// Round trip between the server and the receiver.
const SERVER_RTT: Duration = Duration::from_millis(1);

impl ServerNacks {
    fn on_packet(&mut self, sequence: u16) {
        let ahead = i64::from(sequence.wrapping_sub(self.newest as u16) as i16);
        let number = self.newest.saturating_add_signed(ahead);
        self.newest = self.newest.max(number);
        self.seen.insert(number);
    }

    fn poll(&mut self, now: Instant) -> Vec<u16> {
        if self.next.is_some_and(|next| now < next) {
            return Vec::new();
        }
        self.next = Some(now + SERVER_NACK_INTERVAL);
        let first = self.seen.first().copied().unwrap_or(self.newest).max(self.newest.saturating_sub(SERVER_WINDOW));
        let mut due = Vec::new();
        for number in (first..self.newest).filter(|number| !self.seen.contains(number)) {
            let (at, tries) = self.asked.entry(number).or_insert((now, 0));
            if *tries == 0 || *tries < SERVER_MAX_ATTEMPTS && now >= *at + SERVER_RETRY_INTERVAL {
                (*at, *tries) = (now, *tries + 1);
                due.push(number as u16);
            }
        }
        due
    }
}

/// The course of one frame.
#[derive(Clone, Copy, Debug)]
pub struct FrameLog {
    pub captured: Duration,
    /// Whether the encoder skipped it because of the backlog.
    pub skipped: bool,
    pub delivered: Option<Duration>,
}

/// State of the sender, sampled every 100 ms.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "the tests look at the estimate only, the example at all of it")]
pub struct Sample {
    pub at: Duration,
    pub estimate_bps: f64,
    pub target_bps: f64,
    pub queue: Duration,
    pub backlog: Duration,
}

#[derive(Debug, Default)]
pub struct CallReport {
    pub frames: Vec<FrameLog>,
    pub samples: Vec<Sample>,
    /// Time of arrival, bytes of the datagram, bytes of video in it (first copy only).
    pub arrivals: Vec<(Duration, usize, usize)>,
    /// Time and queueing delay of each packet at the bottleneck.
    pub queue_delays: Vec<(Duration, Duration)>,
    pub link: LinkStats,
    pub retransmissions: u64,
    pub duplicates: u64,
    pub keyframe_requests: u64,
}

#[derive(Clone, Debug)]
enum Wire {
    Audio { number: u16 },
    Video { number: u16, packet: VideoPacket },
    Padding { number: u16 },
}

#[derive(Clone, Debug)]
enum FromReceiver {
    Feedback(Vec<PacketStatus>),
    Nack(Vec<u16>),
    KeyframeRequest,
}

struct Receiver {
    began: Instant,
    arrived: BTreeMap<u64, Duration>,
    newest: u64,
    next_reported: u64,
    nack: NackTracker,
    assembler: Assembler,
    rtt: SharedRtt,
    next_feedback: Instant,
    server: Option<ServerNacks>,
}

impl Receiver {
    fn on_packet(&mut self, packet: Wire, now: Instant) {
        let (Wire::Audio { number } | Wire::Video { number, .. } | Wire::Padding { number }) = packet;
        let behind = (self.newest as u16).wrapping_sub(number);
        let number = if behind < 0x8000 {
            self.newest.saturating_sub(u64::from(behind))
        } else {
            self.newest + u64::from(behind.wrapping_neg())
        };
        self.newest = self.newest.max(number);
        if number >= self.next_reported {
            self.arrived.entry(number).or_insert(now - self.began);
        }
        if let Wire::Video { packet, .. } = packet {
            if let Some(server) = &mut self.server {
                server.on_packet(packet.sequence);
            }
            if let Some(sample) = self.nack.on_packet(packet.sequence, now) {
                self.rtt.update(sample);
            }
            self.assembler.push(packet, now);
        }
    }

    fn poll_feedback(&mut self, now: Instant) -> Vec<FromReceiver> {
        let mut reply = Vec::new();
        let rtt = self.rtt.or_default();
        self.assembler.handle_timeout(now, rtt);
        if let Some(oldest) = self.assembler.oldest_needed() {
            self.nack.forget_before(oldest);
        }
        let mut missing = self.nack.poll(now, rtt);
        if let Some(server) = &mut self.server {
            // The server cannot retransmit what it lacks; it sends NACKs itself.
            missing = server.poll(now);
        }
        if !missing.is_empty() {
            reply.push(FromReceiver::Nack(missing));
        }
        if self.assembler.poll_keyframe_request(now, rtt) {
            reply.push(FromReceiver::KeyframeRequest);
        }
        if now >= self.next_feedback && self.newest >= self.next_reported && !self.arrived.is_empty() {
            self.next_feedback = now + FEEDBACK;
            // The receiver reports quarters of a millisecond, from an epoch of its own.
            let rounded = |at: Duration| Duration::from_micros(at.as_micros() as u64 / 250 * 250 + 5_000_000);
            let report = (self.next_reported..=self.newest).map(|number| PacketStatus {
                sequence: number as u16,
                arrival: self.arrived.get(&number).map(|at| rounded(*at)),
            });
            reply.push(FromReceiver::Feedback(report.collect()));
            self.next_reported = self.newest + 1;
            self.arrived.clear();
        }
        reply
    }
}

struct Sender {
    control: SendController<Wire, u16>,
    log: LossLog<u16>,
    extender: SequenceExtender,
    history: SentHistory<VideoPacket>,
    payloader: H264Payloader,
    sequence: u16,
    rng: Random,
    max_bps: f64,
    keyframe_requested: bool,
    last_keyframe: Option<Instant>,
}

impl Sender {
    fn retransmit(&mut self, missing: Vec<u16>, now: Instant, spacing: Duration) {
        for sequence in missing {
            let Some(packet) = self.history.retransmit(sequence, now, spacing).cloned() else { continue };
            let bytes = DataSize::of(packet.payload.len() + HEADERS);
            self.control.enqueue(Priority::Retransmission, VIDEO, bytes, Wire::Video { number: 0, packet });
        }
    }

    /// False if the frame was skipped.
    fn encode(&mut self, now: Instant, timestamp: u32) -> bool {
        let bps = self.control.video_budget(now).as_bps().min(self.max_bps);
        if self.control.backlog() > MAX_ENCODER_BACKLOG {
            return false;
        }
        let distant = self.last_keyframe.is_none_or(|last| now - last >= KEYFRAME_DISTANCE);
        let is_keyframe = self.keyframe_requested && distant;
        let mut bytes = bps / 8.0 / FPS as f64 * (0.7 + 0.6 * self.rng.unit());
        if is_keyframe {
            self.keyframe_requested = false;
            self.last_keyframe = Some(now);
            bytes *= KEYFRAME_SIZE;
        }
        let unit = access_unit(is_keyframe, (bytes as usize).max(100));
        let Ok(payloads) = self.payloader.payload(MAX_PAYLOAD, &unit) else { return false };
        let count = payloads.len();
        for (index, payload) in payloads.into_iter().enumerate() {
            let size = DataSize::of(payload.len() + HEADERS);
            let packet = VideoPacket {
                sequence: self.sequence,
                timestamp,
                marker: index + 1 == count,
                codec: VideoCodec::H264,
                rotation: None,
                payload,
            };
            self.history.keep(self.extender.extend(self.sequence), packet.clone(), now);
            self.sequence = self.sequence.wrapping_add(1);
            self.control.enqueue(Priority::Video, VIDEO, size, Wire::Video { number: 0, packet });
        }
        true
    }
}

/// An access unit in Annex B: parameter sets and an IDR slice, or one other slice.
fn access_unit(is_keyframe: bool, bytes: usize) -> Bytes {
    let mut unit = Vec::with_capacity(bytes + 32);
    if is_keyframe {
        unit.extend_from_slice(&[0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0x8c, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80]);
    }
    unit.extend_from_slice(&[0, 0, 0, 1, if is_keyframe { 0x65 } else { 0x41 }]);
    unit.resize(unit.len() + bytes, 0x55);
    unit.into()
}

/// Runs a call.
pub fn run(config: &CallConfig) -> CallReport {
    let began = Instant::now();
    let mut report = CallReport::default();
    let mut up: Link<(Wire, usize)> = Link::new(config.up.clone(), began);
    let mut down: Link<FromReceiver> = Link::new(config.down.clone(), began);
    let desired = Bitrate::bps(config.max_bps / VIDEO_PAYLOAD_SHARE) + Bitrate::kbps(80);
    let limits = BitrateLimits { start: Bitrate::bps(config.start_bps), min: Bitrate::kbps(100), desired };
    let mut sender = Sender {
        control: SendController::new(limits),
        log: LossLog::default(),
        extender: SequenceExtender::default(),
        history: SentHistory::new(2048, Duration::from_secs(60)),
        payloader: H264Payloader::default(),
        sequence: 1000,
        rng: Random::new(config.up.seed ^ 0xabcd),
        max_bps: config.max_bps,
        keyframe_requested: true,
        last_keyframe: None,
    };
    let mut receiver = Receiver {
        began,
        arrived: BTreeMap::new(),
        newest: 0,
        next_reported: 0,
        nack: NackTracker::new(Duration::from_millis(1500)),
        assembler: Assembler::default(),
        rtt: SharedRtt::default(),
        next_feedback: began,
        server: config.has_server.then(ServerNacks::default),
    };
    let (mut sender_thread, mut receiver_thread) = (BusyThread::new(config, 0x51ee), BusyThread::new(config, 0x51ef));
    for at in 0..config.time.as_millis() as u64 {
        let (elapsed, now) = (Duration::from_millis(at), began + Duration::from_millis(at));
        if elapsed >= Duration::from_secs_f64(report.frames.len() as f64 / FPS as f64) {
            let timestamp = report.frames.len() as u32 * (90_000 / FPS as u32);
            let skipped = !sender.encode(now, timestamp);
            report.frames.push(FrameLog { captured: elapsed, skipped, delivered: None });
        }
        if at % AUDIO_INTERVAL.as_millis() as u64 == 0 {
            sender.control.enqueue(Priority::Audio, AUDIO, AUDIO_SIZE, Wire::Audio { number: 0 });
        }
        if sender_thread.wake(at) {
            if sender.control.next_timeout(now).is_some_and(|timeout| timeout <= now) {
                sender.control.handle_timeout(now);
            }
            while let Some(sequence) = sender.control.poll_duplicate(now) {
                let Some(packet) = sender.history.retransmit(sequence, now, Duration::ZERO).cloned() else { continue };
                let bytes = DataSize::of(packet.payload.len() + HEADERS);
                sender.control.enqueue(Priority::Duplicate, VIDEO, bytes, Wire::Video { number: 0, packet });
            }
            sender.control.set_can_pad(true);
            while let Some(action) = sender.control.poll(now) {
                let (mut wire, size, priority) = match action {
                    SendAction::Packet { packet, size, priority, .. } => (packet, size, Some(priority)),
                    SendAction::Padding => {
                        let size = DataSize::of(PADDING);
                        sender.control.on_unqueued_sent(now, size);
                        (Wire::Padding { number: 0 }, size, None)
                    }
                };
                let is_new = priority == Some(Priority::Video);
                let is_duplicate = priority == Some(Priority::Duplicate);
                report.duplicates += u64::from(is_duplicate);
                report.retransmissions += u64::from(priority == Some(Priority::Retransmission));
                let video_bytes = match &wire {
                    Wire::Video { packet, .. } if is_new => packet.payload.len(),
                    _ => 0,
                };
                let video = match &wire {
                    Wire::Video { packet, .. } if !is_duplicate => Some(packet.sequence),
                    _ => None,
                };
                if let Some(sequence) = video.filter(|_| is_new) {
                    sender.control.duplicate_if_worthwhile(now, sequence);
                }
                let (Wire::Audio { number } | Wire::Video { number, .. } | Wire::Padding { number }) = &mut wire;
                *number = sender.control.assign_number(now, size);
                sender.log.on_sent(*number, video);
                up.send(now, size.as_bytes() as usize, (wire, video_bytes));
            }
        }
        let receiver_runs = receiver_thread.wake(at);
        while receiver_runs && let Some((arrival, (wire, video_bytes))) = up.receive(now) {
            let bytes = match &wire {
                Wire::Audio { .. } => AUDIO_PAYLOAD + HEADERS,
                Wire::Video { packet, .. } => packet.payload.len() + HEADERS,
                Wire::Padding { .. } => PADDING,
            };
            report.arrivals.push((arrival - began, bytes, video_bytes));
            // A thread that wakes late reads arrivals late.
            receiver.on_packet(wire, if config.busy_pauses.is_some() { now } else { arrival });
        }
        if at % 1000 == 500 {
            // As ICE's consent checks measure it.
            receiver.rtt.update(if config.has_server { SERVER_RTT } else { config.up.delay + config.down.delay });
        }
        for reply in if receiver_runs { receiver.poll_feedback(now) } else { Vec::new() } {
            report.keyframe_requests += u64::from(matches!(reply, FromReceiver::KeyframeRequest));
            down.send(now, 100, reply);
        }
        while let Some(frame) = receiver.assembler.poll_frame() {
            let index = (frame.timestamp / (90_000 / FPS as u32)) as usize;
            report.frames[index].delivered.get_or_insert(elapsed);
        }
        while sender_thread.wakes_at(at + 1)
            && let Some((_, reply)) = down.receive(now)
        {
            match reply {
                FromReceiver::Feedback(statuses) => {
                    let reported = statuses.iter().map(|status| (status.sequence, status.arrival.is_some()));
                    let lost = sender.log.on_feedback(reported);
                    sender.control.on_feedback(now, statuses);
                    if let Some(spacing) = sender.control.unrequested_spacing(now) {
                        sender.retransmit(lost, now, spacing);
                    }
                }
                FromReceiver::Nack(missing) => {
                    let spacing = sender.control.requested_spacing();
                    sender.retransmit(missing, now, spacing);
                }
                FromReceiver::KeyframeRequest => sender.keyframe_requested = true,
            }
        }
        if at % 100 == 0 {
            let estimator = sender.control.estimator();
            report.samples.push(Sample {
                at: elapsed,
                estimate_bps: estimator.estimate().as_bps(),
                target_bps: estimator.target().as_bps(),
                queue: estimator.queue(),
                backlog: sender.control.backlog(),
            });
        }
    }
    report.queue_delays = up.queue_delays;
    report.link = up.stats;
    report
}
