//! How late lost packets arrive as copies inside later ones (in-band redundancy, RFC 6716, and RFC 2198).
//!
//! A playout delay that is long enough for the copies saves their audio. Losses come in bursts, so nothing is assumed about
//! their order: each missing packet counts by the arrival of its first copy.

use std::collections::VecDeque;

/// Number of packets behind the newest whose arrival is remembered.
const WINDOW: i64 = 128;
/// Gaps of more packets than this are outages, which say nothing about ordinary loss.
const MAX_GAP: u32 = 12;
/// What remains of the histogram after one more packet (half after 3.5 s).
const FORGET: f32 = 0.996;
/// Upper bound of packets that one call forgets for.
const MAX_STEP: i64 = 50;

/// Sequence numbers are extended to 64 bits.
#[derive(Debug, Default)]
pub(crate) struct RedundancyDelay {
    newest: Option<i64>,
    /// Bit n: the packet n behind the newest has arrived.
    came: u128,
    /// Missing packets with a copy, and their buckets.
    copied: VecDeque<(i64, usize)>,
    /// Share of all packets by bucket of delay.
    histogram: Vec<f32>,
}

impl RedundancyDelay {
    /// For delays of up to `buckets` buckets.
    pub(crate) fn new(buckets: usize) -> Self {
        Self { histogram: vec![0.0; buckets], ..Self::default() }
    }

    /// A packet arrived by itself; returns the bucket of the copy that arrived before it, if any.
    pub(crate) fn on_packet(&mut self, sequence: i64) -> Option<usize> {
        let newest = *self.newest.get_or_insert(sequence);
        let ahead = sequence - newest;
        if ahead > 0 {
            self.newest = Some(sequence);
            self.came = if ahead < WINDOW { self.came << ahead } else { 0 };
            let forget = FORGET.powi(ahead.min(MAX_STEP) as i32);
            self.histogram.iter_mut().for_each(|share| *share *= forget);
            self.copied.retain(|(copied, _)| sequence - copied < WINDOW);
        }
        if ahead <= -WINDOW {
            return None;
        }
        self.came |= 1 << (-ahead).max(0);
        let copied = self.copied.iter().position(|(copied, _)| *copied == sequence)?;
        let (_, bucket) = self.copied.remove(copied)?;
        // It was overtaken, not lost.
        self.histogram[bucket] = (self.histogram[bucket] - (1.0 - FORGET)).max(0.0);
        Some(bucket)
    }

    /// A copy of a packet arrived, which counts if it is the first sign of it; `bucket` says how late.
    pub(crate) fn on_copy(&mut self, sequence: i64, bucket: usize) {
        let Some(behind) = self.newest.map(|newest| newest - sequence).filter(|behind| (1..WINDOW).contains(behind))
        else {
            return;
        };
        let is_outage = self.hole(behind as u32) > MAX_GAP;
        if self.came >> behind & 1 == 1 || is_outage || self.copied.iter().any(|(copied, _)| *copied == sequence) {
            return;
        }
        let bucket = bucket.min(self.histogram.len() - 1);
        self.histogram[bucket] += 1.0 - FORGET;
        self.copied.push_back((sequence, bucket));
    }

    /// Share of the packets that arrived as copies in this bucket.
    pub(crate) fn share(&self, bucket: usize) -> f32 {
        self.histogram.get(bucket).copied().unwrap_or(0.0)
    }

    /// Share of the packets that arrived as copies only.
    pub(crate) fn total(&self) -> f32 {
        self.histogram.iter().sum()
    }

    /// Packets in a row that are missing around the one so far behind the newest.
    fn hole(&self, behind: u32) -> u32 {
        let older = (self.came >> behind).trailing_zeros().min(WINDOW as u32 - behind);
        let newer = (self.came << (WINDOW as u32 - behind)).leading_zeros().min(behind);
        older + newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(packets: impl IntoIterator<Item = i64>) -> RedundancyDelay {
        let mut redundancy_delay = RedundancyDelay::new(10);
        packets.into_iter().for_each(|sequence| assert_eq!(redundancy_delay.on_packet(sequence), None));
        redundancy_delay
    }

    #[test]
    fn only_what_is_missing_counts_and_only_once() {
        let mut redundancy_delay = with([1, 2, 4, 6, 7]);
        for (sequence, bucket) in [(2, 1), (3, 2), (3, 3), (5, 4), (7, 1), (8, 1), (-300, 1)] {
            redundancy_delay.on_copy(sequence, bucket);
        }
        let counted: Vec<usize> = (0..10).filter(|bucket| redundancy_delay.share(*bucket) > 0.0).collect();
        assert_eq!(counted, [2, 4]);
    }

    #[test]
    fn what_was_overtaken_was_not_lost() {
        let mut redundancy_delay = with([1, 3]);
        redundancy_delay.on_copy(2, 5);
        assert!(redundancy_delay.total() > 0.0);
        assert_eq!(redundancy_delay.on_packet(2), Some(5));
        assert_eq!(redundancy_delay.total(), 0.0);
        redundancy_delay.on_copy(2, 5);
        assert_eq!(redundancy_delay.total(), 0.0);
    }

    #[test]
    fn an_outage_is_no_loss() {
        let mut redundancy_delay = with((1..50).chain([100]));
        redundancy_delay.on_copy(99, 1);
        redundancy_delay.on_copy(98, 1);
        assert_eq!(redundancy_delay.total(), 0.0);
        let mut redundancy_delay = with((1..50).chain([55, 1_000_000]));
        redundancy_delay.on_copy(999_999, 1);
        assert_eq!(redundancy_delay.total(), 0.0);
    }

    #[test]
    fn a_burst_counts_with_each_of_its_packets() {
        let mut redundancy_delay = with((1..50).chain([54]));
        (50..54).for_each(|sequence| redundancy_delay.on_copy(sequence, (54 - sequence) as usize));
        assert!((1..=4).all(|bucket| redundancy_delay.share(bucket) > 0.003), "{redundancy_delay:?}");
        (55..2000).for_each(|sequence| assert_eq!(redundancy_delay.on_packet(sequence), None));
        assert!(redundancy_delay.total() < 0.0001, "{redundancy_delay:?}");
    }
}
