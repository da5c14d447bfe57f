//! One publish channel at work: an encoder thread for the pictures, a tap on the microphone's Opus packets.
//!
//! Both feed the sender of the present session through a slot. While there is no session nothing is encoded.
//! How a picture is encoded follows what the sender's budget allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use media::audio::{OpusPacket, OpusSink};
use media::video::encoder::{Content, EncoderConfig, VideoEncoder};
use media::video::frame::VideoFrame;
use media::video::sink::FrameSink;
use parking_lot::Mutex;
use transport::{AccessUnitToSend, AudioSender, VideoSender};

use crate::config::VideoConfig;
use crate::rate_control::{Encoding, RateControl};
use crate::session::SenderSlot;

/// Forced key frames are at least this far apart, whoever asks.
const MIN_KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);
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
    pub(crate) audio_packets: AtomicU64,
    pub(crate) audio_bytes: AtomicU64,
}

/// Told once, from the media threads, when the first picture or packet has been sent.
pub(crate) type FirstSent = Box<dyn Fn() + Send + Sync>;

/// What the encoder thread is told while it runs.
#[derive(Debug)]
struct Control {
    config: Mutex<VideoConfig>,
    force_keyframe: AtomicBool,
    muted: AtomicBool,
}

/// The video half of a publisher. Dropping it stops the encoder thread.
pub(crate) struct VideoPublisher {
    frames: Sender<VideoFrame>,
    /// The waiting picture, for taking it back when a newer one comes.
    stale: Receiver<VideoFrame>,
    control: Arc<Control>,
}

impl VideoPublisher {
    pub(crate) fn start(
        config: VideoConfig,
        slot: SenderSlot<VideoSender>,
        counters: Arc<PublisherCounters>,
        first_sent: FirstSent,
    ) -> std::io::Result<Self> {
        // One picture waits while another is encoded; a third replaces the one that waits.
        let (sender, receiver) = bounded(1);
        let control = Arc::new(Control {
            config: Mutex::new(config),
            force_keyframe: AtomicBool::new(true),
            muted: AtomicBool::new(false),
        });
        let stale = receiver.clone();
        let worker = EncoderThread {
            frames: receiver,
            control: control.clone(),
            slot,
            counters,
            first_sent,
            encoder: None,
            rate: RateControl::default(),
            last_keyframe: None,
            next_due: None,
            sending: false,
            epoch: Instant::now(),
            timestamp_offset: rand::random(),
        };
        std::thread::Builder::new().name("zego-encoder".into()).spawn(move || worker.run())?;
        Ok(Self { frames: sender, stale, control })
    }

    /// Where captured pictures go in.
    pub(crate) fn input(&self) -> Arc<dyn FrameSink> {
        Arc::new(EncoderInput { frames: self.frames.clone(), stale: self.stale.clone() })
    }

    pub(crate) fn force_keyframe(&self) {
        self.control.force_keyframe.store(true, Relaxed);
    }

    pub(crate) fn set_config(&self, config: VideoConfig) {
        *self.control.config.lock() = config;
    }

    pub(crate) fn set_muted(&self, muted: bool) {
        self.control.muted.store(muted, Relaxed);
        if !muted {
            self.force_keyframe();
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
            // The encoder is behind: the newest picture takes the place of the one that waits.
            let _ = self.stale.try_recv();
            let _ = self.frames.try_send(frame);
        }
    }
}

struct EncoderThread {
    frames: Receiver<VideoFrame>,
    control: Arc<Control>,
    slot: SenderSlot<VideoSender>,
    counters: Arc<PublisherCounters>,
    first_sent: FirstSent,
    encoder: Option<(Encoding, VideoEncoder)>,
    rate: RateControl,
    last_keyframe: Option<Instant>,
    /// When the next picture is due, to keep to the configured frame rate.
    next_due: Option<Instant>,
    sending: bool,
    epoch: Instant,
    timestamp_offset: u32,
}

impl EncoderThread {
    fn run(mut self) {
        // Ends when the publisher and the capture side have both dropped their senders.
        while let Ok(frame) = self.frames.recv() {
            let sender = self.slot.read().clone();
            match sender {
                Some(sender) if !self.control.muted.load(Relaxed) => self.frame(&frame, &sender),
                _ => self.sending = false,
            }
        }
    }

