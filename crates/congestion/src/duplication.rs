//! Duplicates of video packets, where a path has random loss and carries much more than is sent.
//!
//! A retransmission takes a round trip: of a frame in ten packets at 5 % loss, four in ten wait for one. A duplicate a
//! little later arrives without that. It is the simplest forward error correction (as in RFC 2198, for video), and every
//! receiver of retransmissions (RFC 4588) accepts it. Sans-IO: time is an argument.

use super::estimator::BandwidthEstimator;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Time from a packet to its duplicate.
const DUPLICATE_DELAY: Duration = Duration::from_millis(12);
/// Duplicates that wait; older ones are not worth sending.
const MAX_WAITING: usize = 256;
/// Loss at which packets are duplicated: less is not worth it, and more occurs in bursts mostly, which hit both packets.
const DUPLICATION_LOSS: Range<f64> = 0.015..0.08;
/// Packets are duplicated if the estimate is at least this multiple of what is sent.
const MIN_SPARE_CAPACITY_RATIO: f64 = 3.0;

/// Whether the path carries so much more than is sent that its loss cannot be congestion loss.
#[must_use]
pub(crate) fn has_spare_capacity(estimator: &BandwidthEstimator) -> bool {
    estimator.estimate() >= estimator.target() * MIN_SPARE_CAPACITY_RATIO && estimator.is_queue_free()
}

/// Whether video packets should be duplicated.
#[must_use]
pub(crate) fn is_worthwhile(estimator: &BandwidthEstimator) -> bool {
    // The loss is the cheapest to check, which matters for a server that asks with every packet.
    estimator.loss().is_some_and(|loss| DUPLICATION_LOSS.contains(&loss)) && has_spare_capacity(estimator)
}

/// Schedules duplicates. `K` identifies a packet.
#[derive(Debug)]
pub struct Duplication<K> {
    waiting: VecDeque<(Instant, K)>,
}

impl<K> Default for Duplication<K> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

impl<K> Duplication<K> {
    /// Schedules a duplicate of a packet that left.
    pub fn on_sent(&mut self, now: Instant, key: K) {
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((now + DUPLICATE_DELAY, key));
    }

    /// The next packet whose duplicate is due.
    pub fn poll(&mut self, now: Instant) -> Option<K> {
        self.waiting.front().filter(|(due, _)| *due <= now)?;
        self.waiting.pop_front().map(|(_, key)| key)
    }

    /// When [`poll`](Self::poll) has a packet next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_follows_a_little_later() {
        let (mut duplication, now) = (Duplication::default(), Instant::now());
        duplication.on_sent(now, 1);
        duplication.on_sent(now + DUPLICATE_DELAY / 2, 2);
        assert_eq!(duplication.next_timeout(), Some(now + DUPLICATE_DELAY));
        assert_eq!(duplication.poll(now + DUPLICATE_DELAY - Duration::from_millis(1)), None);
        assert_eq!(duplication.poll(now + DUPLICATE_DELAY), Some(1));
        assert_eq!(duplication.poll(now + DUPLICATE_DELAY), None);
        assert_eq!(duplication.poll(now + 2 * DUPLICATE_DELAY), Some(2));
    }

    #[test]
    fn few_duplicates_wait() {
        let (mut duplication, now) = (Duplication::default(), Instant::now());
        (0..1000).for_each(|number| duplication.on_sent(now, number));
        assert_eq!(duplication.poll(now + DUPLICATE_DELAY), Some(744));
    }
}
