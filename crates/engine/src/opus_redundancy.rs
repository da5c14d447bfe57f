//! How much loss the Opus encoder expects, and how many earlier packets each packet carries: redundancy grows with loss.

use rtp::red::MAX_COPIES;

/// Minimum expectation: the first loss is reported only after it happened, so there is always some in-band redundancy.
const MIN_PERCENT: f64 = 5.0;
/// Maximum expectation: beyond it redundancy costs more than it saves.
const MAX_PERCENT: f64 = 30.0;
/// Weight of a report that is worse than the expectation; the one below is for better reports.
const RISE_WEIGHT: f64 = 0.5;
const FALL: f64 = 0.1;
/// Added to the reported loss. Near the minimum libopus sometimes takes voices for music and then sends no redundancy;
/// from 9 % on it always does.
const SAFETY_PERCENT: f64 = 5.0;
/// Below this loss nothing is added.
const SAFE_BELOW_PERCENT: f64 = 1.0;
/// Smaller changes are not passed to the encoder.
const NOTICEABLE: f64 = 2.0;

/// The expectation of one audio encoder.
#[derive(Debug)]
pub(crate) struct ExpectedLoss {
    percent: f64,
    reported: f64,
}

impl Default for ExpectedLoss {
    fn default() -> Self {
        Self { percent: MIN_PERCENT, reported: MIN_PERCENT }
    }
}

impl ExpectedLoss {
    /// The percentage that the encoder was last configured with.
    pub(crate) fn percent(&self) -> u8 {
        // At most 30.
        self.reported.round() as u8
    }

    /// Takes the share of packets lost in the receiver's last report, 0 to 1, about once a second. Returns the percentage for
    /// the encoder, if it has changed.
    pub(crate) fn update(&mut self, lost_share: f64) -> Option<u8> {
        if !lost_share.is_finite() {
            return None;
        }
        let lost_percent = lost_share * 100.0;
        let wanted = if lost_percent < SAFE_BELOW_PERCENT { MIN_PERCENT } else { lost_percent + SAFETY_PERCENT };
        let percent = wanted.clamp(MIN_PERCENT, MAX_PERCENT);
        let weight = if percent > self.percent { RISE_WEIGHT } else { FALL };
        self.percent += weight * (percent - self.percent);
        let settled = self.percent - MIN_PERCENT < NOTICEABLE / 2.0 && self.reported > MIN_PERCENT;
        if (self.percent - self.reported).abs() < NOTICEABLE && !settled {
            return None;
        }
        self.reported = if settled { MIN_PERCENT } else { self.percent };
        Some(self.percent())
    }
}

/// Expected loss from which each packet carries one earlier packet, and two; in-band redundancy alone helps little against
/// bursts.
const COPIES_FROM_PERCENT: [u8; MAX_COPIES] = [8, 13];
/// The expectation has to fall by this much more until there are fewer again.
const HYSTERESIS_PERCENT: u8 = 2;
/// The path has to carry this many times what copies add: otherwise they may cause the loss.
const HEADROOM_FACTOR: u64 = 8;

/// How many earlier packets each packet of a publisher carries.
#[derive(Debug, Default)]
pub(crate) struct Copies(usize);

impl Copies {
    /// Takes the encoder's expectation, its bitrate, and what the path carries. Returns the number of copies.
    pub(crate) fn update(&mut self, expected_percent: u8, audio_bps: u32, path_bps: u64) -> usize {
        let wanted = COPIES_FROM_PERCENT.iter().zip(1..).filter(|(from, copies)| {
            let from = if *copies <= self.0 { **from - HYSTERESIS_PERCENT } else { **from };
            expected_percent >= from && path_bps >= HEADROOM_FACTOR * u64::from(audio_bps) * *copies as u64
        });
        self.0 = wanted.map(|(_, copies)| copies).max().unwrap_or(0);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_is_lost_the_more_copies_are_sent() {
        let mut copies = Copies::default();
        let reported = [5, 8, 13, 12, 10, 7, 5].map(|percent| copies.update(percent, 48_000, 2_000_000));
        assert_eq!(reported, [0, 1, 2, 2, 1, 1, 0]);
    }

    #[test]
    fn a_narrow_path_is_not_filled_with_copies() {
        let mut copies = Copies::default();
        assert_eq!(copies.update(20, 48_000, 2_000_000), 2);
        assert_eq!(copies.update(20, 48_000, 500_000), 1);
        assert_eq!(copies.update(20, 48_000, 200_000), 0);
        assert_eq!(copies.update(20, 510_000, 2_000_000), 0);
    }

    #[test]
    fn a_good_path_changes_nothing() {
        let mut expected = ExpectedLoss::default();
        assert!((0..20).all(|_| expected.update(0.0).is_none()));
    }

    #[test]
    fn a_little_loss_is_enough_for_redundancy_in_every_packet() {
        let mut expected = ExpectedLoss::default();
        let reported = (0..4).filter_map(|_| expected.update(0.05)).last();
        assert!(reported.is_some_and(|percent| percent >= 9), "{reported:?}");
        assert!((0..60).filter_map(|_| expected.update(0.05)).all(|percent| percent <= 10));
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
