//! The output buffer: how much audio is kept ready for the speaker beyond its next pull. Sans-IO.
//!
//! Each underrun enlarges it. After a stable time it is reduced by a step; where that causes an underrun, the next attempt
//! waits twice as long, so that a machine that needs more does not stutter every few seconds.

use std::time::{Duration, Instant};

/// Minimum; the one below is the maximum after underruns.
const MIN: Duration = Duration::from_millis(5);
const MAX: Duration = Duration::from_millis(85);
/// The step of both changes.
const STEP: Duration = Duration::from_millis(10);
/// The stable time before a reduction: at first, and at most after failed reductions.
const STABLE_TIME: Duration = Duration::from_secs(20);
const MAX_STABLE_TIME: Duration = Duration::from_secs(640);

/// The target of the output buffer.
#[derive(Debug)]
pub(crate) struct OutputBufferTarget {
    current: Duration,
    missed: u64,
    calm: Duration,
    calm_since: Instant,
    /// The last change was a step back.
    is_trying: bool,
}

impl OutputBufferTarget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { current: MIN, missed: 0, calm: STABLE_TIME, calm_since: now, is_trying: false }
    }

    /// Takes the number of frames that the speaker has missed so far; returns the target.
    pub(crate) fn update(&mut self, missed: u64, now: Instant) -> Duration {
        if missed != self.missed {
            // Frames missed before the first audio are no underrun.
            if self.missed > 0 {
                self.current = (self.current + STEP).min(MAX);
                if std::mem::take(&mut self.is_trying) {
                    self.calm = (self.calm * 2).min(MAX_STABLE_TIME);
                }
            }
            self.missed = missed;
            self.calm_since = now;
        } else if now.saturating_duration_since(self.calm_since) > self.calm {
            self.is_trying = self.current > MIN;
            self.current = self.current.saturating_sub(STEP).max(MIN);
            self.calm_since = now;
        }
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Underruns in an hour on a machine that needs `need`.
    fn underruns(need: Duration) -> u64 {
        let start = Instant::now();
        let mut output_buffer_target = OutputBufferTarget::new(start);
        let mut missed = 1;
        for tick in 0..36_000 {
            if output_buffer_target.update(missed, start + Duration::from_millis(100) * tick) < need {
                missed += 1;
            }
        }
        missed - 1
    }

    #[test]
    fn a_machine_that_is_in_time_keeps_5_ms() {
        assert_eq!(underruns(Duration::from_millis(5)), 0);
    }

    #[test]
    fn a_machine_that_is_not_stumbles_seldom() {
        // Once for each step, then ever more seldom.
        let heard = underruns(Duration::from_millis(20));
        assert!((2..=12).contains(&heard), "{heard}");
    }

    #[test]
    fn one_bad_moment_is_forgotten() {
        let start = Instant::now();
        let mut output_buffer_target = OutputBufferTarget::new(start);
        output_buffer_target.update(480, start);
        assert_eq!(output_buffer_target.update(960, start), MIN + STEP);
        assert_eq!(output_buffer_target.update(960, start + STABLE_TIME + STEP), MIN);
        assert_eq!(output_buffer_target.update(960, start + 10 * STABLE_TIME), MIN);
    }

    #[test]
    fn it_has_an_end() {
        let start = Instant::now();
        let mut output_buffer_target = OutputBufferTarget::new(start);
        let most = (1..100).map(|missed| output_buffer_target.update(missed, start)).max();
        assert_eq!(most, Some(MAX));
    }
}
