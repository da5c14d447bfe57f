//! Received video on its way to the view: each frame is decoded and shown when it is due, in sync with its audio.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use media::audio::{AudioPlayer, DelayRange};
use media::lip_sync::{LipSync, PlayoutPoint};
use media::video::decoder::DecodeError;
use media::video::playout::Playout;
use media::video::rotate::turn;
use media::video::{Decode, VideoFrame};
use parking_lot::Mutex;
use transport::{AudioReceiverHandle, ReceivedAccessUnit, VideoCodec, VideoReceiverHandle};

use crate::player::Output;
use crate::session::TrackKind;
use crate::undecodable::{DecoderHealth, Reason};

/// Upper bound of access units inside the decoder.
const MAX_PENDING_UNITS: usize = 17;
/// `ZegoVideoCodecID`.
const CODEC_ID_DEFAULT: u8 = 0;
const CODEC_ID_VP8: u8 = 2;
/// A frame that would have to wait longer than this has a wrong timestamp and does not wait.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The audio position says nothing about the present after this time.
const STALE_AUDIO: Duration = Duration::from_millis(500);
/// Lateness of a frame counts only up to this.
const MAX_LATENESS: Duration = Duration::from_millis(20);
/// Share of a new measurement in the smoothed decoding time.
const SMOOTHING: f64 = 0.1;

/// How long media may wait to be played, as the application wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BufferRange {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

/// Numbers of the timing, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TimingStats {
    /// How much later than its audio the video is shown; `null` while unknown.
    pub(crate) offset_ms: Option<f64>,
    /// How long frames wait because of jitter.
    pub(crate) video_delay_ms: f64,
    /// How long frames wait for the audio.
    pub(crate) video_wait_ms: f64,
    /// How long the audio waits for the video.
    pub(crate) audio_wait_ms: f64,
}

/// Timing that audio and video of a player share.
pub(crate) struct Timing {
    audio: Arc<AudioPlayer>,
    audio_clock: Mutex<Option<AudioReceiverHandle>>,
    range: Mutex<Option<BufferRange>>,
    stats: Mutex<TimingStats>,
}

impl Timing {
    pub(crate) fn new(audio: Arc<AudioPlayer>) -> Arc<Self> {
        Arc::new(Self { audio, audio_clock: Mutex::new(None), range: Mutex::new(None), stats: Mutex::default() })
    }

    /// Sets the track that the audio comes from.
    pub(crate) fn set_audio_clock(&self, handle: AudioReceiverHandle) {
        *self.audio_clock.lock() = Some(handle);
    }

    pub(crate) fn set_range(&self, range: BufferRange) {
        *self.range.lock() = Some(range);
        self.delay_sound(Duration::ZERO);
    }

    pub(crate) fn stats(&self) -> TimingStats {
        *self.stats.lock()
    }

    /// The audio that is played now.
    fn sound(&self, now: Instant) -> Option<PlayoutPoint> {
        let position = self.audio.position()?;
        if now.saturating_duration_since(position.heard_at) > STALE_AUDIO {
            return None;
        }
        let captured = self.audio_clock.lock().as_ref()?.captured(position.timestamp)?;
        Some(PlayoutPoint { captured, presented: position.heard_at })
    }

    fn delay_sound(&self, extra: Duration) {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let mut range = DelayRange { extra_ms: ms(extra), ..DelayRange::default() };
        if let Some(wanted) = *self.range.lock() {
            (range.min_ms, range.max_ms) = (ms(wanted.least), ms(wanted.most));
        }
        self.audio.set_delay(range);
    }
}

/// Decodes and shows one track. Runs on a thread of its own until the track ends.
pub(crate) struct VideoPlayback {
    pub(crate) queue: Receiver<ReceivedAccessUnit>,
    pub(crate) output: Arc<Output>,
    pub(crate) handle: VideoReceiverHandle,
    pub(crate) timing: Arc<Timing>,
    pub(crate) playout: Playout,
    pub(crate) sync: LipSync,
    /// Decoded, and not shown; the first is due first.
    pub(crate) waiting: Vec<(Instant, ReceivedAccessUnit)>,
    pub(crate) health: DecoderHealth,
    /// Seconds.
    pub(crate) decoding: f64,
}

impl VideoPlayback {
    pub(crate) fn new(
        queue: Receiver<ReceivedAccessUnit>,
        output: Arc<Output>,
        handle: VideoReceiverHandle,
        timing: Arc<Timing>,
    ) -> Self {
        let (playout, sync) = (Playout::default(), LipSync::default());
        let (waiting, health) = (Vec::new(), DecoderHealth::default());
        Self { queue, output, handle, timing, playout, sync, waiting, health, decoding: 0.0 }
    }

