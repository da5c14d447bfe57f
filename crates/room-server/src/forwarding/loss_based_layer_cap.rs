//! The best layer that a subscriber's link carries, by its losses: down at once when much is lost, up again after a good
//! while, later each time that going up was a mistake.

use std::time::{Duration, Instant};

use super::layer_selector::BEST;

/// Window of the loss, which has at least one report of every receiver.
const WINDOW: Duration = Duration::from_secs(2);
/// From this share of lost packets on, repetitions are not enough.
const TOO_MUCH: f32 = 0.1;
/// Up to this share, it is worth trying more.
const LITTLE: f32 = 0.03;
/// How long the loss must be low before a better layer is tried: at first, and at most.
const PATIENCE: Duration = Duration::from_secs(8);
const MAX_PATIENCE: Duration = Duration::from_secs(64);

/// The layer cap of one subscriber without an estimate.
#[derive(Debug)]
pub struct LossBasedLayerCap {
    rank: u8,
    worst: f32,
    window_since: Option<Instant>,
    good_since: Option<Instant>,
    raised_at: Option<Instant>,
    patience: Duration,
}

impl Default for LossBasedLayerCap {
    fn default() -> Self {
        Self { rank: BEST, worst: 0.0, window_since: None, good_since: None, raised_at: None, patience: PATIENCE }
    }
}

impl LossBasedLayerCap {
    /// Rank of the best layer that may be sent.
    pub fn rank(&self) -> u8 {
        self.rank
    }

    /// Takes a report of loss, 0 to 1. True when the cap has changed.
    pub fn note(&mut self, loss: f32, now: Instant) -> bool {
        self.worst = self.worst.max(loss);
        let since = *self.window_since.get_or_insert(now);
        if now.saturating_duration_since(since) < WINDOW {
            return false;
        }
        self.window_since = Some(now);
        let worst = std::mem::take(&mut self.worst);
        if worst > LITTLE {
            self.good_since = None;
        }
        if worst >= TOO_MUCH && self.rank > 1 {
            let mistake = self.raised_at.is_some_and(|at| now.saturating_duration_since(at) < self.patience);
            self.patience = if mistake { (self.patience * 2).min(MAX_PATIENCE) } else { PATIENCE };
            self.rank -= 1;
            return true;
        }
        if worst <= LITTLE && self.rank < BEST {
            let good_since = *self.good_since.get_or_insert(now);
            if now.saturating_duration_since(good_since) >= self.patience {
                self.good_since = None;
                self.raised_at = Some(now);
                self.rank += 1;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports every second until the cap changes; returns the seconds.
    fn run(ladder: &mut LossBasedLayerCap, now: &mut Instant, loss: f32, seconds: u32) -> Option<u32> {
        (1..=seconds).find(|_| {
            *now += Duration::from_secs(1);
            ladder.note(loss, *now)
        })
    }

    #[test]
    fn a_clean_link_and_one_with_few_losses_get_the_best() {
        let (mut ladder, mut now) = (LossBasedLayerCap::default(), Instant::now());
        assert_eq!(run(&mut ladder, &mut now, 0.0, 60), None);
        assert_eq!(run(&mut ladder, &mut now, 0.07, 60), None);
        assert_eq!(ladder.rank(), BEST);
    }

    #[test]
    fn a_bad_link_goes_down_step_by_step_and_keeps_the_smallest() {
        let (mut ladder, mut now) = (LossBasedLayerCap::default(), Instant::now());
        assert!(run(&mut ladder, &mut now, 0.2, 3).is_some_and(|after| after <= 3));
        assert_eq!(ladder.rank(), 2);
        assert!(run(&mut ladder, &mut now, 0.2, 3).is_some());
        assert_eq!(run(&mut ladder, &mut now, 0.2, 60), None);
        assert_eq!(ladder.rank(), 1);
    }

    #[test]
    fn what_did_not_work_is_tried_again_later() {
        let (mut ladder, mut now) = (LossBasedLayerCap::default(), Instant::now());
        run(&mut ladder, &mut now, 0.2, 3);
        let first = run(&mut ladder, &mut now, 0.0, 60).unwrap();
        run(&mut ladder, &mut now, 0.2, 3);
        let second = run(&mut ladder, &mut now, 0.0, 120).unwrap();
        assert!((8..=12).contains(&first), "{first}");
        assert!(second > first, "{second} after {first}");
    }
}
