//! Requests for lost packets by NACK (RFC 4585 section 6.2.1; the policy is our own).
//!
//! A missing packet is requested after a small reorder window, then once per round trip, and forgotten once it is too old
//! to be of use. On a long path the second request comes early: one more copy costs little there, and a lost answer would
//! cost another round trip. Sans-IO: the caller feeds arrivals and time, and sends what [`NackTracker::poll`] returns.

use rtp::SequenceExtender;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A packet this far behind the newest one is considered lost at once.
const REORDER_PACKETS: u64 = 2;
/// Time for a reordered packet that is closer to the newest one to arrive by itself.
const REORDER_WINDOW: Duration = Duration::from_millis(8);
/// Shortest time between two requests for the same packet.
const MIN_RETRY_INTERVAL: Duration = Duration::from_millis(10);
/// The sender paces its answers: a quarter of the round trip, up to this much, is added so that they are not requested
/// again just before they arrive.
const MAX_PACING_MARGIN: Duration = Duration::from_millis(10);
/// From this round-trip time on, the second request comes early.
const MIN_LONG_RTT: Duration = Duration::from_millis(40);
/// The early second request follows after the round-trip time divided by this.
const EARLY_RETRY_DIVISOR: u32 = 3;
/// Missing packets that are tracked; beyond this a key frame is cheaper.
const MAX_MISSING: usize = 1000;

/// A missing packet.
#[derive(Clone, Copy, Debug)]
struct Missing {
    since: Instant,
    due: Instant,
    sent: Option<Instant>,
    attempts: u32,
}

/// Tracks the missing packets of one RTP stream.
#[derive(Debug)]
pub struct NackTracker {
    extender: SequenceExtender,
    missing: BTreeMap<u64, Missing>,
    max_age: Duration,
    requested: u64,
    recovered: u64,
}

impl NackTracker {
    /// A tracker that forgets missing packets after `max_age`.
    #[must_use]
    pub fn new(max_age: Duration) -> Self {
        Self { extender: SequenceExtender::default(), missing: BTreeMap::new(), max_age, requested: 0, recovered: 0 }
    }

    /// Adds an arrival. Returns the time from the request for this packet to its arrival, which is a round-trip sample; `None`
    /// if it was not requested exactly once.
    pub fn on_packet(&mut self, sequence: u16, now: Instant) -> Option<Duration> {
        let previous = self.extender.highest();
        let extended = self.extender.extend(sequence);
        let previous = previous?;
        if extended <= previous {
            let packet = self.missing.remove(&extended)?;
            self.recovered += u64::from(packet.attempts > 0);
            return (packet.attempts == 1)
                .then(|| packet.sent.map(|sent| now.saturating_duration_since(sent)))
                .flatten();
        }
        if extended - previous - 1 > MAX_MISSING as u64 {
            // A jump of the sequence numbers, not a loss.
            self.missing.clear();
            return None;
        }
        for number in previous + 1..extended {
            self.missing.insert(number, Missing { since: now, due: now + REORDER_WINDOW, sent: None, attempts: 0 });
        }
        let newest_lost = extended.saturating_sub(REORDER_PACKETS);
        for (_, packet) in self.missing.range_mut(..=newest_lost).rev() {
            if packet.attempts > 0 {
                break;
            }
            packet.due = packet.due.min(now);
        }
        while self.missing.len() > MAX_MISSING {
            self.missing.pop_first();
        }
        None
    }

    /// Adds the arrival of a retransmission; otherwise like [`Self::on_packet`]. A packet that arrives first as a
    /// retransmission was lost, whether it was requested or not.
    pub fn on_repair(&mut self, sequence: u16, now: Instant) -> Option<Duration> {
        let extended = self.extender.clone().extend(sequence);
        let is_unrequested = match self.missing.get(&extended) {
            Some(packet) => packet.attempts == 0,
            None => self.extender.highest().is_some_and(|highest| extended > highest),
        };
        let sample = self.on_packet(sequence, now);
        self.recovered += u64::from(is_unrequested);
        sample
    }

    /// Number of packets recovered by retransmissions since the last call.
    pub fn take_recovered(&mut self) -> u64 {
        std::mem::take(&mut self.recovered)
    }

    /// Forgets missing packets before `sequence`, whose frames were given up.
    pub fn forget_before(&mut self, sequence: u16) {
        if self.missing.is_empty() {
            return;
        }
        let mut extender = self.extender.clone();
        self.missing = self.missing.split_off(&extender.extend(sequence));
    }

