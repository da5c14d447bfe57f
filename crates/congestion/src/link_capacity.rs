//! Memory of the bottleneck's capacity.
//!
//! Each overuse measures it: the throughput of a full queue is the capacity of the link. Near the remembered value the
//! rate grows slowly, far from it quickly (draft-ietf-rmcat-gcc-02 section 5.5).

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
    mean_bps: Option<f64>,
    /// Relative to the mean.
    deviation: f64,
}

impl LinkCapacity {
    /// Adds a measurement in bits per second. One far from the present estimate replaces it.
    pub fn on_measured(&mut self, bps: f64) {
        match self.mean_bps {
            Some(mean) if self.is_near(bps) => {
                let error = (bps - mean).abs() / mean;
                self.deviation =
                    ((1.0 - SMOOTHING) * self.deviation + SMOOTHING * error).clamp(MIN_DEVIATION, MAX_DEVIATION);
                self.mean_bps = Some(mean + SMOOTHING * (bps - mean));
            }
            _ => {
                self.mean_bps = Some(bps);
                self.deviation = MAX_DEVIATION;
            }
        }
    }

    /// Adds a throughput that caused no queue. If it is above the upper bound of the estimate, the estimate is outdated.
    pub fn on_throughput(&mut self, bps: f64) {
        if self.mean_bps.is_some_and(|mean| bps > mean * (1.0 + MAX_DEVIATIONS * self.deviation)) {
            self.mean_bps = None;
        }
    }

    /// The estimated capacity in bits per second.
    #[must_use]
    pub fn bps(&self) -> Option<f64> {
        self.mean_bps
    }

    /// Whether a rate lies within the bounds of the estimated capacity.
    #[must_use]
    pub fn is_near(&self, bps: f64) -> bool {
        self.mean_bps.is_some_and(|mean| (bps - mean).abs() <= mean * MAX_DEVIATIONS * self.deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_measurements_refine_the_estimate_and_others_replace_it() {
        let mut capacity = LinkCapacity::default();
        assert_eq!(capacity.bps(), None);
        capacity.on_measured(1.0e6);
        capacity.on_measured(1.1e6);
        assert!((1.03e6..1.05e6).contains(&capacity.bps().unwrap()));
        capacity.on_measured(0.4e6);
        assert_eq!(capacity.bps(), Some(0.4e6));
    }

    #[test]
    fn throughput_above_the_bounds_invalidates_the_estimate() {
        let mut capacity = LinkCapacity::default();
        capacity.on_measured(1.0e6);
        capacity.on_throughput(1.2e6);
        assert!(capacity.is_near(1.2e6));
        capacity.on_throughput(1.5e6);
        assert_eq!(capacity.bps(), None);
    }
}
