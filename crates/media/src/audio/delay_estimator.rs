//! How late packets arrive, and the playout delay that follows.
//!
//! Every packet's transit time (arrival minus RTP time) is compared with the fastest of the last seconds; the differences
//! go into a histogram that forgets, as in WebRTC's NetEq. Unlike there the target is not a quantile: it is the shortest
//! delay at which next to nothing has to be concealed beyond what no delay can save, and lost packets count for the time
//! at which a copy of them arrives ([`RedundancyDelay`]). The unevenness of the pulls is added ([`PullJitter`]).

use std::collections::VecDeque;

use super::pull_jitter::PullJitter;
use super::redundancy_delay::RedundancyDelay;

/// Width of a bucket, samples: 5 ms.
const BUCKET: i64 = 240;
/// Buckets: delays up to one second.
const BUCKETS: usize = 200;
/// How much of the histogram remains after one more packet (half is gone after 46 packets, about a second).
const FORGET: f32 = 0.985;
/// Share of the packets that may have to be concealed because of too short a wait: more than one straggler weighs.
const MAY_MISS: f32 = 0.0155;
/// Weight of lost packets: they are missing in a row, which is audible, while late ones are single.
const LOSS_WEIGHT: f32 = 3.0;
/// The fastest transit is looked for among this much of the past, samples: 2 s.
const WINDOW: i64 = 96_000;
/// Added after every packet that was late through the player's own fault, samples: 10 ms.
const UNDERRUN_STEP: f32 = 480.0;
/// Upper bound of this addition, samples: 80 ms.
const MAX_UNDERRUN: f32 = 3840.0;
/// How much less slack than the target the buffer leaves alone, samples: 2 ms.
pub(crate) const TOLERANCE: i64 = 96;
/// What remains of it after one more packet (half after 20 s).
const UNDERRUN_DECAY: f32 = 0.9993;

/// Times are 48 kHz samples on a clock that the caller chooses; sequence numbers and RTP times are extended to 64 bits.
#[derive(Debug)]
pub(crate) struct DelayEstimator {
    histogram: Vec<f32>,
    packets: u32,
    /// (arrival, transit), transit rising: the first is the fastest of the window.
    fastest: VecDeque<(i64, i64)>,
    underrun: f32,
    frame_scheduler: PullJitter,
    redundancy_delay: RedundancyDelay,
}

impl Default for DelayEstimator {
    fn default() -> Self {
        Self {
            histogram: vec![0.0; BUCKETS],
            packets: 0,
            fastest: VecDeque::new(),
            underrun: 0.0,
            frame_scheduler: PullJitter::default(),
            redundancy_delay: RedundancyDelay::new(BUCKETS),
        }
    }
}

impl DelayEstimator {
    /// Forgets everything of the network, for a new stream.
    pub(crate) fn reset(&mut self) {
        *self = Self { frame_scheduler: std::mem::take(&mut self.frame_scheduler), ..Self::default() };
    }

    /// The next 10 ms are pulled.
    pub(crate) fn on_pull(&mut self, now: i64) {
        self.frame_scheduler.on_pull(now);
    }

    /// Adds the arrival of one packet.
    pub(crate) fn on_packet(&mut self, sequence: i64, arrival: i64, timestamp: i64) {
        let transit = arrival - timestamp;
        while self.fastest.back().is_some_and(|&(_, slower)| slower >= transit) {
            self.fastest.pop_back();
        }
        self.fastest.push_back((arrival, transit));
        // The newest stays in any case, so there is always a base.
        while self.fastest.len() > 1 && self.fastest.front().is_some_and(|&(old, _)| old < arrival - WINDOW) {
            self.fastest.pop_front();
        }

        self.packets = self.packets.saturating_add(1);
        // The first packets count alike, so the histogram is a fair one from the start.
        let forget = FORGET.min(1.0 - 1.0 / (self.packets as f32));
        // It counts from when its content could be had.
        let copied = self.redundancy_delay.on_packet(sequence);
        let bucket = copied.map_or(self.bucket(transit), |copied| copied.min(self.bucket(transit)));
        self.histogram.iter_mut().for_each(|share| *share *= forget);
        self.histogram[bucket] += 1.0 - forget;
        self.underrun *= UNDERRUN_DECAY;
    }

    /// Adds the arrival of a copy of a packet inside a later one, whether the packet itself has arrived or not.
    pub(crate) fn on_copy(&mut self, sequence: i64, arrival: i64, timestamp: i64) {
        self.redundancy_delay.on_copy(sequence, self.bucket(arrival - timestamp));
    }

    fn bucket(&self, transit: i64) -> usize {
        let late = transit - self.base().unwrap_or(transit);
        usize::try_from(late / BUCKET).unwrap_or(0).min(BUCKETS - 1)
    }

