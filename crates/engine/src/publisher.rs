//! The media of one publish channel: an encoder thread for video, a tap on the microphone's Opus packets.
//!
//! Both feed the sender of the present session through a slot. Without a session nothing is encoded. Encoding and the
//! number of layers follow the sender's budget and what is subscribed to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use media::audio::{OpusPacket, OpusSink};
use media::video::encoder::{Content, EncodeError};
use media::video::frame::VideoFrame;
use media::video::scale;
use media::video::sink::FrameSink;
use parking_lot::Mutex;
use rtp::red::RedWriter;
use transport::{AUDIO_BLOCK_TYPE, AccessUnitToSend, AudioSender, SendBudget, VideoSender};

use crate::config::VideoConfig;
use crate::layer_encoder::LayerEncoder;
use crate::rate_control::{Encoding, RateControl};
use crate::session::{SenderSlot, VideoSenders};
use crate::simulcast::{self, LayerAllocator, MAX_LAYERS, WantedLayers};
use crate::traffic_control::{BelowFloor, Focus, TrafficControl, VideoFloor};

/// Upper bound of SEI messages that wait for a frame: as many as may be sent in a second.
const MAX_PENDING_SEI: usize = 30;
/// The RTP clock of video.
const VIDEO_CLOCK_HZ: f64 = 90_000.0;

/// Counters of one publisher, written by its threads and read by anyone.
#[derive(Debug, Default)]
pub(crate) struct PublisherCounters {
    pub(crate) encoded_frames: AtomicU64,
    pub(crate) sent_frames: AtomicU64,
    pub(crate) skipped_frames: AtomicU64,
    pub(crate) video_bytes: AtomicU64,
    pub(crate) keyframes: AtomicU64,
    /// The bitrate is below the application's floor: there is no video, or two frames a second.
    pub(crate) below_floor: AtomicBool,
    pub(crate) audio_packets: AtomicU64,
    /// The loss that the audio encoder expects.
    pub(crate) audio_expected_loss_percent: AtomicU8,
    /// How many earlier packets each carries.
    pub(crate) audio_copies: AtomicU8,
    pub(crate) audio_bytes: AtomicU64,
}

/// Called once, from the media threads, when the first frame or audio packet has been sent.
pub(crate) type FirstSent = Box<dyn Fn() + Send + Sync>;

/// Called from the encoder thread when frames cannot be encoded; once, until one can be again.
pub(crate) type EncoderFailed = Box<dyn Fn(&EncodeError) + Send + Sync>;

/// The state that controls the encoder thread.
#[derive(Debug)]
struct Control {
    config: Mutex<VideoConfig>,
    traffic: Mutex<TrafficControl>,
    /// One bit for each layer that needs a key frame, the lowest layer's first.
    keyframes: AtomicU8,
    wanted: Arc<WantedLayers>,
    muted: AtomicBool,
    /// The frames are those of a screen or a window.
    is_screen: AtomicBool,
    /// The last frame of a screen, which may not change for long.
    resting: Mutex<Option<VideoFrame>>,
    /// What the narrowest subscriber's downlink carries, in bits a second.
    subscriber_bps: AtomicU64,
    /// SEI messages that wait for a frame.
    sei: Mutex<Vec<Vec<u8>>>,
}

impl Control {
    fn content(&self) -> Content {
        if self.is_screen.load(Relaxed) { Content::Screen } else { Content::Camera }
    }
}

/// The video half of a publisher. Dropping it stops the encoder thread.
pub(crate) struct VideoPublisher {
    frames: Sender<VideoFrame>,
    /// The waiting frame, to take it back when a newer one arrives.
    stale: Receiver<VideoFrame>,
    control: Arc<Control>,
    layers: usize,
}

