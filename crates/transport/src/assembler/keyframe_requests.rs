//! When to ask the sender for a key frame: at once, then at a limited rate until it arrives.

use std::time::{Duration, Instant};

/// Time given to a request before it is repeated: a round trip, and one frame to encode.
fn interval(rtt: Duration) -> Duration {
    (rtt * 2 + Duration::from_millis(100)).clamp(Duration::from_millis(200), Duration::from_millis(600))
}

#[derive(Debug, Default)]
pub(super) struct KeyframeRequests {
    wanted: bool,
    last: Option<Instant>,
}

impl KeyframeRequests {
    /// A stream normally begins with a key frame, so the first request waits its turn.
    pub(super) fn stream_began(&mut self, now: Instant) {
        self.last.get_or_insert(now);
    }

    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    pub(super) fn satisfied(&mut self) {
        self.wanted = false;
    }

    pub(super) fn take(&mut self, awaiting: bool, now: Instant, rtt: Duration) -> bool {
        let ripe = self.last.is_none_or(|last| now.saturating_duration_since(last) >= interval(rtt));
        let ask = (self.wanted || awaiting && self.last.is_some()) && ripe;
        if ask {
            self.wanted = false;
            self.last = Some(now);
        }
        ask
    }

    pub(super) fn next_timeout(&self, awaiting: bool, rtt: Duration) -> Option<Instant> {
        if !(self.wanted || awaiting) {
            return None;
        }
        self.last.map(|last| last + interval(rtt))
    }
}
