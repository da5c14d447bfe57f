//! Sent packets that may be retransmitted (RFC 4585 NACK).
//!
//! A receiver repeats its request once per round trip, and cannot know how long the queue on the path has become. So a
//! packet is not retransmitted while the last retransmission may be in flight: a full queue would fill with copies of what
//! is in it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets kept per stream: a second at 20 Mbit/s.
const MAX_PACKETS: usize = 2048;

#[derive(Debug)]
struct Entry<P> {
    packet: P,
    /// When it was last retransmitted.
    retransmitted: Option<Instant>,
}

/// The last packets of one stream, in the order of their sequence numbers.
#[derive(Debug)]
pub struct RetransmissionBuffer<P> {
    packets: VecDeque<Entry<P>>,
    newest: u16,
}

impl<P> Default for RetransmissionBuffer<P> {
    fn default() -> Self {
        Self { packets: VecDeque::new(), newest: 0 }
    }
}

impl<P: Clone> RetransmissionBuffer<P> {
    /// Adds a packet. Sequence numbers must increase by one; where they do not, earlier packets are forgotten.
    pub fn keep(&mut self, sequence: u16, packet: P) {
        if sequence != self.newest.wrapping_add(1) {
            self.packets.clear();
        }
        if self.packets.len() == MAX_PACKETS {
            self.packets.pop_front();
        }
        self.newest = sequence;
        self.packets.push_back(Entry { packet, retransmitted: None });
    }

    /// The packet to retransmit: `None` if it is no longer kept, or was retransmitted less than `spacing` ago.
    pub fn retransmit(&mut self, sequence: u16, now: Instant, spacing: Duration) -> Option<P> {
        let behind = usize::from(self.newest.wrapping_sub(sequence));
        let index = self.packets.len().checked_sub(behind + 1)?;
        let kept = self.packets.get_mut(index)?;
        if kept.retransmitted.is_some_and(|retransmitted| now.saturating_duration_since(retransmitted) < spacing) {
            return None;
        }
        kept.retransmitted = Some(now);
        Some(kept.packet.clone())
    }

    /// Forgets all packets.
    pub fn forget(&mut self) {
        self.packets.clear();
    }

    /// A recent packet to send as padding: each of the last `count` in turn, the newest first.
    pub fn padding(&self, turn: usize, count: usize) -> Option<P> {
        let count = count.min(self.packets.len());
        let index = self.packets.len().checked_sub(1 + turn.checked_rem(count)?)?;
        self.packets.get(index).map(|kept| kept.packet.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACING: Duration = Duration::from_millis(40);

    fn buffer(sequences: impl IntoIterator<Item = u16>) -> RetransmissionBuffer<u16> {
        let mut buffer = RetransmissionBuffer::default();
        sequences.into_iter().for_each(|sequence| buffer.keep(sequence, sequence));
        buffer
    }

    #[test]
    fn forgotten_packets_are_not_retransmitted() {
        let (mut buffer, now) = (buffer(1..=5), Instant::now());
        buffer.forget();
        buffer.keep(6, 6);
        assert_eq!([5, 6].map(|sequence| buffer.retransmit(sequence, now, SPACING)), [None, Some(6)]);
    }

    #[test]
    fn packets_are_found_across_the_wrap() {
        let (mut buffer, now) = (buffer([65_534, 65_535, 0, 1]), Instant::now());
        assert_eq!(buffer.retransmit(65_535, now, SPACING), Some(65_535));
        assert_eq!(buffer.retransmit(1, now, SPACING), Some(1));
        assert_eq!(buffer.retransmit(65_533, now, SPACING), None);
        assert_eq!(buffer.retransmit(2, now, SPACING), None);
    }

    #[test]
    fn a_retransmission_in_flight_is_not_repeated() {
        let (mut buffer, now) = (buffer(1..10), Instant::now());
        assert_eq!(buffer.retransmit(5, now, SPACING), Some(5));
        assert_eq!(buffer.retransmit(5, now + SPACING / 2, SPACING), None);
        assert_eq!(buffer.retransmit(5, now + SPACING, SPACING), Some(5));
    }

    #[test]
    fn old_packets_are_forgotten() {
        let (mut buffer, now) = (buffer(0..3000), Instant::now());
        assert_eq!(buffer.retransmit(951, now, SPACING), None);
        assert_eq!(buffer.retransmit(952, now, SPACING), Some(952));
    }

    #[test]
    fn padding_uses_the_newest_packets() {
        let buffer = buffer(1..10);
        let padding: Vec<u16> = (0..4).filter_map(|turn| buffer.padding(turn, 3)).collect();
        assert_eq!(padding, [9, 8, 7, 9]);
        assert_eq!(RetransmissionBuffer::<u16>::default().padding(0, 3), None);
    }
}