impl VideoPublisher {
    pub(crate) fn start(
        config: VideoConfig,
        traffic: TrafficControl,
        slot: SenderSlot<VideoSenders>,
        wanted: Arc<WantedLayers>,
        counters: Arc<PublisherCounters>,
        first_sent: FirstSent,
        failed: EncoderFailed,
    ) -> std::io::Result<Self> {
        let layers = simulcast::layer_count(&config);
        // One frame waits while another is encoded; a third one replaces it.
        let (sender, receiver) = bounded(1);
        let control = Arc::new(Control {
            config: Mutex::new(config),
            traffic: Mutex::new(traffic),
            keyframes: AtomicU8::new(0),
            wanted,
            muted: AtomicBool::new(false),
            is_screen: AtomicBool::new(false),
            resting: Mutex::default(),
            subscriber_bps: AtomicU64::new(u64::MAX),
            sei: Mutex::default(),
        });
        let stale = receiver.clone();
        let worker = EncoderThread {
            frames: receiver,
            control: control.clone(),
            slot,
            counters,
            first_sent,
            failed,
            has_failed: false,
            layers: std::iter::repeat_with(LayerEncoder::default).take(layers).collect(),
            allocator: LayerAllocator::default(),
            floor: VideoFloor::default(),
            epoch: Instant::now(),
            last: None,
            timestamp_offset: rand::random(),
        };
        std::thread::Builder::new().name("zego-encoder".into()).spawn(move || worker.run())?;
        Ok(Self { frames: sender, stale, control, layers })
    }

    /// The sink for captured frames.
    pub(crate) fn input(&self) -> Arc<dyn FrameSink> {
        Arc::new(EncoderInput { frames: self.frames.clone(), stale: self.stale.clone() })
    }

    /// Number of layers that are sent.
    pub(crate) fn layers(&self) -> usize {
        self.layers
    }

    /// Makes the next frame of this layer, counted from the lowest, a key frame.
    pub(crate) fn force_keyframe(&self, layer: usize) {
        if layer < MAX_LAYERS {
            self.control.keyframes.fetch_or(1 << layer, Relaxed);
            self.repeat_resting();
        }
    }

    /// Makes the next frame a key frame in every layer.
    pub(crate) fn force_all_keyframes(&self) {
        self.control.keyframes.store(u8::MAX, Relaxed);
        self.repeat_resting();
    }

    /// Encodes the last frame of a static screen again, so that a key-frame request need not wait for a change.
    fn repeat_resting(&self) {
        if let Some(frame) = &*self.control.resting.lock() {
            let _ = self.frames.try_send(frame.at(Instant::now()));
        }
    }

    /// Sets what the frames show from now on. Frames of screens are never cropped.
    pub(crate) fn set_content(&self, content: Content) {
        self.control.is_screen.store(content == Content::Screen, Relaxed);
        self.control.resting.lock().take();
    }

    pub(crate) fn set_config(&self, config: VideoConfig) {
        *self.control.config.lock() = config;
    }

    /// Sets what the narrowest subscriber's downlink carries, in kbit/s, if known; used if traffic control focuses on it.
    pub(crate) fn set_listener_limit(&self, kbps: Option<u32>) {
        let bps = kbps.map_or(u64::MAX, |kbps| u64::from(kbps) * 1000);
        self.control.subscriber_bps.store(bps, Relaxed);
    }

    /// Sends a message with the next frame. False if too many wait already.
    pub(crate) fn send_sei(&self, message: Vec<u8>) -> bool {
        let mut waiting = self.control.sei.lock();
        let fits = waiting.len() < MAX_PENDING_SEI;
        if fits {
            waiting.push(message);
        }
        fits
    }

    pub(crate) fn set_traffic_control(&self, traffic: TrafficControl) {
        *self.control.traffic.lock() = traffic;
    }

    pub(crate) fn set_muted(&self, muted: bool) {
        self.control.muted.store(muted, Relaxed);
        if !muted {
            self.force_all_keyframes();
        }
    }
}

impl Drop for VideoPublisher {
    fn drop(&mut self) {
        // The thread ends with its last sender; until the capture side lets go of its own, nothing is sent.
        self.control.muted.store(true, Relaxed);
    }
}

struct EncoderInput {
    frames: Sender<VideoFrame>,
    stale: Receiver<VideoFrame>,
}

impl FrameSink for EncoderInput {
    fn on_frame(&self, frame: &VideoFrame) {
        if let Err(TrySendError::Full(frame)) = self.frames.try_send(frame.clone()) {
            // The encoder is behind: the newest frame replaces the one that waits.
            let _ = self.stale.try_recv();
            let _ = self.frames.try_send(frame);
        }
    }
}

