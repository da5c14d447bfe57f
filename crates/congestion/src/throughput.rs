//! What gets through: bytes that arrived, by the receiver's clock.
//!
//! While the bottleneck's queue is not empty, this is its capacity.

use std::collections::VecDeque;
use std::time::Duration;

/// Longest window that can be asked for.
const MEMORY: Duration = Duration::from_millis(1000);
/// Less than this is no measurement.
const LEAST_SPAN: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug, Default)]
pub struct Throughput {
    arrivals: VecDeque<(Duration, usize)>,
    began: Option<Duration>,
}

impl Throughput {
    /// Takes a packet that arrived.
    pub fn add(&mut self, arrival: Duration, bytes: usize) {
        let newest = self.arrivals.back().map_or(arrival, |(newest, _)| *newest);
        if newest.abs_diff(arrival) > MEMORY * 4 {
            self.arrivals.clear();
            self.began = None;
        }
        self.began.get_or_insert(arrival);
        // Reordered packets count as if they had come with their successor.
        let arrival = self.arrivals.back().map_or(arrival, |(newest, _)| arrival.max(*newest));
        self.arrivals.push_back((arrival, bytes));
        while self.arrivals.front().is_some_and(|(oldest, _)| arrival - *oldest > MEMORY) {
            self.arrivals.pop_front();
        }
    }

    /// Bits per second over the last `window` (up to a second); `None` until there is enough to go by.
    #[must_use]
    pub fn bps(&self, window: Duration) -> Option<f64> {
        let newest = self.arrivals.back()?.0;
        let window = window.min(newest.saturating_sub(self.began?));
        if window < LEAST_SPAN {
            return None;
        }
        let bytes: usize =
            self.arrivals.iter().rev().take_while(|(at, _)| newest - *at < window).map(|(_, bytes)| *bytes).sum();
        Some(bytes as f64 * 8.0 / window.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nothing_is_said_before_there_is_enough() {
        let mut throughput = Throughput::default();
        throughput.add(ms(5000), 1000);
        throughput.add(ms(5050), 1000);
        assert_eq!(throughput.bps(ms(500)), None);
    }

    #[test]
    fn the_rate_of_the_window_is_told() {
        let mut throughput = Throughput::default();
        (0..100).for_each(|index| throughput.add(ms(7000 + index * 10), 1250));
        (0..20).for_each(|index| throughput.add(ms(8000 + index * 10), 2500));
        assert!((throughput.bps(ms(200)).unwrap() - 2e6).abs() < 0.1e6);
        assert!((throughput.bps(ms(1000)).unwrap() - 1.2e6).abs() < 0.1e6);
    }

    #[test]
    fn a_long_pause_or_a_jump_of_the_clock_begins_anew() {
        let mut throughput = Throughput::default();
        (0..50).for_each(|index| throughput.add(ms(60_000 + index * 10), 1250));
        throughput.add(ms(1000), 1250);
        assert_eq!(throughput.bps(ms(500)), None);
    }
}
