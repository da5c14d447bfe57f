//! Sent tracks, as their producers see them.
//!
//! A producer may be any thread; it puts its frame into a bounded queue and goes on. One task per track packetizes and
//! writes; the send interceptor paces.

use crate::budget::SendBudget;
use crate::codecs::{H264_PAYLOAD_TYPE, OPUS_PAYLOAD_TYPE, RED_PAYLOAD_TYPE};
use crate::interceptors::SendState;
use crate::stats::{SenderCounters, SenderStats};
use bytes::Bytes;
use parking_lot::Mutex;
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::packetizer::Payloader;
use rtp::h264::annex_b::is_keyframe;
use rtp::keyframe::MIN_KEYFRAME_INTERVAL;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

/// RTP payload bytes per packet, such that the datagram with RTP header, extensions and SRTP tag has 1200 bytes, which every
/// path carries in practice.
const MAX_PAYLOAD_BYTES: usize = 1160;
/// Access units that may wait for packetization; more means that it does not keep up.
const VIDEO_QUEUE_CAPACITY: usize = 8;
/// Opus packets that may wait for the stack.
const AUDIO_QUEUE_CAPACITY: usize = 50;
/// Frames are dropped while the backlog of the pacer is longer than this. An encoder that follows its [`SendBudget`] never
/// reaches it.
const MAX_BACKLOG: Duration = Duration::from_secs(1);

/// An encoded frame.
#[derive(Clone, Debug)]
pub struct AccessUnitToSend {
    /// Annex B bytes; key frames carry their parameter sets.
    pub data: Bytes,
    /// RTP timestamp, 90 kHz.
    pub timestamp: u32,
}

/// A frame on its way to the network.
#[derive(Debug)]
struct Outgoing {
    data: Bytes,
    timestamp: u32,
    payload_type: u8,
}

/// Whether a track may send, and its queue.
#[derive(Debug)]
pub(crate) struct TrackGate {
    /// The peer is connected.
    connected: Arc<AtomicBool>,
    /// The server has accepted this track.
    negotiated: AtomicBool,
    /// The server accepts redundant audio (RED).
    accepts_red: AtomicBool,
    queue: Mutex<Option<mpsc::Sender<Outgoing>>>,
    counters: Arc<SenderCounters>,
}

impl TrackGate {
    fn is_open(&self) -> bool {
        self.connected.load(Ordering::Relaxed) && self.negotiated.load(Ordering::Relaxed)
    }

    /// Notes that the server has accepted the track, and whether it accepts redundant audio.
    pub(crate) fn set_negotiated(&self, accepts_red: bool) {
        self.accepts_red.store(accepts_red, Ordering::Relaxed);
        self.negotiated.store(true, Ordering::Relaxed);
    }

    /// Ends the track's task; later frames are dropped.
    pub(crate) fn close(&self) {
        self.queue.lock().take();
    }

    /// Queues a frame, or drops it; returns whether it was queued.
    fn try_queue(&self, frame: Outgoing) -> bool {
        let queued = self.is_open() && self.queue.lock().as_ref().is_some_and(|queue| queue.try_send(frame).is_ok());
        if !queued {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
        queued
    }
}

/// The stream of a video sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VideoStream {
    pub(crate) ssrc: u32,
    /// Key of the budget, which the layers of a track share.
    pub(crate) budget: u32,
}

/// Sends H.264. All methods may be called from any thread and never block.
#[derive(Debug)]
pub struct VideoSender {
    gate: Arc<TrackGate>,
    state: Arc<SendState>,
    stream: VideoStream,
    /// A frame was dropped, and all up to the next key frame would refer to it.
    awaiting_keyframe: AtomicBool,
    last_request: Mutex<Option<Instant>>,
}

