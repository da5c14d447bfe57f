//! The sent streams, and an interceptor that observes them: reads receiver reports, measures the round-trip time, turns key
//! frame requests into events, and corrects the times of sender reports.

use super::InterceptorState;
use super::ssrc_table::SsrcTable;
use crate::stats::SenderCounters;
use parking_lot::Mutex;
use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtp::clock::CaptureClock;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Sender reports that are remembered, to find the one that a receiver report refers to.
const REPORTS_KEPT: usize = 16;

/// A sent RTP stream.
#[derive(Debug)]
pub(crate) struct OutboundStream {
    pub(crate) track_id: String,
    pub(crate) is_video: bool,
    /// Index of the layer, from the lowest.
    pub(crate) layer: usize,
    /// RID of the layer, for a track with several.
    pub(crate) rid: Option<String>,
    /// Mid of its m-line, once it is known.
    pub(crate) mid: Option<String>,
    pub(crate) counters: Arc<SenderCounters>,
    /// Maps capture times to RTP timestamps, for sender reports.
    pub(crate) clock: CaptureClock,
}

/// The sent streams by SSRC.
#[derive(Debug, Default)]
pub(crate) struct OutboundStreams(Mutex<SsrcTable<OutboundStream>>);

impl OutboundStreams {
    pub(crate) fn insert(&self, ssrc: u32, rtx_ssrc: u32, stream: OutboundStream) {
        self.0.lock().insert(ssrc, Some(rtx_ssrc), stream);
    }

    pub(crate) fn remove(&self, ssrc: u32) {
        self.0.lock().remove(ssrc);
    }

    fn rtp_time(&self, ssrc: u32, now: Instant) -> Option<u32> {
        self.0.lock().streams.get(&ssrc)?.clock.rtp_time(now)
    }

    /// Whether this is the SSRC of a video stream, or of its RTX stream.
    pub(super) fn is_video(&self, ssrc: u32) -> bool {
        self.0.lock().of_packet(ssrc).is_some_and(|stream| stream.is_video)
    }

    /// SSRCs of all video streams.
    pub(super) fn video_ssrcs(&self) -> Vec<u32> {
        self.0.lock().streams.iter().filter(|(_, stream)| stream.is_video).map(|(ssrc, _)| *ssrc).collect()
    }

    /// Track and layer of a video stream.
    pub(super) fn layer(&self, ssrc: u32) -> Option<(String, usize)> {
        let table = self.0.lock();
        let stream = table.streams.get(&ssrc).filter(|stream| stream.is_video)?;
        Some((stream.track_id.clone(), stream.layer))
    }

    /// Notes that the media with this RTP timestamp was captured `at`.
    pub(crate) fn on_captured(&self, ssrc: u32, rtp_time: u32, at: Instant) {
        if let Some(stream) = self.0.lock().streams.get_mut(&ssrc) {
            stream.clock.on_captured(rtp_time, at);
        }
    }

    /// Sets the mid of a stream.
    pub(crate) fn set_mid(&self, ssrc: u32, mid: &str) {
        if let Some(stream) = self.0.lock().streams.get_mut(&ssrc) {
            stream.mid = Some(mid.to_owned());
        }
    }

    /// Mid and RID that the packets of a layer carry; `None` for a track without layers.
    pub(super) fn layer_names(&self, ssrc: u32) -> Option<(String, String)> {
        let table = self.0.lock();
        let stream = table.streams.get(&ssrc)?;
        stream.mid.clone().zip(stream.rid.clone())
    }

    /// Counts a sent packet.
    pub(super) fn on_departure(&self, ssrc: u32, payload_bytes: usize, is_copy: bool) {
        if let Some(stream) = self.0.lock().of_packet(ssrc) {
            stream.counters.packets.fetch_add(1, Ordering::Relaxed);
            stream.counters.bytes.fetch_add(payload_bytes as u64, Ordering::Relaxed);
            stream.counters.retransmitted.fetch_add(u64::from(is_copy), Ordering::Relaxed);
        }
    }

