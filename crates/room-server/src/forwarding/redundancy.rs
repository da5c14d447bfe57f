//! Sound that carries earlier packets again (RFC 2198), for those who take it and for those who do not. Sans-IO.
//!
//! Who takes it gets each packet as it came, at most with other payload types inside ([`with_block_type`]). Everybody else
//! gets what is inside ([`Plain`]): each packet once, and those that were lost on the way here as soon as a copy of them
//! comes.

use std::sync::Arc;

/// "Another header follows this one."
const FOLLOWS: u8 = 0x80;
/// Headers of a copy, and of the packet's own sound, bytes.
const COPY_HEADER: usize = 4;
const OWN_HEADER: usize = 1;
/// Most copies that make sense; more are taken for nonsense.
const MOST_COPIES: usize = 32;
/// Packets behind the newest of which it is known whether they were given.
const WINDOW: u64 = 64;

/// A packet with nothing but its own sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainPacket {
    /// Its number, extended beyond 16 bits.
    pub sequence: u64,
    /// RTP time, 48 kHz.
    pub timestamp: u32,
    /// One Opus packet.
    pub payload: Arc<[u8]>,
}

/// A copy inside a payload.
#[derive(Debug)]
struct Copied<'a> {
    payload_type: u8,
    /// How much older it is, 48 kHz.
    offset: u32,
    sound: &'a [u8],
}

/// What is in a payload.
#[derive(Debug)]
struct Contents<'a> {
    /// The oldest first.
    copies: Vec<Copied<'a>>,
    payload_type: u8,
    sound: &'a [u8],
}

fn read(payload: &[u8]) -> Option<Contents<'_>> {
    let (mut headers, mut rest) = (Vec::new(), payload);
    let payload_type = loop {
        let first = *rest.first()?;
        if first & FOLLOWS == 0 {
            rest = rest.get(OWN_HEADER..)?;
            break first;
        }
        let header = rest.first_chunk::<COPY_HEADER>()?;
        let fields = u32::from_be_bytes([0, header[1], header[2], header[3]]);
        headers.push((first & !FOLLOWS, fields >> 10, (fields & 0x3ff) as usize));
        rest = rest.get(COPY_HEADER..)?;
        if headers.len() > MOST_COPIES {
            return None;
        }
    };
    let mut copies = Vec::with_capacity(headers.len());
    for (payload_type, offset, length) in headers {
        let (sound, after) = rest.split_at_checked(length)?;
        copies.push(Copied { payload_type, offset, sound });
        rest = after;
    }
    Some(Contents { copies, payload_type, sound: rest })
}

/// The payload with this payload type for all that is inside; `None` if it has it already, or makes no sense.
pub fn with_block_type(payload: &[u8], block_type: u8) -> Option<Arc<[u8]>> {
    let contents = read(payload)?;
    if contents.payload_type == block_type {
        return None;
    }
    let mut changed = payload.to_vec();
    let headers = contents.copies.len();
    for (at, copy) in contents.copies.iter().enumerate().filter(|(_, copy)| copy.payload_type == contents.payload_type)
    {
        debug_assert_eq!(changed[at * COPY_HEADER] & !FOLLOWS, copy.payload_type);
        changed[at * COPY_HEADER] = FOLLOWS | block_type;
    }
    changed[headers * COPY_HEADER] = block_type;
    Some(changed.into())
}

/// Packets of a publisher for those who take no redundant ones. No number is given twice.
#[derive(Debug, Default)]
pub struct Plain {
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    first: u64,
    newest: u64,
    /// Lowest bit: the newest was given.
    given: u64,
}

impl Plain {
    /// The packets that this one brings, the oldest first. Of nonsense: none.
    pub fn take(&mut self, ssrc: u32, sequence: u64, timestamp: u32, payload: &[u8]) -> Vec<PlainPacket> {
        let Some(contents) = read(payload) else { return Vec::new() };
        let same = self.source.take().filter(|source| source.ssrc == ssrc);
        let source = self.source.insert(same.unwrap_or(Source { ssrc, first: sequence, newest: sequence, given: 0 }));
        source.reach(sequence);
        let mut packets = Vec::with_capacity(1);
        for copy in contents.copies.iter().filter(|copy| copy.payload_type == contents.payload_type) {
            // Packets are all of one length, as a rule.
            let Some(length) = opus_samples(copy.sound).filter(|length| copy.offset % length == 0) else { continue };
            let Some(copied) = sequence.checked_sub(u64::from(copy.offset / length)) else { continue };
            if copied > source.first && copied < sequence && source.give(copied) {
                let timestamp = timestamp.wrapping_sub(copy.offset);
                packets.push(PlainPacket { sequence: copied, timestamp, payload: copy.sound.into() });
            }
        }
        if source.give(sequence) {
            packets.push(PlainPacket { sequence, timestamp, payload: contents.sound.into() });
        }
        packets
    }

    /// The same for a packet without redundancy. `None` if no redundant ones have come from there, so that there is no need
    /// to know what was given.
    pub fn pass(&mut self, ssrc: u32, sequence: u64, timestamp: u32, sound: &Arc<[u8]>) -> Option<Vec<PlainPacket>> {
        let source = self.source.as_mut().filter(|source| source.ssrc == ssrc)?;
        source.reach(sequence);
        let packet = || PlainPacket { sequence, timestamp, payload: sound.clone() };
        Some(source.give(sequence).then(packet).into_iter().collect())
    }
}

