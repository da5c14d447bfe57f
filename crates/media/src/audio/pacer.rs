//! A clock that beats every 10 ms. Sans-IO.

use std::time::{Duration, Instant};

/// Length of a beat.
pub(crate) const BEAT: Duration = Duration::from_millis(10);
/// Beats that are made up for after a stall: 200 ms. Older ones are skipped.
const MAX_CATCH_UP: u64 = 20;

/// Says how many frames are due.
#[derive(Debug)]
pub(crate) struct Pacer {
    start: Instant,
    done: u64,
}

impl Pacer {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, done: 0 }
    }

    /// Numbers of the ticks that have passed since the last call; a long stall leaves a gap in the numbers.
    pub(crate) fn due(&mut self, now: Instant) -> std::ops::Range<u64> {
        let passed = (now.saturating_duration_since(self.start).as_micros() / BEAT.as_micros()) as u64;
        let first = self.done.max(passed.saturating_sub(MAX_CATCH_UP));
        self.done = self.done.max(passed);
        first..self.done
    }

    /// When the next beat is.
    pub(crate) fn next(&self) -> Instant {
        self.start + BEAT.saturating_mul(u32::try_from(self.done + 1).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beat_comes_once() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start);
        assert_eq!(pacer.due(start + Duration::from_millis(9)), 0..0);
        assert_eq!(pacer.due(start + Duration::from_millis(25)), 0..2);
        assert_eq!(pacer.next(), start + Duration::from_millis(30));
        assert_eq!(pacer.due(start + Duration::from_millis(30)), 2..3);
    }

    #[test]
    fn a_long_stall_is_not_made_up_for() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start);
        assert_eq!(pacer.due(start + Duration::from_secs(5)), 480..500);
        assert_eq!(pacer.due(start + Duration::from_secs(5)), 500..500);
    }
}
