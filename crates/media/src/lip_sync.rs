//! Lip sync: keeps audio and video of a stream together with as little added delay as possible.
//!
//! The offset that remains is not noticed (ITU-R BT.1359 puts the threshold at 45 ms for early audio and at 125 ms for late
//! audio). So video may lead a little, as it does where audio takes longer through its buffers; beyond that, video is
//! delayed. Late video delays the audio. Sans-IO.

use std::time::{Duration, Instant};

/// How far video may lead the audio, in milliseconds, where both are steady.
const MAX_LEAD_MS: f64 = 38.0;
/// The lead shrinks by this multiple of the mean deviation of the offset from frame to frame.
const DEVIATION_FACTOR: f64 = 2.0;
/// The lead shrinks by this share of the swings of the offset over seconds, which the steps of the audio buffer cause.
const SWING_FACTOR: f64 = 0.8;
/// The lead shrinks by at most this.
const MAX_LEAD_REDUCTION_MS: f64 = 25.0;
/// Weight of a new measurement in the mean deviation.
const DEVIATION_SMOOTHING: f64 = 0.03;
/// Weight of a new measurement in the mean that swings are measured from.
const SWING_SMOOTHING: f64 = 0.02;
/// What remains of a swing after one more frame (half is forgotten after 10 s).
const SWING_DECAY: f64 = 0.9977;
/// A larger swing is a permanent change.
const MAX_SWING_MS: f64 = 12.0;
/// Frames until audio and video have settled in their buffers; before that nothing is a swing.
const SETTLING_FRAMES: u32 = 60;
/// How far video may lag before the audio is delayed.
const MAX_LAG_MS: f64 = 25.0;
/// Offset below which the delay of the audio is reduced. The audio buffer moves in steps, hence the distance to
/// [`MAX_LAG_MS`].
const RELEASE_OFFSET_MS: f64 = -10.0;
/// Share of the audio's error that is corrected with one frame.
const GAIN: f64 = 0.1;
/// Largest correction of either with one frame.
const MAX_STEP_MS: f64 = 6.0;
/// Weight of a new measurement in the smoothed offset.
const SMOOTHING: f64 = 0.3;
/// Longest delay of either.
const MAX_DELAY_MS: f64 = 400.0;
/// A larger offset is an error in the reports.
const MAX_PLAUSIBLE_OFFSET_MS: f64 = 3000.0;

/// When media was captured, and when it is rendered or heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutPoint {
    /// Capture time on the sender's clock.
    pub captured: Duration,
    /// When it is rendered or heard.
    pub presented: Instant,
}

/// Controls the delays of audio and video of one stream.
#[derive(Debug, Default)]
pub struct LipSync {
    /// Smoothed offset of video against audio, without the delay added to the video.
    natural_offset_ms: Option<f64>,
    deviation_ms: f64,
    frames: u32,
    mean_ms: f64,
    swing_ms: f64,
    video_delay_ms: f64,
    audio_delay_ms: f64,
}

impl LipSync {
    /// Adds a measurement: video without its added delay, audio as it is heard. To be called once per frame.
    pub fn update(&mut self, video: PlayoutPoint, audio: PlayoutPoint) {
        let measured = difference_ms(video, audio);
        if measured.abs() > MAX_PLAUSIBLE_OFFSET_MS {
            return self.decay();
        }
        let natural_offset = self.natural_offset_ms.map_or(measured, |known| known + (measured - known) * SMOOTHING);
        self.natural_offset_ms = Some(natural_offset);
        self.deviation_ms += ((measured - natural_offset).abs() - self.deviation_ms) * DEVIATION_SMOOTHING;
        self.frames = self.frames.saturating_add(1);
        if self.frames < SETTLING_FRAMES {
            self.mean_ms = natural_offset;
        }
        self.mean_ms += (natural_offset - self.mean_ms) * SWING_SMOOTHING;
        self.swing_ms = (self.swing_ms * SWING_DECAY).max((natural_offset - self.mean_ms).abs().min(MAX_SWING_MS));
        let unsteady = self.deviation_ms * DEVIATION_FACTOR + self.swing_ms * SWING_FACTOR;
        let ahead = MAX_LEAD_MS - unsteady.min(MAX_LEAD_REDUCTION_MS);
        let target = (-ahead - natural_offset).clamp(0.0, MAX_DELAY_MS);
        self.video_delay_ms += (target - self.video_delay_ms).clamp(-MAX_STEP_MS, MAX_STEP_MS);

        let step = |error: f64| (error * GAIN).clamp(-MAX_STEP_MS, MAX_STEP_MS);
        let offset = natural_offset + self.video_delay_ms;
        if offset > MAX_LAG_MS {
            self.audio_delay_ms = (self.audio_delay_ms + step(offset - MAX_LAG_MS)).min(MAX_DELAY_MS);
        } else if offset < RELEASE_OFFSET_MS {
            self.audio_delay_ms = (self.audio_delay_ms + step(offset - RELEASE_OFFSET_MS)).max(0.0);
        }
    }

