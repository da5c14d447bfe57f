//! The send interceptor: paces packets, numbers them for transport-wide feedback, answers NACKs, estimates the bandwidth
//! from the feedback, and retransmits what the feedback reports lost.
//!
//! It is the interceptor nearest to the wire, so that it numbers the packets that really leave, retransmissions and padding
//! included.

use super::retransmitter::Retransmitter;
use super::send_state::{START_BITRATE, SendState};
use crate::feedback_gaps::FeedbackGaps;
use crate::loss_log::LossLog;
use ::rtp::rtcp::arrivals::packet_statuses;
use ::rtp::{Bitrate, DataSize};
use bytes::Bytes;
use congestion::{BitrateLimits, Priority, SendAction, SendController};
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

/// The lowest estimate.
const MIN_BITRATE: Bitrate = Bitrate::kbps(100);
/// Overhead of a datagram around the RTP packet: IPv4, UDP, SRTP tag.
const DATAGRAM_OVERHEAD: usize = 20 + 8 + 16;
/// Size of the header extension with the transport-wide number, with the extension header where there was none.
const NUMBER_EXTENSION: usize = 8;
const TRANSPORT_WIDE_NUMBER: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// SSRC and sequence number of a media packet.
type MediaKey = (u32, u16);

/// Interceptor for everything that is sent.
pub(super) struct SendInterceptor {
    state: Arc<SendState>,
    control: SendController<rtp::Packet, MediaKey>,
    retransmitter: Retransmitter,
    gaps: FeedbackGaps,
    /// Packets that can be retransmitted, by their transport-wide numbers.
    log: LossLog<MediaKey>,
    /// ID of the header extension with the transport-wide number, by SSRC; RTX SSRCs included.
    number_extensions: HashMap<u32, u8>,
    /// Header extensions that identify the layer of a packet, by SSRC; RTX SSRCs included.
    layer_extensions: HashMap<u32, Vec<(u8, Bytes)>>,
    /// Time of the last call that had it as an argument.
    now: Option<Instant>,
    desired: Bitrate,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl SendInterceptor {
    /// Creates the interceptor of a connection.
    pub(super) fn new(state: Arc<SendState>) -> Self {
        let limits = BitrateLimits { start: START_BITRATE, min: MIN_BITRATE, desired: START_BITRATE };
        Self {
            state,
            control: SendController::new(limits),
            retransmitter: Retransmitter::default(),
            gaps: FeedbackGaps::default(),
            log: LossLog::default(),
            number_extensions: HashMap::new(),
            layer_extensions: HashMap::new(),
            now: None,
            desired: START_BITRATE,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
        }
    }

    fn on_packet(&mut self, packet: rtp::Packet, now: Instant) {
        let ssrc = packet.header.ssrc;
        let is_video = self.state.streams.is_video(ssrc);
        if !is_video {
            self.control.set_audio_reported(self.number_extensions.contains_key(&ssrc));
        }
        self.retransmitter.keep(&packet, now);
        self.enqueue(if is_video { Priority::Video } else { Priority::Audio }, ssrc, packet);
    }

    /// Queues a packet for the media stream `ssrc`, which may be sent under another SSRC.
    fn enqueue(&mut self, priority: Priority, ssrc: u32, packet: rtp::Packet) {
        self.control.enqueue(priority, ssrc, datagram_size(&packet), packet);
    }

    fn on_rtcp(&mut self, packet: &dyn rtc::rtcp::Packet, now: Instant) {
        let packet = packet.as_any();
        if let Some(feedback) = packet.downcast_ref::<TransportLayerCc>() {
            self.on_feedback(feedback, now);
        } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
            let spacing = self.control.requested_spacing();
            for copy in self.retransmitter.answer(nack, now, spacing) {
                self.enqueue(Priority::Retransmission, nack.media_ssrc, copy);
            }
        }
    }

    fn on_feedback(&mut self, feedback: &TransportLayerCc, now: Instant) {
        let statuses = packet_statuses(feedback);
        let base = feedback.base_sequence_number;
        let unmentioned = self.gaps.lost_before(feedback.fb_pkt_count, base, feedback.packet_status_count);
        let before = (1..=unmentioned).rev().map(|behind| (base.wrapping_sub(behind), false));
        let reported = statuses.iter().map(|status| (status.sequence, status.arrival.is_some()));
        let lost = self.log.on_feedback(before.chain(reported));
        let results = self.control.on_feedback(now, statuses);
        self.state.budgets.on_results(&results, unmentioned);
        if self.gaps.ends_outage(now, unmentioned) {
            self.restart_video();
        } else {
            self.retransmit(lost, now);
        }
        self.update_budgets(now);
    }

    /// Drops the video of an outage, which is of no use any more and would delay new frames. They start with a key frame.
    fn restart_video(&mut self) {
        tracing::debug!("an outage has ended, video restarts");
        self.control.clear_video();
        for ssrc in self.state.streams.video_ssrcs() {
            self.retransmitter.forget(ssrc);
            self.state.request_keyframe(ssrc);
        }
    }

