//! How late packets come, and how long playing should therefore wait.
//!
//! Every packet's transit time (arrival minus RTP time) is compared with the fastest of the last seconds; the differences
//! go into a histogram that forgets, and the target covers nearly all of it. The idea is that of WebRTC's NetEq.

use std::collections::VecDeque;

/// Width of a bucket, samples: 10 ms.
const BUCKET: i64 = 480;
/// Buckets: delays up to one second.
const BUCKETS: usize = 100;
/// How much of the histogram remains after one more packet (half is gone after 46 packets, about a second).
const FORGET: f32 = 0.985;
/// Share of the packets that must not come too late.
const QUANTILE: f32 = 0.95;
/// The fastest transit is looked for among this much of the past, samples: 2 s.
const WINDOW: i64 = 96_000;
/// Always added, samples: 10 ms for the rhythm of the player's own thread.
const MARGIN: f32 = 480.0;
/// Added after every time that the buffer ran dry, samples: 10 ms.
const UNDERRUN_STEP: f32 = 480.0;
/// Most that running dry adds, samples: 80 ms.
const MAX_UNDERRUN: f32 = 3840.0;
/// What remains of it after one more packet (half is gone after 20 s).
const UNDERRUN_DECAY: f32 = 0.9993;

/// Share of the loss estimate that remains after one more packet.
const LOSS_MEMORY: f32 = 0.99;
/// From this share of lost packets on it is worth waiting for the packet after a lost one, which carries its redundancy.
const LOSSY: f32 = 0.02;
/// That wait, samples: one packet of 20 ms.
const REDUNDANCY_WAIT: f32 = 960.0;
/// Most packets that one hole counts for: an outage says nothing of ordinary loss.
const MAX_HOLE: i64 = 3;

/// Times are 48 kHz samples on a clock that the caller chooses; RTP times are extended to 64 bits.
#[derive(Debug, Default)]
pub(crate) struct DelayEstimator {
    histogram: Vec<f32>,
    packets: u32,
    /// (arrival, transit), transit rising: the first is the fastest of the window.
    fastest: VecDeque<(i64, i64)>,
    underrun: f32,
    loss: f32,
}

impl DelayEstimator {
    /// Forgets everything, for a new stream.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes the arrival of one packet.
    pub(crate) fn on_packet(&mut self, arrival: i64, timestamp: i64) {
        let transit = arrival - timestamp;
        while self.fastest.back().is_some_and(|&(_, slower)| slower >= transit) {
            self.fastest.pop_back();
        }
        self.fastest.push_back((arrival, transit));
        // The newest stays in any case, so there is always a base.
        while self.fastest.len() > 1 && self.fastest.front().is_some_and(|&(old, _)| old < arrival - WINDOW) {
            self.fastest.pop_front();
        }

        self.histogram.resize(BUCKETS, 0.0);
        self.packets = self.packets.saturating_add(1);
        // The first packets count alike, so the histogram is a fair one from the start.
        let forget = FORGET.min(1.0 - 1.0 / (self.packets as f32));
        let late = transit - self.base().unwrap_or(transit);
        let bucket = usize::try_from(late / BUCKET).unwrap_or(0).min(BUCKETS - 1);
        self.histogram.iter_mut().for_each(|share| *share *= forget);
        self.histogram[bucket] += 1.0 - forget;
        self.underrun *= UNDERRUN_DECAY;
    }

    /// Takes the number of packets that are missing before the newest one, 0 as a rule.
    pub(crate) fn on_hole(&mut self, missing: i64) {
        self.loss = self.loss * LOSS_MEMORY + missing.clamp(0, MAX_HOLE) as f32 * (1.0 - LOSS_MEMORY);
    }

    /// The buffer ran dry: the histogram was too hopeful, or the player's thread is slow.
    pub(crate) fn on_underrun(&mut self) {
        self.underrun = (self.underrun + UNDERRUN_STEP).min(MAX_UNDERRUN);
    }

    /// Transit time of the fastest packet of the last seconds, samples.
    pub(crate) fn base(&self) -> Option<i64> {
        self.fastest.front().map(|&(_, transit)| transit)
    }

    /// How long after the fastest possible arrival a sample should be played, samples.
    pub(crate) fn target(&self) -> i64 {
        let mut covered = 0.0;
        let mut upper = BUCKET;
        for (bucket, share) in self.histogram.iter().enumerate() {
            covered += share;
            upper = (bucket as i64 + 1) * BUCKET;
            if covered >= QUANTILE {
                break;
            }
        }
        if self.histogram.is_empty() {
            upper = BUCKET;
        }
        let redundancy = if self.loss > LOSSY { REDUNDANCY_WAIT } else { 0.0 };
        upper + (MARGIN + self.underrun + redundancy) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 48;

    fn feed(estimator: &mut DelayEstimator, packets: std::ops::Range<i64>, late: impl Fn(i64) -> i64) {
        for packet in packets {
            estimator.on_packet(packet * 960 + late(packet), packet * 960);
        }
    }

    #[test]
    fn a_clean_link_needs_20_ms() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..100, |packet| packet % 2 * MS);
        assert_eq!(estimator.target(), 20 * MS);
    }

    #[test]
    fn jitter_raises_the_target_and_calm_lowers_it() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..200, |packet| packet * 7 % 6 * 10 * MS);
        assert!((60 * MS..=80 * MS).contains(&estimator.target()), "{}", estimator.target());
        feed(&mut estimator, 200..500, |_| 0);
        assert_eq!(estimator.target(), 20 * MS);
    }

    #[test]
    fn one_straggler_is_not_worth_waiting_for() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..300, |packet| if packet == 290 { 300 * MS } else { 0 });
        assert_eq!(estimator.target(), 20 * MS);
    }

    #[test]
    fn a_longer_route_becomes_the_new_base_after_two_seconds() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..200, |_| 0);
        feed(&mut estimator, 200..320, |_| 100 * MS);
        assert_eq!(estimator.base(), Some(100 * MS));
    }

    #[test]
    fn steady_loss_makes_it_wait_for_redundancy() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..50, |_| 0);
        estimator.on_hole(1);
        assert_eq!(estimator.target(), 20 * MS);
        (0..100).for_each(|packet| estimator.on_hole(i64::from(packet % 20 == 0)));
        assert_eq!(estimator.target(), 40 * MS);
        (0..200).for_each(|_| estimator.on_hole(0));
        assert_eq!(estimator.target(), 20 * MS);
    }

    #[test]
    fn running_dry_adds_a_margin() {
        let mut estimator = DelayEstimator::default();
        feed(&mut estimator, 0..50, |_| 0);
        estimator.on_underrun();
        assert_eq!(estimator.target(), 30 * MS);
    }
}
