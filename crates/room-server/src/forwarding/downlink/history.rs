//! Packets sent lately on one line, to be repeated when the client asks for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rtp_header::HeaderBytes;
use crate::forwarding::core::MediaPacket;

/// How long a packet is kept; the number below is the limit for an m-line: at 4 Mbit/s about 2.5 s.
const HISTORY: Duration = Duration::from_secs(3);
pub const HISTORY_PACKETS: usize = 1024;
/// Padding is a packet sent again, if possible one with at least this many bytes that is not further behind the newest one
/// than the next value: half the space of numbers behind would count as new. Otherwise it is the largest of the last ones.
const LARGE: usize = 500;
const LARGE_BEHIND: u64 = 5000;
const LARGE_REFRESH: u64 = 500;
const LAST_PACKETS: usize = 32;

/// A packet as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Sequence number, extended beyond 16 bits.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// Payload type of its repetitions, if they go under a number of their own (RFC 4588).
    pub repair_type: Option<u8>,
    /// The part that all subscribers share.
    pub media: Arc<MediaPacket>,
    /// Its header, if it is retransmitted as it is. Another header under the same key and number would reveal the authentication
    /// key of AES-GCM (RFC 5116, section 5.1.1).
    pub header: Option<Box<HeaderBytes>>,
}

#[derive(Debug)]
struct Kept {
    sent: Sent,
    at: Instant,
}

/// The packets that were sent lately on one m-line.
#[derive(Debug, Default)]
pub struct History {
    /// By rising sequence number.
    kept: VecDeque<Kept>,
    /// One of the last large ones.
    large: Option<Sent>,
    /// Greatest sequence number of those that are not kept any more.
    forgotten: Option<u64>,
}

impl History {
    /// Keeps a packet. The payload is shared, not copied.
    pub fn keep(&mut self, sent: Sent, now: Instant) {
        let is_old = |oldest: &Kept| now.saturating_duration_since(oldest.at) > HISTORY;
        while self.kept.len() >= HISTORY_PACKETS || self.kept.front().is_some_and(is_old) {
            self.forgotten = self.kept.pop_front().map(|kept| kept.sent.sequence).max(self.forgotten);
        }
        let sequence = sent.sequence;
        let is_large = sent.media.payload.len() >= LARGE && sent.repair_type.is_some();
        let refresh = |large: &Sent| sequence.saturating_sub(large.sequence) > LARGE_REFRESH;
        if is_large && self.large.as_ref().is_none_or(refresh) {
            self.large = Some(sent.clone());
        }
        let is_newest = self.kept.back().is_none_or(|newest| newest.sent.sequence < sequence);
        let place =
            if is_newest { self.kept.len() } else { self.kept.partition_point(|kept| kept.sent.sequence < sequence) };
        self.kept.insert(place, Kept { sent, at: now });
    }

    /// Whether a packet with this number was sent, as far as that is known for certain: if in doubt, yes.
    pub fn may_have(&self, sequence: u64) -> bool {
        let is_new = self.kept.back().is_none_or(|newest| newest.sent.sequence < sequence);
        self.forgotten.is_some_and(|forgotten| sequence <= forgotten)
            || !is_new && self.kept.binary_search_by_key(&sequence, |kept| kept.sent.sequence).is_ok()
    }

    /// How many packets are kept.
    #[cfg(test)]
    pub fn length(&self) -> usize {
        self.kept.len()
    }

    /// The packet with this sequence number, if it is still kept and was not sent within `spacing`: two requests for it may be
    /// in flight at once.
    pub fn repeat(&mut self, sequence: u16, now: Instant, spacing: Duration) -> Option<&Sent> {
        let newest = self.kept.back()?.sent.sequence;
        let behind = (newest as u16).wrapping_sub(sequence);
        let wanted = newest.checked_sub(behind.into())?;
        let place = self.kept.binary_search_by_key(&wanted, |kept| kept.sent.sequence).ok()?;
        let kept = self.kept.get_mut(place)?;
        if now.saturating_duration_since(kept.at) < spacing {
            return None;
        }
        kept.at = now;
        Some(&kept.sent)
    }

