//! How unevenly the player takes its sound.
//!
//! A speaker that takes 20 ms at a time asks for the second 10 ms of them together with the first, so before their time; a
//! thread that looks at its speaker now and then is a little late, or early, each time. What is asked for early has to have
//! come early, so it takes that much more waiting. Sans-IO, times in 48 kHz samples.

use super::FRAME_SAMPLES;

/// Expected at least, samples: 2 ms, about what a thread does that looks every 4 ms.
const LEAST: f32 = 96.0;
/// Most that is believed, samples: 40 ms.
const MOST: f32 = 1920.0;
/// Share of a new measurement in the usual rhythm.
const SMOOTHING: f32 = 1.0 / 32.0;
/// One early pull does not make a rhythm: it counts with this share.
const ATTACK: f32 = 1.0 / 8.0;
/// What remains after one more pull (half is gone after 10 s).
const DECAY: f32 = 0.9993;
/// Off the rhythm by more than this (50 ms) is no rhythm: the player has stood still.
const STOOD_STILL: f32 = 2400.0;
/// It may then make up for that; after so many pulls that are off, what it does is the new rhythm.
const MAY_CATCH_UP: u32 = 50;

/// The first pulls fill the speaker's ring and are no rhythm.
const FILLING: u32 = 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct PullRhythm {
    filling: u32,
    /// How many pulls there were, and when those of an even player had been, by a smoothed first.
    pulls: i64,
    first: Option<i64>,
    usual: f32,
    pulls_off: u32,
    early: f32,
}

impl Default for PullRhythm {
    fn default() -> Self {
        Self { filling: 0, pulls: 0, first: None, usual: 0.0, pulls_off: 0, early: LEAST }
    }
}

impl PullRhythm {
    /// The player takes the next 10 ms.
    pub(crate) fn on_pull(&mut self, now: i64) {
        if self.filling < FILLING {
            self.filling += 1;
            return;
        }
        let first = *self.first.get_or_insert(now);
        let off = (now - first - self.pulls * FRAME_SAMPLES as i64) as f32 - self.usual;
        self.pulls += 1;
        if off.abs() > STOOD_STILL {
            self.pulls_off += 1;
            if self.pulls_off > MAY_CATCH_UP {
                *self = Self { early: self.early, ..Self::default() };
            }
            return;
        }
        self.pulls_off = 0;
        self.usual += off * SMOOTHING;
        self.early = (self.early * DECAY).max(LEAST);
        if -off > self.early {
            self.early = (self.early + (-off - self.early) * ATTACK).min(MOST);
        }
    }

    /// By how much sound is asked for before its time, samples.
    pub(crate) fn early(&self) -> f32 {
        self.early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 48;

    fn early_ms(pulls: i64, at: impl Fn(i64) -> i64) -> f32 {
        let mut rhythm = PullRhythm::default();
        (0..pulls).for_each(|pull| rhythm.on_pull(at(pull)));
        rhythm.early() / MS as f32
    }

    #[test]
    fn an_even_player_needs_next_to_nothing() {
        assert_eq!(early_ms(1000, |pull| pull * 480), 2.0);
        // Clocks that drift apart are no matter: 200 ppm.
        assert_eq!(early_ms(10_000, |pull| pull * 480 + pull * 480 / 5000), 2.0);
    }

    #[test]
    fn a_player_that_takes_40_ms_at_a_time_is_15_ms_early_at_most() {
        let early = early_ms(1000, |pull| pull / 4 * 4 * 480);
        assert!((12.0..=16.0).contains(&early), "{early}");
    }

    #[test]
    fn filling_the_speaker_is_no_rhythm() {
        assert_eq!(early_ms(1000, |pull| (pull - 8).max(0) * 480), 2.0);
    }

    #[test]
    fn a_stall_is_no_rhythm() {
        let early = early_ms(400, |pull| pull * 480 + if pull < 200 { 0 } else { 300 * MS });
        assert!(early < 2.1, "{early}");
        let early = early_ms(400, |pull| (pull * 480).max(if (200..230).contains(&pull) { 230 * 480 } else { 0 }));
        assert!(early < 12.0, "{early}");
    }
}
