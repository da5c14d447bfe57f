//! Limits the key-frame requests to a publisher.
//!
//! Key frames are several times as large as other frames, so the requests of all subscribers of a track become one: the first
//! is sent at once, those within the interval after it become one more at its end.

use std::time::{Duration, Instant};

/// Shortest time between two requests for the same track.
pub const MIN_INTERVAL: Duration = Duration::from_millis(300);

/// The requests for one track.
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    last_sent: Option<Instant>,
    waiting: bool,
}

impl KeyframeRequests {
    /// Notes a request. [`KeyframeRequests::take_due`] says when it is sent.
    pub fn wish(&mut self) {
        self.waiting = true;
    }

    /// True when a request has to be sent now; it then counts as sent.
    pub fn take_due(&mut self, now: Instant) -> bool {
        let due = self.waiting && self.deadline().is_none_or(|deadline| deadline <= now);
        if due {
            self.waiting = false;
            self.last_sent = Some(now);
        }
        due
    }

    /// When a waiting request may be sent; `None` when none waits or it may be sent at once.
    pub fn deadline(&self) -> Option<Instant> {
        self.last_sent.filter(|_| self.waiting).map(|sent| sent + MIN_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wish_goes_out_at_once() {
        let mut requests = KeyframeRequests::default();
        let now = Instant::now();
        assert!(!requests.take_due(now));
        requests.wish();
        assert!(requests.take_due(now));
        assert!(!requests.take_due(now));
    }

    #[test]
    fn many_wishes_within_the_interval_become_one_request_at_its_end() {
        let mut requests = KeyframeRequests::default();
        let now = Instant::now();
        requests.wish();
        assert!(requests.take_due(now));
        for _ in 0..10 {
            requests.wish();
        }
        assert!(!requests.take_due(now + Duration::from_millis(299)));
        assert_eq!(requests.deadline(), Some(now + MIN_INTERVAL));
        assert!(requests.take_due(now + MIN_INTERVAL));
        assert!(!requests.take_due(now + 2 * MIN_INTERVAL));
    }
}
