//! Repair policy: when a packet may be retransmitted, and how much of the path retransmissions may take.
//!
//! A retransmission that is in flight must not be followed by another, which would fill a long queue with copies of what is
//! in it. Where there is no queue a second one is welcome, since the first may get lost as well.

use super::duplication::has_spare_capacity;
use super::estimator::BandwidthEstimator;
use rtp::{Bitrate, DataSize};
use std::time::{Duration, Instant};

/// Time between two retransmissions of a packet as a share of the round trip, which includes the queue on the path. The
/// receiver's own repeated requests come at whole round trips.
const RETRANSMISSION_SPACING: f64 = 0.7;
/// The same while the path has no queue.
const EARLY_RETRANSMISSION_SPACING: f64 = 0.2;
/// A longer queue forbids early retransmissions.
const MAX_EARLY_QUEUE: Duration = Duration::from_millis(20);
/// Shortest time between two retransmissions of a packet, and the time before the first report.
const MIN_SPACING: Duration = Duration::from_millis(10);
/// Longest time between two retransmissions of a packet.
const MAX_SPACING: Duration = Duration::from_millis(250);
/// Share of the estimate that unpaced retransmissions may take. Beyond that, congestion losses would only be lost again,
/// and other packets with them.
const MAX_RETRANSMISSION_SHARE: f64 = 0.5;
/// Time's worth of that share that may be retransmitted at once.
const MAX_RETRANSMISSION_BURST: Duration = Duration::from_millis(250);

/// Shortest time between two retransmissions of a packet that was requested.
#[must_use]
pub(crate) fn requested_spacing(estimator: &BandwidthEstimator) -> Duration {
    if !estimator.has_reports() {
        return MIN_SPACING;
    }
    let is_queue_free = estimator.queue() <= MAX_EARLY_QUEUE && !estimator.is_draining();
    let share = if is_queue_free { EARLY_RETRANSMISSION_SPACING } else { RETRANSMISSION_SPACING };
    estimator.round_trip().mul_f64(share).clamp(MIN_SPACING, MAX_SPACING)
}

/// Shortest time between a retransmission and another one that was not requested; `None` while losses may be congestion
/// losses, when only requested packets are retransmitted.
#[must_use]
pub(crate) fn unrequested_spacing(estimator: &BandwidthEstimator, now: Instant) -> Option<Duration> {
    let is_queue_free = !estimator.is_draining() && !estimator.has_recent_queue(now);
    let is_random_loss = is_queue_free || has_spare_capacity(estimator);
    is_random_loss.then(|| estimator.round_trip().mul_f64(RETRANSMISSION_SPACING))
}

/// Token bucket that limits retransmissions which no pacer limits.
#[derive(Debug, Default)]
pub struct RepairBudget {
    /// Bytes that may leave; negative after the last one that was allowed.
    bytes: f64,
    updated: Option<Instant>,
}

impl RepairBudget {
    /// Whether a retransmission may leave on a path with this estimate. Then it counts as sent.
    pub fn allows(&mut self, now: Instant, size: DataSize, estimate: Bitrate) -> bool {
        let bytes_per_second = (estimate * MAX_RETRANSMISSION_SHARE).as_bps() / 8.0;
        let elapsed =
            self.updated.replace(now).map_or(MAX_RETRANSMISSION_BURST, |at| now.saturating_duration_since(at));
        let max_bytes = bytes_per_second * MAX_RETRANSMISSION_BURST.as_secs_f64();
        self.bytes = (self.bytes + bytes_per_second * elapsed.as_secs_f64()).min(max_bytes);
        let is_allowed = self.bytes > 0.0;
        if is_allowed {
            self.bytes -= size.as_bytes() as f64;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retransmissions_are_limited_to_a_share_of_the_estimate() {
        let (mut budget, began) = (RepairBudget::default(), Instant::now());
        let (size, estimate) = (DataSize::bytes(1200), Bitrate::mbps(2));
        let at = |index: u64| began + Duration::from_micros(index * 500);
        let allowed = (0..2000).filter(|index| budget.allows(at(*index), size, estimate)).count();
        // One second and the burst.
        let expected = 2e6 / 8.0 * MAX_RETRANSMISSION_SHARE * 1.25 / 1200.0;
        assert!((expected - 2.0..expected + 2.0).contains(&(allowed as f64)), "{allowed} {expected}");
    }
}