    /// A packet to send again as padding.
    pub fn padding(&self) -> Option<&Sent> {
        let newest = self.kept.back()?.sent.sequence;
        let large = self.large.as_ref().filter(|large| newest.saturating_sub(large.sequence) < LARGE_BEHIND);
        let last = self.kept.iter().rev().take(LAST_PACKETS).map(|kept| &kept.sent);
        let largest = || last.filter(|sent| sent.repair_type.is_some()).max_by_key(|sent| sent.media.payload.len());
        large.or_else(largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarding::core::{Codec, PacketExtensions};

    const SPACING: Duration = Duration::from_millis(10);
    const LATER: Duration = Duration::from_millis(50);

    fn sent(sequence: u64, payload: usize, now: Instant) -> Sent {
        let media = MediaPacket {
            marker: false,
            codec: Codec::Opus,
            payload: vec![7; payload].into(),
            extensions: PacketExtensions::default(),
            wallclock: now,
        };
        Sent { sequence, timestamp: 0, payload_type: 96, repair_type: Some(97), media: Arc::new(media), header: None }
    }

    fn kept(sequences: impl IntoIterator<Item = u64>, now: Instant) -> History {
        let mut history = History::default();
        sequences.into_iter().for_each(|sequence| history.keep(sent(sequence, 1000, now), now));
        history
    }

    fn repeat(history: &mut History, sequence: u16, now: Instant) -> Option<u64> {
        history.repeat(sequence, now, SPACING).map(|sent| sent.sequence)
    }

    #[test]
    fn a_lost_packet_is_found_by_its_number_on_the_wire() {
        let now = Instant::now();
        let mut history = kept(65_530..65_545, now);
        assert_eq!(repeat(&mut history, 65_533, now + LATER), Some(65_533));
        assert_eq!(repeat(&mut history, 3, now + LATER), Some(65_539));
        assert_eq!(repeat(&mut history, 100, now + LATER), None);
    }

    #[test]
    fn two_requests_at_once_are_one() {
        let now = Instant::now();
        let mut history = kept(0..10, now);
        assert_eq!(repeat(&mut history, 5, now + LATER), Some(5));
        assert_eq!(repeat(&mut history, 5, now + LATER), None);
        assert_eq!(repeat(&mut history, 5, now + 2 * LATER), Some(5));
    }

    #[test]
    fn little_is_kept() {
        let now = Instant::now();
        let mut history = kept(0..5000, now);
        assert_eq!(repeat(&mut history, 3975, now + LATER), None);
        assert_eq!(repeat(&mut history, 3976, now + LATER), Some(3976));
        history.keep(sent(5000, 1000, now), now + HISTORY + 2 * LATER);
        assert_eq!(repeat(&mut history, 4999, now + HISTORY + 2 * LATER), None);
    }

    #[test]
    fn a_packet_that_was_overtaken_is_found_too() {
        let now = Instant::now();
        let mut history = kept([10, 12, 11, 14], now);
        assert_eq!(repeat(&mut history, 11, now + LATER), Some(11));
        assert_eq!(repeat(&mut history, 12, now + LATER), Some(12));
        assert_eq!(repeat(&mut history, 13, now + LATER), None);
    }

    #[test]
    fn what_was_sent_once_is_known_and_what_is_too_old_to_tell_counts_as_sent() {
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
    fn padding_is_a_recent_large_packet_or_the_largest_of_the_last() {
        let now = Instant::now();
        let padding = |history: &History| history.padding().map(|sent| sent.sequence);
        let mut history = kept(1..4, now);
        history.keep(sent(4, 20, now), now);
        assert_eq!(padding(&history), Some(1));
        for sequence in 5..LARGE_BEHIND + 10 {
            history.keep(sent(sequence, 100 + usize::from(sequence == LARGE_BEHIND), now), now);
        }
        assert_eq!(padding(&history), Some(LARGE_BEHIND));
        assert_eq!(padding(&History::default()), None);
    }
}
