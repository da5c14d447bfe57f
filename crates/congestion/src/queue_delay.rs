//! Queueing delay at the bottleneck.
//!
//! The trend shows that the queue grows; it does not show how long it has become by slow growth. This compares the
//! one-way delay with the minimum of the last seconds, which is taken for the empty path. As in CoDel (RFC 8289) the
//! minimum over a short window counts, so a burst of our own is no queue. The usual change of that minimum from one
//! window to the next is jitter, and subtracted.

use super::arrival_stall::ArrivalStalls;
use rtp::{Bitrate, DataSize};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Window of the base delay. Older minima are forgotten, since the path may change, or another flow may keep its queue
/// filled.
const BASE_DELAY_WINDOW_S: i64 = 12;
/// A queue that was never empty within this window is standing.
const STANDING_WINDOW: Duration = Duration::from_millis(60);

/// Largest change of the minimum delay that counts as jitter: a queue that builds up is none.
const MAX_JITTER_STEP_S: f64 = 0.015;
/// Weight of one change in the smoothed jitter.
const JITTER_SMOOTHING: f64 = 0.03;
/// Multiple of the jitter that is subtracted from the delay.
const JITTER_MARGIN: f64 = 1.5;
/// Upper bound of a reported delay.
const MAX_DELAY_S: f64 = 60.0;

/// Minimum delay in one second of the receiver's clock.
#[derive(Clone, Copy, Debug)]
struct SecondMinimum {
    second: i64,
    delay_s: f64,
}

/// A burst that arrived, and its delay without what an arrival stall explains.
#[derive(Clone, Copy, Debug)]
struct Burst {
    arrival: Duration,
    delay_s: f64,
}

/// Measures the queueing delay from the one-way delays of packets.
#[derive(Debug, Default)]
pub struct QueueDelay {
    /// An arbitrary instant that departures are counted from.
    epoch: Option<Instant>,
    /// The two clocks have no common zero, so only differences of delays mean anything.
    minima: VecDeque<SecondMinimum>,
    /// Bursts within the last [`STANDING_WINDOW`].
    recent: VecDeque<Burst>,
    stalls: ArrivalStalls,
    /// Delay of the newest packet, arrival stalls included.
    newest_delay_s: f64,
    /// The present window of the jitter measurement: its first burst's arrival, and the minimum delay in it.
    jitter_window: Option<Burst>,
    /// Minimum delay in the window before.
    previous_minimum_s: Option<f64>,
    /// Smoothed change of the minimum delay from window to window.
    jitter_s: f64,
}

impl QueueDelay {
    /// Adds a packet that arrived, with the recent throughput.
    pub fn on_arrival(&mut self, departure: Instant, arrival: Duration, size: DataSize, throughput: Option<Bitrate>) {
        let epoch = *self.epoch.get_or_insert(departure);
        let delay_s = arrival.as_secs_f64() - departure.saturating_duration_since(epoch).as_secs_f64();
        let second = arrival.as_secs() as i64;
        if self.minima.back().is_some_and(|newest| (second - newest.second).abs() > BASE_DELAY_WINDOW_S) {
            // A pause longer than the window, or a jump of the receiver's clock.
            *self = Self { epoch: self.epoch, ..Self::default() };
        }
        match self.minima.back_mut() {
            Some(newest) if newest.second >= second => newest.delay_s = newest.delay_s.min(delay_s),
            _ => self.minima.push_back(SecondMinimum { second, delay_s }),
        }
        while self.minima.front().is_some_and(|oldest| second - oldest.second > BASE_DELAY_WINDOW_S) {
            self.minima.pop_front();
        }
        self.newest_delay_s = delay_s;
        let Some(stall) = self.stalls.on_arrival(arrival, size, throughput) else {
            if let Some(burst) = self.recent.back_mut() {
                burst.delay_s = burst.delay_s.min(delay_s);
            }
            return;
        };
        let delay_s = (delay_s - stall.as_secs_f64()).max(self.base_delay_s().unwrap_or(delay_s));
        let burst = Burst { arrival, delay_s };
        self.measure_jitter(burst);
        self.recent.push_back(burst);
        while self.recent.front().is_some_and(|oldest| arrival.saturating_sub(oldest.arrival) > STANDING_WINDOW) {
            self.recent.pop_front();
        }
    }

    fn measure_jitter(&mut self, burst: Burst) {
        match &mut self.jitter_window {
            Some(window) if burst.arrival.saturating_sub(window.arrival) < STANDING_WINDOW => {
                window.delay_s = window.delay_s.min(burst.delay_s);
            }
            _ => {
                if let Some(Burst { delay_s, .. }) = self.jitter_window.replace(burst) {
                    let change =
                        self.previous_minimum_s.replace(delay_s).map_or(0.0, |before| (delay_s - before).abs());
                    self.jitter_s += JITTER_SMOOTHING * (change.min(MAX_JITTER_STEP_S) - self.jitter_s);
                }
            }
        }
    }

