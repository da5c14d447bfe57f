//! Redundant audio payloads (RFC 2198): packets carry earlier ones again, so that a loss needs no repetition.
//!
//! Sans-IO. [`RedWriter`] makes payloads, [`unpack`] takes them apart; both see payloads only, not RTP headers.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

/// Most earlier packets that one payload carries.
pub const MOST_COPIES: usize = 2;
/// Which ones, in packets back, by how many they are. Not the last ones: losses come in bursts, and with the copy of its
/// predecessor that each Opus packet has inside, these save bursts of 3 and of 7 packets.
const BACK: [&[usize]; MOST_COPIES + 1] = [&[], &[2], &[3, 6]];
/// Packets remembered.
const PAST: usize = 6;
/// A packet as short as this is silence.
const SILENCE_BYTES: usize = 2;
/// Largest RTP payload that still fits into one datagram on any path, bytes.
const MOST_BYTES: usize = 1100;
/// Greatest distance in time that the header can tell, RTP units (14 bits).
const MOST_OFFSET: u32 = (1 << 14) - 1;
/// Greatest length of a copy that the header can tell, bytes (10 bits).
const MOST_LENGTH: usize = (1 << 10) - 1;
/// Header of a copy, and of the payload itself, bytes.
const COPY_HEADER: usize = 4;
const OWN_HEADER: usize = 1;
/// "Another header follows this one."
const FOLLOWS: u8 = 0x80;

/// One encoded piece of audio out of a redundant payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedBlock {
    /// Its own payload type, 0..=127.
    pub payload_type: u8,
    /// How much earlier than the packet's RTP time it begins, 48 kHz units: 0 for the newest, 0..=16383.
    pub offset: u32,
    /// What it would be by itself.
    pub payload: Bytes,
}

/// Packs one stream.
#[derive(Debug)]
pub struct RedWriter {
    payload_type: u8,
    copies: usize,
    /// Timestamps and payloads, the newest last.
    past: VecDeque<(u32, Bytes)>,
}

impl RedWriter {
    /// `payload_type` is the codec's (0..=127). No copies at first.
    pub fn new(payload_type: u8) -> Self {
        Self { payload_type: payload_type & !FOLLOWS, copies: 0, past: VecDeque::new() }
    }

    /// From now on each packet carries so many earlier ones, 0..=[`MOST_COPIES`].
    pub fn set_copies(&mut self, copies: usize) {
        self.copies = copies.min(MOST_COPIES);
    }

    /// The payload for the packet at `timestamp`, copies first. A copy that is too long or too old, or would make the packet
    /// too large for a datagram, is left out.
    pub fn pack(&mut self, timestamp: u32, payload: &Bytes) -> Bytes {
        let mut size = OWN_HEADER + payload.len();
        let mut chosen: Vec<(u32, &Bytes)> = Vec::with_capacity(self.copies);
        for back in BACK[self.copies] {
            let Some((earlier, copy)) = self.past.len().checked_sub(*back).and_then(|at| self.past.get(at)) else {
                break;
            };
            let offset = timestamp.wrapping_sub(*earlier);
            let is_expressible = (1..=MOST_OFFSET).contains(&offset) && copy.len() <= MOST_LENGTH;
            let with_copy = size + COPY_HEADER + copy.len();
            if is_expressible && copy.len() > SILENCE_BYTES && with_copy <= MOST_BYTES {
                size = with_copy;
                chosen.push((offset, copy));
            }
        }
        let mut out = BytesMut::with_capacity(size);
        for (offset, copy) in chosen.iter().rev() {
            out.put_u8(FOLLOWS | self.payload_type);
            // 14 bits of time, 10 bits of length; both are within their bounds.
            out.put_uint(u64::from(*offset) << 10 | copy.len() as u64, 3);
        }
        out.put_u8(self.payload_type);
        chosen.iter().rev().for_each(|(_, copy)| out.extend_from_slice(copy));
        out.extend_from_slice(payload);
        self.past.push_back((timestamp, payload.clone()));
        if self.past.len() > PAST {
            self.past.pop_front();
        }
        out.freeze()
    }
}