    fn frame(&mut self, frame: &VideoFrame, sender: &VideoSender) {
        if !std::mem::replace(&mut self.sending, true) {
            // A new session or an end of mute: whoever watches begins with this picture.
            self.control.force_keyframe.store(true, Relaxed);
            self.last_keyframe = None;
        }
        let config = self.control.config.lock().clone();
        sender.set_wanted(u64::from(config.bitrate_kbps) * 1000);
        let budget = sender.budget();
        let encoding = self.rate.encoding(frame.capture_time(), &config, budget);
        if !self.is_due(frame.capture_time(), encoding.fps) {
            return;
        }
        if RateControl::skips(budget) {
            self.counters.skipped_frames.fetch_add(1, Relaxed);
            return;
        }
        let force = self.keyframe_due(frame.capture_time());
        let Some(encoder) = self.encoder(encoding) else { return };
        match encoder.encode(frame, force) {
            Ok(Some(unit)) => {
                if unit.is_keyframe {
                    tracing::debug!(bytes = unit.data.len(), "a key frame is sent");
                    self.last_keyframe = Some(frame.capture_time());
                    self.counters.keyframes.fetch_add(1, Relaxed);
                }
                self.counters.encoded_frames.fetch_add(1, Relaxed);
                self.counters.video_bytes.fetch_add(unit.data.len() as u64, Relaxed);
                let timestamp = self.timestamp(frame.capture_time());
                sender.send(AccessUnitToSend { data: unit.data, timestamp });
                if self.counters.sent_frames.fetch_add(1, Relaxed) == 0 {
                    (self.first_sent)();
                }
            }
            Ok(None) => {
                self.counters.skipped_frames.fetch_add(1, Relaxed);
            }
            Err(error) => {
                tracing::error!(%error, "a picture was not encoded; the encoder starts afresh");
                self.encoder = None;
            }
        }
        if force && self.last_keyframe != Some(frame.capture_time()) {
            // Skipped or failed: the key frame is still owed.
            self.control.force_keyframe.store(true, Relaxed);
        }
    }

    /// Drops pictures of a source that is faster than the configured frame rate.
    fn is_due(&mut self, now: Instant, fps: u32) -> bool {
        let interval = Duration::from_secs_f64(1.0 / f64::from(fps.max(1)));
        let due = self.next_due.unwrap_or(now);
        // A fifth of a frame early is on time: cameras jitter.
        if now + interval / 5 < due {
            return false;
        }
        let next = due + interval;
        self.next_due = Some(if next + interval < now { now + interval } else { next });
        true
    }

    fn keyframe_due(&mut self, now: Instant) -> bool {
        let allowed = self.last_keyframe.is_none_or(|last| now.duration_since(last) >= MIN_KEYFRAME_INTERVAL);
        allowed && self.control.force_keyframe.swap(false, Relaxed)
    }

    fn encoder(&mut self, wanted: Encoding) -> Option<&mut VideoEncoder> {
        if self.encoder.is_none() {
            let settings = EncoderConfig {
                width: wanted.width,
                height: wanted.height,
                fps: wanted.fps,
                bitrate_bps: wanted.bitrate_bps,
                content: Content::Camera,
            };
            match VideoEncoder::new(settings) {
                Ok(encoder) => self.encoder = Some((wanted, encoder)),
                Err(error) => tracing::error!(%error, "no video encoder"),
            }
        }
        let (current, encoder) = self.encoder.as_mut()?;
        if (current.width, current.height) != (wanted.width, wanted.height)
            && let Err(error) = encoder.set_size(wanted.width, wanted.height)
        {
            tracing::warn!(%error, "the encoder kept its old size");
        }
        if (current.bitrate_bps, current.fps) != (wanted.bitrate_bps, wanted.fps)
            && let Err(error) = encoder.set_rate(wanted.bitrate_bps, wanted.fps)
        {
            tracing::warn!(%error, "the encoder kept its old rate");
        }
        *current = wanted;
        Some(encoder)
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
    counters: Arc<PublisherCounters>,
    first_sent: FirstSent,
}

impl AudioPublisher {
    pub(crate) fn new(
        slot: SenderSlot<AudioSender>,
        counters: Arc<PublisherCounters>,
        first_sent: FirstSent,
    ) -> Arc<Self> {
        Arc::new(Self { slot, muted: AtomicBool::new(false), counters, first_sent })
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
        sender.send(packet.data.clone(), packet.timestamp);
        self.counters.audio_bytes.fetch_add(packet.data.len() as u64, Relaxed);
        if self.counters.audio_packets.fetch_add(1, Relaxed) == 0 {
            (self.first_sent)();
        }
    }
}
