//! Groups of packets and how much their delay changes (draft-ietf-rmcat-gcc-02 section 5.2).
//!
//! Packets that left together say nothing about the path by their spacing on arrival: the bottleneck spreads them. So
//! delay is compared between groups. A group is the packets that left within a few milliseconds, or that an earlier
//! stall on the path made arrive in one burst.

use std::time::{Duration, Instant};

/// Packets that left within this time form one group.
const SEND_TIME_GROUP_LENGTH: Duration = Duration::from_millis(5);
/// A packet belongs to the burst of the packet before it if it arrives this close to it, and closer than it was sent.
const BURST_DELTA_THRESHOLD: Duration = Duration::from_millis(5);
/// A burst does not extend a group beyond this.
const MAX_BURST_DURATION: Duration = Duration::from_millis(100);
/// The receiver's clock jumped if arrivals moved by this much more than departures.
const ARRIVAL_TIME_OFFSET_THRESHOLD_S: f64 = 3.0;

/// The change of delay between two neighbouring groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupDelta {
    /// Change of the one-way delay, in milliseconds.
    pub delay_ms: f64,
    /// Time between the departures, in milliseconds.
    pub send_ms: f64,
    /// Arrival of the newer group's last packet, on the receiver's clock.
    pub arrival: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_departure: Instant,
    last_departure: Instant,
    first_arrival: Duration,
    last_arrival: Duration,
}

impl Group {
    fn new(departure: Instant, arrival: Duration) -> Self {
        Self { first_departure: departure, last_departure: departure, first_arrival: arrival, last_arrival: arrival }
    }

    fn includes(&self, departure: Instant, arrival: Duration) -> bool {
        if departure.saturating_duration_since(self.first_departure) <= SEND_TIME_GROUP_LENGTH {
            return true;
        }
        let arrival_gap = seconds_between(arrival, self.last_arrival);
        let departure_gap = departure.saturating_duration_since(self.last_departure).as_secs_f64();
        arrival_gap < departure_gap
            && arrival_gap <= BURST_DELTA_THRESHOLD.as_secs_f64()
            && seconds_between(arrival, self.first_arrival) < MAX_BURST_DURATION.as_secs_f64()
    }
}

/// Groups packets and compares the delay of neighbouring groups (libwebrtc's `InterArrivalDelta`).
#[derive(Debug, Default)]
pub struct InterArrival {
    previous: Option<Group>,
    current: Option<Group>,
}

impl InterArrival {
    /// Adds a packet that arrived, in the order of departure. Returns a delta when this packet completes a group that has
    /// a predecessor.
    pub fn on_arrival(&mut self, departure: Instant, arrival: Duration) -> Option<GroupDelta> {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::new(departure, arrival));
            return None;
        };
        if departure < current.first_departure {
            return None;
        }
        if current.includes(departure, arrival) {
            current.last_departure = current.last_departure.max(departure);
            current.last_arrival = current.last_arrival.max(arrival);
            return None;
        }
        let complete = *current;
        *current = Group::new(departure, arrival);
        let previous = self.previous.replace(complete)?;
        let send = complete.last_departure.saturating_duration_since(previous.last_departure).as_secs_f64();
        let arrived = seconds_between(complete.last_arrival, previous.last_arrival);
        if (arrived - send).abs() > ARRIVAL_TIME_OFFSET_THRESHOLD_S {
            self.previous = None;
            return None;
        }
        Some(GroupDelta { delay_ms: (arrived - send) * 1000.0, send_ms: send * 1000.0, arrival: complete.last_arrival })
    }
}

/// `later - earlier`, negative if they are the other way round.
fn seconds_between(later: Duration, earlier: Duration) -> f64 {
    later.as_secs_f64() - earlier.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deltas (delay, departure) in ms for packets given as (departure, arrival) in ms.
    fn deltas(packets: &[(u64, u64)]) -> Vec<(f64, f64)> {
        let began = Instant::now();
        let mut groups = InterArrival::default();
        packets
            .iter()
            .filter_map(|&(departure, arrival)| {
                groups.on_arrival(began + Duration::from_millis(departure), Duration::from_millis(arrival))
            })
            .map(|delta| ((delta.delay_ms * 1e3).round() / 1e3, (delta.send_ms * 1e3).round() / 1e3))
            .collect()
    }

    #[test]
    fn a_steady_path_shows_no_change() {
        assert_eq!(deltas(&[(0, 100), (20, 120), (40, 140), (60, 160)]), [(0.0, 20.0), (0.0, 20.0)]);
    }

    #[test]
    fn a_growing_queue_shows_as_delay() {
        assert_eq!(deltas(&[(0, 100), (20, 125), (40, 150), (60, 175)]), [(5.0, 20.0), (5.0, 20.0)]);
    }

    #[test]
    fn packets_sent_together_are_one_group_however_they_arrive() {
        assert_eq!(deltas(&[(0, 100), (2, 110), (20, 120), (22, 130), (40, 140)]), [(0.0, 20.0)]);
    }

    #[test]
    fn packets_of_one_stall_are_one_group() {
        // The path stood still until 200 and then delivered everything at once.
        assert_eq!(
            deltas(&[(0, 100), (20, 200), (40, 201), (60, 202), (80, 220), (100, 240)]),
            [(42.0, 60.0), (-2.0, 20.0)]
        );
    }

    #[test]
    fn a_jump_of_the_receivers_clock_is_no_delay() {
        assert!(deltas(&[(0, 100), (20, 120), (40, 9_140), (60, 9_160)])[1..].is_empty());
    }
}
