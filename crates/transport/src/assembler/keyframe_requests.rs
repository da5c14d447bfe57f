//! Timing of key frame requests: the first at once, then at a limited rate until a key frame arrives.
//!
//! Each key frame costs all receivers in the room, so a sender that never answers is asked less and less often.

use std::time::{Duration, Instant};

/// Time before a request is repeated: a round trip, and the time to encode a frame.
fn interval(rtt: Duration) -> Duration {
    (rtt * 2 + Duration::from_millis(100)).clamp(Duration::from_millis(200), Duration::from_millis(600))
}

/// Unanswered requests, with packets received between them, after which the pauses grow.
const MAX_UNANSWERED: u32 = 6;
/// Longest pause between requests.
const MAX_PAUSE: Duration = Duration::from_secs(8);

/// Decides when to request a key frame.
#[derive(Debug, Default)]
pub(super) struct KeyframeRequests {
    is_requested: bool,
    last: Option<Instant>,
    unanswered: u32,
    /// Whether packets were received since the last request.
    has_traffic: bool,
}

impl KeyframeRequests {
    /// Notes a packet. A stream normally begins with a key frame, so the first request waits.
    pub(super) fn on_packet(&mut self, now: Instant) {
        self.last.get_or_insert(now);
        self.has_traffic = true;
    }

    /// Notes the start of a key frame, which may turn out incomplete.
    pub(super) fn on_keyframe_start(&mut self) {
        self.unanswered = 0;
    }

    /// Requests a key frame at once, after an outage: earlier requests without an answer do not count.
    pub(super) fn request_again(&mut self) {
        self.unanswered = 0;
        self.is_requested = true;
    }

    /// Requests a key frame.
    pub(super) fn request(&mut self) {
        self.is_requested = true;
    }

    /// Notes a complete key frame.
    pub(super) fn on_keyframe(&mut self) {
        self.is_requested = false;
    }

    /// Whether to send a request now; then it counts as sent.
    pub(super) fn poll_request(&mut self, awaiting: bool, now: Instant, rtt: Duration) -> bool {
        let ripe = self.last.is_none_or(|last| now.saturating_duration_since(last) >= self.pause(rtt));
        let ask = (self.is_requested || awaiting && self.last.is_some()) && ripe;
        if ask {
            self.is_requested = false;
            self.last = Some(now);
            self.unanswered += u32::from(std::mem::take(&mut self.has_traffic));
        }
        ask
    }

    fn pause(&self, rtt: Duration) -> Duration {
        let doublings = self.unanswered.saturating_sub(MAX_UNANSWERED).min(10);
        (interval(rtt) * (1 << doublings)).min(MAX_PAUSE)
    }

    /// When [`poll_request`](Self::poll_request) may have a request next.
    pub(super) fn next_timeout(&self, awaiting: bool, rtt: Duration) -> Option<Instant> {
        if !(self.is_requested || awaiting) {
            return None;
        }
        self.last.map(|last| last + self.pause(rtt))
    }
}
