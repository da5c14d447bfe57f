//! Is the application sending less than it may? (Application-limited region.)
//!
//! Then what gets through says nothing about the path, and growing on its account would be guesswork.

use std::time::{Duration, Instant};

/// Time constant of the smoothed usage.
const SMOOTHING: Duration = Duration::from_millis(500);
/// Usage below this share of the estimate begins the region, above the other ends it.
const BEGIN: f64 = 0.65;
const END: f64 = 0.80;

/// See the module.
#[derive(Debug, Default)]
pub struct Alr {
    sent_bits: f64,
    updated: Option<Instant>,
    /// Smoothed share of the estimate that is used.
    usage: f64,
    limited: bool,
}

impl Alr {
    /// Takes what was sent.
    pub fn sent(&mut self, bytes: usize) {
        self.sent_bits += bytes as f64 * 8.0;
    }

    /// Compares with the estimate; to be called every few tens of milliseconds.
    pub fn update(&mut self, now: Instant, estimate_bps: f64) {
        let Some(before) = self.updated.replace(now) else {
            self.sent_bits = 0.0;
            self.usage = 1.0;
            return;
        };
        let passed = now.saturating_duration_since(before).as_secs_f64();
        if passed <= 0.0 {
            return;
        }
        let share = (self.sent_bits / (estimate_bps * passed)).min(2.0);
        self.sent_bits = 0.0;
        let weight = 1.0 - (-passed / SMOOTHING.as_secs_f64()).exp();
        self.usage += weight * (share - self.usage);
        self.limited = self.usage < if self.limited { END } else { BEGIN };
    }

    /// Whether the application is the limit.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(alr: &mut Alr, from: Instant, millis: u64, bps: f64) -> Instant {
        let mut now = from;
        for _ in 0..millis / 50 {
            now += Duration::from_millis(50);
            alr.sent((bps / 8.0 * 0.05) as usize);
            alr.update(now, 1e6);
        }
        now
    }

    #[test]
    fn an_application_that_sends_little_is_limited_until_it_sends_again() {
        let (mut alr, now) = (Alr::default(), Instant::now());
        alr.update(now, 1e6);
        let now = send(&mut alr, now, 2000, 0.95e6);
        assert!(!alr.is_limited());
        let now = send(&mut alr, now, 2000, 0.3e6);
        assert!(alr.is_limited());
        let now = send(&mut alr, now, 2000, 0.7e6);
        assert!(alr.is_limited(), "not yet enough");
        send(&mut alr, now, 2000, 0.95e6);
        assert!(!alr.is_limited());
    }
}
