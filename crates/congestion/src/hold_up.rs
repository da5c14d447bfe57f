//! Hold-ups: packets that waited together for somebody who had no time, and went on all at once.
//!
//! A thread that sleeps, at the receiver or on the way, delays packets as a queue does, but it shows in how they arrive:
//! nothing for a while, then several faster than any bottleneck of interest lets them through. Since what was there
//! before was let through before, none of them waited longer than since then. So much of their delay may be the hold-up,
//! and only the rest is sure to be the path.

use std::time::Duration;

/// Arrivals faster than this, in bits per second, are no bottleneck's.
const NO_BOTTLENECK_BPS: f64 = 30e6;
/// What is shorter is left to the measurement of jitter: right after a fall of the capacity, its packets come that much later.
const SHORTEST: Duration = Duration::from_millis(12);
/// Assumed as long as it is not known what gets through.
const ASSUMED_BPS: f64 = 1e6;

/// See the module.
#[derive(Debug, Default)]
pub struct HoldUps {
    last_arrival: Option<Duration>,
}

impl HoldUps {
    /// Takes an arrival. With `bps` getting through of late, gives what of its delay may be a hold-up if it is the first
    /// of a burst; `None` if it came with the one before it.
    pub fn add(&mut self, arrival: Duration, bytes: usize, bps: Option<f64>) -> Option<Duration> {
        let before = self.last_arrival.unwrap_or(arrival);
        let is_first = self.last_arrival.replace(before.max(arrival)).is_none();
        if is_first {
            return Some(Duration::ZERO);
        }
        let bits = bytes as f64 * 8.0;
        let gap = arrival.saturating_sub(before);
        if gap.as_secs_f64() * NO_BOTTLENECK_BPS < bits {
            return None;
        }
        // A bottleneck that is never empty takes its time for each packet, too.
        let bps = bps.unwrap_or(ASSUMED_BPS).max(1.0);
        let hold_up = gap.saturating_sub(Duration::from_secs_f64(bits / bps));
        Some(if hold_up < SHORTEST { Duration::ZERO } else { hold_up })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn what_comes_evenly_through_a_bottleneck_was_not_held_up() {
        let mut hold_ups = HoldUps::default();
        for at in 0..50 {
            assert_eq!(hold_ups.add(ms(at * 10), 1250, Some(1e6)), Some(Duration::ZERO));
        }
    }

    #[test]
    fn what_comes_at_once_after_a_pause_may_have_waited_that_long() {
        let mut hold_ups = HoldUps::default();
        hold_ups.add(ms(100), 1250, Some(1e6));
        assert_eq!(hold_ups.add(ms(180), 1250, Some(1e6)), Some(ms(70)));
        assert_eq!(hold_ups.add(ms(180), 1250, Some(1e6)), None);
        assert_eq!(hold_ups.add(ms(180), 1250, Some(1e6)), None);
        assert_eq!(hold_ups.add(ms(190), 1250, Some(1e6)), Some(Duration::ZERO));
    }

    #[test]
    fn a_packet_that_was_overtaken_is_nothing_new() {
        let mut hold_ups = HoldUps::default();
        hold_ups.add(ms(100), 1250, None);
        hold_ups.add(ms(110), 1250, None);
        assert_eq!(hold_ups.add(ms(105), 1250, None), None);
        assert_eq!(hold_ups.add(ms(120), 1250, None), Some(Duration::ZERO));
    }
}
