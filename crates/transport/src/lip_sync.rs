//! Keeps picture and sound of a stream together, with as little waiting as that takes.
//!
//! What is left of the difference is not noticed (ITU-R BT.1359 puts the threshold at 45 ms for early sound and at
//! 125 ms for late sound). The picture may thus run ahead a little, as it does where sound takes longer through
//! its buffers; more than that, and it waits. A picture that is late makes the sound wait. Sans-IO.

use std::time::{Duration, Instant};

/// How far the picture may be ahead of the sound, in milliseconds: so far where both are steady, less where they are not,
/// by a multiple of the mean deviation from picture to picture and a share of the swings of some seconds, which the steps
/// of the audio buffer make; at most so much less.
const AHEAD_MS: f64 = 38.0;
const DEVIATIONS: f64 = 2.0;
const SWINGS: f64 = 0.8;
const MOST_UNSTEADY_MS: f64 = 25.0;
const DEVIATION_SMOOTHING: f64 = 0.03;
/// Share of a new measurement in the mean from which swings are measured, and what remains of one after one more picture
/// (half is gone after 10 s).
const SWING_SMOOTHING: f64 = 0.02;
const SWING_DECAY: f64 = 0.9977;
/// A greater one is a change for good.
const MOST_SWING_MS: f64 = 12.0;
/// Pictures until picture and sound have found their buffers; before that nothing is a swing.
const SETTLING: u32 = 60;
/// How far it may be behind before the sound waits, and how far ahead before it waits less again. The audio buffer
/// moves in steps, so there is some room between the two.
const BEHIND_MS: f64 = 25.0;
const RELEASE_MS: f64 = -10.0;
/// Share of the sound's error that is put right with one picture, and the most of either's, in milliseconds.
const GAIN: f64 = 0.1;
const MOST_STEP_MS: f64 = 6.0;
/// Share of a new measurement in the smoothed one.
const SMOOTHING: f64 = 0.3;
/// Neither waits longer than this for the other.
const MOST_WAIT_MS: f64 = 400.0;
/// A difference beyond this is no difference but an error in the reports.
const NONSENSE_MS: f64 = 3000.0;

/// Something that was captured and comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When it was captured, by the sender's clock.
    pub captured: Duration,
    /// When it is shown, or heard.
    pub out: Instant,
}

/// See the module.
#[derive(Debug, Default)]
pub struct LipSync {
    /// Picture minus sound, smoothed, without the wait of the picture.
    unwaited_ms: Option<f64>,
    deviation_ms: f64,
    pictures: u32,
    mean_ms: f64,
    swing_ms: f64,
    video_wait_ms: f64,
    audio_wait_ms: f64,
}

impl LipSync {
    /// Takes where picture and sound are at this moment, the picture as if it did not wait for the sound, and the sound
    /// as it is heard; to be called once a picture.
    pub fn update(&mut self, video: Moment, audio: Moment) {
        let measured = difference_ms(video, audio);
        if measured.abs() > NONSENSE_MS {
            return self.rest();
        }
        let unwaited = self.unwaited_ms.map_or(measured, |known| known + (measured - known) * SMOOTHING);
        self.unwaited_ms = Some(unwaited);
        self.deviation_ms += ((measured - unwaited).abs() - self.deviation_ms) * DEVIATION_SMOOTHING;
        self.pictures = self.pictures.saturating_add(1);
        if self.pictures < SETTLING {
            self.mean_ms = unwaited;
        }
        self.mean_ms += (unwaited - self.mean_ms) * SWING_SMOOTHING;
        self.swing_ms = (self.swing_ms * SWING_DECAY).max((unwaited - self.mean_ms).abs().min(MOST_SWING_MS));
        let unsteady = self.deviation_ms * DEVIATIONS + self.swing_ms * SWINGS;
        let ahead = AHEAD_MS - unsteady.min(MOST_UNSTEADY_MS);
        let wanted = (-ahead - unwaited).clamp(0.0, MOST_WAIT_MS);
        self.video_wait_ms += (wanted - self.video_wait_ms).clamp(-MOST_STEP_MS, MOST_STEP_MS);

        let step = |error: f64| (error * GAIN).clamp(-MOST_STEP_MS, MOST_STEP_MS);
        let offset = unwaited + self.video_wait_ms;
        if offset > BEHIND_MS {
            self.audio_wait_ms = (self.audio_wait_ms + step(offset - BEHIND_MS)).min(MOST_WAIT_MS);
        } else if offset < RELEASE_MS {
            self.audio_wait_ms = (self.audio_wait_ms + step(offset - RELEASE_MS)).max(0.0);
        }
    }

