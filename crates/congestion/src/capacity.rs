//! Memory of the bottleneck's capacity.
//!
//! Each overuse measures it: what gets through a full queue is what the link carries. Near the remembered
//! value the rate goes up gently, far from it boldly (draft-ietf-rmcat-gcc-02 section 5.5).

/// Weight of a new measurement.
const GAIN: f64 = 0.4;
/// Bounds of the relative deviation: a bottleneck varies a little, and one measurement is no certainty.
const DEVIATION: (f64, f64) = (0.03, 0.12);
/// So many deviations away is another capacity.
const OUTSIDE: f64 = 3.0;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkCapacity {
    mean: Option<f64>,
    /// Relative.
    deviation: f64,
}

impl LinkCapacity {
    /// Takes a measurement in bits per second. One far from the memory replaces it.
    pub fn measured(&mut self, bps: f64) {
        match self.mean {
            Some(mean) if self.is_near(bps) => {
                let off = (bps - mean).abs() / mean;
                self.deviation = ((1.0 - GAIN) * self.deviation + GAIN * off).clamp(DEVIATION.0, DEVIATION.1);
                self.mean = Some(mean + GAIN * (bps - mean));
            }
            _ => {
                self.mean = Some(bps);
                self.deviation = DEVIATION.1;
            }
        }
    }

    /// Takes what got through without a queue: more than the memory allows means that it is outdated.
    pub fn passed(&mut self, bps: f64) {
        if self.mean.is_some_and(|mean| bps > mean * (1.0 + OUTSIDE * self.deviation)) {
            self.mean = None;
        }
    }

    /// The remembered capacity in bits per second.
    #[must_use]
    pub fn bps(&self) -> Option<f64> {
        self.mean
    }

    /// Whether a rate may be the remembered capacity.
    #[must_use]
    pub fn is_near(&self, bps: f64) -> bool {
        self.mean.is_some_and(|mean| (bps - mean).abs() <= mean * OUTSIDE * self.deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_near_the_memory_refine_it_and_others_replace_it() {
        let mut capacity = LinkCapacity::default();
        assert_eq!(capacity.bps(), None);
        capacity.measured(1.0e6);
        capacity.measured(1.1e6);
        assert!((1.03e6..1.05e6).contains(&capacity.bps().unwrap()));
        capacity.measured(0.4e6);
        assert_eq!(capacity.bps(), Some(0.4e6));
    }

    #[test]
    fn more_than_it_could_carry_disproves_the_memory() {
        let mut capacity = LinkCapacity::default();
        capacity.measured(1.0e6);
        capacity.passed(1.2e6);
        assert!(capacity.is_near(1.2e6));
        capacity.passed(1.5e6);
        assert_eq!(capacity.bps(), None);
    }
}
