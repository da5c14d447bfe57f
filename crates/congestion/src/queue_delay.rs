//! How long packets stand in the queue of the bottleneck.
//!
//! The trend tells that the queue grows; it does not tell how long it has become by slow growth. This
//! compares the one-way delay with the least of the last seconds, which is taken for the empty path. As in
//! CoDel (RFC 8289) the least delay of a short time counts, so a burst of our own is no queue; and what that
//! least delay usually changes by from one short time to the next is jitter, and subtracted.

use super::hold_up::HoldUps;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The path may change, and another flow may fill its queue for good: older minima are forgotten.
const MEMORY_S: i64 = 12;
/// A queue that was never empty for this long is standing.
const STANDING: Duration = Duration::from_millis(60);

/// One change of the least delay counts at most this much as jitter: a queue that builds up is none.
const MAX_JITTER_STEP_S: f64 = 0.015;
/// Weight of one change in the smoothed jitter.
const JITTER_GAIN: f64 = 0.03;
/// So many times the jitter is explained by it.
const JITTER_EXPLAINS: f64 = 1.5;

/// See the module.
#[derive(Debug, Default)]
pub struct QueueDelay {
    /// Any fixed time; departures are counted from it.
    epoch: Option<Instant>,
    /// Least delay in each second of the receiver's clock, in seconds. The two clocks have no common
    /// zero, so only differences mean anything.
    minima: VecDeque<(i64, f64)>,
    /// Arrival of the bursts of the last moments, and what of their delay no hold-up explains.
    recent: VecDeque<(Duration, f64)>,
    hold_ups: HoldUps,
    /// Delay of the newest packet.
    found: f64,
    /// Begin of the present stretch of [`STANDING`], and the least delay in it.
    stretch: Option<(Duration, f64)>,
    /// Least delay in the stretch before.
    before: Option<f64>,
    /// Smoothed change of the least delay from stretch to stretch, in seconds.
    jitter: f64,
}

impl QueueDelay {
    /// Takes a packet that arrived, with what got through of late in bits per second.
    pub fn add(&mut self, departure: Instant, arrival: Duration, bytes: usize, through: Option<f64>) {
        let epoch = *self.epoch.get_or_insert(departure);
        let delay = arrival.as_secs_f64() - departure.saturating_duration_since(epoch).as_secs_f64();
        let second = arrival.as_secs() as i64;
        if self.minima.back().is_some_and(|(newest, _)| (second - newest).abs() > MEMORY_S) {
            // A pause longer than the memory, or a jump of the receiver's clock.
            *self = Self { epoch: self.epoch, ..Self::default() };
        }
        match self.minima.back_mut() {
            Some((newest, least)) if *newest >= second => *least = least.min(delay),
            _ => self.minima.push_back((second, delay)),
        }
        while self.minima.front().is_some_and(|(oldest, _)| second - oldest > MEMORY_S) {
            self.minima.pop_front();
        }
        self.found = delay;
        let Some(hold_up) = self.hold_ups.add(arrival, bytes, through) else {
            if let Some((_, sure)) = self.recent.back_mut() {
                *sure = sure.min(delay);
            }
            return;
        };
        let sure = (delay - hold_up.as_secs_f64()).max(self.base().unwrap_or(delay));
        self.measure_jitter(arrival, sure);
        self.recent.push_back((arrival, sure));
        while self.recent.front().is_some_and(|(oldest, _)| arrival.saturating_sub(*oldest) > STANDING) {
            self.recent.pop_front();
        }
    }

    fn measure_jitter(&mut self, arrival: Duration, delay: f64) {
        match &mut self.stretch {
            Some((began, least)) if arrival.saturating_sub(*began) < STANDING => *least = least.min(delay),
            _ => {
                if let Some((_, least)) = self.stretch.replace((arrival, delay)) {
                    let change = self.before.replace(least).map_or(0.0, |before| (least - before).abs());
                    self.jitter += JITTER_GAIN * (change.min(MAX_JITTER_STEP_S) - self.jitter);
                }
            }
        }
    }

    fn above_base(&self, delay: Option<f64>) -> Duration {
        let above = delay.zip(self.base()).map_or(0.0, |(delay, base)| delay - base - self.jitter * JITTER_EXPLAINS);
        Duration::from_secs_f64(above.clamp(0.0, 60.0))
    }

    fn base(&self) -> Option<f64> {
        self.minima.iter().map(|(_, least)| *least).min_by(f64::total_cmp)
    }

    /// The queue that stood during the last moments; zero before anything arrived.
    #[must_use]
    pub fn standing(&self) -> Duration {
        let least = self.recent.iter().map(|(_, delay)| *delay).min_by(f64::total_cmp);
        self.above_base(least)
    }

    /// What of a queue that seems to stand may still be jitter.
    #[must_use]
    pub fn uncertainty(&self) -> Duration {
        Duration::from_secs_f64(self.jitter)
    }

    /// What the newest packets found, without what may have been a hold-up; zero before anything arrived.
    #[must_use]
    pub fn newest(&self) -> Duration {
        self.above_base(self.recent.back().map(|(_, delay)| *delay))
    }

    /// What the newest packet waited for, be it a queue or a hold-up; zero before anything arrived.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.above_base(self.recent.back().map(|_| self.found))
    }

    /// Takes the present delay for that of the empty path: sending less did not shorten the queue, so it
    /// is not ours.
    pub fn accept_present(&mut self) {
        let least = self.recent.iter().map(|(_, delay)| *delay).min_by(f64::total_cmp);
        if let Some((least, second)) = least.zip(self.minima.back().map(|(second, _)| *second)) {
            self.minima.clear();
            self.minima.push_back((second, least));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A packet every 10 ms from `from` to `to`, each delayed by what `delay` says; the receiver's clock
    /// is 1000 s ahead.
    fn feed(queue: &mut QueueDelay, began: Instant, from: u64, to: u64, delay: impl Fn(u64) -> u64) {
        for at in (from..to).step_by(10) {
            queue.add(began + ms(at), ms(1_000_000 + at + delay(at)), 1250, Some(1e6));
        }
    }

    #[test]
    fn the_empty_paths_own_delay_is_no_queue() {
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
    fn what_jitter_explains_is_no_queue() {
        let (mut queue, began) = (QueueDelay::default(), Instant::now());
        // Hops of 0 to 20 ms, each lasting longer than a burst.
        feed(&mut queue, began, 0, 10_000, |at| 20 + at / 70 * 7 % 21);
        assert!(queue.standing() < ms(10), "{:?}", queue.standing());
        feed(&mut queue, began, 10_000, 10_500, |at| 120 + at / 70 * 7 % 21);
        assert!(queue.standing() > ms(70), "{:?}", queue.standing());
    }

    #[test]
    fn a_queue_that_never_empties_becomes_the_base_in_the_end() {
        let (mut queue, began) = (QueueDelay::default(), Instant::now());
        feed(&mut queue, began, 0, 1000, |_| 20);
        feed(&mut queue, began, 1000, 20_000, |_| 90);
        assert!(queue.standing() < ms(1));
    }

    #[test]
    fn a_foreign_queue_can_be_accepted_at_once() {
        let (mut queue, began) = (QueueDelay::default(), Instant::now());
        feed(&mut queue, began, 0, 1000, |_| 20);
        feed(&mut queue, began, 1000, 2000, |_| 90);
        queue.accept_present();
        assert!(queue.standing() < ms(1));
    }
}
