//! Arrival stalls: packets delayed by a scheduling stall on the path and then delivered in a burst.
//!
//! A descheduled thread or a sleeping radio delays packets as a queue does, but the arrivals look different: a pause, and
//! then several packets faster than any bottleneck of interest delivers them. A packet that arrived before the pause had
//! not waited, so none of the burst was held for longer than the pause. That much of its delay may be the stall, and only
//! the rest is certain to be the path's.

use rtp::{Bitrate, DataSize};
use std::time::Duration;

/// Arrivals faster than this are not spaced by a bottleneck.
const MAX_BOTTLENECK_RATE: Bitrate = Bitrate::mbps(30);
/// Shorter pauses are left to the jitter measurement: right after the capacity fell, packets are spaced that far apart.
const MIN_STALL: Duration = Duration::from_millis(12);
/// Throughput that is assumed until it has been measured.
const DEFAULT_THROUGHPUT: Bitrate = Bitrate::mbps(1);

/// Finds scheduling stalls in the arrival times of packets.
#[derive(Debug, Default)]
pub struct ArrivalStalls {
    last_arrival: Option<Duration>,
}

impl ArrivalStalls {
    /// Adds an arrival, with the recent throughput. For the first packet of a burst this returns the
    /// part of its delay that a stall may explain; `None` if the packet came together with the one before it.
    pub fn on_arrival(&mut self, arrival: Duration, size: DataSize, throughput: Option<Bitrate>) -> Option<Duration> {
        let before = self.last_arrival.unwrap_or(arrival);
        let is_first = self.last_arrival.replace(before.max(arrival)).is_none();
        if is_first {
            return Some(Duration::ZERO);
        }
        let gap = arrival.saturating_sub(before);
        if gap < size.time_at(MAX_BOTTLENECK_RATE) {
            return None;
        }
        // A saturated bottleneck needs its transmission time for each packet, too.
        let stall = gap.saturating_sub(size.time_at(throughput.unwrap_or(DEFAULT_THROUGHPUT)));
        Some(if stall < MIN_STALL { Duration::ZERO } else { stall })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: DataSize = DataSize::bytes(1250);
    const MEGABIT: Option<Bitrate> = Some(Bitrate::mbps(1));

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn evenly_spaced_arrivals_are_no_stall() {
        let mut stalls = ArrivalStalls::default();
        for at in 0..50 {
            assert_eq!(stalls.on_arrival(ms(at * 10), PACKET, MEGABIT), Some(Duration::ZERO));
        }
    }

    #[test]
    fn a_burst_after_a_pause_was_held_for_at_most_the_pause() {
        let mut stalls = ArrivalStalls::default();
        stalls.on_arrival(ms(100), PACKET, MEGABIT);
        assert_eq!(stalls.on_arrival(ms(180), PACKET, MEGABIT), Some(ms(70)));
        assert_eq!(stalls.on_arrival(ms(180), PACKET, MEGABIT), None);
        assert_eq!(stalls.on_arrival(ms(180), PACKET, MEGABIT), None);
        assert_eq!(stalls.on_arrival(ms(190), PACKET, MEGABIT), Some(Duration::ZERO));
    }

    #[test]
    fn a_reordered_packet_starts_no_burst() {
        let mut stalls = ArrivalStalls::default();
        stalls.on_arrival(ms(100), PACKET, None);
        stalls.on_arrival(ms(110), PACKET, None);
        assert_eq!(stalls.on_arrival(ms(105), PACKET, None), None);
        assert_eq!(stalls.on_arrival(ms(120), PACKET, None), Some(Duration::ZERO));
    }
}
