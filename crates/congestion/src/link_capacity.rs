//! Memory of the bottleneck's capacity.
//!
//! Each overuse measures it: the throughput of a full queue is the capacity of the link. Near the remembered value the
//! rate grows slowly, far from it quickly (draft-ietf-rmcat-gcc-02 section 5.5).

use rtp::Bitrate;

/// Weight of a new measurement.
const SMOOTHING: f64 = 0.4;
/// Lower bound of the relative deviation: every bottleneck varies a little.
const MIN_DEVIATION: f64 = 0.03;
/// Upper bound of the relative deviation, and its value after a first measurement.
const MAX_DEVIATION: f64 = 0.12;
/// A rate further away than this many deviations belongs to another capacity.
const MAX_DEVIATIONS: f64 = 3.0;

/// Estimates the capacity of the bottleneck (libwebrtc's `LinkCapacityEstimator`).
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkCapacity {
    mean: Option<Bitrate>,
    /// Relative to the mean.
    deviation: f64,
}

impl LinkCapacity {
    /// Adds a measurement. One far from the present estimate replaces it.
    pub fn on_measured(&mut self, rate: Bitrate) {
        match self.mean {
            Some(mean) if self.is_near(rate) => {
                let error = difference(rate, mean).ratio(mean);
                self.deviation =
                    ((1.0 - SMOOTHING) * self.deviation + SMOOTHING * error).clamp(MIN_DEVIATION, MAX_DEVIATION);
                self.mean = Some(mean * (1.0 - SMOOTHING) + rate * SMOOTHING);
            }
            _ => {
                self.mean = Some(rate);
                self.deviation = MAX_DEVIATION;
            }
        }
    }

    /// Adds a throughput that caused no queue. If it is above the upper bound of the estimate, the estimate is outdated.
    pub fn on_throughput(&mut self, rate: Bitrate) {
        if self.mean.is_some_and(|mean| rate > mean * (1.0 + MAX_DEVIATIONS * self.deviation)) {
            self.mean = None;
        }
    }

    /// The estimated capacity.
    #[must_use]
    pub fn rate(&self) -> Option<Bitrate> {
        self.mean
    }

    /// Whether a rate lies within the bounds of the estimated capacity.
    #[must_use]
    pub fn is_near(&self, rate: Bitrate) -> bool {
        self.mean.is_some_and(|mean| difference(rate, mean) <= mean * MAX_DEVIATIONS * self.deviation)
    }
}

fn difference(one: Bitrate, other: Bitrate) -> Bitrate {
    one.max(other) - one.min(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_measurements_refine_the_estimate_and_others_replace_it() {
        let mut capacity = LinkCapacity::default();
        assert_eq!(capacity.rate(), None);
        capacity.on_measured(Bitrate::bps(1.0e6));
        capacity.on_measured(Bitrate::bps(1.1e6));
        assert!((1.03e6..1.05e6).contains(&capacity.rate().unwrap().as_bps()));
        capacity.on_measured(Bitrate::bps(0.4e6));
        assert_eq!(capacity.rate(), Some(Bitrate::bps(0.4e6)));
    }

    #[test]
    fn throughput_above_the_bounds_invalidates_the_estimate() {
        let mut capacity = LinkCapacity::default();
        capacity.on_measured(Bitrate::bps(1.0e6));
        capacity.on_throughput(Bitrate::bps(1.2e6));
        assert!(capacity.is_near(Bitrate::bps(1.2e6)));
        capacity.on_throughput(Bitrate::bps(1.5e6));
        assert_eq!(capacity.rate(), None);
    }
}
