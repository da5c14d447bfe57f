//! Packets that were sent lately on one m-line, to be retransmitted when the client asks for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtp::SentHistory;

use super::rtp_header::HeaderBytes;
use crate::forwarding::core::MediaPacket;

/// How long a packet is kept; the number below is the limit for an m-line: at 4 Mbit/s about 2.5 s.
const MAX_AGE: Duration = Duration::from_secs(3);
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

/// The packets that were sent lately on one m-line.
#[derive(Debug)]
pub struct History {
    sent: SentHistory<Sent>,
    /// One of the last large ones.
    large: Option<Sent>,
}

impl Default for History {
    fn default() -> Self {
        Self { sent: SentHistory::new(HISTORY_PACKETS, MAX_AGE), large: None }
    }
}

impl History {
    /// Keeps a packet. The payload is shared, not copied.
    pub fn keep(&mut self, sent: Sent, now: Instant) {
        let sequence = sent.sequence;
        let is_large = sent.media.payload.len() >= LARGE && sent.repair_type.is_some();
        let refresh = |large: &Sent| sequence.saturating_sub(large.sequence) > LARGE_REFRESH;
        if is_large && self.large.as_ref().is_none_or(refresh) {
            self.large = Some(sent.clone());
        }
        self.sent.keep(sequence, sent, now);
    }

    /// Whether a packet with this number was sent, as far as that is known for certain: if in doubt, yes.
    pub fn may_have(&self, sequence: u64) -> bool {
        self.sent.may_have(sequence)
    }

    /// How many packets are kept.
    #[cfg(test)]
    pub fn length(&self) -> usize {
        self.sent.len()
    }

    /// The packet with this sequence number, if it is still kept and was not retransmitted within `spacing`: two requests for
    /// it may be in flight at once.
    pub fn retransmit(&mut self, sequence: u16, now: Instant, spacing: Duration) -> Option<&Sent> {
        self.sent.retransmit(sequence, now, spacing)
    }

    /// A packet to send again as padding.
    pub fn padding(&self) -> Option<&Sent> {
        let newest = self.sent.newest()?;
        let large = self.large.as_ref().filter(|large| newest.saturating_sub(large.sequence) < LARGE_BEHIND);
        let last = self.sent.recent().take(LAST_PACKETS);
        let largest = || last.filter(|sent| sent.repair_type.is_some()).max_by_key(|sent| sent.media.payload.len());
        large.or_else(largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarding::core::{Codec, PacketExtensions};

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
