//! Redundant audio payloads (RFC 2198): each packet carries earlier ones again, so that a loss needs no retransmission.
//!
//! Pure: payloads only, no RTP headers. [`RedWriter`] makes them, [`RedPayload`] reads them.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

/// Upper bound of earlier packets that [`RedWriter`] puts into one payload.
pub const MAX_COPIES: usize = 2;
/// Which earlier packets go along, counted back from the present one, by the number of copies. Not the latest ones: losses
/// come in bursts, and with the copy of its predecessor inside each Opus packet these bridge bursts of 3 and of 7.
const COPY_DISTANCES: [&[usize]; MAX_COPIES + 1] = [&[], &[2], &[3, 6]];
/// Number of earlier packets that are kept.
const HISTORY_PACKETS: usize = 6;
/// A packet of at most this many bytes is silence, and is not copied.
const SILENCE_BYTES: usize = 2;
/// Upper bound of a payload with copies, in bytes: it fits into one datagram on any path.
const MAX_PAYLOAD_BYTES: usize = 1100;
/// Upper bound of a copy's timestamp offset, in RTP units (14 bits).
const MAX_OFFSET: u32 = (1 << 14) - 1;
/// Upper bound of a copy's length, in bytes (10 bits).
const MAX_COPY_BYTES: usize = (1 << 10) - 1;
/// Upper bound of copies in a payload that is read; more are not plausible.
const MAX_HEADERS: usize = 32;
/// Length of the header of a copy, in bytes.
const COPY_HEADER_BYTES: usize = 4;
/// Length of the header of the primary block, in bytes.
const PRIMARY_HEADER_BYTES: usize = 1;
/// F bit: another header follows this one.
const FOLLOWS: u8 = 0x80;

/// One encoded packet inside a redundant payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedBlock<'a> {
    /// The payload type of its codec, 0..=127.
    pub payload_type: u8,
    /// How much earlier than the packet's RTP timestamp it begins, in RTP units: 0 for the primary block, 0..=16383.
    pub offset: u32,
    /// The payload that it would have in a packet of its own.
    pub payload: &'a [u8],
}

/// What a redundant payload holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedPayload<'a> {
    /// Earlier packets, the oldest first, as they stand in the payload. They may be empty.
    pub copies: Vec<RedBlock<'a>>,
    /// The packet's own block.
    pub primary: RedBlock<'a>,
}

impl<'a> RedPayload<'a> {
    /// Reads a payload; `None` if it is malformed or has an implausible number of copies.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let mut headers = Vec::new();
        let mut rest = payload;
        let primary_type = loop {
            let (&first, after) = rest.split_first()?;
            if first & FOLLOWS == 0 {
                rest = after;
                break first;
            }
            let (&[high, middle, low], after) = after.split_first_chunk::<3>()?;
            // 14 bits of time, 10 bits of length.
            let fields = u32::from_be_bytes([0, high, middle, low]);
            headers.push((first & !FOLLOWS, fields >> 10, (fields & 0x3ff) as usize));
            rest = after;
            if headers.len() > MAX_HEADERS {
                return None;
            }
        };
        let mut copies = Vec::with_capacity(headers.len());
        for (payload_type, offset, length) in headers {
            let (payload, after) = rest.split_at_checked(length)?;
            copies.push(RedBlock { payload_type, offset, payload });
            rest = after;
        }
        Some(Self { copies, primary: RedBlock { payload_type: primary_type, offset: 0, payload: rest } })
    }
}

/// The payload with another payload type for the blocks that have the primary one's; `None` if they have it already or the
/// payload is malformed.
#[must_use]
pub fn with_block_type(payload: &[u8], block_type: u8) -> Option<Vec<u8>> {
    let red = RedPayload::parse(payload)?;
    let old_type = red.primary.payload_type;
    if old_type == block_type {
        return None;
    }
    let mut changed = payload.to_vec();
    for header in changed.chunks_mut(COPY_HEADER_BYTES).take(red.copies.len() + 1) {
        match header.first_mut() {
            Some(first) if *first & !FOLLOWS == old_type => *first = *first & FOLLOWS | block_type & !FOLLOWS,
            _ => {}
        }
    }
    Some(changed)
}