impl Source {
    fn reach(&mut self, sequence: u64) {
        let ahead = sequence.saturating_sub(self.newest);
        if ahead > 0 {
            self.newest = sequence;
            self.given = if ahead < WINDOW { self.given << ahead } else { 0 };
        }
    }

    /// Whether the packet was not given before. Of those too old to know it is not.
    fn give(&mut self, sequence: u64) -> bool {
        let Some(behind) = self.newest.checked_sub(sequence).filter(|behind| *behind < WINDOW) else { return false };
        let is_new = self.given >> behind & 1 == 0;
        self.given |= 1 << behind;
        is_new
    }
}

/// Samples of an Opus packet at 48 kHz (RFC 6716, section 3.1).
fn opus_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..12 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..16 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    (frames > 0).then_some(frame * frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SILK, 20 ms.
    const TOC: u8 = 0x48;

    /// A payload with copies so many packets back, each named by its last byte.
    fn payload(sequence: u8, back: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        for back in back {
            let fields = (u32::from(*back) * 960) << 10 | 2;
            payload.push(FOLLOWS | 111);
            payload.extend_from_slice(&fields.to_be_bytes()[1..]);
        }
        payload.push(111);
        back.iter().for_each(|back| payload.extend_from_slice(&[TOC, sequence - back]));
        payload.extend_from_slice(&[TOC, sequence]);
        payload
    }

    /// Number and name of each.
    fn take(plain: &mut Plain, sequence: u8, back: &[u8]) -> Vec<(u64, u8)> {
        let timestamp = u32::from(sequence) * 960;
        let packets = plain.take(7, u64::from(sequence), timestamp, &payload(sequence, back));
        assert!(packets.iter().all(|packet| u64::from(packet.timestamp) == packet.sequence * 960));
        packets.iter().map(|packet| (packet.sequence, packet.payload[1])).collect()
    }

    #[test]
    fn without_losses_each_packet_is_given_alone() {
        let mut plain = Plain::default();
        for sequence in 10..20 {
            assert_eq!(take(&mut plain, sequence, &[6, 3]), [(u64::from(sequence), sequence)]);
        }
    }

    #[test]
    fn what_was_lost_on_the_way_is_given_from_its_copy() {
        let mut plain = Plain::default();
        (10..14).for_each(|sequence| assert_eq!(take(&mut plain, sequence, &[2, 1]).len(), 1));
        assert_eq!(take(&mut plain, 16, &[2, 1]), [(14, 14), (15, 15), (16, 16)]);
        // It comes after all.
        assert_eq!(take(&mut plain, 15, &[2, 1]), []);
        assert_eq!(take(&mut plain, 17, &[2, 1]), [(17, 17)]);
    }

    #[test]
    fn what_came_without_redundancy_is_not_given_again() {
        let (mut plain, sound) = (Plain::default(), Arc::from([TOC, 11].as_slice()));
        assert_eq!(plain.pass(7, 9, 9 * 960, &sound), None);
        take(&mut plain, 10, &[2, 1]);
        assert_eq!(plain.pass(7, 11, 11 * 960, &sound).unwrap().len(), 1);
        assert_eq!(take(&mut plain, 12, &[2, 1]), [(12, 12)]);
        assert_eq!(take(&mut plain, 14, &[2, 1]), [(13, 13), (14, 14)]);
        assert_eq!(plain.pass(7, 13, 13 * 960, &sound), Some(vec![]));
    }

    #[test]
    fn nothing_from_before_the_first_packet_is_given() {
        let mut plain = Plain::default();
        assert_eq!(take(&mut plain, 10, &[2, 1]), [(10, 10)]);
        assert_eq!(take(&mut plain, 12, &[3, 2, 1]), [(11, 11), (12, 12)]);
        // A publisher that starts over.
        assert_eq!(plain.take(8, 5, 0, &payload(5, &[1])).len(), 1);
        assert_eq!(plain.take(8, 70_000, 0, &payload(5, &[1])).len(), 2);
    }

    #[test]
    fn payload_types_inside_are_those_of_the_receiver() {
        assert_eq!(with_block_type(&payload(9, &[2, 1]), 111), None);
        let changed = with_block_type(&payload(9, &[2, 1]), 96).unwrap();
        let contents = read(&changed).unwrap();
        assert_eq!(
            (contents.payload_type, contents.copies[0].payload_type, contents.copies[1].payload_type),
            (96, 96, 96)
        );
        assert_eq!((contents.copies[1].sound, contents.sound), (&[TOC, 8][..], &[TOC, 9][..]));
        assert_eq!(contents.copies[0].offset, 1920);
    }

    #[test]
    fn any_bytes_at_all_are_survived() {
        let whole = payload(9, &[3, 2, 1]);
        for cut in 0..whole.len() {
            Plain::default().take(1, 9, 0, &whole[..cut]);
            with_block_type(&whole[..cut], 1);
        }
        let mut state = 1u32;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..20)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            Plain::default().take(1, u64::from(state >> 30), 0, &bytes);
            with_block_type(&bytes, 1);
        }
    }

    #[test]
    fn lengths_of_opus_packets_are_read() {
        let lengths = [&[0x08][..], &[0x49], &[0xfc], &[0xfb, 3], &[0x60], &[0xff, 0], &[0xff], &[]].map(opus_samples);
        assert_eq!(lengths, [Some(960), Some(1920), Some(960), Some(2880), Some(480), None, None, None]);
    }
}