impl VideoSender {
    /// Sends one access unit. It is dropped while the peer is not connected, while the track is not yet negotiated, and
    /// while the pacer is a second behind. After a drop everything up to the next key frame is dropped as well, and
    /// [`PeerEvent::KeyframeRequested`](crate::PeerEvent) asks the encoder for one.
    pub fn send(&self, unit: AccessUnitToSend) {
        if unit.data.is_empty() {
            return;
        }
        if self.awaiting_keyframe.load(Ordering::Relaxed) {
            if !is_keyframe(&unit.data) {
                self.gate.counters.dropped.fetch_add(1, Ordering::Relaxed);
                self.request_keyframe();
                return;
            }
            self.awaiting_keyframe.store(false, Ordering::Relaxed);
        }
        self.state.budgets.on_sent(self.stream.budget, Instant::now());
        let behind = self.state.budgets.backlog() > MAX_BACKLOG;
        if behind {
            self.gate.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
        let AccessUnitToSend { data, timestamp } = unit;
        if behind || !self.gate.try_queue(Outgoing { data, timestamp, payload_type: H264_PAYLOAD_TYPE }) {
            self.awaiting_keyframe.store(true, Ordering::Relaxed);
            self.request_keyframe();
        }
    }

    /// Sets when the frame with this RTP timestamp was captured, for the lip sync of receivers.
    pub fn set_capture_time(&self, timestamp: u32, at: Instant) {
        self.state.streams.on_captured(self.stream.ssrc, timestamp, at);
    }

    /// Sets the bitrate of encoded video that the track, with all its layers, could make use of at most. The estimate goes
    /// no further than all tracks together desire.
    pub fn set_desired_bps(&self, bps: u64) {
        self.state.budgets.set_desired(self.stream.budget, bps);
    }

    /// The present budget of all layers of the track together; to be read before each frame.
    #[must_use]
    pub fn budget(&self) -> SendBudget {
        self.state.budgets.budget(self.stream.budget, Instant::now())
    }

    /// Statistics of the track.
    #[must_use]
    pub fn stats(&self) -> SenderStats {
        self.gate.counters.snapshot()
    }

    fn request_keyframe(&self) {
        if !self.gate.is_open() {
            return;
        }
        let now = Instant::now();
        let mut last = self.last_request.lock();
        if last.is_none_or(|last| now.saturating_duration_since(last) >= MIN_KEYFRAME_INTERVAL) {
            *last = Some(now);
            self.state.request_keyframe(self.stream.ssrc);
        }
    }
}

/// Payload type of the blocks in a redundant payload.
pub const AUDIO_BLOCK_TYPE: u8 = OPUS_PAYLOAD_TYPE;

/// Sends Opus. All methods may be called from any thread and never block.
#[derive(Debug)]
pub struct AudioSender {
    gate: Arc<TrackGate>,
    state: Arc<SendState>,
    ssrc: u32,
}

impl AudioSender {
    /// Sets when the first sample of the packet with this RTP timestamp was captured, for the lip sync of receivers.
    pub fn set_capture_time(&self, timestamp: u32, at: Instant) {
        self.state.streams.on_captured(self.ssrc, timestamp, at);
    }

    /// Sends one Opus packet with its RTP timestamp (48 kHz). It is dropped while the peer is not
    /// connected or the track is not yet negotiated.
    pub fn send(&self, payload: Bytes, timestamp: u32) {
        self.queue(payload, timestamp, OPUS_PAYLOAD_TYPE);
    }

    /// Whether the server accepts redundant audio. Where it does, all packets should be sent by
    /// [`send_redundant`](Self::send_redundant): some servers expect all packets to have the format of the first.
    #[must_use]
    pub fn accepts_redundant(&self) -> bool {
        self.gate.accepts_red.load(Ordering::Relaxed)
    }

    /// Sends a payload of RFC 2198 whose blocks have the type [`AUDIO_BLOCK_TYPE`], like [`send`](Self::send). It is dropped
    /// where the server does not accept it.
    pub fn send_redundant(&self, payload: Bytes, timestamp: u32) {
        if self.accepts_redundant() {
            self.queue(payload, timestamp, RED_PAYLOAD_TYPE);
        }
    }

