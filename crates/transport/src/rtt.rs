//! Round-trip time shared by the parts that pace themselves by it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Smoothed round-trip time (RFC 6298's gain of 1/8), readable from any thread. Zero means unknown.
#[derive(Debug, Default)]
pub struct SharedRtt(AtomicU64);

impl SharedRtt {
    /// Used before the first measurement: the middle of what callers see on the internet.
    pub const ASSUMED: Duration = Duration::from_millis(60);

    /// Takes one measurement.
    pub fn update(&self, sample: Duration) {
        let sample = (sample.as_micros() as u64).max(1);
        let old = self.0.load(Ordering::Relaxed);
        let new = if old == 0 { sample } else { (old * 7 + sample) / 8 };
        self.0.store(new.max(1), Ordering::Relaxed);
    }

    /// The smoothed value, or `None` before the first measurement.
    #[must_use]
    pub fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    /// The smoothed value, or [`ASSUMED`](Self::ASSUMED).
    #[must_use]
    pub fn or_assumed(&self) -> Duration {
        self.get().unwrap_or(Self::ASSUMED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_counts_whole_and_later_ones_are_smoothed() {
        let rtt = SharedRtt::default();
        assert_eq!(rtt.get(), None);
        assert_eq!(rtt.or_assumed(), SharedRtt::ASSUMED);
        rtt.update(Duration::from_millis(80));
        assert_eq!(rtt.get(), Some(Duration::from_millis(80)));
        rtt.update(Duration::from_millis(160));
        assert_eq!(rtt.get(), Some(Duration::from_millis(90)));
    }
}