/// Packs one stream into redundant payloads.
#[derive(Debug)]
pub struct RedWriter {
    payload_type: u8,
    copies: usize,
    /// Timestamps and payloads, the newest last.
    history: VecDeque<(u32, Bytes)>,
}

impl RedWriter {
    /// A writer without copies at first. `payload_type` is the codec's (0..=127).
    #[must_use]
    pub fn new(payload_type: u8) -> Self {
        Self { payload_type: payload_type & !FOLLOWS, copies: 0, history: VecDeque::new() }
    }

    /// Sets how many earlier packets each payload carries from now on, 0..=[`MAX_COPIES`].
    pub fn set_copies(&mut self, copies: usize) {
        self.copies = copies.min(MAX_COPIES);
    }

    /// The payload for the packet at `timestamp`, copies first. A copy that is too long or too old, or would make the packet
    /// too large for a datagram, is left out.
    pub fn pack(&mut self, timestamp: u32, payload: &Bytes) -> Bytes {
        let mut size = PRIMARY_HEADER_BYTES + payload.len();
        let mut chosen: Vec<(u32, &Bytes)> = Vec::with_capacity(self.copies);
        for distance in COPY_DISTANCES.get(self.copies).into_iter().copied().flatten() {
            let at = self.history.len().checked_sub(*distance);
            let Some((earlier, copy)) = at.and_then(|at| self.history.get(at)) else { break };
            let offset = timestamp.wrapping_sub(*earlier);
            let is_expressible = (1..=MAX_OFFSET).contains(&offset) && copy.len() <= MAX_COPY_BYTES;
            let with_copy = size + COPY_HEADER_BYTES + copy.len();
            if is_expressible && copy.len() > SILENCE_BYTES && with_copy <= MAX_PAYLOAD_BYTES {
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
        self.history.push_back((timestamp, payload.clone()));
        if self.history.len() > HISTORY_PACKETS {
            self.history.pop_front();
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize, value: u8) -> Bytes {
        Bytes::from(vec![value; length])
    }

    /// All blocks, the primary one last.
    fn blocks(payload: &[u8]) -> Option<Vec<RedBlock<'_>>> {
        let red = RedPayload::parse(payload)?;
        Some(red.copies.iter().copied().chain([red.primary]).collect())
    }

    fn offsets(payload: &Bytes) -> Vec<(u32, u8)> {
        blocks(payload)
            .unwrap()
            .iter()
            .map(|block| (block.offset, block.payload.first().copied().unwrap_or(0)))
            .collect()
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
        let block = |offset, payload: &'static [u8]| RedBlock { payload_type: 0x6f, offset, payload };
        assert_eq!(blocks(&packed), Some(vec![block(1920, &[0xaa, 0xbb, 0xaa]), block(0, &[0xcc])]));
    }

    #[test]
    fn copies_that_do_not_fit_are_left_out() {
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
                assert_eq!(RedPayload::parse(&packed[..length]), None, "{length} of {}", packed.len());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        for seed in 1..=2000u64 {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            let length = usize::from(next());
            // Headers that say "another follows" more often than chance would.
            let payload: Bytes = (0..length).map(|at| if at % 4 == 0 { next() | 0x80 } else { next() }).collect();
            let _ = with_block_type(&payload, 1);
            if let Some(blocks) = blocks(&payload) {
                assert!(blocks.iter().map(|block| block.payload.len()).sum::<usize>() < length);
                assert!(blocks.iter().all(|block| block.offset <= MAX_OFFSET && block.payload_type < 0x80));
            }
        }
        assert_eq!(RedPayload::parse(&[0x80; 4000]), None);
        assert_eq!(RedPayload::parse(&[]), None);
    }

    #[test]
    fn the_payload_type_of_all_blocks_is_replaced() {
        let mut writer = writer(2);
        let packed = (0..8).map(|packet| writer.pack(packet * 960, &bytes(5, packet as u8))).last().unwrap();
        assert_eq!(with_block_type(&packed, 111), None);
        let changed = with_block_type(&packed, 96).unwrap();
        let [before, after] = [&packed[..], &changed].map(|payload| blocks(payload).unwrap());
        assert!(after.iter().all(|block| block.payload_type == 96));
        assert!(before.iter().zip(&after).all(|(a, b)| (a.offset, a.payload) == (b.offset, b.payload)));
    }
}