    fn above_base(&self, delay_s: Option<f64>) -> Duration {
        let delays = delay_s.zip(self.base_delay_s());
        let above = delays.map_or(0.0, |(delay, base)| delay - base - self.jitter_s * JITTER_MARGIN);
        Duration::from_secs_f64(above.clamp(0.0, MAX_DELAY_S))
    }

    fn base_delay_s(&self) -> Option<f64> {
        self.minima.iter().map(|minimum| minimum.delay_s).min_by(f64::total_cmp)
    }

    fn recent_minimum_s(&self) -> Option<f64> {
        self.recent.iter().map(|burst| burst.delay_s).min_by(f64::total_cmp)
    }

    /// The standing queue of the last moments; zero before the first arrival.
    #[must_use]
    pub fn standing(&self) -> Duration {
        self.above_base(self.recent_minimum_s())
    }

    /// Part of a standing queue that may still be jitter.
    #[must_use]
    pub fn uncertainty(&self) -> Duration {
        Duration::from_secs_f64(self.jitter_s)
    }

    /// The queue that the newest burst met, arrival stalls excluded; zero before the first arrival.
    #[must_use]
    pub fn newest(&self) -> Duration {
        self.above_base(self.recent.back().map(|burst| burst.delay_s))
    }

    /// The wait of the newest packet, arrival stalls included; zero before the first arrival.
    #[must_use]
    pub fn newest_wait(&self) -> Duration {
        self.above_base(self.recent.back().map(|_| self.newest_delay_s))
    }

    /// Takes the present delay for the base delay: sending less did not shorten the queue, so it is cross traffic.
    pub fn rebase(&mut self) {
        let second = self.minima.back().map(|newest| newest.second);
        if let Some((delay_s, second)) = self.recent_minimum_s().zip(second) {
            self.minima.clear();
            self.minima.push_back(SecondMinimum { second, delay_s });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A packet every 10 ms from `from` to `to`, each delayed by `delay(departure)`; the receiver's clock is 1000 s ahead.
    fn feed(queue: &mut QueueDelay, began: Instant, from: u64, to: u64, delay: impl Fn(u64) -> u64) {
        for at in (from..to).step_by(10) {
            queue.on_arrival(
                began + ms(at),
                ms(1_000_000 + at + delay(at)),
                DataSize::bytes(1250),
                Some(Bitrate::mbps(1)),
            );
        }
    }

    #[test]
    fn the_propagation_delay_is_no_queue() {
        let (mut queue, began) = (QueueDelay::default(), Instant::now());
        feed(&mut queue, began, 0, 3000, |_| 80);
        assert_eq!(queue.standing(), Duration::ZERO);
    }

    #[test]
    fn a_standing_queue_is_measured_and_a_burst_is_not() {
        let (mut queue, began) = (QueueDelay::default(), Instant::now());
        feed(&mut queue, began, 0, 1000, |_| 20);
        feed(&mut queue, began, 1000, 2000, |at| if at % 50 == 0 { 20 } else { 60 });
        assert!(queue.standing() < ms(1));
        assert!((ms(39)..ms(41)).contains(&queue.newest()));
        feed(&mut queue, began, 2000, 3000, |_| 90);
        assert!((ms(69)..ms(71)).contains(&queue.standing()));
    }

    #[test]
    fn jitter_is_no_queue() {
        let (mut queue, began) = (QueueDelay::default(), Instant::now());
        // Steps of 0 to 20 ms, each lasting longer than a burst.
        feed(&mut queue, began, 0, 10_000, |at| 20 + at / 70 * 7 % 21);
        assert!(queue.standing() < ms(10), "{:?}", queue.standing());
        feed(&mut queue, began, 10_000, 10_500, |at| 120 + at / 70 * 7 % 21);
        assert!(queue.standing() > ms(70), "{:?}", queue.standing());
    }

    #[test]
    fn a_queue_that_never_empties_becomes_the_base_delay() {
        let (mut queue, began) = (QueueDelay::default(), Instant::now());
        feed(&mut queue, began, 0, 1000, |_| 20);
        feed(&mut queue, began, 1000, 20_000, |_| 90);
        assert!(queue.standing() < ms(1));
    }

    #[test]
    fn a_queue_of_cross_traffic_becomes_the_base_delay_at_once() {
        let (mut queue, began) = (QueueDelay::default(), Instant::now());
        feed(&mut queue, began, 0, 1000, |_| 20);
        feed(&mut queue, began, 1000, 2000, |_| 90);
        queue.rebase();
        assert!(queue.standing() < ms(1));
    }
}
