//! Limits the key-frame requests to a publisher.
//!
//! Key frames are several times as large as other frames, so the requests of all subscribers of a track become one: the first
//! is sent at once, those within the interval after it become one more at its end.

use std::time::Instant;

use rtp::keyframe::MIN_KEYFRAME_INTERVAL;

/// The requests for one track.
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    last_sent: Option<Instant>,
    waiting: bool,
}

impl KeyframeRequests {
    /// Notes a request. [`KeyframeRequests::take_due`] says when it is sent.
    pub fn request(&mut self) {
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
        self.last_sent.filter(|_| self.waiting).map(|sent| sent + MIN_KEYFRAME_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_request_is_sent_at_once() {
        let mut requests = KeyframeRequests::default();
        let now = Instant::now();
        assert!(!requests.take_due(now));
        requests.request();
        assert!(requests.take_due(now));
        assert!(!requests.take_due(now));
    }

    #[test]
    fn requests_within_the_interval_become_one_at_its_end() {
        let mut requests = KeyframeRequests::default();
        let now = Instant::now();
        requests.request();
        assert!(requests.take_due(now));
        for _ in 0..10 {
            requests.request();
        }
        assert!(!requests.take_due(now + Duration::from_millis(299)));
        assert_eq!(requests.deadline(), Some(now + MIN_KEYFRAME_INTERVAL));
        assert!(requests.take_due(now + MIN_KEYFRAME_INTERVAL));
        assert!(!requests.take_due(now + 2 * MIN_KEYFRAME_INTERVAL));
    }
}
