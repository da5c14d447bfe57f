//! Round-trip time, shared by the parts whose timing depends on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Smoothed round-trip time (RFC 6298's gain of 1/8), readable from any thread. Zero means unknown.
#[derive(Debug, Default)]
pub struct SharedRtt(AtomicU64);

impl SharedRtt {
    /// Round-trip time before the first measurement: a typical value on the internet.
    pub const DEFAULT: Duration = Duration::from_millis(60);

    /// Adds a measurement.
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

    /// The smoothed value, or [`DEFAULT`](Self::DEFAULT).
    #[must_use]
    pub fn or_default(&self) -> Duration {
        self.get().unwrap_or(Self::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_samples_are_smoothed_into_the_first() {
        let rtt = SharedRtt::default();
        assert_eq!(rtt.get(), None);
        assert_eq!(rtt.or_default(), SharedRtt::DEFAULT);
        rtt.update(Duration::from_millis(80));
        assert_eq!(rtt.get(), Some(Duration::from_millis(80)));
        rtt.update(Duration::from_millis(160));
        assert_eq!(rtt.get(), Some(Duration::from_millis(90)));
    }
}
