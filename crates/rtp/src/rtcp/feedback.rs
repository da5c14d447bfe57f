//! What a receiver reports about the packets that it gets: losses, requests, arrivals.
//!
//! RTCP of RFC 3550, RFC 4585, RFC 5104 and draft-holmer-rmcat-transport-wide-cc-extensions-01, parsed by `rtc-rtcp`. A
//! malformed packet is skipped; the others of the compound packet count.

use rtc_rtcp::packet::Packet;
use rtc_rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

use super::arrivals::{PacketStatus, packet_statuses};

/// One report of a receiver.
#[derive(Clone, Debug, PartialEq)]
pub enum Feedback {
    /// How a source was received (a report block of RFC 3550).
    Reception {
        /// The source.
        ssrc: u32,
        /// Share of its packets lost since the last report, 0 to 1.
        lost: f32,
    },
    /// Packets are missing (NACK, RFC 4585).
    Nack {
        /// The source.
        ssrc: u32,
        /// Their sequence numbers.
        sequences: Vec<u16>,
    },
    /// A frame cannot be decoded without a key frame (PLI, RFC 4585; FIR, RFC 5104).
    KeyframeRequest {
        /// The source.
        ssrc: u32,
    },
    /// When packets arrived, by their transport-wide sequence numbers.
    Arrivals(Vec<PacketStatus>),
}

/// Reads a decrypted compound packet.
#[must_use]
pub fn read(mut compound: &[u8]) -> Vec<Feedback> {
    let mut feedback = Vec::new();
    while let Some((mut packet, rest)) = split_packet(compound) {
        for packet in rtc_rtcp::packet::unmarshal(&mut packet).unwrap_or_default() {
            add(packet.as_ref(), &mut feedback);
        }
        compound = rest;
    }
    feedback
}

/// The sequence numbers that a NACK names: each packet, and those of the sixteen after it whose bits are set.
pub fn nack_sequences(nack: &TransportLayerNack) -> impl Iterator<Item = u16> + '_ {
    nack.nacks.iter().flat_map(|pair| {
        let following = (0..16).filter(|bit| pair.lost_packets >> bit & 1 == 1).map(|bit| bit + 1);
        std::iter::once(0).chain(following).map(|offset| pair.packet_id.wrapping_add(offset))
    })
}

/// The first packet by the length in its header (RFC 3550, section 6.4.1), and what follows.
fn split_packet(compound: &[u8]) -> Option<(&[u8], &[u8])> {
    let &[_, _, high, low] = compound.first_chunk::<4>()?;
    compound.split_at_checked((usize::from(u16::from_be_bytes([high, low])) + 1) * 4)
}

fn add(packet: &dyn Packet, feedback: &mut Vec<Feedback>) {
    let packet = packet.as_any();
    if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
        feedback.extend(report.reports.iter().map(reception));
    } else if let Some(report) = packet.downcast_ref::<SenderReport>() {
        feedback.extend(report.reports.iter().map(reception));
    } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
        feedback.push(Feedback::Nack { ssrc: nack.media_ssrc, sequences: nack_sequences(nack).collect() });
    } else if let Some(report) = packet.downcast_ref::<TransportLayerCc>() {
        feedback.push(Feedback::Arrivals(packet_statuses(report)));
    } else if let Some(pli) = packet.downcast_ref::<PictureLossIndication>() {
        feedback.push(Feedback::KeyframeRequest { ssrc: pli.media_ssrc });
    } else if let Some(fir) = packet.downcast_ref::<FullIntraRequest>() {
        feedback.extend(fir.fir.iter().map(|entry| Feedback::KeyframeRequest { ssrc: entry.ssrc }));
    }
}

