//! Copies of sent packets: retransmissions, duplicates, and padding for probes.
//!
//! All are sent as RTX (RFC 4588). A copy of a recent packet is padding that may even be useful.

use ::rtp::rtcp::feedback::nack_sequences;
use ::rtp::{SentHistory, SequenceExtender};
use rtc::interceptor::StreamInfo;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::rtp;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Number of the newest packets that padding is made of, in turn.
const PADDING_PACKETS: usize = 16;
/// Payload size below which a packet is too small for padding.
const MIN_PADDING_BYTES: usize = 400;

/// Upper bound of packets that are kept for a stream: a second at 20 Mbit/s.
const MAX_PACKETS: usize = 2048;
/// How long they are kept: whatever is older has no use any more.
const MAX_AGE: Duration = Duration::from_secs(60);

/// RTX parameters of a stream.
#[derive(Clone, Copy, Debug)]
struct Rtx {
    ssrc: u32,
    payload_type: u8,
    next_sequence: u16,
}

/// A sent stream.
#[derive(Debug)]
struct Stream {
    rtx: Option<Rtx>,
    extender: SequenceExtender,
    history: SentHistory<rtp::Packet>,
}

impl Stream {
    fn retransmit(&mut self, sequence: u16, now: Instant, spacing: Duration) -> Option<rtp::Packet> {
        let original = self.history.retransmit(sequence, now, spacing)?.clone();
        Some(self.copy(original))
    }

    /// The packet as RTX, or unchanged if there is no RTX stream.
    fn copy(&mut self, original: rtp::Packet) -> rtp::Packet {
        let Some(rtx) = &mut self.rtx else { return original };
        let mut payload = Vec::with_capacity(2 + original.payload.len());
        payload.extend_from_slice(&original.header.sequence_number.to_be_bytes());
        payload.extend_from_slice(&original.payload);
        let header = rtp::Header {
            version: 2,
            ssrc: rtx.ssrc,
            payload_type: rtx.payload_type,
            sequence_number: rtx.next_sequence,
            timestamp: original.header.timestamp,
            marker: original.header.marker,
            ..Default::default()
        };
        rtx.next_sequence = rtx.next_sequence.wrapping_add(1);
        rtp::Packet { header, payload: payload.into() }
    }
}

/// Makes copies of the packets that were sent lately.
#[derive(Debug, Default)]
pub(super) struct Retransmitter {
    streams: HashMap<u32, Stream>,
    padding_turn: usize,
}

impl Retransmitter {
    /// Adds a sent stream, if its receiver supports NACKs.
    pub(super) fn bind(&mut self, info: &StreamInfo) {
        let supports_nack =
            info.rtcp_feedback.iter().any(|feedback| feedback.typ == "nack" && feedback.parameter.is_empty());
        if supports_nack {
            let rtx = info.ssrc_rtx.zip(info.payload_type_rtx);
            let rtx =
                rtx.map(|(ssrc, payload_type)| Rtx { ssrc, payload_type, next_sequence: rand::random::<u16>() >> 1 });
            let history = SentHistory::new(MAX_PACKETS, MAX_AGE);
            self.streams.insert(info.ssrc, Stream { rtx, extender: SequenceExtender::default(), history });
        }
    }

    /// Removes a sent stream.
    pub(super) fn unbind(&mut self, ssrc: u32) {
        self.streams.remove(&ssrc);
    }

    /// Keeps a packet that may be requested.
    pub(super) fn keep(&mut self, packet: &rtp::Packet, now: Instant) {
        if let Some(stream) = self.streams.get_mut(&packet.header.ssrc) {
            let sequence = stream.extender.extend(packet.header.sequence_number);
            stream.history.keep(sequence, packet.clone(), now);
        }
    }

    /// The retransmissions that answer a NACK. A packet is left out if it was retransmitted less than `spacing` ago.
    pub(super) fn answer(&mut self, nack: &TransportLayerNack, now: Instant, spacing: Duration) -> Vec<rtp::Packet> {
        let Some(stream) = self.streams.get_mut(&nack.media_ssrc) else { return Vec::new() };
        let mut copies = Vec::new();
        for sequence in nack_sequences(nack) {
            copies.extend(stream.retransmit(sequence, now, spacing));
        }
        copies
    }

    /// Forgets the packets of a stream.
    pub(super) fn forget(&mut self, ssrc: u32) {
        if let Some(stream) = self.streams.get_mut(&ssrc) {
            stream.history.clear();
        }
    }

