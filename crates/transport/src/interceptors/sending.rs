//! The end of the sending chain: paces packets, numbers them for the receiver's transport-wide feedback,
//! answers NACKs, and learns from the feedback how much may be sent.
//!
//! Nearest to the wire, so that what it numbers is what leaves, retransmissions and padding included.

use super::ChainState;
use super::resending::Resender;
use crate::bandwidth::{Acknowledgement, Limits, SentHistory};
use crate::pacer::{Departure, Kind};
use crate::send_control::SendControl;
use bytes::Bytes;
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket, convert_twcc};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;
use rtc::shared::marshal::MarshalSize;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// Where to begin, and the floor, in bits per second: a small picture passes almost everywhere.
pub(crate) const START_BPS: f64 = 1_000_000.0;
const LEAST_BPS: f64 = 100_000.0;
/// What a datagram has around the RTP packet: IPv4, UDP, SRTP's tag.
const AROUND_RTP: usize = 20 + 8 + 16;
/// The transport-wide number's header extension: profile and length where there was none, and itself.
const NUMBER_EXTENSION: usize = 8;
const TRANSPORT_WIDE_NUMBER: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// The interceptor.
pub(super) struct SendingEnd {
    state: Arc<ChainState>,
    control: SendControl<rtp::Packet>,
    history: SentHistory,
    resender: Resender,
    /// Header extension of the transport-wide number, by SSRC; retransmission SSRCs included.
    numbered: HashMap<u32, u8>,
    /// Time of the last call that told it.
    now: Option<Instant>,
    wanted: f64,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl SendingEnd {
    pub(super) fn new(state: Arc<ChainState>) -> Self {
        let limits = Limits { start: START_BPS, least: LEAST_BPS, wanted: START_BPS };
        Self {
            state,
            control: SendControl::new(limits),
            history: SentHistory::default(),
            resender: Resender::default(),
            numbered: HashMap::new(),
            now: None,
            wanted: START_BPS,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
        }
    }

    fn on_packet(&mut self, packet: rtp::Packet) {
        let kind = if self.state.outbound.is_video(packet.header.ssrc) { Kind::Video } else { Kind::Audio };
        self.resender.keep(&packet);
        self.enqueue(kind, packet);
    }

    fn enqueue(&mut self, kind: Kind, packet: rtp::Packet) {
        self.control.enqueue(kind, datagram_size(&packet), packet);
    }

    fn on_rtcp(&mut self, packet: &dyn rtc::rtcp::Packet, now: Instant) {
        let packet = packet.as_any();
        if let Some(feedback) = packet.downcast_ref::<TransportLayerCc>() {
            let told = convert_twcc(feedback).into_iter();
            // Arrived but without a time tells nothing about the path: left out.
            let told = told.filter(|told| !told.arrived || told.arrival.is_some());
            let acknowledgements =
                told.map(|told| Acknowledgement { sequence: told.sequence_number, arrival: told.arrival });
            let results = self.history.on_feedback(acknowledgements);
            self.control.on_results(now, &results);
            self.publish(now);
        } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
            let spacing = self.control.resend_spacing();
            for copy in self.resender.answer(nack, now, spacing) {
                self.enqueue(Kind::Retransmission, copy);
            }
        }
    }

    /// Takes the encoders' wishes, and lets them see the present state.
    fn publish(&mut self, now: Instant) {
        let wanted = self.state.budgets.wanted_bps();
        if wanted != self.wanted {
            self.wanted = wanted;
            self.control.set_wanted(wanted);
        }
        let picture = self.control.picture_bps(now);
        self.state.budgets.set(picture, self.control.estimator().estimate_bps(), self.control.backlog());
    }

    fn release(&mut self, now: Instant) -> Option<TaggedPacket> {
        let padding = self.resender.padding_size().map(|payload| payload + AROUND_RTP + NUMBER_EXTENSION + 12);
        let (mut packet, is_copy) = match self.control.poll(now, padding)? {
            Departure::Packet { packet, kind, .. } => (packet, kind == Kind::Retransmission),
            Departure::Padding { .. } => (self.resender.padding()?, true),
        };
        self.state.outbound.on_departure(packet.header.ssrc, packet.payload.len(), is_copy);
        if let Some(id) = self.numbered.get(&packet.header.ssrc) {
            let number = self.history.on_sent(now, datagram_size(&packet));
            let extension = Bytes::copy_from_slice(&number.to_be_bytes());
            if let Err(error) = packet.header.set_extension(*id, extension) {
                tracing::debug!(%error, "a packet goes without its transport-wide number");
            }
        }
        let message = AttributedPacket::new(Packet::Rtp(packet));
        Some(TaggedPacket { now, transport: TransportContext::default(), message })
    }
}

fn datagram_size(packet: &rtp::Packet) -> usize {
    packet.marshal_size() + NUMBER_EXTENSION + AROUND_RTP
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for SendingEnd {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        self.now = Some(tagged.now);
        if let Packet::Rtcp(packets) = &tagged.message.packet {
            for packet in packets {
                self.on_rtcp(packet.as_ref(), tagged.now);
            }
        }
        self.reads.push_back(tagged);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        self.now = Some(tagged.now);
        let TaggedPacket { now, transport, message } = tagged;
        match message.packet {
            Packet::Rtp(packet) => self.on_packet(packet),
            packet => {
                let message = AttributedPacket { attributes: message.attributes, packet };
                self.writes.push_back(TaggedPacket { now, transport, message });
            }
        }
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        if let Some(tagged) = self.writes.pop_front() {
            return Some(tagged);
        }
        self.release(self.now?)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.now = Some(now);
        self.control.handle_timeout(now);
        self.publish(now);
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.control.next_timeout(self.now?, self.resender.padding_size().is_some())
    }
}

impl Interceptor for SendingEnd {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.resender.bind(info);
        let extension = info.rtp_header_extensions.iter().find(|extension| extension.uri == TRANSPORT_WIDE_NUMBER);
        if let Some(id) = extension.and_then(|extension| u8::try_from(extension.id).ok()).filter(|id| *id != 0) {
            let ssrcs = std::iter::once(info.ssrc).chain(info.ssrc_rtx);
            self.numbered.extend(ssrcs.map(|ssrc| (ssrc, id)));
        }
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.resender.unbind(info.ssrc);
        self.numbered.retain(|ssrc, _| *ssrc != info.ssrc && Some(*ssrc) != info.ssrc_rtx);
        self.control.remove_video(|packet| packet.header.ssrc == info.ssrc);
    }

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
