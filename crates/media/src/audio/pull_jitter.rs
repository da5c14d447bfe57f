//! How unevenly the speaker pulls its audio.
//!
//! A speaker that pulls 20 ms at a time asks for the second 10 ms together with the first, so before their time; a thread
//! that polls its speaker is a little late, or early, each time. Audio that is pulled early has to arrive early, so it adds
//! to the playout delay. Sans-IO, times in 48 kHz samples.

use super::FRAME_SAMPLES;

/// Minimum expectation, samples: 2 ms, about that of a thread that polls every 4 ms.
const MIN: f32 = 96.0;
/// Maximum, samples: 40 ms.
const MAX: f32 = 1920.0;
/// Weight of a new measurement.
const SMOOTHING: f32 = 1.0 / 32.0;
/// Weight of an early pull: one alone is no pattern.
const ATTACK: f32 = 1.0 / 8.0;
/// What remains after one more pull (half after 10 s).
const DECAY: f32 = 0.9993;
/// A deviation beyond this (50 ms) means that the speaker stalled.
const STALL: f32 = 2400.0;
/// It may catch up then; after this many deviating pulls the new pattern counts.
const CATCH_UP_PULLS: u32 = 50;

/// The first pulls fill the speaker's ring and do not count.
const FILLING: u32 = 20;

/// Measures the jitter of pulls.
#[derive(Debug)]
pub(crate) struct PullJitter {
    filling: u32,
    /// How many pulls there were, and when those of an even player had been, by a smoothed first.
    pulls: i64,
    first: Option<i64>,
    usual: f32,
    pulls_off: u32,
    early: f32,
}

impl Default for PullJitter {
    fn default() -> Self {
        Self { filling: 0, pulls: 0, first: None, usual: 0.0, pulls_off: 0, early: MIN }
    }
}

impl PullJitter {
    /// The next 10 ms are pulled.
    pub(crate) fn on_pull(&mut self, now: i64) {
        if self.filling < FILLING {
            self.filling += 1;
            return;
        }
        let first = *self.first.get_or_insert(now);
        let off = (now - first - self.pulls * FRAME_SAMPLES as i64) as f32 - self.usual;
        self.pulls += 1;
        if off.abs() > STALL {
            self.pulls_off += 1;
            if self.pulls_off > CATCH_UP_PULLS {
                *self = Self { early: self.early, ..Self::default() };
            }
            return;
        }
        self.pulls_off = 0;
        self.usual += off * SMOOTHING;
        self.early = (self.early * DECAY).max(MIN);
        if -off > self.early {
            self.early = (self.early + (-off - self.early) * ATTACK).min(MAX);
        }
    }

    /// How much earlier than due audio is pulled, samples.
    pub(crate) fn early(&self) -> f32 {
        self.early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 48;

    fn early_ms(pulls: i64, at: impl Fn(i64) -> i64) -> f32 {
        let mut frame_scheduler = PullJitter::default();
        (0..pulls).for_each(|pull| frame_scheduler.on_pull(at(pull)));
        frame_scheduler.early() / MS as f32
    }

    #[test]
    fn an_even_player_needs_next_to_nothing() {
        assert_eq!(early_ms(1000, |pull| pull * 480), 2.0);
        // Clock drift does not matter: 200 ppm.
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
