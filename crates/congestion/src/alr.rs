//! Application-limited region (ALR): the application sends less than the estimate allows.
//!
//! The throughput then says nothing about the path's capacity, and the estimate must not grow because of it.

use rtp::{Bitrate, DataSize};
use std::time::{Duration, Instant};

/// Time constant of the smoothed bandwidth usage.
const USAGE_TIME_CONSTANT: Duration = Duration::from_millis(500);
/// The region begins when the usage falls below this share of the estimate.
const START_USAGE_RATIO: f64 = 0.65;
/// The region ends when the usage rises above this share of the estimate.
const STOP_USAGE_RATIO: f64 = 0.80;
/// Upper bound of a measured usage, so that a burst does not dominate the smoothed one.
const MAX_USAGE_RATIO: f64 = 2.0;

/// Detects the application-limited region (libwebrtc's `AlrDetector`).
#[derive(Debug, Default)]
pub struct AlrDetector {
    sent: DataSize,
    updated: Option<Instant>,
    /// Smoothed share of the estimate that is used.
    usage: f64,
    is_limited: bool,
}

impl AlrDetector {
    /// Counts a sent packet.
    pub fn on_sent(&mut self, size: DataSize) {
        self.sent += size;
    }

    /// Compares the usage with the estimate; called every few tens of milliseconds.
    pub fn update(&mut self, now: Instant, estimate: Bitrate) {
        let Some(before) = self.updated.replace(now) else {
            self.sent = DataSize::ZERO;
            self.usage = 1.0;
            return;
        };
        let elapsed = now.saturating_duration_since(before);
        if elapsed.is_zero() {
            return;
        }
        let ratio = self.sent.rate_over(elapsed).ratio(estimate).min(MAX_USAGE_RATIO);
        self.sent = DataSize::ZERO;
        let weight = 1.0 - (-elapsed.as_secs_f64() / USAGE_TIME_CONSTANT.as_secs_f64()).exp();
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
            alr.on_sent(Bitrate::bps(bps) * Duration::from_millis(50));
            alr.update(now, Bitrate::mbps(1));
        }
        now
    }

    #[test]
    fn an_application_that_sends_little_is_limited_until_it_sends_more() {
        let (mut alr, now) = (AlrDetector::default(), Instant::now());
        alr.update(now, Bitrate::mbps(1));
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
