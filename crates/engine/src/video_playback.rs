//! Received pictures on their way to the view: each is decoded and shown when its time has come, together with its sound.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use media::audio::{AudioPlayer, DelayRange};
use media::video::decoder::{DecodeError, VideoDecoder};
use parking_lot::Mutex;
use transport::lip_sync::{LipSync, Moment};
use transport::playout::Playout;
use transport::{AudioReceiverHandle, ReceivedAccessUnit, VideoReceiverHandle};

use crate::player::Output;

/// The decoder's own key frame requests are at least this far apart.
const MIN_REQUEST_INTERVAL: Duration = Duration::from_millis(300);
/// A picture that has to wait longer than this is nonsense and does not wait.
const MOST_WAIT: Duration = Duration::from_secs(5);
/// What is heard says nothing of the present any more after this.
const STALE_SOUND: Duration = Duration::from_millis(500);
/// A picture that is late by more than this says nothing about the others.
const MOST_LATE: Duration = Duration::from_millis(20);
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
    /// By how much the picture comes later than its sound; `null` while that is unknown.
    pub(crate) offset_ms: Option<f64>,
    /// How long pictures wait because they come unevenly.
    pub(crate) video_delay_ms: f64,
    /// How long pictures wait for the sound.
    pub(crate) video_wait_ms: f64,
    /// How long the sound waits for the pictures.
    pub(crate) audio_wait_ms: f64,
}

/// What both halves of a player share about time.
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

    /// The sound comes from this track from now on.
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

    /// What is heard now.
    fn sound(&self, now: Instant) -> Option<Moment> {
        let position = self.audio.position()?;
        if now.saturating_duration_since(position.heard_at) > STALE_SOUND {
            return None;
        }
        let captured = self.audio_clock.lock().as_ref()?.captured(position.timestamp)?;
        Some(Moment { captured, out: position.heard_at })
    }

    fn delay_sound(&self, extra: Duration) {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let mut range = DelayRange { extra_ms: ms(extra), ..DelayRange::default() };
        if let Some(wanted) = *self.range.lock() {
            (range.least_ms, range.most_ms) = (ms(wanted.least), ms(wanted.most));
        }
        self.audio.set_delay(range);
    }
}

/// See the module. Runs on a thread of its own until the track is gone.
pub(crate) struct VideoPlayback {
    pub(crate) queue: Receiver<ReceivedAccessUnit>,
    pub(crate) output: Arc<Output>,
    pub(crate) handle: VideoReceiverHandle,
    pub(crate) timing: Arc<Timing>,
    pub(crate) playout: Playout,
    pub(crate) sync: LipSync,
    pub(crate) requested: Option<Instant>,
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
        Self { queue, output, handle, timing, playout, sync, requested: None, decoding: 0.0 }
    }

    pub(crate) fn run(mut self) {
        let mut decoder = match VideoDecoder::new() {
            Ok(decoder) => decoder,
            Err(error) => {
                tracing::error!(%error, "no video decoder");
                return;
            }
        };
        while let Ok(unit) = self.queue.recv() {
            let (due, wait) = (self.due(&unit), self.sync.video_wait());
            self.wait_until(due + wait);
            let began = Instant::now();
            match decoder.decode(&unit.data, unit.arrival) {
                Ok(Some(frame)) => {
                    let decoded = Instant::now();
                    self.decoding += (decoded.duration_since(began).as_secs_f64() - self.decoding) * SMOOTHING;
                    self.output.show(&frame);
                    self.output.tell_sei(&unit.data);
                    self.synchronize(&unit, due, decoded.checked_sub(wait).unwrap_or(decoded));
                }
                Ok(None) => {}
                Err(error) => self.failed(&error),
            }
        }
        self.timing.delay_sound(Duration::ZERO);
    }

    /// When the picture should be seen if it does not wait for its sound.
    fn due(&mut self, unit: &ReceivedAccessUnit) -> Instant {
        if let Some(range) = *self.timing.range.lock() {
            self.playout.set_range(range.least, range.most);
        }
        self.playout.on_frame(unit.timestamp, unit.arrival)
    }

    /// Sleeps until it is time to begin decoding.
    fn wait_until(&self, due: Instant) {
        let wait = due.saturating_duration_since(Instant::now() + Duration::from_secs_f64(self.decoding));
        if !wait.is_zero() && wait < MOST_WAIT {
            std::thread::sleep(wait);
        }
    }

    /// `shown`: when it was seen, or would have been if it had not waited for its sound.
    fn synchronize(&mut self, unit: &ReceivedAccessUnit, due: Instant, shown: Instant) {
        let picture =
            self.handle.captured(unit.timestamp).map(|captured| Moment { captured, out: shown.min(due + MOST_LATE) });
        match (picture, self.timing.sound(shown)) {
            (Some(picture), Some(sound)) => self.sync.update(picture, sound),
            _ => self.sync.rest(),
        }
        self.timing.delay_sound(self.sync.audio_wait());
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        *self.timing.stats.lock() = TimingStats {
            offset_ms: self.sync.offset_ms(),
            video_delay_ms: ms(self.playout.delay()),
            video_wait_ms: ms(self.sync.video_wait()),
            audio_wait_ms: ms(self.sync.audio_wait()),
        };
    }

    fn failed(&mut self, error: &DecodeError) {
        let now = Instant::now();
        if self.requested.is_none_or(|at| now.duration_since(at) >= MIN_REQUEST_INTERVAL) {
            tracing::debug!(%error, "a picture was not decoded, asking for a key frame");
            self.requested = Some(now);
            self.handle.request_keyframe();
        }
    }
}