    pub(crate) fn run(mut self) {
        let mut decoder: Option<(VideoCodec, Box<dyn Decode>)> = None;
        let mut pictures = Vec::new();
        while let Ok(unit) = self.queue.recv() {
            let due = self.due(&unit);
            // The codec may change with any key frame.
            if decoder.as_ref().is_none_or(|(codec, _)| *codec != unit.codec) {
                decoder = self.open(unit.codec).map(|opened| (unit.codec, opened));
                self.waiting.clear();
            }
            let Some((_, decoder)) = &mut decoder else { continue };
            // Frames that arrive in decoding order are decoded at once, and wait afterwards.
            let reorders = decoder.reorders();
            if !reorders {
                self.wait_until(due + self.sync.video_delay());
            }
            let began = Instant::now();
            let result = decoder.decode(&unit.data, unit.arrival, &mut pictures);
            if !pictures.is_empty() {
                self.decoding += (began.elapsed().as_secs_f64() - self.decoding) * SMOOTHING;
            }
            match result {
                Ok(()) => self.enqueue(unit, due, reorders || !pictures.is_empty()),
                Err(error) => self.failed(&error, &unit),
            }
            for picture in pictures.drain(..) {
                self.present(&picture, reorders);
            }
        }
        self.timing.delay_sound(Duration::ZERO);
    }

    fn open(&self, codec: VideoCodec) -> Option<Box<dyn Decode>> {
        let (wanted, id) = match codec {
            VideoCodec::H264 => (media::video::VideoCodec::H264, CODEC_ID_DEFAULT),
            VideoCodec::Vp8 => (media::video::VideoCodec::Vp8, CODEC_ID_VP8),
        };
        match media::video::codec::decoder(wanted) {
            Ok(opened) => {
                self.output.set_video_codec(id);
                Some(opened)
            }
            Err(error) => {
                tracing::error!(%error, "no video decoder");
                self.output.set_obstacle(TrackKind::Video, Some(Reason::Codec(codec.name().to_owned())));
                None
            }
        }
    }

    /// A unit was taken by the decoder. Frames of reordered streams come out later, in the order in which they are due.
    fn enqueue(&mut self, unit: ReceivedAccessUnit, due: Instant, has_picture: bool) {
        if has_picture {
            let at = self.waiting.partition_point(|(earlier, _)| *earlier <= due);
            self.waiting.insert(at, (due, unit));
        }
        // Units without a frame, and those that were lost by errors of the decoder, must not pile up.
        let surplus = self.waiting.len().saturating_sub(MAX_PENDING_UNITS);
        self.waiting.drain(..surplus);
    }

    fn present(&mut self, picture: &VideoFrame, waits: bool) {
        self.health.decoded();
        self.output.set_obstacle(TrackKind::Video, None);
        if self.waiting.is_empty() {
            return self.output.show(picture);
        }
        let (due, unit) = self.waiting.remove(0);
        let wait = self.sync.video_delay();
        if waits {
            self.wait_until(due + wait);
        }
        let decoded = Instant::now();
        self.output.show(&turn(picture, unit.rotation.quarters()));
        if unit.codec == VideoCodec::H264 {
            self.output.emit_sei(&unit.data);
        }
        self.synchronize(&unit, due, decoded.checked_sub(wait).unwrap_or(decoded));
    }

    /// When the frame should be shown if it does not wait for its audio.
    fn due(&mut self, unit: &ReceivedAccessUnit) -> Instant {
        if let Some(range) = *self.timing.range.lock() {
            self.playout.set_range(range.least, range.most);
        }
        self.playout.on_frame(unit.timestamp, unit.arrival)
    }

    /// Sleeps until it is time to begin decoding.
    fn wait_until(&self, due: Instant) {
        let wait = due.saturating_duration_since(Instant::now() + Duration::from_secs_f64(self.decoding));
        if !wait.is_zero() && wait < MAX_WAIT {
            std::thread::sleep(wait);
        }
    }

    /// `shown`: when it was shown, or would have been without waiting for its audio.
    fn synchronize(&mut self, unit: &ReceivedAccessUnit, due: Instant, shown: Instant) {
        let picture = self
            .handle
            .captured(unit.timestamp)
            .map(|captured| PlayoutPoint { captured, presented: shown.min(due + MAX_LATENESS) });
        match (picture, self.timing.sound(shown)) {
            (Some(picture), Some(sound)) => self.sync.update(picture, sound),
            _ => self.sync.decay(),
        }
        self.timing.delay_sound(self.sync.audio_delay());
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        *self.timing.stats.lock() = TimingStats {
            offset_ms: self.sync.offset_ms(),
            video_delay_ms: ms(self.playout.delay()),
            video_wait_ms: ms(self.sync.video_delay()),
            audio_wait_ms: ms(self.sync.audio_delay()),
        };
    }

    fn failed(&mut self, error: &DecodeError, unit: &ReceivedAccessUnit) {
        if let Some(reason) = self.health.failed(error, &unit.data, unit.is_keyframe) {
            self.output.set_obstacle(TrackKind::Video, Some(reason));
        }
        if self.health.may_request(Instant::now()) {
            tracing::debug!(%error, "a picture was not decoded, asking for a key frame");
            self.handle.request_keyframe();
        }
    }
}
