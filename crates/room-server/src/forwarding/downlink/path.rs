//! The path to one subscriber: bandwidth estimate, probes, retransmissions and duplicates (crate `congestion`).
//!
//! Publishers pace, so media is forwarded as it arrives. Only the padding of probes is paced here.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use congestion::{BitrateLimits, PacketStatus, SendController};
use rtp::{Bitrate, DataSize};

use crate::forwarding::core::Mid;

/// The estimate of a new connection.
pub const START_ESTIMATE: Bitrate = Bitrate::mbps(2);
/// The lowest estimate.
const MIN_ESTIMATE: Bitrate = Bitrate::kbps(50);
/// A relative change of the estimate below this is not reported.
const MIN_REPORTED_CHANGE: f64 = 0.02;

/// Controls the sending to one subscriber.
#[derive(Debug)]
pub struct Path {
    control: SendController<Infallible, (Mid, u16)>,
    reported: Option<Bitrate>,
}

impl Default for Path {
    fn default() -> Self {
        let limits = BitrateLimits { start: START_ESTIMATE, min: MIN_ESTIMATE, desired: START_ESTIMATE };
        Self { control: SendController::new(limits), reported: None }
    }
}

impl Path {
    /// Sets the bitrate that could be sent at most.
    pub fn set_desired(&mut self, now: Instant, rate: Bitrate) {
        self.control.set_desired(now, rate);
    }

    /// Counts a packet with a transport-wide number and returns the number. `size` is that of the whole datagram.
    pub fn on_sent(&mut self, now: Instant, size: DataSize) -> u16 {
        self.control.on_unqueued_sent(now, size);
        self.control.assign_number(now, size)
    }

    /// Reads a feedback message of the client. Returns the estimate if it has changed noticeably.
    pub fn on_feedback(&mut self, now: Instant, statuses: Vec<PacketStatus>) -> Option<Bitrate> {
        if self.control.on_feedback(now, statuses).is_empty() {
            return None;
        }
        let estimate = self.control.estimator().estimate();
        let is_close = |reported: Bitrate| {
            let change = estimate.max(reported) - estimate.min(reported);
            change <= reported * MIN_REPORTED_CHANGE
        };
        if self.reported.is_some_and(is_close) {
            return None;
        }
        self.reported = Some(estimate);
        Some(estimate)
    }

    /// Whether a retransmission may leave. Then it counts as sent.
    pub fn allows_retransmission(&mut self, now: Instant, size: DataSize) -> bool {
        self.control.allows_unqueued_retransmission(now, size)
    }

    /// Shortest time between two retransmissions of a packet.
    pub fn retransmission_spacing(&self) -> Duration {
        self.control.requested_spacing()
    }

    /// Schedules a duplicate of a packet that leaves, if the path has random loss and carries much more than is sent.
    pub fn duplicate_if_worthwhile(&mut self, now: Instant, line: Mid, sequence: u16) {
        self.control.duplicate_if_worthwhile(now, (line, sequence));
    }

    /// The next packet whose duplicate is due.
    pub fn poll_duplicate(&mut self, now: Instant) -> Option<(Mid, u16)> {
        self.control.poll_duplicate(now)
    }

    /// Does the periodic work; to be called often. `can_pad`: there are packets that padding can be made of.
    pub fn handle_timeout(&mut self, now: Instant, can_pad: bool) {
        if self.control.estimator().next_timeout().is_none_or(|due| due > now) {
            return;
        }
        self.control.handle_timeout(now);
        if can_pad {
            self.start_probe_if_due(now);
        }
    }

    /// Starts a probe if it is time for one. To be called only while padding can be made.
    pub fn start_probe_if_due(&mut self, now: Instant) {
        self.control.set_can_pad(true);
        self.control.start_probe_if_due(now);
    }

    /// Whether the present probe needs a padding packet now.
    pub fn needs_padding(&mut self, now: Instant) -> bool {
        self.control.poll(now).is_some()
    }

    /// When a padding packet or a duplicate is due next.
    pub fn next_departure(&self) -> Option<Instant> {
        self.control.next_unqueued_departure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_noticeable_changes_of_the_estimate_are_reported() {
        let (mut path, began) = (Path::default(), Instant::now());
        let mut reports = Vec::new();
        for at in 0..100 {
            let now = began + Duration::from_millis(at * 20);
            let sequence = path.on_sent(now, DataSize::bytes(1200));
            let arrival = Some(Duration::from_millis(at * 20));
            reports.extend(path.on_feedback(now, vec![PacketStatus { sequence, arrival }]));
        }
        assert_eq!(reports.first(), Some(&START_ESTIMATE));
        assert!(reports.windows(2).all(|pair| (pair[1] - pair[0]).max(pair[0] - pair[1]) > pair[0] * 0.02));
        assert!(path.on_feedback(began + Duration::from_secs(3), Vec::new()).is_none());
    }
}
