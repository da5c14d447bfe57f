//! How long to wait before something that failed is tried again: twice as long each time, up to a limit.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(8);

#[derive(Debug)]
pub(crate) struct RetryPauses {
    next: Duration,
}

impl Default for RetryPauses {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl RetryPauses {
    /// The pause before the next attempt.
    pub(crate) fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LAST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut pauses = RetryPauses::default();
        let taken: Vec<u128> = (0..7).map(|_| pauses.take().as_millis()).collect();
        assert_eq!(taken, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
    }
}