    /// Reduces the delays while there is nothing to keep in sync.
    pub fn decay(&mut self) {
        self.natural_offset_ms = None;
        self.frames = 0;
        self.video_delay_ms = (self.video_delay_ms - 1.0).max(0.0);
        self.audio_delay_ms = (self.audio_delay_ms - 1.0).max(0.0);
    }

    /// Delay to add to the video.
    #[must_use]
    pub fn video_delay(&self) -> Duration {
        Duration::from_secs_f64(self.video_delay_ms / 1000.0)
    }

    /// Delay to add to the audio.
    #[must_use]
    pub fn audio_delay(&self) -> Duration {
        Duration::from_secs_f64(self.audio_delay_ms / 1000.0)
    }

    /// Offset of video against audio in milliseconds; negative if video leads.
    #[must_use]
    pub fn offset_ms(&self) -> Option<f64> {
        Some(self.natural_offset_ms? + self.video_delay_ms)
    }
}

/// Offset of video against audio.
fn difference_ms(video: PlayoutPoint, audio: PlayoutPoint) -> f64 {
    let presented = signed_ms(
        video.presented.checked_duration_since(audio.presented),
        audio.presented.checked_duration_since(video.presented),
    );
    let captured = signed_ms(video.captured.checked_sub(audio.captured), audio.captured.checked_sub(video.captured));
    presented - captured
}

fn signed_ms(later: Option<Duration>, earlier: Option<Duration>) -> f64 {
    match (later, earlier) {
        (Some(later), _) => later.as_secs_f64() * 1000.0,
        (None, Some(earlier)) => -earlier.as_secs_f64() * 1000.0,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays frames with a latency of `video_ms`, and audio with one of `audio_ms`, plus the added delays.
    fn play(sync: &mut LipSync, frames: u32, video_ms: u64, audio_ms: u64) -> f64 {
        let start = Instant::now();
        let mut last = 0.0;
        for number in 0..frames {
            let captured = Duration::from_millis(1_000_000 + 33 * u64::from(number));
            let now = start + Duration::from_millis(33 * u64::from(number));
            let video = PlayoutPoint { captured, presented: now + Duration::from_millis(video_ms) };
            // The audio heard at the same time was captured earlier or later.
            let audio = PlayoutPoint {
                captured: captured - Duration::from_millis(7),
                presented: now - Duration::from_millis(7) + Duration::from_millis(audio_ms) + sync.audio_delay(),
            };
            sync.update(video, audio);
            last = video_ms as f64 + sync.video_delay_ms - audio_ms as f64 - sync.audio_delay_ms;
        }
        last
    }

    #[test]
    fn a_small_lead_of_the_video_is_left_alone() {
        let mut sync = LipSync::default();
        play(&mut sync, 300, 20, 50);
        assert_eq!((sync.video_delay(), sync.audio_delay()), (Duration::ZERO, Duration::ZERO));
        assert!((sync.offset_ms().unwrap() + 30.0).abs() < 1.0);
    }

    #[test]
    fn video_far_ahead_is_delayed_no_longer_than_needed() {
        let mut sync = LipSync::default();
        let offset = play(&mut sync, 300, 20, 220);
        assert!((-40.0..=-25.0).contains(&offset), "{offset}");
        assert_eq!(sync.audio_delay(), Duration::ZERO);
        let offset = play(&mut sync, 300, 20, 60);
        assert!((-40.0..=0.0).contains(&offset), "{offset}");
        assert!(sync.video_delay() < Duration::from_millis(15));
    }

    #[test]
    fn late_video_delays_the_audio() {
        let mut sync = LipSync::default();
        let offset = play(&mut sync, 300, 250, 60);
        assert!((0.0..=40.0).contains(&offset), "{offset}");
        let offset = play(&mut sync, 300, 20, 60);
        assert!(offset.abs() <= 40.0, "{offset}");
        assert!(sync.audio_delay() < Duration::from_millis(10));
    }

    #[test]
    fn implausible_reports_change_nothing() {
        let mut sync = LipSync::default();
        play(&mut sync, 100, 20, 60_000);
        assert_eq!((sync.video_delay(), sync.audio_delay(), sync.offset_ms()), (Duration::ZERO, Duration::ZERO, None));
    }
}