    /// A retransmission of a lost packet, unless it was retransmitted less than `spacing` ago.
    pub(super) fn retransmit(
        &mut self,
        (ssrc, sequence): (u32, u16),
        now: Instant,
        spacing: Duration,
    ) -> Option<rtp::Packet> {
        self.streams.get_mut(&ssrc)?.retransmit(sequence, now, spacing)
    }

    /// A duplicate of a recent packet; `None` without an RTX stream.
    pub(super) fn duplicate(&mut self, (ssrc, sequence): (u32, u16), now: Instant) -> Option<rtp::Packet> {
        let stream = self.streams.get_mut(&ssrc).filter(|stream| stream.rtx.is_some())?;
        stream.retransmit(sequence, now, Duration::ZERO)
    }

    /// SSRC and sequence number of the media packet that this one is, or is a copy of; `None` if it cannot be retransmitted.
    pub(super) fn original(&self, packet: &rtp::Packet) -> Option<(u32, u16)> {
        let (ssrc, number) = (packet.header.ssrc, packet.header.sequence_number);
        if self.streams.contains_key(&ssrc) {
            return Some((ssrc, number));
        }
        let is_copy = |stream: &Stream| stream.rtx.is_some_and(|rtx| rtx.ssrc == ssrc);
        let (original, _) = self.streams.iter().find(|(_, stream)| is_copy(stream))?;
        let number = packet.payload.first_chunk::<2>()?;
        Some((*original, u16::from_be_bytes(*number)))
    }

    /// Whether a padding packet can be made.
    pub(super) fn can_pad(&self) -> bool {
        self.padding_source().is_some()
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
            // One of the newest that are large enough, in turn.
            let large = |packet: &&rtp::Packet| packet.payload.len() >= MIN_PADDING_BYTES;
            let recent: Vec<_> = stream.history.recent().take(PADDING_PACKETS).filter(large).collect();
            let packet = recent.get(self.padding_turn.checked_rem(recent.len())?)?;
            Some((*ssrc, (*packet).clone()))
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

    fn retransmitter(rtx: bool) -> Retransmitter {
        let mut retransmitter = Retransmitter::default();
        retransmitter.bind(&StreamInfo {
            ssrc: 7,
            ssrc_rtx: rtx.then_some(8),
            payload_type_rtx: rtx.then_some(120),
            rtcp_feedback: vec![RTCPFeedback { typ: "nack".to_owned(), parameter: String::new() }],
            ..Default::default()
        });
        for sequence_number in 100..120 {
            let header = rtp::Header { version: 2, ssrc: 7, sequence_number, payload_type: 102, ..Default::default() };
            retransmitter
                .keep(&rtp::Packet { header, payload: vec![sequence_number as u8; 500].into() }, Instant::now());
        }
        retransmitter
    }

    fn nack(packet_id: u16, lost_packets: u16) -> TransportLayerNack {
        TransportLayerNack { sender_ssrc: 0, media_ssrc: 7, nacks: vec![NackPair { packet_id, lost_packets }] }
    }

    #[test]
    fn requested_packets_are_sent_as_rtx() {
        let copies = retransmitter(true).answer(&nack(105, 0b101), Instant::now(), SPACING);
        let heads: Vec<_> = copies
            .iter()
            .map(|copy| (copy.header.ssrc, u16::from_be_bytes([copy.payload[0], copy.payload[1]])))
            .collect();
        assert_eq!(heads, [(8, 105), (8, 106), (8, 108)]);
        assert_eq!(copies[1].header.sequence_number, copies[0].header.sequence_number.wrapping_add(1));
        assert_eq!(copies[0].payload[2..], [105; 500]);
    }

    #[test]
    fn without_rtx_the_packet_itself_is_sent_again() {
        let copies = retransmitter(false).answer(&nack(105, 0), Instant::now(), SPACING);
        assert_eq!((copies[0].header.ssrc, copies[0].header.sequence_number), (7, 105));
        assert!(retransmitter(false).padding().is_none());
    }

    #[test]
    fn padding_repeats_recent_packets_in_turn() {
        let mut retransmitter = retransmitter(true);
        assert!(retransmitter.can_pad());
        let first = retransmitter.padding().unwrap();
        let second = retransmitter.padding().unwrap();
        assert_eq!((first.payload[1], second.payload[1]), (119, 118));
    }

    #[test]
    fn a_nack_for_a_removed_stream_is_ignored() {
        let mut retransmitter = retransmitter(true);
        retransmitter.unbind(7);
        assert!(retransmitter.answer(&nack(105, 0), Instant::now(), SPACING).is_empty());
    }
}