    /// The packets to request now, in order. `rtt` spaces repeated requests.
    pub fn poll(&mut self, now: Instant, rtt: Duration) -> Vec<u16> {
        let max_age = self.max_age;
        self.missing.retain(|_, packet| now.saturating_duration_since(packet.since) < max_age);
        let mut due = Vec::new();
        for (sequence, packet) in &mut self.missing {
            if packet.due <= now {
                packet.attempts += 1;
                packet.sent = Some(now);
                let early = packet.attempts == 1 && rtt >= MIN_LONG_RTT;
                packet.due = now
                    + if early {
                        rtt / EARLY_RETRY_DIVISOR
                    } else {
                        (rtt + MAX_PACING_MARGIN.min(rtt / 4)).max(MIN_RETRY_INTERVAL)
                    };
                due.push(*sequence as u16);
            }
        }
        self.requested += due.len() as u64;
        due
    }

    /// When [`poll`](Self::poll) has something to request next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.missing.values().map(|packet| packet.due).min()
    }

    /// Requests so far, counted per packet and repetition.
    #[must_use]
    pub fn requested(&self) -> u64 {
        self.requested
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn tracker(arrivals: &[u16], now: Instant) -> NackTracker {
        let mut tracker = NackTracker::new(ms(500));
        for sequence in arrivals {
            tracker.on_packet(*sequence, now);
        }
        tracker
    }

    #[test]
    fn a_packet_two_behind_the_newest_is_requested_at_once() {
        let now = Instant::now();
        assert_eq!(tracker(&[1, 3, 4], now).poll(now, RTT), vec![2]);
    }

    #[test]
    fn a_packet_just_overtaken_is_given_time_to_arrive() {
        let now = Instant::now();
        let mut tracker = tracker(&[1, 3], now);
        assert!(tracker.poll(now, RTT).is_empty());
        assert_eq!(tracker.next_timeout(), Some(now + REORDER_WINDOW));
        tracker.on_packet(2, now + ms(3));
        assert!(tracker.poll(now + ms(20), RTT).is_empty());
        assert_eq!(tracker.next_timeout(), None);
    }

    /// Times at which a packet that never arrives is requested, in ms.
    fn requests(rtt: Duration) -> Vec<u64> {
        let now = Instant::now();
        let mut tracker = tracker(&[1, 3, 4], now);
        let times = (0..600).filter(|at| !tracker.poll(now + ms(*at), rtt).is_empty()).collect();
        assert_eq!(tracker.next_timeout(), None);
        times
    }

    #[test]
    fn a_lost_packet_counts_once_however_soon_its_copy_comes() {
        let now = Instant::now();
        let mut tracker = tracker(&[1, 3, 4], now);
        // Before the loss was noticed, before it was requested, after that, and a duplicate.
        tracker.on_repair(5, now);
        tracker.on_repair(2, now);
        tracker.on_packet(7, now);
        tracker.poll(now + ms(20), RTT);
        tracker.on_repair(6, now + ms(30));
        tracker.on_repair(4, now + ms(30));
        tracker.on_repair(5, now + ms(30));
        assert_eq!(tracker.take_recovered(), 3);
    }

    #[test]
    fn requests_repeat_once_per_round_trip_until_the_packet_is_too_old() {
        assert_eq!(requests(ms(20))[..4], [0, 25, 50, 75]);
        assert!(requests(ms(20)).iter().all(|at| *at < 500));
    }

    #[test]
    fn on_a_long_path_the_second_request_comes_early() {
        assert_eq!(requests(ms(150)), [0, 50, 210, 370]);
    }

    #[test]
    fn a_very_short_round_trip_does_not_flood_the_sender() {
        let now = Instant::now();
        let mut tracker = tracker(&[1, 3, 4], now);
        assert_eq!(tracker.poll(now, Duration::ZERO), vec![2]);
        assert!(tracker.poll(now + ms(9), Duration::ZERO).is_empty());
        assert_eq!(tracker.poll(now + ms(10), Duration::ZERO), vec![2]);
    }

    #[test]
    fn missing_packets_are_found_across_the_wrap() {
        let now = Instant::now();
        assert_eq!(tracker(&[65_534, 1, 2], now).poll(now, RTT), vec![65_535, 0]);
    }

    #[test]
    fn the_answer_to_a_single_request_measures_the_round_trip() {
        let now = Instant::now();
        let mut tracker = tracker(&[1, 3, 4], now);
        tracker.poll(now, RTT);
        assert_eq!(tracker.on_packet(2, now + ms(42)), Some(ms(42)));
        assert_eq!(tracker.on_packet(2, now + ms(43)), None);
    }

    #[test]
    fn packets_of_given_up_frames_are_not_requested() {
        let now = Instant::now();
        let mut tracker = tracker(&[1, 3, 5, 6, 7], now);
        tracker.forget_before(4);
        assert_eq!(tracker.poll(now, RTT), vec![4]);
    }

    #[test]
    fn a_jump_of_the_sequence_is_no_loss() {
        let now = Instant::now();
        assert!(tracker(&[1, 5_000, 5_001, 5_002], now).poll(now, RTT).is_empty());
    }
}
