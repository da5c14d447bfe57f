//! Grouping of packets by bursts (draft-ietf-rmcat-gcc-02 section 5.2).
//!
//! Packets that left together say nothing about the path by their distance on arrival: the bottleneck
//! spreads them. So delay is compared between groups, and a group is what left within a few milliseconds,
//! or what an earlier hold-up on the path made arrive in one go.

use std::time::{Duration, Instant};

/// What left within this time is one group.
const BURST: Duration = Duration::from_millis(5);
/// What arrives this close to the packet before it, sooner than it was sent after it, was held up with it.
const HELD_UP_GAP: Duration = Duration::from_millis(5);
/// A group does not grow past this by hold-ups.
const MAX_GROUP: Duration = Duration::from_millis(100);
/// The receiver's clock jumped if arrivals moved by so much more than departures.
const CLOCK_JUMP_S: f64 = 3.0;

/// How much later the newer of two neighbouring groups arrived than it should have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupDelta {
    /// Change of the one-way delay, in milliseconds.
    pub delay_ms: f64,
    /// Distance of the departures, in milliseconds.
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

    fn takes(&self, departure: Instant, arrival: Duration) -> bool {
        if departure.saturating_duration_since(self.first_departure) <= BURST {
            return true;
        }
        let arrival_gap = seconds_between(arrival, self.last_arrival);
        let departure_gap = departure.saturating_duration_since(self.last_departure).as_secs_f64();
        arrival_gap < departure_gap
            && arrival_gap <= HELD_UP_GAP.as_secs_f64()
            && seconds_between(arrival, self.first_arrival) < MAX_GROUP.as_secs_f64()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct ArrivalGroups {
    previous: Option<Group>,
    current: Option<Group>,
}

impl ArrivalGroups {
    /// Takes a packet that arrived, in the order of departure. Gives a delta whenever a group is complete
    /// that had one before it.
    pub fn add(&mut self, departure: Instant, arrival: Duration) -> Option<GroupDelta> {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::new(departure, arrival));
            return None;
        };
        if departure < current.first_departure {
            return None;
        }
        if current.takes(departure, arrival) {
            current.last_departure = current.last_departure.max(departure);
            current.last_arrival = current.last_arrival.max(arrival);
            return None;
        }
        let complete = *current;
        *current = Group::new(departure, arrival);
        let previous = self.previous.replace(complete)?;
        let send = complete.last_departure.saturating_duration_since(previous.last_departure).as_secs_f64();
        let arrived = seconds_between(complete.last_arrival, previous.last_arrival);
        if (arrived - send).abs() > CLOCK_JUMP_S {
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

    /// Feeds (departure, arrival) in ms.
    fn deltas(packets: &[(u64, u64)]) -> Vec<(f64, f64)> {
        let began = Instant::now();
        let mut groups = ArrivalGroups::default();
        packets
            .iter()
            .filter_map(|&(left, arrived)| {
                groups.add(began + Duration::from_millis(left), Duration::from_millis(arrived))
            })
            .map(|delta| ((delta.delay_ms * 1e3).round() / 1e3, (delta.send_ms * 1e3).round() / 1e3))
            .collect()
    }

    #[test]
    fn an_even_path_shows_no_change() {
        assert_eq!(deltas(&[(0, 100), (20, 120), (40, 140), (60, 160)]), [(0.0, 20.0), (0.0, 20.0)]);
    }

    #[test]
    fn a_growing_queue_shows_as_delay() {
        assert_eq!(deltas(&[(0, 100), (20, 125), (40, 150), (60, 175)]), [(5.0, 20.0), (5.0, 20.0)]);
    }

    #[test]
    fn what_left_together_is_one_group_however_it_arrives() {
        assert_eq!(deltas(&[(0, 100), (2, 110), (20, 120), (22, 130), (40, 140)]), [(0.0, 20.0)]);
    }

    #[test]
    fn packets_held_up_together_are_one_group() {
        // The path stood still until 200 and then delivered all at once.
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
