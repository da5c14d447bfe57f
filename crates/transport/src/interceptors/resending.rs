//! Copies of sent packets: answers to NACKs, and padding for probes.
//!
//! Both go out as retransmissions (RFC 4588). A copy of a recent packet is padding that may even be of use.

use crate::resend::ResendBuffer;
use ::rtp::rtcp::feedback::nack_sequences;
use rtc::interceptor::StreamInfo;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::rtp;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Padding goes through so many of the newest packets in turn.
const PADDING_PACKETS: usize = 16;
/// Smaller packets make poor padding.
const LEAST_PADDING: usize = 400;

/// A sent stream.
#[derive(Debug)]
struct Stream {
    /// SSRC and payload type of its retransmissions, and the next sequence number there.
    rtx: Option<(u32, u8, u16)>,
    buffer: ResendBuffer<rtp::Packet>,
}

impl Stream {
    fn repeat(&mut self, sequence: u16, now: Instant, spacing: Duration) -> Option<rtp::Packet> {
        let original = self.buffer.requested(sequence, now, spacing)?;
        Some(self.copy(original))
    }

    /// The packet as its retransmission, or as it was if there is no retransmission stream.
    fn copy(&mut self, original: rtp::Packet) -> rtp::Packet {
        let Some((ssrc, payload_type, sequence)) = &mut self.rtx else { return original };
        let mut payload = Vec::with_capacity(2 + original.payload.len());
        payload.extend_from_slice(&original.header.sequence_number.to_be_bytes());
        payload.extend_from_slice(&original.payload);
        let header = rtp::Header {
            version: 2,
            ssrc: *ssrc,
            payload_type: *payload_type,
            sequence_number: *sequence,
            timestamp: original.header.timestamp,
            marker: original.header.marker,
            ..Default::default()
        };
        *sequence = sequence.wrapping_add(1);
        rtp::Packet { header, payload: payload.into() }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Resender {
    streams: HashMap<u32, Stream>,
    padding_turn: usize,
}

impl Resender {
    pub(super) fn bind(&mut self, info: &StreamInfo) {
        let asks = info.rtcp_feedback.iter().any(|feedback| feedback.typ == "nack" && feedback.parameter.is_empty());
        if asks {
            let rtx = info.ssrc_rtx.zip(info.payload_type_rtx);
            let rtx = rtx.map(|(ssrc, payload_type)| (ssrc, payload_type, rand::random::<u16>() >> 1));
            self.streams.insert(info.ssrc, Stream { rtx, buffer: ResendBuffer::default() });
        }
    }

    pub(super) fn unbind(&mut self, ssrc: u32) {
        self.streams.remove(&ssrc);
    }

    /// Keeps a packet that may be asked for.
    pub(super) fn keep(&mut self, packet: &rtp::Packet) {
        if let Some(stream) = self.streams.get_mut(&packet.header.ssrc) {
            stream.buffer.keep(packet.header.sequence_number, packet.clone());
        }
    }

    /// The copies that answer a NACK.
    pub(super) fn answer(&mut self, nack: &TransportLayerNack, now: Instant, spacing: Duration) -> Vec<rtp::Packet> {
        let Some(stream) = self.streams.get_mut(&nack.media_ssrc) else { return Vec::new() };
        let mut copies = Vec::new();
        for sequence in nack_sequences(nack) {
            copies.extend(stream.repeat(sequence, now, spacing));
        }
        copies
    }

    /// Forgets what was sent on a stream.
    pub(super) fn forget(&mut self, ssrc: u32) {
        if let Some(stream) = self.streams.get_mut(&ssrc) {
            stream.buffer.forget();
        }
    }

    /// A copy of a packet that got lost, unless one left just now.
    pub(super) fn repeat(&mut self, ssrc: u32, sequence: u16, now: Instant, spacing: Duration) -> Option<rtp::Packet> {
        self.streams.get_mut(&ssrc)?.repeat(sequence, now, spacing)
    }

    /// A copy of a packet that left lately, whatever became of it.
    pub(super) fn double(&mut self, (ssrc, sequence): (u32, u16), now: Instant) -> Option<rtp::Packet> {
        let stream = self.streams.get_mut(&ssrc).filter(|stream| stream.rtx.is_some())?;
        stream.repeat(sequence, now, Duration::ZERO)
    }

    /// Stream and number of the packet that this one is, or is a copy of; `None` if it cannot be repeated.
    pub(super) fn original(&self, packet: &rtp::Packet) -> Option<(u32, u16)> {
        let (ssrc, number) = (packet.header.ssrc, packet.header.sequence_number);
        if self.streams.contains_key(&ssrc) {
            return Some((ssrc, number));
        }
        let is_copy = |stream: &Stream| stream.rtx.is_some_and(|(rtx, ..)| rtx == ssrc);
        let (original, _) = self.streams.iter().find(|(_, stream)| is_copy(stream))?;
        let number = packet.payload.get(..2)?;
        Some((*original, u16::from_be_bytes([number[0], number[1]])))
    }

    /// Size of the payload of the next padding packet, if one can be made.
    pub(super) fn padding_size(&self) -> Option<usize> {
        self.padding_source().map(|(_, packet)| packet.payload.len() + 2)
    }

    /// The next padding packet.
    pub(super) fn padding(&mut self) -> Option<rtp::Packet> {
        let (ssrc, packet) = self.padding_source()?;
        self.padding_turn = self.padding_turn.wrapping_add(1);
        self.streams.get_mut(&ssrc).map(|stream| stream.copy(packet))
    }

    fn padding_source(&self) -> Option<(u32, rtp::Packet)> {
        let repaired = self.streams.iter().filter(|(_, stream)| stream.rtx.is_some());
        let of_stream = |(ssrc, stream): (&u32, &Stream)| {
            let turns = (0..PADDING_PACKETS).map(|turn| self.padding_turn % PADDING_PACKETS + turn);
            let mut packets = turns.filter_map(|turn| stream.buffer.padding(turn, PADDING_PACKETS));
            packets.find(|packet| packet.payload.len() >= LEAST_PADDING).map(|packet| (*ssrc, packet))
        };
        repaired.filter_map(of_stream).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::interceptor::RTCPFeedback;
    use rtc::rtcp::transport_feedbacks::transport_layer_nack::NackPair;

    const SPACING: Duration = Duration::from_millis(40);

    fn resender(rtx: bool) -> Resender {
        let mut resender = Resender::default();
        resender.bind(&StreamInfo {
            ssrc: 7,
            ssrc_rtx: rtx.then_some(8),
            payload_type_rtx: rtx.then_some(120),
            rtcp_feedback: vec![RTCPFeedback { typ: "nack".to_owned(), parameter: String::new() }],
            ..Default::default()
        });
        for sequence_number in 100..120 {
            let header = rtp::Header { version: 2, ssrc: 7, sequence_number, payload_type: 102, ..Default::default() };
            resender.keep(&rtp::Packet { header, payload: vec![sequence_number as u8; 500].into() });
        }
        resender
    }

    fn nack(packet_id: u16, lost_packets: u16) -> TransportLayerNack {
        TransportLayerNack { sender_ssrc: 0, media_ssrc: 7, nacks: vec![NackPair { packet_id, lost_packets }] }
    }

    #[test]
    fn what_is_asked_for_goes_out_as_a_retransmission() {
        let copies = resender(true).answer(&nack(105, 0b101), Instant::now(), SPACING);
        let heads: Vec<_> = copies
            .iter()
            .map(|copy| (copy.header.ssrc, u16::from_be_bytes([copy.payload[0], copy.payload[1]])))
            .collect();
        assert_eq!(heads, [(8, 105), (8, 106), (8, 108)]);
        assert_eq!(copies[1].header.sequence_number, copies[0].header.sequence_number.wrapping_add(1));
        assert_eq!(copies[0].payload[2..], [105; 500]);
    }

    #[test]
    fn without_a_retransmission_stream_the_packet_itself_is_repeated() {
        let copies = resender(false).answer(&nack(105, 0), Instant::now(), SPACING);
        assert_eq!((copies[0].header.ssrc, copies[0].header.sequence_number), (7, 105));
        assert!(resender(false).padding().is_none());
    }

    #[test]
    fn padding_repeats_recent_packets_in_turn() {
        let mut resender = resender(true);
        assert_eq!(resender.padding_size(), Some(502));
        let first = resender.padding().unwrap();
        let second = resender.padding().unwrap();
        assert_eq!((first.payload[1], second.payload[1]), (119, 118));
    }

    #[test]
    fn a_request_for_a_stream_that_is_gone_is_ignored() {
        let mut resender = resender(true);
        resender.unbind(7);
        assert!(resender.answer(&nack(105, 0), Instant::now(), SPACING).is_empty());
    }
}