struct EncoderThread {
    frames: Receiver<VideoFrame>,
    control: Arc<Control>,
    slot: SenderSlot<VideoSenders>,
    counters: Arc<PublisherCounters>,
    first_sent: FirstSent,
    failed: EncoderFailed,
    has_failed: bool,
    /// From low to high.
    layers: Vec<LayerEncoder>,
    allocator: LayerAllocator,
    floor: VideoFloor,
    epoch: Instant,
    /// Capture time of the last frame.
    last: Option<Instant>,
    timestamp_offset: u32,
}

impl EncoderThread {
    fn run(mut self) {
        // Ends when the publisher and the capture side have both dropped their senders.
        while let Ok(frame) = self.frames.recv() {
            // A frame that was repeated for a key frame may have overtaken one that was just being read.
            if self.last.is_some_and(|last| frame.capture_time() < last) {
                continue;
            }
            self.last = Some(frame.capture_time());
            let content = self.control.content();
            *self.control.resting.lock() = (content == Content::Screen).then(|| frame.clone());
            let senders = self.slot.read().clone();
            match senders {
                Some(senders) if !self.control.muted.load(Relaxed) => self.frame(&frame, content, &senders),
                _ => self.layers.iter_mut().for_each(LayerEncoder::rest),
            }
        }
    }

    fn frame(&mut self, frame: &VideoFrame, content: Content, senders: &[Arc<VideoSender>]) {
        let Some(first) = senders.first() else { return };
        let now = frame.capture_time();
        let count = self.layers.len();
        let is_screen = content == Content::Screen;
        let mut config = self.control.config.lock().clone();
        if is_screen {
            config = config.fitted(frame.width(), frame.height());
        }
        let configs = simulcast::layers(&config, count);
        let wanted = self.control.wanted.get(count);
        let wanted_kbps =
            configs.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(config, _)| config.bitrate_kbps);
        let wanted_bps = wanted_kbps.map(u64::from).sum::<u64>() * 1000;
        first.set_desired_bps(wanted_bps);
        let mut traffic = *self.control.traffic.lock();
        traffic.prefers_size = is_screen;
        let mut budget = first.budget();
        if !traffic.is_enabled() {
            budget.bps = wanted_bps;
        } else if traffic.focus == Focus::Remote {
            budget.bps = budget.bps.min(self.control.subscriber_bps.load(Relaxed));
        }
        let below = self.floor.update(now, &traffic, wanted_bps, budget.bps);
        self.counters.below_floor.store(below.is_some(), Relaxed);
        if below == Some(BelowFloor::NoVideo) {
            return self.layers.iter_mut().for_each(LayerEncoder::rest);
        }
        let shares = self.allocator.allocate(now, &configs, wanted, budget.bps);
        let due = self.due_layers(now, &configs, &traffic, below, shares, budget);
        if due.iter().all(Option::is_none) {
            return;
        }
        if RateControl::skips(budget) {
            self.counters.skipped_frames.fetch_add(1, Relaxed);
            return;
        }
        self.encode(frame, &due, content, senders);
    }

    /// How each layer encodes the frame of this moment.
    fn due_layers(
        &mut self,
        now: Instant,
        configs: &[VideoConfig],
        traffic: &TrafficControl,
        below: Option<BelowFloor>,
        shares: [u64; MAX_LAYERS],
        budget: SendBudget,
    ) -> [Option<Encoding>; MAX_LAYERS] {
        let asked = self.control.keyframes.swap(0, Relaxed);
        let mut due = [None; MAX_LAYERS];
        for (number, (layer, config)) in self.layers.iter_mut().zip(configs).enumerate() {
            if asked >> number & 1 == 1 {
                layer.force_keyframe();
            }
            match shares[number] {
                0 => layer.rest(),
                bps => due[number] = layer.next(now, config, traffic, below, SendBudget { bps, ..budget }),
            }
        }
        due
    }

    /// Encodes and sends all layers, the largest first: it takes longest. Each layer is scaled from the next larger one.
    fn encode(&mut self, frame: &VideoFrame, due: &[Option<Encoding>], content: Content, senders: &[Arc<VideoSender>]) {
        let timestamp = self.timestamp(frame.capture_time());
        let (mut picture, mut any_sent) = (frame.clone(), false);
        let messages = std::mem::take(&mut *self.control.sei.lock());
        for ((layer, encoding), sender) in self.layers.iter_mut().zip(due).zip(senders).rev() {
            let Some(encoding) = encoding else { continue };
            picture = scale::fill(&picture, encoding.width, encoding.height);
            let unit = match layer.encode(&picture, *encoding, content) {
                Ok(Some(unit)) => unit,
                Ok(None) => continue,
                Err(error) => {
                    // Once: the next frame is likely to fail in the same way.
                    if !std::mem::replace(&mut self.has_failed, true) {
                        tracing::error!(%error, width = encoding.width, height = encoding.height, "no picture is encoded");
                        (self.failed)(&error);
                    }
                    continue;
                }
            };
            self.has_failed = false;
            if unit.is_keyframe {
                tracing::debug!(bytes = unit.data.len(), width = encoding.width, "a key frame is sent");
                self.counters.keyframes.fetch_add(1, Relaxed);
            }
            self.counters.video_bytes.fetch_add(unit.data.len() as u64, Relaxed);
            sender.set_capture_time(timestamp, frame.capture_time());
            let data =
                if messages.is_empty() { unit.data } else { rtp::h264::sei::insert(&unit.data, &messages).into() };
            sender.send(AccessUnitToSend { data, timestamp });
            any_sent = true;
        }
        if !any_sent {
            // They wait for the next frame, before those that arrived meanwhile.
            self.control.sei.lock().splice(0..0, messages);
            self.counters.skipped_frames.fetch_add(1, Relaxed);
            return;
        }
        self.counters.encoded_frames.fetch_add(1, Relaxed);
        if self.counters.sent_frames.fetch_add(1, Relaxed) == 0 {
            (self.first_sent)();
        }
    }

    fn timestamp(&self, at: Instant) -> u32 {
        let seconds = at.saturating_duration_since(self.epoch).as_secs_f64();
        // The RTP clock wraps by design.
        self.timestamp_offset.wrapping_add((seconds * VIDEO_CLOCK_HZ) as u64 as u32)
    }
}

