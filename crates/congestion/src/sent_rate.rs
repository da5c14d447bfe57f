//! The smoothed rate of what is sent.

use rtp::{Bitrate, DataSize};
use std::time::{Duration, Instant};

/// Time constant of the smoothing.
const TIME_CONSTANT: Duration = Duration::from_secs(1);

/// An exponentially smoothed rate.
#[derive(Debug, Default)]
pub(crate) struct SentRate {
    rate: Bitrate,
    updated: Option<Instant>,
}

impl SentRate {
    /// Counts a sent packet.
    pub(crate) fn on_sent(&mut self, now: Instant, size: DataSize) {
        self.rate = self.rate(now) + size.rate_over(TIME_CONSTANT);
    }

    /// The present rate.
    pub(crate) fn rate(&mut self, now: Instant) -> Bitrate {
        let elapsed = now.saturating_duration_since(self.updated.replace(now).unwrap_or(now));
        self.rate = self.rate * (-elapsed.as_secs_f64() / TIME_CONSTANT.as_secs_f64()).exp();
        self.rate
    }
}
