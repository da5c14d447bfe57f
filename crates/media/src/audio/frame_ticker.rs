//! A clock that ticks once per audio frame, every 10 ms. Sans-IO.

use std::time::{Duration, Instant};

/// Length of a frame.
pub(crate) const FRAME_INTERVAL: Duration = Duration::from_millis(10);
/// Frames that are caught up with after a stall: 200 ms. Older ones are skipped.
const MAX_CATCH_UP: u64 = 20;

/// Counts the frames that are due.
#[derive(Debug)]
pub(crate) struct FrameTicker {
    start: Instant,
    done: u64,
}

impl FrameTicker {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, done: 0 }
    }

    /// Numbers of the frames that became due since the last call; a long stall leaves a gap in the numbers.
    pub(crate) fn due(&mut self, now: Instant) -> std::ops::Range<u64> {
        let passed = (now.saturating_duration_since(self.start).as_micros() / FRAME_INTERVAL.as_micros()) as u64;
        let first = self.done.max(passed.saturating_sub(MAX_CATCH_UP));
        self.done = self.done.max(passed);
        first..self.done
    }

    /// When the next frame is due.
    pub(crate) fn next(&self) -> Instant {
        self.start + FRAME_INTERVAL.saturating_mul(u32::try_from(self.done + 1).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_is_due_once() {
        let start = Instant::now();
        let mut ticker = FrameTicker::new(start);
        assert_eq!(ticker.due(start + Duration::from_millis(9)), 0..0);
        assert_eq!(ticker.due(start + Duration::from_millis(25)), 0..2);
        assert_eq!(ticker.next(), start + Duration::from_millis(30));
        assert_eq!(ticker.due(start + Duration::from_millis(30)), 2..3);
    }

    #[test]
    fn a_long_stall_is_not_caught_up_with() {
        let start = Instant::now();
        let mut ticker = FrameTicker::new(start);
        assert_eq!(ticker.due(start + Duration::from_secs(5)), 480..500);
        assert_eq!(ticker.due(start + Duration::from_secs(5)), 500..500);
    }
}
