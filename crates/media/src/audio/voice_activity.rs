//! Voice activity: audio louder than the noise floor.
//!
//! The floor follows the quietest at once and rises slowly, after Martin's minimum statistics in their simplest form.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::level::{SILENCE_DBFS, rms_dbfs};

/// Louder than the floor by this is speech, dB.
const OVER_FLOOR: f32 = 9.0;
/// Quieter than this nothing is speech, dBFS.
const MIN: f32 = -50.0;
/// Rise of the floor with each frame: 1 dB/s.
const RISE: f32 = 0.01;
/// Pauses between syllables belong to speech: 300 ms.
const HANG_FRAMES: u32 = 30;

/// Watches a running signal; any thread may read.
#[derive(Debug)]
pub struct VoiceActivity {
    has_voice: AtomicBool,
    floor: AtomicU32,
    hang: AtomicU32,
    voiced: AtomicU64,
    frames: AtomicU64,
}

impl Default for VoiceActivity {
    fn default() -> Self {
        Self {
            has_voice: AtomicBool::new(false),
            floor: AtomicU32::new(MIN.to_bits()),
            hang: AtomicU32::new(0),
            voiced: AtomicU64::new(0),
            frames: AtomicU64::new(0),
        }
    }
}

impl VoiceActivity {
    /// Adds one frame of 10 ms. One thread only.
    pub fn update(&self, samples: &[f32]) {
        let level = rms_dbfs(samples);
        let floor = f32::from_bits(self.floor.load(Ordering::Relaxed));
        let floor = if level < floor { level.max(SILENCE_DBFS) } else { floor + RISE };
        self.floor.store(floor.to_bits(), Ordering::Relaxed);
        let hang = if level > MIN.max(floor + OVER_FLOOR) {
            HANG_FRAMES
        } else {
            self.hang.load(Ordering::Relaxed).saturating_sub(1)
        };
        self.hang.store(hang, Ordering::Relaxed);
        self.has_voice.store(hang > 0, Ordering::Relaxed);
        self.voiced.fetch_add(u64::from(hang > 0), Ordering::Relaxed);
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// How many frames held a voice, and how many there were, since the beginning.
    pub fn counts(&self) -> (u64, u64) {
        (self.voiced.load(Ordering::Relaxed), self.frames.load(Ordering::Relaxed))
    }

    /// Whether there is a voice now.
    pub fn has_voice(&self) -> bool {
        self.has_voice.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(voice: &VoiceActivity, frames: usize, amplitude: f32) {
        for _ in 0..frames {
            let samples: Vec<f32> = (0..480).map(|index| amplitude * (index as f32 * 0.3).sin()).collect();
            voice.update(&samples);
        }
    }

    #[test]
    fn speech_over_noise_is_heard_and_noise_alone_is_not() {
        let voice = VoiceActivity::default();
        feed(&voice, 100, 0.005);
        assert!(!voice.has_voice());
        feed(&voice, 5, 0.1);
        assert!(voice.has_voice());
        feed(&voice, 20, 0.005);
        assert!(voice.has_voice(), "a pause between syllables");
        feed(&voice, 20, 0.005);
        assert!(!voice.has_voice());
        assert_eq!(voice.counts(), (34, 145));
    }

    #[test]
    fn a_fan_that_starts_is_noise_after_a_while() {
        let voice = VoiceActivity::default();
        feed(&voice, 10, 0.001);
        feed(&voice, 100, 0.05);
        assert!(voice.has_voice());
        feed(&voice, 6000, 0.05);
        assert!(!voice.has_voice());
    }
}