    /// Calls `visit` with the counters of every stream.
    pub(crate) fn for_each_counters(&self, mut visit: impl FnMut(&SenderCounters)) {
        self.0.lock().streams.values().for_each(|stream| visit(&stream.counters));
    }
}

/// Interceptor that observes the sent streams.
pub(super) struct OutboundObserver {
    state: Arc<InterceptorState>,
    /// Middle 32 bits of the NTP time of sent reports, and when they were sent.
    reports: VecDeque<(u32, Instant)>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl OutboundObserver {
    pub(super) fn new(state: Arc<InterceptorState>) -> Self {
        Self { state, reports: VecDeque::new(), reads: VecDeque::new(), writes: VecDeque::new() }
    }

    fn on_sender_report(&mut self, report: &SenderReport, now: Instant) {
        if self.reports.len() == REPORTS_KEPT {
            self.reports.pop_front();
        }
        self.reports.push_back(((report.ntp_time >> 16) as u32, now));
    }

    fn on_reception_report(&mut self, report: &ReceptionReport, now: Instant) {
        let table = self.state.outbound.0.lock();
        let Some(stream) = table.streams.get(&report.ssrc) else { return };
        stream.counters.fraction_lost.store(u64::from(report.fraction_lost), Ordering::Relaxed);
        stream.counters.lost.store(u64::from(report.total_lost), Ordering::Relaxed);
        if report.last_sender_report == 0 {
            return;
        }
        let answered = self.reports.iter().find(|(ntp, _)| *ntp == report.last_sender_report);
        let held = Duration::from_secs_f64(f64::from(report.delay) / 65_536.0);
        if let Some(rtt) = answered.and_then(|(_, left)| now.saturating_duration_since(*left).checked_sub(held)) {
            self.state.rtt.update(rtt);
        }
    }

    fn on_keyframe_request(&self, ssrc: u32) {
        if let Some(stream) = self.state.outbound.0.lock().streams.get(&ssrc)
            && stream.is_video
        {
            stream.counters.plis.fetch_add(1, Ordering::Relaxed);
        }
        self.state.request_keyframe(ssrc);
    }

    fn on_rtcp(&mut self, packet: &dyn rtc::rtcp::Packet, now: Instant) {
        let packet = packet.as_any();
        if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
            report.reports.iter().for_each(|block| self.on_reception_report(block, now));
        } else if let Some(report) = packet.downcast_ref::<SenderReport>() {
            report.reports.iter().for_each(|block| self.on_reception_report(block, now));
        } else if let Some(pli) = packet.downcast_ref::<PictureLossIndication>() {
            self.on_keyframe_request(pli.media_ssrc);
        } else if let Some(fir) = packet.downcast_ref::<FullIntraRequest>() {
            fir.fir.iter().for_each(|entry| self.on_keyframe_request(entry.ssrc));
        } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>()
            && let Some(stream) = self.state.outbound.0.lock().streams.get(&nack.media_ssrc)
        {
            let requested: u32 = nack.nacks.iter().map(|pair| 1 + pair.lost_packets.count_ones()).sum();
            stream.counters.nacks.fetch_add(u64::from(requested), Ordering::Relaxed);
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for OutboundObserver {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
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

    fn handle_write(&mut self, mut tagged: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &mut tagged.message.packet {
            for packet in packets {
                let Some(report) = packet.as_any().downcast_ref::<SenderReport>() else { continue };
                self.on_sender_report(report, tagged.now);
                // The stack derives the RTP time from the time of sending, which is useless for lip sync.
                if let Some(rtp_time) = self.state.outbound.rtp_time(report.ssrc, tagged.now) {
                    *packet = Box::new(SenderReport { rtp_time, ..report.clone() });
                }
            }
        }
        self.writes.push_back(tagged);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }

    fn handle_timeout(&mut self, _now: Instant) -> Result<(), Error> {
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        None
    }
}

impl Interceptor for OutboundObserver {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