/// Takes a redundant payload apart, the oldest first and the packet's own last. `None` if it is not one.
///
/// Copies without content are left out; more than 32 headers are taken for nonsense.
pub fn unpack(payload: &Bytes) -> Option<Vec<RedBlock>> {
    const MOST_HEADERS: usize = 32;
    let mut headers = Vec::new();
    let mut rest: &[u8] = payload;
    let own_type = loop {
        let (&first, after) = rest.split_first()?;
        if first & FOLLOWS == 0 {
            rest = after;
            break first;
        }
        let (fields, after) = after.split_first_chunk::<3>()?;
        let bits = u32::from_be_bytes([0, fields[0], fields[1], fields[2]]);
        headers.push((first & !FOLLOWS, bits >> 10, (bits & MOST_LENGTH as u32) as usize));
        rest = after;
        if headers.len() > MOST_HEADERS {
            return None;
        }
    };
    let mut content = payload.slice_ref(rest);
    let mut blocks = Vec::with_capacity(headers.len() + 1);
    for (payload_type, offset, length) in headers {
        if length > content.len() {
            return None;
        }
        let copy = content.split_to(length);
        if !copy.is_empty() {
            blocks.push(RedBlock { payload_type, offset, payload: copy });
        }
    }
    blocks.push(RedBlock { payload_type: own_type, offset: 0, payload: content });
    Some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize, value: u8) -> Bytes {
        Bytes::from(vec![value; length])
    }

    fn offsets(payload: &Bytes) -> Vec<(u32, u8)> {
        let blocks = unpack(payload).unwrap();
        blocks.iter().map(|block| (block.offset, block.payload.first().copied().unwrap_or(0))).collect()
    }

    fn writer(copies: usize) -> RedWriter {
        let mut writer = RedWriter::new(111);
        writer.set_copies(copies);
        writer
    }

    #[test]
    fn packets_carry_earlier_ones() {
        let packed = |copies: usize| {
            let mut writer = writer(copies);
            (0..8).map(|packet| offsets(&writer.pack(packet * 960, &bytes(100, packet as u8)))).collect::<Vec<_>>()
        };
        assert_eq!(packed(0)[7], [(0, 7)]);
        assert_eq!((&packed(1)[1], &packed(1)[7]), (&vec![(0, 1)], &vec![(1920, 5), (0, 7)]));
        assert_eq!(packed(2)[4], [(2880, 1), (0, 4)]);
        assert_eq!(packed(2)[7], [(5760, 1), (2880, 4), (0, 7)]);
    }

    #[test]
    fn the_bytes_are_those_of_the_rfc() {
        let mut writer = writer(1);
        writer.pack(u32::MAX - 1919, &Bytes::from_static(&[0xaa, 0xbb, 0xaa]));
        writer.pack(u32::MAX - 959, &Bytes::from_static(&[0xdd]));
        let packed = writer.pack(0, &Bytes::from_static(&[0xcc]));
        // 1920 << 10 | 3 = 0x1e0003.
        assert_eq!(packed[..], [0xef, 0x1e, 0x00, 0x03, 0x6f, 0xaa, 0xbb, 0xaa, 0xcc]);
        let block = |offset, payload: &'static [u8]| RedBlock {
            payload_type: 0x6f,
            offset,
            payload: Bytes::from_static(payload),
        };
        assert_eq!(unpack(&packed), Some(vec![block(1920, &[0xaa, 0xbb, 0xaa]), block(0, &[0xcc])]));
    }

    #[test]
    fn what_the_header_or_a_datagram_cannot_hold_is_left_out() {
        let mut writer = writer(1);
        let mut pack = |timestamp, length, value| offsets(&writer.pack(timestamp, &bytes(length, value)));
        pack(0, 100, 1);
        pack(960, 1050, 2);
        assert_eq!(pack(20_000, 100, 3), [(0, 3)], "too long ago");
        assert_eq!(pack(20_960, 20, 4), [(0, 4)], "a copy of more than 1023 bytes");
        assert_eq!(pack(21_920, 1050, 5), [(0, 5)], "too large together");
        assert_eq!(pack(22_880, 2, 6), [(1920, 4), (0, 6)]);
        pack(23_840, 20, 7);
        assert_eq!(pack(24_800, 20, 8), [(0, 8)], "a copy of silence");
    }

    #[test]
    fn a_truncated_payload_is_refused() {
        let mut writer = writer(2);
        for packet in 0..8 {
            let packed = writer.pack(packet * 960, &bytes(50, 7));
            // Only the newest block may be cut without being noticed: it has no length of its own.
            let fixed = packed.len() - 50;
            for length in 0..fixed {
                assert_eq!(unpack(&packed.slice(..length)), None, "{length} of {}", packed.len());
            }
        }
    }

    #[test]
    fn any_bytes_at_all_are_survived() {
        for seed in 1..=2000u64 {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            let length = usize::from(next());
            // Headers that say "another follows" more often than chance would.
            let payload: Bytes = (0..length).map(|at| if at % 4 == 0 { next() | 0x80 } else { next() }).collect();
            if let Some(blocks) = unpack(&payload) {
                assert!(blocks.iter().map(|block| block.payload.len()).sum::<usize>() < length);
                assert!(blocks.iter().all(|block| block.offset <= MOST_OFFSET && block.payload_type < 0x80));
            }
        }
        assert_eq!(unpack(&Bytes::from(vec![0x80; 4000])), None);
        assert_eq!(unpack(&Bytes::new()), None);
    }
}