    /// A packet arrived after its time. If the network did not delay it beyond the target, the pulls are slow.
    pub(crate) fn on_late(&mut self, arrival: i64, timestamp: i64) {
        if self.base().is_some_and(|base| arrival - timestamp - base < self.target() - TOLERANCE) {
            self.underrun = (self.underrun + UNDERRUN_STEP).min(MAX_UNDERRUN);
        }
    }

    /// Transit time of the fastest packet of the last seconds, samples.
    pub(crate) fn base(&self) -> Option<i64> {
        self.fastest.front().map(|&(_, transit)| transit)
    }

    /// How long after the fastest possible arrival a packet should be needed, samples.
    pub(crate) fn target(&self) -> i64 {
        // Share of the packets that arrive later than the last buckets, by themselves and as copies.
        let known = if self.packets == 0 { 0.0 } else { 1.0f32 };
        let (mut late, mut copied) = (known, self.redundancy_delay.total());
        let mut upper = BUCKET;
        for (bucket, share) in self.histogram.iter().enumerate() {
            late -= share;
            copied -= self.redundancy_delay.share(bucket);
            upper = (bucket as i64 + 1) * BUCKET;
            if late + LOSS_WEIGHT * copied <= MAY_MISS {
                break;
            }
        }
        upper + (self.frame_scheduler.early() + self.underrun) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 48;

    fn feed(estimator: &mut DelayEstimator, packets: std::ops::Range<i64>, late: impl Fn(i64) -> i64) {
        for packet in packets {
            estimator.on_packet(packet, packet * 960 + late(packet), packet * 960);
        }
    }

    #[test]
    fn a_clean_link_needs_7_ms() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..100, |packet| packet % 2 * MS);
        assert_eq!(estimator.target(), 7 * MS);
    }

    #[test]
    fn before_anything_has_come_it_is_that_of_a_clean_link() {
        assert_eq!(DelayEstimator::default().target(), 7 * MS);
    }

    #[test]
    fn jitter_raises_the_target_and_calm_lowers_it() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..200, |packet| packet * 7 % 6 * 10 * MS);
        assert!((55 * MS..=75 * MS).contains(&estimator.target()), "{}", estimator.target());
        feed(&mut estimator, 200..600, |_| 0);
        assert_eq!(estimator.target(), 7 * MS);
    }

    #[test]
    fn one_straggler_is_not_worth_waiting_for() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..300, |packet| if packet == 290 { 300 * MS } else { 0 });
        assert_eq!(estimator.target(), 7 * MS);
    }

    #[test]
    fn a_longer_route_becomes_the_new_base_after_two_seconds() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..200, |_| 0);
        feed(&mut estimator, 200..320, |_| 100 * MS);
        assert_eq!(estimator.base(), Some(100 * MS));
    }

    /// The target after packets that arrive in time, of which every 40th and `burst` - 1 after it are lost, and each carries
    /// the ones `copies` packets before it.
    fn target_with_loss(burst: i64, copies: &[i64]) -> i64 {
        let mut estimator = DelayEstimator::default();
        for packet in (0..800).filter(|packet| packet % 40 >= burst) {
            estimator.on_packet(packet, packet * 960, packet * 960);
            copies.iter().for_each(|back| estimator.on_copy(packet - back, packet * 960, (packet - back) * 960));
        }
        estimator.target()
    }

    #[test]
    fn loss_makes_it_wait_for_copies_if_there_are_any() {
        assert_eq!(target_with_loss(1, &[1]), 27 * MS);
        assert_eq!(target_with_loss(1, &[]), 7 * MS);
        assert_eq!(target_with_loss(4, &[1, 2, 3, 4]), 87 * MS);
        // A packet without a copy is not waited for.
        assert_eq!(target_with_loss(4, &[1, 2]), 47 * MS);
    }

    #[test]
    fn packets_that_overtake_one_another_are_no_loss() {
        let mut estimator = DelayEstimator::default();
        for pair in 0..150 {
            for packet in [2 * pair + 1, 2 * pair] {
                estimator.on_packet(packet, packet * 960, packet * 960);
                estimator.on_copy(packet - 1, packet * 960, (packet - 1) * 960);
            }
        }
        assert_eq!(estimator.target(), 7 * MS);
    }

    #[test]
    fn a_slow_player_gets_a_margin_and_a_late_packet_none() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..50, |_| 0);
        estimator.on_late(50 * 960 + 300 * MS, 50 * 960);
        assert_eq!(estimator.target(), 7 * MS);
        estimator.on_late(50 * 960 + 2 * MS, 50 * 960);
        assert_eq!(estimator.target(), 17 * MS);
    }
}
