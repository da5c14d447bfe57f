//! Throughput: the bitrate of the packets that arrived, by the receiver's clock.
//!
//! While the bottleneck's queue is not empty, this is its capacity. libwebrtc calls it the acknowledged bitrate.

use rtp::{Bitrate, DataSize};
use std::collections::VecDeque;
use std::time::Duration;

/// Longest window that can be asked for.
const MAX_WINDOW: Duration = Duration::from_millis(1000);
/// A shorter time gives no measurement.
const MIN_WINDOW: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Duration,
    size: DataSize,
}

/// Measures the throughput over sliding windows.
#[derive(Debug, Default)]
pub struct Throughput {
    arrivals: VecDeque<Arrival>,
    /// First arrival since the start or the last reset.
    began: Option<Duration>,
}

impl Throughput {
    /// Adds a packet that arrived. A long pause or a jump of the receiver's clock resets the measurement.
    pub fn on_arrival(&mut self, at: Duration, size: DataSize) {
        let newest = self.arrivals.back().map_or(at, |newest| newest.at);
        if newest.abs_diff(at) > MAX_WINDOW * 4 {
            self.arrivals.clear();
            self.began = None;
        }
        self.began.get_or_insert(at);
        // A reordered packet counts as if it had come with the newest one.
        let at = self.arrivals.back().map_or(at, |newest| at.max(newest.at));
        self.arrivals.push_back(Arrival { at, size });
        while self.arrivals.front().is_some_and(|oldest| at - oldest.at > MAX_WINDOW) {
            self.arrivals.pop_front();
        }
    }

    /// The throughput over the last `window` (up to a second); `None` until enough time has been measured.
    #[must_use]
    pub fn rate(&self, window: Duration) -> Option<Bitrate> {
        let newest = self.arrivals.back()?.at;
        let window = window.min(newest.saturating_sub(self.began?));
        if window < MIN_WINDOW {
            return None;
        }
        let inside = self.arrivals.iter().rev().take_while(|arrival| newest - arrival.at < window);
        let size: DataSize = inside.map(|arrival| arrival.size).sum();
        Some(size.rate_over(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn there_is_no_rate_before_enough_time_has_passed() {
        let mut throughput = Throughput::default();
        throughput.on_arrival(ms(5000), DataSize::bytes(1000));
        throughput.on_arrival(ms(5050), DataSize::bytes(1000));
        assert_eq!(throughput.rate(ms(500)), None);
    }

    #[test]
    fn the_rate_covers_the_window_only() {
        let mut throughput = Throughput::default();
        (0..100).for_each(|index| throughput.on_arrival(ms(7000 + index * 10), DataSize::bytes(1250)));
        (0..20).for_each(|index| throughput.on_arrival(ms(8000 + index * 10), DataSize::bytes(2500)));
        assert!((throughput.rate(ms(200)).unwrap().as_bps() - 2e6).abs() < 0.1e6);
        assert!((throughput.rate(ms(1000)).unwrap().as_bps() - 1.2e6).abs() < 0.1e6);
    }

    #[test]
    fn a_clock_jump_resets_the_measurement() {
        let mut throughput = Throughput::default();
        (0..50).for_each(|index| throughput.on_arrival(ms(60_000 + index * 10), DataSize::bytes(1250)));
        throughput.on_arrival(ms(1000), DataSize::bytes(1250));
        assert_eq!(throughput.rate(ms(500)), None);
    }
}