    /// There is nothing to keep together: the waits end by and by.
    pub fn rest(&mut self) {
        self.unwaited_ms = None;
        self.pictures = 0;
        self.video_wait_ms = (self.video_wait_ms - 1.0).max(0.0);
        self.audio_wait_ms = (self.audio_wait_ms - 1.0).max(0.0);
    }

    /// How long pictures wait for the sound.
    #[must_use]
    pub fn video_wait(&self) -> Duration {
        Duration::from_secs_f64(self.video_wait_ms / 1000.0)
    }

    /// How long the sound waits for the pictures.
    #[must_use]
    pub fn audio_wait(&self) -> Duration {
        Duration::from_secs_f64(self.audio_wait_ms / 1000.0)
    }

    /// By how many milliseconds the picture comes later than its sound; negative if it is ahead.
    #[must_use]
    pub fn offset_ms(&self) -> Option<f64> {
        Some(self.unwaited_ms? + self.video_wait_ms)
    }
}

fn difference_ms(video: Moment, audio: Moment) -> f64 {
    let out = signed_ms(video.out.checked_duration_since(audio.out), audio.out.checked_duration_since(video.out));
    let captured = signed_ms(video.captured.checked_sub(audio.captured), audio.captured.checked_sub(video.captured));
    out - captured
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

    /// Plays so many pictures whose route takes `video_ms`, with sound whose route takes `audio_ms`, plus the waits.
    fn play(sync: &mut LipSync, frames: u32, video_ms: u64, audio_ms: u64) -> f64 {
        let start = Instant::now();
        let mut last = 0.0;
        for number in 0..frames {
            let captured = Duration::from_millis(1_000_000 + 33 * u64::from(number));
            let now = start + Duration::from_millis(33 * u64::from(number));
            let video = Moment { captured, out: now + Duration::from_millis(video_ms) };
            // The sound that comes out at the same moment was captured earlier or later.
            let audio = Moment {
                captured: captured - Duration::from_millis(7),
                out: now - Duration::from_millis(7) + Duration::from_millis(audio_ms) + sync.audio_wait(),
            };
            sync.update(video, audio);
            last = video_ms as f64 + sync.video_wait_ms - audio_ms as f64 - sync.audio_wait_ms;
        }
        last
    }

    #[test]
    fn a_small_lead_of_the_picture_is_left_alone() {
        let mut sync = LipSync::default();
        play(&mut sync, 300, 20, 50);
        assert_eq!((sync.video_wait(), sync.audio_wait()), (Duration::ZERO, Duration::ZERO));
        assert!((sync.offset_ms().unwrap() + 30.0).abs() < 1.0);
    }

    #[test]
    fn a_picture_that_is_far_ahead_waits_and_no_longer_than_it_must() {
        let mut sync = LipSync::default();
        let offset = play(&mut sync, 300, 20, 220);
        assert!((-40.0..=-25.0).contains(&offset), "{offset}");
        assert_eq!(sync.audio_wait(), Duration::ZERO);
        let offset = play(&mut sync, 300, 20, 60);
        assert!((-40.0..=0.0).contains(&offset), "{offset}");
        assert!(sync.video_wait() < Duration::from_millis(15));
    }

    #[test]
    fn a_picture_that_is_late_makes_the_sound_wait() {
        let mut sync = LipSync::default();
        let offset = play(&mut sync, 300, 250, 60);
        assert!((0.0..=40.0).contains(&offset), "{offset}");
        let offset = play(&mut sync, 300, 20, 60);
        assert!(offset.abs() <= 40.0, "{offset}");
        assert!(sync.audio_wait() < Duration::from_millis(10));
    }

    #[test]
    fn reports_that_cannot_be_true_move_nothing() {
        let mut sync = LipSync::default();
        play(&mut sync, 100, 20, 60_000);
        assert_eq!((sync.video_wait(), sync.audio_wait(), sync.offset_ms()), (Duration::ZERO, Duration::ZERO, None));
    }
}