fn reception(report: &ReceptionReport) -> Feedback {
    Feedback::Reception { ssrc: report.ssrc, lost: f32::from(report.fraction_lost) / 256.0 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SENDER_REPORT: u8 = 200;
    const RECEIVER_REPORT: u8 = 201;
    const TRANSPORT_FEEDBACK: u8 = 205;
    const PAYLOAD_FEEDBACK: u8 = 206;
    const NACK: u8 = 1;
    const TRANSPORT_WIDE: u8 = 15;
    const PLI: u8 = 1;
    const FIR: u8 = 4;

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
    fn loss_is_read_from_both_kinds_of_reports() {
        let block = [&SOURCE[..], &[64], &[0; 19]].concat();
        let expected = vec![Feedback::Reception { ssrc: SSRC, lost: 0.25 }];
        assert_eq!(read(&packet(RECEIVER_REPORT, 1, &[&SENDER, &block])), expected);
        assert_eq!(read(&packet(SENDER_REPORT, 1, &[&SENDER, &[0; 20], &block])), expected);
    }

    #[test]
    fn a_nack_names_a_packet_and_the_sixteen_after_it() {
        let body: [&[u8]; 3] = [&SENDER, &SOURCE, &[0xff, 0xff, 0x80, 0b101]];
        let sequences = vec![0xffff, 0, 2, 15];
        assert_eq!(read(&packet(TRANSPORT_FEEDBACK, NACK, &body)), [Feedback::Nack { ssrc: SSRC, sequences }]);
    }

    #[test]
    fn both_kinds_of_keyframe_requests_are_read_from_one_compound() {
        let compound = [
            packet(RECEIVER_REPORT, 0, &[&SENDER]),
            packet(PAYLOAD_FEEDBACK, PLI, &[&SENDER, &SOURCE]),
            packet(PAYLOAD_FEEDBACK, FIR, &[&SENDER, &[0; 4], &SOURCE, &[7, 0, 0, 0]]),
        ];
        assert_eq!(read(&compound.concat()), vec![Feedback::KeyframeRequest { ssrc: SSRC }; 2]);
    }

    #[test]
    fn arrivals_are_read_from_all_kinds_of_chunks() {
        // Two arrived after 1 ms each, one was lost, then one that came 2 ms earlier; the reference is 64 ms.
        let mut head = [&SENDER[..], &SOURCE, &[0xff, 0xff, 0, 17], &[0, 0, 1, 0]].concat();
        let (runs, vector, pairs) = ([0x20, 2], [0x80, 0], [0b1110_0000, 0]);
        head.extend_from_slice(&[&runs[..], &vector, &pairs, &[4, 4, 0xff, 0xf8], &[0, 0]].concat());
        let feedback = read(&packet(TRANSPORT_FEEDBACK, TRANSPORT_WIDE, &[&head]));
        let Feedback::Arrivals(arrivals) = &feedback[0] else { panic!("{feedback:?}") };
        let seen: Vec<_> = arrivals.iter().map(|status| (status.sequence, status.arrival)).collect();
        assert_eq!(seen.len(), 17);
        assert_eq!(seen[..3], [(0xffff, millis(65)), (0, millis(66)), (1, None)]);
        assert_eq!(seen[16], (15, millis(64)));
    }

    #[test]
    fn every_cut_of_a_packet_is_read_without_a_panic() {
        let body: [&[u8]; 4] = [&SENDER, &SOURCE, &[0, 1, 0, 200, 0, 0, 1, 0], &[0x20, 200, 1, 2]];
        let whole = packet(TRANSPORT_FEEDBACK, TRANSPORT_WIDE, &body);
        assert!(read(&whole).is_empty(), "times are missing");
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_empty());
            let padded = [&[whole[0] | 0x20], &whole[1..length.max(1)], &[0xff; 20]].concat();
            let _ = read(&padded);
        }
    }

    #[test]
    fn damaged_packets_are_read_without_a_panic() {
        let whole = [
            packet(SENDER_REPORT, 1, &[&SENDER, &[0; 20], &SOURCE, &[64], &[0; 19]]),
            packet(TRANSPORT_FEEDBACK, NACK, &[&SENDER, &SOURCE, &[1; 8]]),
            packet(PAYLOAD_FEEDBACK, FIR, &[&SENDER, &[0; 4], &SOURCE, &[7, 0, 0, 0]]),
            packet(207, 0, &[&SENDER, &[4, 0, 0, 2], &[0; 8]]),
            packet(
                TRANSPORT_FEEDBACK,
                TRANSPORT_WIDE,
                &[&SENDER, &SOURCE, &[0, 1, 0, 4, 0, 0, 1, 0], &[0x20, 4, 1, 2, 3, 4, 0, 0]],
            ),
        ]
        .concat();
        assert_eq!(read(&whole).len(), 4);
        let mut state = 7u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..200_000 {
            let mut damaged = whole.clone();
            for _ in 0..=random(4) {
                let at = random(damaged.len());
                damaged[at] = random(256) as u8;
            }
            damaged.truncate(1 + random(damaged.len()));
            let _ = read(&damaged);
        }
    }
}
