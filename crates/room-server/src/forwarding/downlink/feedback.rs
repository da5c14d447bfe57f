//! What a subscriber says about the packets that it gets: losses, requests, arrivals.
//!
//! Reads the RTCP packets of RFC 3550, RFC 4585, RFC 5104 and draft-holmer-rmcat-transport-wide-cc-extensions-01 that matter
//! to a sender. What is malformed ends the reading; what came before it counts.

use std::time::Duration;

use congestion::PacketStatus;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
/// Kinds of feedback.
const NACK: u8 = 1;
const TRANSPORT_WIDE: u8 = 15;
const PLI: u8 = 1;
const FIR: u8 = 4;
/// Bytes of a common head, of a report block, and of sender information with the sender's SSRC.
const HEAD: usize = 4;
const BLOCK: usize = 24;
const SENDER_INFORMATION: usize = 24;
/// Units of arrival times.
const REFERENCE_UNIT: Duration = Duration::from_millis(64);
const DELTA_UNIT_MICROS: i64 = 250;

/// One thing that was said.
#[derive(Clone, Debug, PartialEq)]
pub enum Feedback {
    /// Reception of a source.
    Reception {
        /// The source.
        ssrc: u32,
        /// Share of its packets lost since the last report, 0 to 1.
        lost: f32,
    },
    /// Packets are missing.
    Missing {
        /// The source.
        ssrc: u32,
        /// Their sequence numbers.
        sequences: Vec<u16>,
    },
    /// A picture cannot be decoded without a key frame.
    KeyframeNeeded {
        /// The source.
        ssrc: u32,
    },
    /// When packets arrived, by their transport-wide numbers.
    Arrivals(Vec<PacketStatus>),
}

/// Reads a compound packet.
pub fn read(mut compound: &[u8]) -> Vec<Feedback> {
    let mut told = Vec::new();
    while let Some((kind, count, body, rest)) = next_packet(compound) {
        match (kind, count) {
            (SENDER_REPORT, _) => read_blocks(body.get(SENDER_INFORMATION..).unwrap_or_default(), count, &mut told),
            (RECEIVER_REPORT, _) => read_blocks(body.get(4..).unwrap_or_default(), count, &mut told),
            (TRANSPORT_FEEDBACK, NACK) => told.extend(read_nack(body)),
            (TRANSPORT_FEEDBACK, TRANSPORT_WIDE) => told.extend(read_arrivals(body)),
            (PAYLOAD_FEEDBACK, PLI) => told.extend(word(body, 4).map(|ssrc| Feedback::KeyframeNeeded { ssrc })),
            (PAYLOAD_FEEDBACK, FIR) => {
                let entries = body.get(8..).unwrap_or_default().chunks_exact(8);
                told.extend(entries.filter_map(|entry| Some(Feedback::KeyframeNeeded { ssrc: word(entry, 0)? })));
            }
            _ => {}
        }
        compound = rest;
    }
    told
}

/// Kind, count or format, body without padding, and what follows.
fn next_packet(compound: &[u8]) -> Option<(u8, u8, &[u8], &[u8])> {
    let (first, kind) = (*compound.first()?, *compound.get(1)?);
    if first >> 6 != 2 {
        return None;
    }
    let length = (usize::from(half_word(compound, 2)?) + 1) * 4;
    let (packet, rest) = compound.split_at_checked(length)?;
    let padding = if first & 0x20 != 0 { usize::from(*packet.last()?) } else { 0 };
    let body = packet.get(HEAD..length.checked_sub(padding)?)?;
    Some((kind, first & 0x1f, body, rest))
}

fn read_blocks(blocks: &[u8], count: u8, told: &mut Vec<Feedback>) {
    for block in blocks.chunks_exact(BLOCK).take(count.into()) {
        if let (Some(ssrc), Some(lost)) = (word(block, 0), block.get(4)) {
            told.push(Feedback::Reception { ssrc, lost: f32::from(*lost) / 256.0 });
        }
    }
}

fn read_nack(body: &[u8]) -> Option<Feedback> {
    let mut sequences = Vec::new();
    for entry in body.get(8..)?.chunks_exact(4) {
        let (first, following) = (half_word(entry, 0)?, half_word(entry, 2)?);
        sequences.push(first);
        sequences.extend((0..16).filter(|bit| following >> bit & 1 == 1).map(|bit| first.wrapping_add(bit + 1)));
    }
    Some(Feedback::Missing { ssrc: word(body, 4)?, sequences })
}

