//! Arrival stalls: packets delayed by a scheduling stall on the path and then delivered in a burst.
//!
//! A descheduled thread or a sleeping radio delays packets as a queue does, but the arrivals look different: a pause, and
//! then several packets faster than any bottleneck of interest delivers them. A packet that arrived before the pause had
//! not waited, so none of the burst was held for longer than the pause. That much of its delay may be the stall, and only
//! the rest is certain to be the path's.

use std::time::Duration;

/// Arrivals faster than this, in bits per second, are not spaced by a bottleneck.
const MAX_BOTTLENECK_BPS: f64 = 30e6;
/// Shorter pauses are left to the jitter measurement: right after the capacity fell, packets are spaced that far apart.
const MIN_STALL: Duration = Duration::from_millis(12);
/// Throughput that is assumed until it has been measured.
const DEFAULT_THROUGHPUT_BPS: f64 = 1e6;

/// Finds scheduling stalls in the arrival times of packets.
#[derive(Debug, Default)]
pub struct ArrivalStalls {
    last_arrival: Option<Duration>,
}

impl ArrivalStalls {
    /// Adds an arrival, with the recent throughput in bits per second. For the first packet of a burst this returns the
    /// part of its delay that a stall may explain; `None` if the packet came together with the one before it.
    pub fn on_arrival(&mut self, arrival: Duration, bytes: usize, throughput_bps: Option<f64>) -> Option<Duration> {
        let before = self.last_arrival.unwrap_or(arrival);
        let is_first = self.last_arrival.replace(before.max(arrival)).is_none();
        if is_first {
            return Some(Duration::ZERO);
        }
        let bits = bytes as f64 * 8.0;
        let gap = arrival.saturating_sub(before);
        if gap.as_secs_f64() * MAX_BOTTLENECK_BPS < bits {
            return None;
        }
        // A saturated bottleneck needs its transmission time for each packet, too.
        let bps = throughput_bps.unwrap_or(DEFAULT_THROUGHPUT_BPS).max(1.0);
        let stall = gap.saturating_sub(Duration::from_secs_f64(bits / bps));
        Some(if stall < MIN_STALL { Duration::ZERO } else { stall })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn evenly_spaced_arrivals_are_no_stall() {
        let mut stalls = ArrivalStalls::default();
        for at in 0..50 {
            assert_eq!(stalls.on_arrival(ms(at * 10), 1250, Some(1e6)), Some(Duration::ZERO));
        }
    }

    #[test]
    fn a_burst_after_a_pause_was_held_for_at_most_the_pause() {
        let mut stalls = ArrivalStalls::default();
        stalls.on_arrival(ms(100), 1250, Some(1e6));
        assert_eq!(stalls.on_arrival(ms(180), 1250, Some(1e6)), Some(ms(70)));
        assert_eq!(stalls.on_arrival(ms(180), 1250, Some(1e6)), None);
        assert_eq!(stalls.on_arrival(ms(180), 1250, Some(1e6)), None);
        assert_eq!(stalls.on_arrival(ms(190), 1250, Some(1e6)), Some(Duration::ZERO));
    }

    #[test]
    fn a_reordered_packet_starts_no_burst() {
        let mut stalls = ArrivalStalls::default();
        stalls.on_arrival(ms(100), 1250, None);
        stalls.on_arrival(ms(110), 1250, None);
        assert_eq!(stalls.on_arrival(ms(105), 1250, None), None);
        assert_eq!(stalls.on_arrival(ms(120), 1250, None), Some(Duration::ZERO));
    }
}