    fn queue(&self, data: Bytes, timestamp: u32, payload_type: u8) {
        if !data.is_empty() {
            self.gate.try_queue(Outgoing { data, timestamp, payload_type });
        }
    }

    /// Statistics of the track.
    #[must_use]
    pub fn stats(&self) -> SenderStats {
        self.gate.counters.snapshot()
    }
}

/// Writes the RTP packets of one stream.
struct RtpWriter {
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    sequence: u16,
}

impl RtpWriter {
    fn new(track: Arc<TrackLocalStaticRTP>, ssrc: u32) -> Self {
        // Starts in the lower half, so that a loss of the very first packets cannot look like a wrap.
        Self { track, ssrc, sequence: rand::random::<u16>() >> 1 }
    }

    /// Writes a packet; false when the connection is closed.
    async fn write(&mut self, frame: Outgoing, marker: bool) -> bool {
        let Outgoing { data, timestamp, payload_type } = frame;
        let header = rtc::rtp::Header {
            version: 2,
            marker,
            payload_type,
            sequence_number: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.track.write_rtp(rtc::rtp::Packet { header, payload: data }).await.is_ok()
    }
}

fn gate(connected: Arc<AtomicBool>, counters: Arc<SenderCounters>, queue: mpsc::Sender<Outgoing>) -> Arc<TrackGate> {
    let queue = Mutex::new(Some(queue));
    Arc::new(TrackGate {
        connected,
        negotiated: AtomicBool::new(false),
        accepts_red: AtomicBool::new(false),
        queue,
        counters,
    })
}

/// Starts the task of a video track, or of one of its layers.
pub(crate) fn start_video(
    track: Arc<TrackLocalStaticRTP>,
    stream: VideoStream,
    connected: Arc<AtomicBool>,
    counters: Arc<SenderCounters>,
    state: Arc<SendState>,
) -> (Arc<VideoSender>, Arc<TrackGate>) {
    let (queue, mut units) = mpsc::channel::<Outgoing>(VIDEO_QUEUE_CAPACITY);
    let gate = gate(connected, Arc::clone(&counters), queue);
    let mut writer = RtpWriter::new(track, stream.ssrc);
    tokio::spawn(async move {
        let mut payloader = H264Payloader::default();
        while let Some(Outgoing { data, timestamp, payload_type }) = units.recv().await {
            let Ok(payloads) = payloader.payload(MAX_PAYLOAD_BYTES, &data) else { continue };
            let count = payloads.len();
            for (index, data) in payloads.into_iter().enumerate() {
                if !writer.write(Outgoing { data, timestamp, payload_type }, index + 1 == count).await {
                    return;
                }
            }
            counters.frames.fetch_add(1, Ordering::Relaxed);
        }
    });
    let sender = VideoSender {
        gate: Arc::clone(&gate),
        state,
        stream,
        awaiting_keyframe: AtomicBool::new(true),
        last_request: Mutex::new(None),
    };
    (Arc::new(sender), gate)
}

/// Starts the task of an audio track.
pub(crate) fn start_audio(
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    connected: Arc<AtomicBool>,
    counters: Arc<SenderCounters>,
    state: Arc<SendState>,
) -> (Arc<AudioSender>, Arc<TrackGate>) {
    let (queue, mut packets) = mpsc::channel::<Outgoing>(AUDIO_QUEUE_CAPACITY);
    let gate = gate(connected, Arc::clone(&counters), queue);
    let mut writer = RtpWriter::new(track, ssrc);
    tokio::spawn(async move {
        while let Some(packet) = packets.recv().await {
            if !writer.write(packet, false).await {
                return;
            }
            counters.frames.fetch_add(1, Ordering::Relaxed);
        }
    });
    (Arc::new(AudioSender { gate: Arc::clone(&gate), state, ssrc }), gate)
}
