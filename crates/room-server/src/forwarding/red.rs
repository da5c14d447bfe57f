//! Redundant audio (RFC 2198) for subscribers that do not accept it. Sans-IO.
//!
//! Subscribers that do get each packet as it arrived, at most with other payload types inside
//! ([`rtp::red::with_block_type`]). The others get the primary blocks ([`PrimaryBlocks`]): each packet once, and packets
//! that were lost on the uplink as soon as a copy of them arrives.

use std::sync::Arc;

use rtp::opus;
use rtp::red::RedPayload;

/// For how many packets behind the newest it is known whether they were forwarded.
const WINDOW: u64 = 64;

/// An Opus packet without redundancy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainPacket {
    /// Sequence number, extended beyond 16 bits.
    pub sequence: u64,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// One Opus packet.
    pub payload: Arc<[u8]>,
}

/// The packets of one publisher without redundancy. No sequence number is given twice.
#[derive(Debug, Default)]
pub struct PrimaryBlocks {
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    first: u64,
    newest: u64,
    /// Bit n: the packet n behind the newest was forwarded.
    forwarded: u64,
}

impl PrimaryBlocks {
    /// The packets that a redundant payload brings, the oldest first. A malformed one brings none.
    pub fn unpack(&mut self, ssrc: u32, sequence: u64, timestamp: u32, payload: &[u8]) -> Vec<PlainPacket> {
        let Some(red) = RedPayload::parse(payload) else { return Vec::new() };
        let same = self.source.take().filter(|source| source.ssrc == ssrc);
        let source =
            self.source.insert(same.unwrap_or(Source { ssrc, first: sequence, newest: sequence, forwarded: 0 }));
        source.advance_to(sequence);
        let mut packets = Vec::with_capacity(1);
        for copy in red.copies.iter().filter(|copy| copy.payload_type == red.primary.payload_type) {
            // As a rule all packets have the same length.
            let length = opus::samples(copy.payload).filter(|length| copy.offset % length == 0);
            let Some(copied) = length.and_then(|length| sequence.checked_sub(u64::from(copy.offset / length))) else {
                continue;
            };
            if copied > source.first && copied < sequence && source.mark_forwarded(copied) {
                let timestamp = timestamp.wrapping_sub(copy.offset);
                packets.push(PlainPacket { sequence: copied, timestamp, payload: copy.payload.into() });
            }
        }
        if source.mark_forwarded(sequence) {
            packets.push(PlainPacket { sequence, timestamp, payload: red.primary.payload.into() });
        }
        packets
    }

    /// The same for a packet without redundancy. `None` if no redundant ones came from this source, so that nothing has to be
    /// remembered.
    pub fn pass(&mut self, ssrc: u32, sequence: u64, timestamp: u32, payload: &Arc<[u8]>) -> Option<Vec<PlainPacket>> {
        let source = self.source.as_mut().filter(|source| source.ssrc == ssrc)?;
        source.advance_to(sequence);
        let packet = || PlainPacket { sequence, timestamp, payload: payload.clone() };
        Some(source.mark_forwarded(sequence).then(packet).into_iter().collect())
    }
}

impl Source {
    fn advance_to(&mut self, sequence: u64) {
        let ahead = sequence.saturating_sub(self.newest);
        if ahead > 0 {
            self.newest = sequence;
            self.forwarded = if ahead < WINDOW { self.forwarded << ahead } else { 0 };
        }
    }

    /// Whether the packet was not forwarded before; packets that are too old to know count as forwarded.
    fn mark_forwarded(&mut self, sequence: u64) -> bool {
        let Some(behind) = self.newest.checked_sub(sequence).filter(|behind| *behind < WINDOW) else { return false };
        let is_new = self.forwarded >> behind & 1 == 0;
        self.forwarded |= 1 << behind;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SILK, 20 ms.
    const TOC: u8 = 0x48;

    /// A payload with copies of the packets `back` before it; the last byte of each names its packet.
    fn payload(sequence: u8, back: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        for back in back {
            let fields = (u32::from(*back) * 960) << 10 | 2;
            payload.push(0x80 | 111);
            payload.extend_from_slice(&fields.to_be_bytes()[1..]);
        }
        payload.push(111);
        back.iter().for_each(|back| payload.extend_from_slice(&[TOC, sequence - back]));
        payload.extend_from_slice(&[TOC, sequence]);
        payload
    }

    /// Sequence number and name of each packet.
    fn take(plain: &mut PrimaryBlocks, sequence: u8, back: &[u8]) -> Vec<(u64, u8)> {
        let timestamp = u32::from(sequence) * 960;
        let packets = plain.unpack(7, u64::from(sequence), timestamp, &payload(sequence, back));
        assert!(packets.iter().all(|packet| u64::from(packet.timestamp) == packet.sequence * 960));
        packets.iter().map(|packet| (packet.sequence, packet.payload[1])).collect()
    }

    #[test]
    fn without_loss_each_packet_is_forwarded_once() {
        let mut plain = PrimaryBlocks::default();
        for sequence in 10..20 {
            assert_eq!(take(&mut plain, sequence, &[6, 3]), [(u64::from(sequence), sequence)]);
        }
    }

    #[test]
    fn a_lost_packet_is_forwarded_from_its_copy() {
        let mut plain = PrimaryBlocks::default();
        (10..14).for_each(|sequence| assert_eq!(take(&mut plain, sequence, &[2, 1]).len(), 1));
        assert_eq!(take(&mut plain, 16, &[2, 1]), [(14, 14), (15, 15), (16, 16)]);
        // It arrives after all.
        assert_eq!(take(&mut plain, 15, &[2, 1]), []);
        assert_eq!(take(&mut plain, 17, &[2, 1]), [(17, 17)]);
    }

    #[test]
    fn a_packet_without_redundancy_is_not_forwarded_again() {
        let (mut plain, sound) = (PrimaryBlocks::default(), Arc::from([TOC, 11].as_slice()));
        assert_eq!(plain.pass(7, 9, 9 * 960, &sound), None);
        take(&mut plain, 10, &[2, 1]);
        assert_eq!(plain.pass(7, 11, 11 * 960, &sound).unwrap().len(), 1);
        assert_eq!(take(&mut plain, 12, &[2, 1]), [(12, 12)]);
        assert_eq!(take(&mut plain, 14, &[2, 1]), [(13, 13), (14, 14)]);
        assert_eq!(plain.pass(7, 13, 13 * 960, &sound), Some(vec![]));
    }

    #[test]
    fn copies_from_before_the_first_packet_are_ignored() {
        let mut plain = PrimaryBlocks::default();
        assert_eq!(take(&mut plain, 10, &[2, 1]), [(10, 10)]);
        assert_eq!(take(&mut plain, 12, &[3, 2, 1]), [(11, 11), (12, 12)]);
        // A publisher that starts over.
        assert_eq!(plain.unpack(8, 5, 0, &payload(5, &[1])).len(), 1);
        assert_eq!(plain.unpack(8, 70_000, 0, &payload(5, &[1])).len(), 2);
    }
}
