//! When to ask the sender for a key frame: at once, then at a limited rate until it arrives. Each one costs everybody in
//! the room, so a sender that sends on and never answers is asked ever more rarely.

use std::time::{Duration, Instant};

/// Time given to a request before it is repeated: a round trip, and one frame to encode.
fn interval(rtt: Duration) -> Duration {
    (rtt * 2 + Duration::from_millis(100)).clamp(Duration::from_millis(200), Duration::from_millis(600))
}

/// Requests in a row, with packets between them but no beginning of a key frame, after which the pauses grow.
const PATIENCE: u32 = 6;
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub(super) struct KeyframeRequests {
    wanted: bool,
    last: Option<Instant>,
    unanswered: u32,
    /// Something has come since the last request.
    alive: bool,
}

impl KeyframeRequests {
    /// A stream normally begins with a key frame, so the first request waits its turn.
    pub(super) fn stream_began(&mut self, now: Instant) {
        self.last.get_or_insert(now);
        self.alive = true;
    }

    /// A key frame begins to arrive; whether it will be whole is another question.
    pub(super) fn answered(&mut self) {
        self.unanswered = 0;
    }

    /// The stream begins anew after an outage: what was asked for before says nothing.
    pub(super) fn want_at_once(&mut self) {
        self.unanswered = 0;
        self.wanted = true;
    }

    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    pub(super) fn satisfied(&mut self) {
        self.wanted = false;
    }

    pub(super) fn take(&mut self, awaiting: bool, now: Instant, rtt: Duration) -> bool {
        let ripe = self.last.is_none_or(|last| now.saturating_duration_since(last) >= self.pause(rtt));
        let ask = (self.wanted || awaiting && self.last.is_some()) && ripe;
        if ask {
            self.wanted = false;
            self.last = Some(now);
            self.unanswered += u32::from(std::mem::take(&mut self.alive));
        }
        ask
    }

    fn pause(&self, rtt: Duration) -> Duration {
        let doublings = self.unanswered.saturating_sub(PATIENCE).min(10);
        (interval(rtt) * (1 << doublings)).min(LONGEST)
    }

    pub(super) fn next_timeout(&self, awaiting: bool, rtt: Duration) -> Option<Instant> {
        if !(self.wanted || awaiting) {
            return None;
        }
        self.last.map(|last| last + self.pause(rtt))
    }
}
