//! How much loss the audio encoder should reckon with: the more, the more redundancy it sends.

/// Opus carries a little redundancy in any case: the first loss is reported only after it happened.
const LEAST_PERCENT: f64 = 5.0;
/// Beyond this the redundancy costs more than it saves.
const MOST_PERCENT: f64 = 30.0;
/// Weight of a report that is worse than what is expected, and of one that is better.
const RISE: f64 = 0.5;
const FALL: f64 = 0.1;
/// Smaller changes are not worth telling.
const NOTICEABLE: f64 = 2.0;

/// One for each audio encoder.
#[derive(Debug)]
pub(crate) struct ExpectedLoss {
    percent: f64,
    told: f64,
}

impl Default for ExpectedLoss {
    fn default() -> Self {
        Self { percent: LEAST_PERCENT, told: LEAST_PERCENT }
    }
}

impl ExpectedLoss {
    /// Takes the share of packets lost by the receiver's last report, 0 to 1, about once a second. Gives the
    /// percentage to tell the encoder, if it changed.
    pub(crate) fn update(&mut self, lost_share: f64) -> Option<u8> {
        if !lost_share.is_finite() {
            return None;
        }
        let percent = (lost_share * 100.0).clamp(LEAST_PERCENT, MOST_PERCENT);
        let weight = if percent > self.percent { RISE } else { FALL };
        self.percent += weight * (percent - self.percent);
        let settled = self.percent - LEAST_PERCENT < NOTICEABLE / 2.0 && self.told > LEAST_PERCENT;
        if (self.percent - self.told).abs() < NOTICEABLE && !settled {
            return None;
        }
        self.told = if settled { LEAST_PERCENT } else { self.percent };
        // At most 30.
        Some(self.told.round() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_path_changes_nothing() {
        let mut expected = ExpectedLoss::default();
        assert!((0..20).all(|_| expected.update(0.0).is_none()));
    }

    #[test]
    fn loss_is_believed_soon_and_its_end_slowly() {
        let mut expected = ExpectedLoss::default();
        let risen = (0..4).filter_map(|_| expected.update(0.2)).last();
        assert!(risen.is_some_and(|percent| percent >= 17), "{risen:?}");
        assert!((0..3).filter_map(|_| expected.update(0.0)).all(|percent| percent >= 12));
        assert_eq!((0..40).filter_map(|_| expected.update(0.0)).last(), Some(5));
        assert!((0..20).all(|_| expected.update(0.0).is_none()));
    }

    #[test]
    fn absurd_reports_stay_within_bounds() {
        let mut expected = ExpectedLoss::default();
        assert!((0..20).filter_map(|_| expected.update(7.0)).all(|percent| percent <= 30));
        expected.update(f64::NAN);
        assert!((0..20).filter_map(|_| expected.update(0.0)).all(|percent| percent <= 30));
    }
}
