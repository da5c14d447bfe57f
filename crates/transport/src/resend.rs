//! Sent packets that may be asked for again (RFC 4585 NACK).
//!
//! A receiver repeats its request once per round trip, and cannot know how long the queue on the path has
//! become. So a packet is not sent again while the last copy may still be in flight: else a full queue would
//! be fed with copies of what is in it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets kept per stream: a second at 20 Mbit/s.
const MOST_PACKETS: usize = 2048;

#[derive(Debug)]
struct Kept<P> {
    packet: P,
    /// When a copy was last handed out.
    resent: Option<Instant>,
}

/// The last packets of one stream, in the order of their sequence numbers.
#[derive(Debug)]
pub struct ResendBuffer<P> {
    packets: VecDeque<Kept<P>>,
    newest: u16,
}

impl<P> Default for ResendBuffer<P> {
    fn default() -> Self {
        Self { packets: VecDeque::new(), newest: 0 }
    }
}

impl<P: Clone> ResendBuffer<P> {
    /// Keeps a packet. Sequence numbers must go up by one; where they do not, what was kept is forgotten.
    pub fn keep(&mut self, sequence: u16, packet: P) {
        if sequence != self.newest.wrapping_add(1) {
            self.packets.clear();
        }
        if self.packets.len() == MOST_PACKETS {
            self.packets.pop_front();
        }
        self.newest = sequence;
        self.packets.push_back(Kept { packet, resent: None });
    }

    /// The packet to send again for this request: `None` if it is no longer kept, or if a copy left less than
    /// `spacing` ago.
    pub fn requested(&mut self, sequence: u16, now: Instant, spacing: Duration) -> Option<P> {
        let behind = usize::from(self.newest.wrapping_sub(sequence));
        let index = self.packets.len().checked_sub(behind + 1)?;
        let kept = self.packets.get_mut(index)?;
        if kept.resent.is_some_and(|resent| now.saturating_duration_since(resent) < spacing) {
            return None;
        }
        kept.resent = Some(now);
        Some(kept.packet.clone())
    }

    /// Forgets what is kept: nobody can use it any more.
    pub fn forget(&mut self) {
        self.packets.clear();
    }

    /// A recent packet to send once more as padding, the newest first, each of the last `count` in turn.
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

    fn buffer(sequences: impl IntoIterator<Item = u16>) -> ResendBuffer<u16> {
        let mut buffer = ResendBuffer::default();
        sequences.into_iter().for_each(|sequence| buffer.keep(sequence, sequence));
        buffer
    }

    #[test]
    fn what_is_forgotten_is_not_sent_again_and_what_comes_then_is() {
        let (mut buffer, now) = (buffer(1..=5), Instant::now());
        buffer.forget();
        buffer.keep(6, 6);
        assert_eq!([5, 6].map(|sequence| buffer.requested(sequence, now, SPACING)), [None, Some(6)]);
    }

    #[test]
    fn what_was_sent_can_be_had_again_across_the_wrap() {
        let (mut buffer, now) = (buffer([65_534, 65_535, 0, 1]), Instant::now());
        assert_eq!(buffer.requested(65_535, now, SPACING), Some(65_535));
        assert_eq!(buffer.requested(1, now, SPACING), Some(1));
        assert_eq!(buffer.requested(65_533, now, SPACING), None);
        assert_eq!(buffer.requested(2, now, SPACING), None);
    }

    #[test]
    fn a_copy_under_way_is_not_followed_by_another() {
        let (mut buffer, now) = (buffer(1..10), Instant::now());
        assert_eq!(buffer.requested(5, now, SPACING), Some(5));
        assert_eq!(buffer.requested(5, now + SPACING / 2, SPACING), None);
        assert_eq!(buffer.requested(5, now + SPACING, SPACING), Some(5));
    }

    #[test]
    fn old_packets_make_room() {
        let (mut buffer, now) = (buffer(0..3000), Instant::now());
        assert_eq!(buffer.requested(951, now, SPACING), None);
        assert_eq!(buffer.requested(952, now, SPACING), Some(952));
    }

    #[test]
    fn padding_goes_through_the_newest_packets() {
        let buffer = buffer(1..10);
        let padding: Vec<u16> = (0..4).filter_map(|turn| buffer.padding(turn, 3)).collect();
        assert_eq!(padding, [9, 8, 7, 9]);
        assert_eq!(ResendBuffer::<u16>::default().padding(0, 3), None);
    }
}
