//! Application-limited region (ALR): the application sends less than the estimate allows.
//!
//! The throughput then says nothing about the path's capacity, and the estimate must not grow because of it.

use std::time::{Duration, Instant};

/// Time constant of the smoothed bandwidth usage.
const USAGE_TIME_CONSTANT: Duration = Duration::from_millis(500);
/// The region begins when the usage falls below this share of the estimate.
const START_USAGE_RATIO: f64 = 0.65;
/// The region ends when the usage rises above this share of the estimate.
const STOP_USAGE_RATIO: f64 = 0.80;

/// Detects the application-limited region (libwebrtc's `AlrDetector`).
#[derive(Debug, Default)]
pub struct AlrDetector {
    sent_bits: f64,
    updated: Option<Instant>,
    /// Smoothed share of the estimate that is used.
    usage: f64,
    is_limited: bool,
}

impl AlrDetector {
    /// Counts a sent packet.
    pub fn on_sent(&mut self, bytes: usize) {
        self.sent_bits += bytes as f64 * 8.0;
    }

    /// Compares the usage with the estimate; called every few tens of milliseconds.
    pub fn update(&mut self, now: Instant, estimate_bps: f64) {
        let Some(before) = self.updated.replace(now) else {
            self.sent_bits = 0.0;
            self.usage = 1.0;
            return;
        };
        let elapsed = now.saturating_duration_since(before).as_secs_f64();
        if elapsed <= 0.0 {
            return;
        }
        let ratio = (self.sent_bits / (estimate_bps * elapsed)).min(2.0);
        self.sent_bits = 0.0;
        let weight = 1.0 - (-elapsed / USAGE_TIME_CONSTANT.as_secs_f64()).exp();
        self.usage += weight * (ratio - self.usage);
        self.is_limited = self.usage < if self.is_limited { STOP_USAGE_RATIO } else { START_USAGE_RATIO };
    }

    /// Whether the application is the limit.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.is_limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(alr: &mut AlrDetector, from: Instant, millis: u64, bps: f64) -> Instant {
        let mut now = from;
        for _ in 0..millis / 50 {
            now += Duration::from_millis(50);
            alr.on_sent((bps / 8.0 * 0.05) as usize);
            alr.update(now, 1e6);
        }
        now
    }

    #[test]
    fn an_application_that_sends_little_is_limited_until_it_sends_more() {
        let (mut alr, now) = (AlrDetector::default(), Instant::now());
        alr.update(now, 1e6);
        let now = send(&mut alr, now, 2000, 0.95e6);
        assert!(!alr.is_limited());
        let now = send(&mut alr, now, 2000, 0.3e6);
        assert!(alr.is_limited());
        let now = send(&mut alr, now, 2000, 0.7e6);
        assert!(alr.is_limited(), "below the upper threshold");
        send(&mut alr, now, 2000, 0.95e6);
        assert!(!alr.is_limited());
    }
}