/// The audio half of a publisher: hands the microphone's packets to the session's sender.
pub(crate) struct AudioPublisher {
    slot: SenderSlot<AudioSender>,
    muted: AtomicBool,
    /// Puts earlier packets into later ones.
    red: Mutex<RedWriter>,
    counters: Arc<PublisherCounters>,
    first_sent: FirstSent,
}

impl AudioPublisher {
    pub(crate) fn new(
        slot: SenderSlot<AudioSender>,
        counters: Arc<PublisherCounters>,
        first_sent: FirstSent,
    ) -> Arc<Self> {
        let red = Mutex::new(RedWriter::new(AUDIO_BLOCK_TYPE));
        Arc::new(Self { slot, muted: AtomicBool::new(false), red, counters, first_sent })
    }

    /// Sets how many earlier packets each packet carries from now on, if the subscriber accepts RED.
    pub(crate) fn set_copies(&self, copies: usize) {
        self.red.lock().set_copies(copies);
    }

    pub(crate) fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Relaxed);
    }
}

impl OpusSink for AudioPublisher {
    fn on_packet(&self, packet: &OpusPacket) {
        if self.muted.load(Relaxed) {
            return;
        }
        let Some(sender) = self.slot.read().clone() else { return };
        sender.set_capture_time(packet.timestamp, packet.capture_time);
        let sent_bytes = if sender.accepts_redundant() {
            let packed = self.red.lock().pack(packet.timestamp, &packet.data);
            let length = packed.len();
            sender.send_redundant(packed, packet.timestamp);
            length
        } else {
            sender.send(packet.data.clone(), packet.timestamp);
            packet.data.len()
        };
        self.counters.audio_bytes.fetch_add(sent_bytes as u64, Relaxed);
        if self.counters.audio_packets.fetch_add(1, Relaxed) == 0 {
            (self.first_sent)();
        }
    }
}