    /// Retransmits lost packets without a request: the receiver's may come later, and not again soon if the retransmission
    /// gets lost as well.
    fn retransmit(&mut self, lost: Vec<MediaKey>, now: Instant) {
        let Some(spacing) = self.control.unrequested_spacing(now) else { return };
        for key in lost {
            if let Some(copy) = self.retransmitter.retransmit(key, now, spacing) {
                self.enqueue(Priority::Retransmission, key.0, copy);
            }
        }
    }

    /// Exchanges desired rates and budgets with the encoders.
    fn update_budgets(&mut self, now: Instant) {
        let desired = self.state.budgets.desired();
        if desired != self.desired {
            self.desired = desired;
            self.control.set_desired(now, desired);
        }
        let video = self.control.video_budget(now);
        self.state.budgets.set(video, self.control.estimator().estimate(), self.control.backlog());
    }

    fn release(&mut self, now: Instant) -> Option<TaggedPacket> {
        while let Some(key) = self.control.poll_duplicate(now) {
            if let Some(copy) = self.retransmitter.duplicate(key, now) {
                self.enqueue(Priority::Duplicate, key.0, copy);
            }
        }
        self.control.set_can_pad(self.retransmitter.can_pad());
        let (mut packet, priority) = match self.control.poll(now)? {
            SendAction::Packet { packet, priority, .. } => (packet, priority),
            SendAction::Padding => {
                let packet = self.retransmitter.padding()?;
                self.control.on_unqueued_sent(now, datagram_size(&packet));
                (packet, Priority::Duplicate)
            }
        };
        let is_copy = matches!(priority, Priority::Retransmission | Priority::Duplicate);
        self.state.streams.on_departure(packet.header.ssrc, packet.payload.len(), is_copy);
        let original = self.retransmitter.original(&packet).filter(|_| priority != Priority::Duplicate);
        if let Some(key) = original.filter(|_| priority == Priority::Video) {
            self.control.duplicate_if_worthwhile(now, key);
        }
        if let Some(id) = self.number_extensions.get(&packet.header.ssrc) {
            let number = self.control.assign_number(now, datagram_size(&packet));
            self.log.on_sent(number, original);
            let extension = Bytes::copy_from_slice(&number.to_be_bytes());
            if let Err(error) = packet.header.set_extension(*id, extension) {
                tracing::debug!(%error, "packet sent without its transport-wide number");
            }
        }
        for (id, content) in self.layer_extensions.get(&packet.header.ssrc).into_iter().flatten() {
            if let Err(error) = packet.header.set_extension(*id, content.clone()) {
                tracing::debug!(%error, "packet sent without its layer");
            }
        }
        let message = AttributedPacket::new(Packet::Rtp(packet));
        Some(TaggedPacket { now, transport: TransportContext::default(), message })
    }

    /// Prepares the header extensions that identify a layer (RFC 8852).
    fn prepare_layer_extensions(&mut self, info: &StreamInfo) {
        let Some((mid, rid)) = self.state.streams.layer_names(info.ssrc) else { return };
        let id = |uri: &str| {
            let extension = info.rtp_header_extensions.iter().find(|extension| extension.uri == uri);
            extension.and_then(|extension| u8::try_from(extension.id).ok()).filter(|id| *id != 0)
        };
        let (mid, rid) = (Bytes::from(mid), Bytes::from(rid));
        let extensions = |of_layer: &str| {
            [(id(SDES_MID_URI), mid.clone()), (id(of_layer), rid.clone())]
                .into_iter()
                .filter_map(|(id, value)| Some((id?, value)))
                .collect()
        };
        self.layer_extensions.insert(info.ssrc, extensions(SDES_RTP_STREAM_ID_URI));
        if let Some(rtx) = info.ssrc_rtx {
            self.layer_extensions.insert(rtx, extensions(SDES_REPAIR_RTP_STREAM_ID_URI));
        }
    }
}

fn datagram_size(packet: &rtp::Packet) -> DataSize {
    DataSize::of(packet.marshal_size() + NUMBER_EXTENSION + DATAGRAM_OVERHEAD)
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
            Packet::Rtp(packet) => self.on_packet(packet, now),
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
        // A busy machine may have delayed the thread since the last call with a time, and that delay must not look like one of
        // the path.
        self.release(self.now?.max(Instant::now()))
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.now = Some(now);
        self.control.handle_timeout(now);
        self.update_budgets(now);
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.control.next_timeout(self.now?)
    }
}

impl Interceptor for SendInterceptor {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.retransmitter.bind(info);
        let extension = info.rtp_header_extensions.iter().find(|extension| extension.uri == TRANSPORT_WIDE_NUMBER);
        if let Some(id) = extension.and_then(|extension| u8::try_from(extension.id).ok()).filter(|id| *id != 0) {
            let ssrcs = std::iter::once(info.ssrc).chain(info.ssrc_rtx);
            self.number_extensions.extend(ssrcs.map(|ssrc| (ssrc, id)));
        }
        self.prepare_layer_extensions(info);
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.retransmitter.unbind(info.ssrc);
        self.number_extensions.retain(|ssrc, _| *ssrc != info.ssrc && Some(*ssrc) != info.ssrc_rtx);
        self.layer_extensions.retain(|ssrc, _| *ssrc != info.ssrc && Some(*ssrc) != info.ssrc_rtx);
        self.control.remove_stream(info.ssrc);
    }

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