fn read_arrivals(body: &[u8]) -> Option<Feedback> {
    let (first, count) = (half_word(body, 8)?, usize::from(half_word(body, 10)?));
    let reference = word(body, 12)? >> 8;
    let mut rest = body.get(16..)?;
    let mut statuses: Vec<u8> = Vec::with_capacity(count.min(1024));
    while statuses.len() < count {
        let chunk = half_word(rest, 0)?;
        rest = rest.get(2..)?;
        let missing = count - statuses.len();
        if chunk & 0x8000 == 0 {
            let run = usize::from(chunk & 0x1fff);
            if run == 0 {
                return None;
            }
            statuses.extend(std::iter::repeat_n((chunk >> 13 & 0b11) as u8, run.min(missing)));
        } else if chunk & 0x4000 == 0 {
            statuses.extend((0..14).rev().map(|bit| (chunk >> bit & 1) as u8).take(missing));
        } else {
            statuses.extend((0..7).rev().map(|pair| (chunk >> (2 * pair) & 0b11) as u8).take(missing));
        }
    }
    let mut micros = i64::try_from((REFERENCE_UNIT * reference).as_micros()).ok()?;
    let mut arrivals = Vec::with_capacity(statuses.len());
    for (at, status) in statuses.into_iter().enumerate() {
        let (delta, length) = match status {
            1 => (i64::from(*rest.first()?), 1),
            2 => (i64::from(half_word(rest, 0)?.cast_signed()), 2),
            _ => (0, 0),
        };
        rest = rest.get(length..)?;
        micros += delta * DELTA_UNIT_MICROS;
        let arrival = (status == 1 || status == 2).then(|| u64::try_from(micros).unwrap_or_default());
        // The count fits 16 bits.
        let sequence = first.wrapping_add(at as u16);
        // Arrived but without a time tells nothing about the way: left out.
        if status != 3 {
            arrivals.push(PacketStatus { sequence, arrival: arrival.map(Duration::from_micros) });
        }
    }
    Some(Feedback::Arrivals(arrivals))
}

fn half_word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: [u8; 4] = [0, 0, 0, 9];
    const SOURCE: [u8; 4] = [1, 2, 3, 4];
    const SSRC: u32 = 0x0102_0304;

    fn packet(kind: u8, count: u8, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        assert_eq!(body.len() % 4, 0);
        [&[0x80 | count, kind, 0, (body.len() / 4) as u8], &body[..]].concat()
    }

    fn millis(millis: u64) -> Option<Duration> {
        Some(Duration::from_millis(millis))
    }

    #[test]
    fn losses_are_read_from_both_kinds_of_reports() {
        let block = [&SOURCE[..], &[64], &[0; 19]].concat();
        let expected = vec![Feedback::Reception { ssrc: SSRC, lost: 0.25 }];
        assert_eq!(read(&packet(RECEIVER_REPORT, 1, &[&SENDER, &block])), expected);
        assert_eq!(read(&packet(SENDER_REPORT, 1, &[&SENDER, &[0; 20], &block])), expected);
    }

    #[test]
    fn a_request_names_a_packet_and_the_sixteen_after_it() {
        let body: [&[u8]; 3] = [&SENDER, &SOURCE, &[0xff, 0xff, 0x80, 0b101]];
        let sequences = vec![0xffff, 0, 2, 15];
        assert_eq!(read(&packet(TRANSPORT_FEEDBACK, NACK, &body)), [Feedback::Missing { ssrc: SSRC, sequences }]);
    }

    #[test]
    fn both_ways_to_ask_for_a_key_frame_are_understood_in_one_compound() {
        let compound = [
            packet(RECEIVER_REPORT, 0, &[&SENDER]),
            packet(PAYLOAD_FEEDBACK, PLI, &[&SENDER, &SOURCE]),
            packet(PAYLOAD_FEEDBACK, FIR, &[&SENDER, &[0; 4], &SOURCE, &[7, 0, 0, 0]]),
        ];
        assert_eq!(read(&compound.concat()), vec![Feedback::KeyframeNeeded { ssrc: SSRC }; 2]);
    }

    #[test]
    fn arrivals_are_read_from_all_kinds_of_chunks() {
        // Two arrived after 1 ms each, one was lost, then one that came 2 ms earlier; the reference is 64 ms.
        let mut head = [&SENDER[..], &SOURCE, &[0xff, 0xff, 0, 17], &[0, 0, 1, 0]].concat();
        let (runs, vector, pairs) = ([0x20, 2], [0x80, 0], [0b1110_0000, 0]);
        head.extend_from_slice(&[&runs[..], &vector, &pairs, &[4, 4, 0xff, 0xf8], &[0, 0]].concat());
        let told = read(&packet(TRANSPORT_FEEDBACK, TRANSPORT_WIDE, &[&head]));
        let Feedback::Arrivals(arrivals) = &told[0] else { panic!("{told:?}") };
        let seen: Vec<_> = arrivals.iter().map(|told| (told.sequence, told.arrival)).collect();
        assert_eq!(seen.len(), 17);
        assert_eq!(seen[..3], [(0xffff, millis(65)), (0, millis(66)), (1, None)]);
        assert_eq!(seen[16], (15, millis(64)));
    }

    #[test]
    fn every_cut_of_a_packet_is_survived() {
        let body: [&[u8]; 4] = [&SENDER, &SOURCE, &[0, 1, 0, 200, 0, 0, 1, 0], &[0x20, 200, 1, 2]];
        let whole = packet(TRANSPORT_FEEDBACK, TRANSPORT_WIDE, &body);
        assert!(read(&whole).is_empty(), "times are missing");
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_empty());
            let padded = [&[whole[0] | 0x20], &whole[1..length.max(1)], &[0xff; 20]].concat();
            read(&padded);
        }
    }
}
