//! How much sound is kept ready for the speaker beyond what it takes next: as little as goes well. Sans-IO.
//!
//! Each underrun adds to it. After a calm time a step is taken back; where that was one too many, the next try waits
//! twice as long, so that a machine that needs more is not heard to stumble every few seconds.

use std::time::{Duration, Instant};

/// At least, and at most after underruns.
const LEAST: Duration = Duration::from_millis(5);
const MOST: Duration = Duration::from_millis(85);
/// An underrun adds this, a calm time takes it back.
const STEP: Duration = Duration::from_millis(10);
/// How long a calm time is: at first, and at most after steps back that were too many.
const CALM: Duration = Duration::from_secs(20);
const MOST_CALM: Duration = Duration::from_secs(640);

/// See the module.
#[derive(Debug)]
pub(crate) struct Headroom {
    current: Duration,
    missed: u64,
    calm: Duration,
    calm_since: Instant,
    /// The last change was a step back.
    is_trying: bool,
}

impl Headroom {
    pub(crate) fn new(now: Instant) -> Self {
        Self { current: LEAST, missed: 0, calm: CALM, calm_since: now, is_trying: false }
    }

    /// Takes how many frames the speaker has missed so far; gives what should be ready.
    pub(crate) fn update(&mut self, missed: u64, now: Instant) -> Duration {
        if missed != self.missed {
            // What was missed before the first sound was there is no underrun.
            if self.missed > 0 {
                self.current = (self.current + STEP).min(MOST);
                if std::mem::take(&mut self.is_trying) {
                    self.calm = (self.calm * 2).min(MOST_CALM);
                }
            }
            self.missed = missed;
            self.calm_since = now;
        } else if now.saturating_duration_since(self.calm_since) > self.calm {
            self.is_trying = self.current > LEAST;
            self.current = self.current.saturating_sub(STEP).max(LEAST);
            self.calm_since = now;
        }
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Underruns that one hears in an hour on a machine that needs `need`.
    fn underruns(need: Duration) -> u64 {
        let start = Instant::now();
        let mut headroom = Headroom::new(start);
        let mut missed = 1;
        for tick in 0..36_000 {
            if headroom.update(missed, start + Duration::from_millis(100) * tick) < need {
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
        let mut headroom = Headroom::new(start);
        headroom.update(480, start);
        assert_eq!(headroom.update(960, start), LEAST + STEP);
        assert_eq!(headroom.update(960, start + CALM + STEP), LEAST);
        assert_eq!(headroom.update(960, start + 10 * CALM), LEAST);
    }

    #[test]
    fn it_has_an_end() {
        let start = Instant::now();
        let mut headroom = Headroom::new(start);
        let most = (1..100).map(|missed| headroom.update(missed, start)).max();
        assert_eq!(most, Some(MOST));
    }
}
