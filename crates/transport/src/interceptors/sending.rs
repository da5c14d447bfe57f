//! The end of the sending chain: paces packets, numbers them for the receiver's transport-wide feedback,
//! answers NACKs, learns from the feedback how much may be sent, and repeats what it says is lost.
//!
//! Nearest to the wire, so that what it numbers is what leaves, retransmissions and padding included.

use super::InterceptorState;
use super::resending::Resender;
use crate::doubling::Doubling;
use crate::feedback_gaps::FeedbackGaps;
use crate::loss_log::LossLog;
use crate::pacer::{Departure, Kind};
use crate::send_control::SendControl;
use ::rtp::rtcp::arrivals::packet_statuses;
use bytes::Bytes;
use congestion::{BitrateLimits, SentHistory};
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::sdp::extmap::{SDES_MID_URI, SDES_REPAIR_RTP_STREAM_ID_URI, SDES_RTP_STREAM_ID_URI};
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
pub(super) struct SendInterceptor {
    state: Arc<InterceptorState>,
    control: SendControl<rtp::Packet>,
    history: SentHistory,
    resender: Resender,
    gaps: FeedbackGaps,
    /// Stream and number of what may have to be repeated, by its transport-wide number.
    log: LossLog<(u32, u16)>,
    doubling: Doubling<(u32, u16)>,
    /// Header extension of the transport-wide number, by SSRC; retransmission SSRCs included.
    numbered: HashMap<u32, u8>,
    /// Header extensions that say which layer a packet belongs to, by SSRC; retransmission SSRCs included.
    labels: HashMap<u32, Vec<(u8, Bytes)>>,
    /// Time of the last call that told it.
    now: Option<Instant>,
    wanted: f64,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl SendInterceptor {
    pub(super) fn new(state: Arc<InterceptorState>) -> Self {
        let limits = BitrateLimits { start: START_BPS, min: LEAST_BPS, desired: START_BPS };
        Self {
            state,
            control: SendControl::new(limits),
            history: SentHistory::default(),
            resender: Resender::default(),
            gaps: FeedbackGaps::default(),
            log: LossLog::default(),
            doubling: Doubling::default(),
            numbered: HashMap::new(),
            labels: HashMap::new(),
            now: None,
            wanted: START_BPS,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
        }
    }

    fn on_packet(&mut self, packet: rtp::Packet) {
        let kind = if self.state.outbound.is_video(packet.header.ssrc) { Kind::Video } else { Kind::Audio };
        if kind == Kind::Audio {
            self.control.set_audio_reported(self.numbered.contains_key(&packet.header.ssrc));
        }
        self.resender.keep(&packet);
        self.enqueue(kind, packet);
    }

    fn enqueue(&mut self, kind: Kind, packet: rtp::Packet) {
        self.control.enqueue(kind, datagram_size(&packet), packet);
    }

    fn on_rtcp(&mut self, packet: &dyn rtc::rtcp::Packet, now: Instant) {
        let packet = packet.as_any();
        if let Some(feedback) = packet.downcast_ref::<TransportLayerCc>() {
            let statuses = packet_statuses(feedback);
            let base = feedback.base_sequence_number;
            let unmentioned = self.gaps.lost_before(feedback.fb_pkt_count, base, feedback.packet_status_count);
            let before = (1..=unmentioned).rev().map(|behind| (base.wrapping_sub(behind), false));
            let told = statuses.iter().map(|status| (status.sequence, status.arrival.is_some()));
            let lost = self.log.on_told(before.chain(told));
            let results = self.history.on_feedback(statuses);
            self.state.budgets.on_results(&results, unmentioned);
            self.control.on_results(now, &results);
            if self.gaps.ends_outage(now, unmentioned) {
                self.begin_anew();
            } else {
                self.repeat(lost, now);
            }
            self.publish(now);
        } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
            let spacing = self.control.resend_spacing();
            for copy in self.resender.answer(nack, now, spacing) {
                self.enqueue(Kind::Retransmission, copy);
            }
        }
    }

    /// After an outage its pictures are of no use, and would be in the route of new ones: those begin with a key frame.
    fn begin_anew(&mut self) {
        tracing::debug!("an outage has ended, pictures begin anew");
        self.control.abandon_pictures();
        for ssrc in self.state.outbound.pictures() {
            self.resender.forget(ssrc);
            self.state.request_keyframe(ssrc);
        }
    }

    /// The receiver will ask for what is lost, too, but maybe later, and not again soon if the repetition got lost as well.
    fn repeat(&mut self, lost: Vec<(u32, u16)>, now: Instant) {
        let Some(spacing) = self.control.unasked_spacing(now) else { return };
        for (ssrc, sequence) in lost {
            if let Some(copy) = self.resender.repeat(ssrc, sequence, now, spacing) {
                self.enqueue(Kind::Retransmission, copy);
            }
        }
    }

