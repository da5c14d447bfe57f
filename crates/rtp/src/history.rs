//! Sent packets of one stream that may be retransmitted (RFC 4585).
//!
//! A receiver repeats its request once per round trip, and cannot know how long the queue on the path has become. So a
//! packet is not retransmitted while the last retransmission may be in flight: a full queue would fill with copies of what
//! is in it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
struct Entry<P> {
    sequence: u64,
    packet: P,
    sent: Instant,
    retransmitted: Option<Instant>,
}

/// The last packets of one stream, by extended sequence number. Numbers may be missing, and packets may be added late.
#[derive(Clone, Debug)]
pub struct SentHistory<P> {
    entries: VecDeque<Entry<P>>,
    max_packets: usize,
    max_age: Duration,
    /// Greatest sequence number of the packets that are not kept any more.
    forgotten: Option<u64>,
}

impl<P> SentHistory<P> {
    /// An empty history with these limits.
    #[must_use]
    pub fn new(max_packets: usize, max_age: Duration) -> Self {
        Self { entries: VecDeque::new(), max_packets: max_packets.max(1), max_age, forgotten: None }
    }

    /// Adds a packet that is sent `now`, with its sequence number extended beyond 16 bits.
    pub fn keep(&mut self, sequence: u64, packet: P, now: Instant) {
        let is_old = |oldest: &Entry<P>| now.saturating_duration_since(oldest.sent) > self.max_age;
        while self.entries.len() >= self.max_packets || self.entries.front().is_some_and(is_old) {
            self.forgotten = self.entries.pop_front().map(|entry| entry.sequence).max(self.forgotten);
        }
        let is_newest = self.newest().is_none_or(|newest| newest < sequence);
        let place = match is_newest {
            true => self.entries.len(),
            false => self.entries.partition_point(|entry| entry.sequence < sequence),
        };
        self.entries.insert(place, Entry { sequence, packet, sent: now, retransmitted: None });
    }

    /// The packet with this sequence number on the wire, to be retransmitted `now`; `None` if it is not kept, or was
    /// retransmitted less than `spacing` ago.
    pub fn retransmit(&mut self, sequence: u16, now: Instant, spacing: Duration) -> Option<&P> {
        let newest = self.newest()?;
        let wanted = newest.checked_sub((newest as u16).wrapping_sub(sequence).into())?;
        let place = self.entries.binary_search_by_key(&wanted, |entry| entry.sequence).ok()?;
        let entry = self.entries.get_mut(place)?;
        if entry.retransmitted.is_some_and(|last| now.saturating_duration_since(last) < spacing) {
            return None;
        }
        entry.retransmitted = Some(now);
        Some(&entry.packet)
    }

    /// Whether a packet with this number was sent, as far as that is known for certain: if in doubt, yes.
    #[must_use]
    pub fn may_have(&self, sequence: u64) -> bool {
        let is_new = self.newest().is_none_or(|newest| newest < sequence);
        self.forgotten.is_some_and(|forgotten| sequence <= forgotten)
            || !is_new && self.entries.binary_search_by_key(&sequence, |entry| entry.sequence).is_ok()
    }

    /// The packets, the newest first.
    pub fn recent(&self) -> impl Iterator<Item = &P> {
        self.entries.iter().rev().map(|entry| &entry.packet)
    }

    /// The greatest sequence number.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.entries.back().map(|entry| entry.sequence)
    }

    /// Number of packets that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no packet is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets all packets: no receiver can use them any more.
    pub fn clear(&mut self) {
        self.forgotten = self.newest().max(self.forgotten);
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACING: Duration = Duration::from_millis(10);
    const AGE: Duration = Duration::from_secs(3);
    const LATER: Duration = Duration::from_millis(50);

    fn kept(sequences: impl IntoIterator<Item = u64>, now: Instant) -> SentHistory<u64> {
        let mut history = SentHistory::new(1024, AGE);
        sequences.into_iter().for_each(|sequence| history.keep(sequence, sequence, now));
        history
    }

    fn retransmit(history: &mut SentHistory<u64>, sequence: u16, now: Instant) -> Option<u64> {
        history.retransmit(sequence, now, SPACING).copied()
    }

    #[test]
    fn a_lost_packet_is_found_by_its_number_on_the_wire() {
        let now = Instant::now();
        let mut history = kept(65_530..65_545, now);
        assert_eq!(retransmit(&mut history, 65_533, now + LATER), Some(65_533));
        assert_eq!(retransmit(&mut history, 3, now + LATER), Some(65_539));
        assert_eq!(retransmit(&mut history, 100, now + LATER), None);
    }

    #[test]
    fn two_requests_at_once_are_one() {
        let now = Instant::now();
        let mut history = kept(0..10, now);
        assert_eq!(retransmit(&mut history, 5, now), Some(5));
        assert_eq!(retransmit(&mut history, 5, now + SPACING / 2), None);
        assert_eq!(retransmit(&mut history, 5, now + SPACING), Some(5));
    }

    #[test]
    fn old_packets_make_room() {
        let now = Instant::now();
        let mut history = kept(0..5000, now);
        assert_eq!(history.len(), 1024);
        assert_eq!(retransmit(&mut history, 3975, now), None);
        assert_eq!(retransmit(&mut history, 3976, now), Some(3976));
        history.keep(5000, 5000, now + AGE + LATER);
        assert_eq!(retransmit(&mut history, 4999, now + AGE + LATER), None);
    }

    #[test]
    fn a_packet_that_was_overtaken_is_found_too() {
        let now = Instant::now();
        let mut history = kept([10, 12, 11, 14], now);
        let found = [11, 12, 13].map(|sequence| retransmit(&mut history, sequence, now));
        assert_eq!(found, [Some(11), Some(12), None]);
        assert_eq!(history.recent().copied().collect::<Vec<_>>(), [14, 12, 11, 10]);
    }

    #[test]
    fn numbers_that_are_too_old_to_know_count_as_sent() {
        let now = Instant::now();
        let history = kept([10, 12, 9], now);
        assert_eq!(
            [8, 9, 10, 11, 12, 13].map(|sequence| history.may_have(sequence)),
            [false, true, true, false, true, false]
        );
        let history = kept((0..5000).filter(|sequence| sequence % 2 == 0), now);
        assert_eq!([1, 2001, 4999, 5000].map(|sequence| history.may_have(sequence)), [true, true, false, false]);
    }

    #[test]
    fn forgotten_packets_are_not_retransmitted_and_later_ones_are() {
        let now = Instant::now();
        let mut history = kept(1..=5, now);
        history.clear();
        history.keep(6, 6, now);
        assert_eq!([5, 6].map(|sequence| retransmit(&mut history, sequence, now)), [None, Some(6)]);
        assert!(history.may_have(3) && history.may_have(6));
    }
}
