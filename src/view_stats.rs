//! Statistics of a view: frames drawn, and their delay.

use std::time::Duration;

use media::video::sink::ViewStats;

/// Delays kept for the percentiles: 2 s at 30 frames a second.
const MAX_WAITS: usize = 64;

/// Counters of one view.
#[derive(Default)]
pub struct Counters {
    delivered: u64,
    drawn: u64,
    dropped: u64,
    waits: Vec<Duration>,
    next: usize,
}

impl Counters {
    /// Counts a frame that is to be drawn.
    pub fn delivered(&mut self) {
        self.delivered += 1;
    }

    /// Counts frames that will not be drawn.
    pub fn dropped(&mut self, frames: u64) {
        self.dropped += frames;
    }

    /// Counts a drawn frame and the delay since it became ready.
    pub fn drawn(&mut self, wait: Duration) {
        self.drawn += 1;
        if self.waits.len() < MAX_WAITS {
            self.waits.push(wait);
        } else {
            self.waits[self.next] = wait;
            self.next = (self.next + 1) % MAX_WAITS;
        }
    }

    /// The statistics as the application reads them.
    pub fn snapshot(&self) -> ViewStats {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let percentile = |percent: usize| {
            let index = waits.len().saturating_sub(1) * percent / 100;
            waits.get(index).map_or(0.0, |wait| wait.as_secs_f64() * 1000.0)
        };
        ViewStats {
            delivered: self.delivered,
            drawn: self.drawn,
            dropped: self.dropped,
            ready_to_drawn_ms_p50: percentile(50),
            ready_to_drawn_ms_p95: percentile(95),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_cover_the_latest_frames() {
        let mut counters = Counters::default();
        (0..MAX_WAITS).for_each(|_| counters.drawn(Duration::from_millis(100)));
        (1..=MAX_WAITS as u64).for_each(|wait| counters.drawn(Duration::from_micros(wait)));
        let stats = counters.snapshot();
        assert_eq!(stats.drawn, 2 * MAX_WAITS as u64);
        assert!((stats.ready_to_drawn_ms_p50 - 0.032).abs() < 0.002, "{stats:?}");
        assert!((stats.ready_to_drawn_ms_p95 - 0.060).abs() < 0.002, "{stats:?}");
    }

    #[test]
    fn a_view_without_frames_has_zeros() {
        assert_eq!(Counters::default().snapshot().ready_to_drawn_ms_p95, 0.0);
    }
}