    /// Takes the encoders' wishes, and lets them see the present state.
    fn publish(&mut self, now: Instant) {
        let wanted = self.state.budgets.wanted_bps();
        if wanted != self.wanted {
            self.wanted = wanted;
            self.control.set_wanted(now, wanted);
        }
        let picture = self.control.picture_bps(now);
        self.state.budgets.set(picture, self.control.estimator().estimate_bps(), self.control.backlog());
    }

    fn release(&mut self, now: Instant) -> Option<TaggedPacket> {
        while let Some(key) = self.doubling.poll(now) {
            if let Some(copy) = self.resender.double(key, now) {
                self.enqueue(Kind::Spare, copy);
            }
        }
        let padding = self.resender.padding_size().map(|payload| payload + AROUND_RTP + NUMBER_EXTENSION + 12);
        let (mut packet, kind) = match self.control.poll(now, padding)? {
            Departure::Packet { packet, kind, .. } => (packet, kind),
            Departure::Padding { .. } => (self.resender.padding()?, Kind::Spare),
        };
        let is_copy = matches!(kind, Kind::Retransmission | Kind::Spare);
        self.state.outbound.on_departure(packet.header.ssrc, packet.payload.len(), is_copy);
        let original = self.resender.original(&packet).filter(|_| kind != Kind::Spare);
        if let Some(key) = original.filter(|_| kind == Kind::Video && self.control.doubles()) {
            self.doubling.on_sent(now, key);
        }
        if let Some(id) = self.numbered.get(&packet.header.ssrc) {
            let number = self.history.on_sent(now, datagram_size(&packet));
            self.log.on_sent(number, original);
            let extension = Bytes::copy_from_slice(&number.to_be_bytes());
            if let Err(error) = packet.header.set_extension(*id, extension) {
                tracing::debug!(%error, "a packet goes without its transport-wide number");
            }
        }
        for (id, label) in self.labels.get(&packet.header.ssrc).into_iter().flatten() {
            if let Err(error) = packet.header.set_extension(*id, label.clone()) {
                tracing::debug!(%error, "a packet goes without its layer");
            }
        }
        let message = AttributedPacket::new(Packet::Rtp(packet));
        Some(TaggedPacket { now, transport: TransportContext::default(), message })
    }

    /// Prepares what the packets of a layer say of themselves (RFC 8852).
    fn label(&mut self, info: &StreamInfo) {
        let Some((mid, rid)) = self.state.outbound.label(info.ssrc) else { return };
        let id = |uri: &str| {
            let extension = info.rtp_header_extensions.iter().find(|extension| extension.uri == uri);
            extension.and_then(|extension| u8::try_from(extension.id).ok()).filter(|id| *id != 0)
        };
        let (mid, rid) = (Bytes::from(mid), Bytes::from(rid));
        let label = |of_layer: &str| {
            [(id(SDES_MID_URI), mid.clone()), (id(of_layer), rid.clone())]
                .into_iter()
                .filter_map(|(id, value)| Some((id?, value)))
                .collect()
        };
        self.labels.insert(info.ssrc, label(SDES_RTP_STREAM_ID_URI));
        if let Some(rtx) = info.ssrc_rtx {
            self.labels.insert(rtx, label(SDES_REPAIR_RTP_STREAM_ID_URI));
        }
    }
}

fn datagram_size(packet: &rtp::Packet) -> usize {
    packet.marshal_size() + NUMBER_EXTENSION + AROUND_RTP
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for SendInterceptor {
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
        // A busy machine may have let the thread wait since the last call that told the time, and what the packet waited here
        // must not be taken for a delay of the path.
        self.release(self.now?.max(Instant::now()))
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.now = Some(now);
        self.control.handle_timeout(now);
        self.publish(now);
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let control = self.control.next_timeout(self.now?, self.resender.padding_size().is_some());
        [control, self.doubling.next_timeout()].into_iter().flatten().min()
    }
}

impl Interceptor for SendInterceptor {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.resender.bind(info);
        let extension = info.rtp_header_extensions.iter().find(|extension| extension.uri == TRANSPORT_WIDE_NUMBER);
        if let Some(id) = extension.and_then(|extension| u8::try_from(extension.id).ok()).filter(|id| *id != 0) {
            let ssrcs = std::iter::once(info.ssrc).chain(info.ssrc_rtx);
            self.numbered.extend(ssrcs.map(|ssrc| (ssrc, id)));
        }
        self.label(info);
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.resender.unbind(info.ssrc);
        self.numbered.retain(|ssrc, _| *ssrc != info.ssrc && Some(*ssrc) != info.ssrc_rtx);
        self.labels.retain(|ssrc, _| *ssrc != info.ssrc && Some(*ssrc) != info.ssrc_rtx);
        self.control.remove_video(|packet| packet.header.ssrc == info.ssrc);
    }

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
