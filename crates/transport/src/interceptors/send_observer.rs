//! Observes the sent streams: reads receiver reports, measures the round-trip time, turns key frame requests into events, and
//! corrects the times of sender reports.

use super::send_state::SendState;
use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Sender reports that are remembered, to find the one that a receiver report refers to.
const REPORTS_KEPT: usize = 16;

/// A sender report that was sent.
#[derive(Clone, Copy, Debug)]
struct SentReport {
    /// Middle 32 bits of its NTP time, by which receiver reports refer to it.
    middle_ntp: u32,
    at: Instant,
}

/// Interceptor that observes the sent streams.
pub(super) struct SendObserver {
    state: Arc<SendState>,
    reports: VecDeque<SentReport>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl SendObserver {
    /// Creates the observer of a connection.
    pub(super) fn new(state: Arc<SendState>) -> Self {
        Self { state, reports: VecDeque::new(), reads: VecDeque::new(), writes: VecDeque::new() }
    }

    fn on_sender_report(&mut self, report: &SenderReport, now: Instant) {
        if self.reports.len() == REPORTS_KEPT {
            self.reports.pop_front();
        }
        self.reports.push_back(SentReport { middle_ntp: (report.ntp_time >> 16) as u32, at: now });
    }

    fn on_reception_report(&mut self, report: &ReceptionReport, now: Instant) {
        let mut is_ours = false;
        self.state.streams.with_stream(report.ssrc, |stream| {
            is_ours = true;
            stream.counters.fraction_lost.store(u64::from(report.fraction_lost), Ordering::Relaxed);
            stream.counters.lost.store(u64::from(report.total_lost), Ordering::Relaxed);
        });
        if !is_ours || report.last_sender_report == 0 {
            return;
        }
        let answered = self.reports.iter().find(|sent| sent.middle_ntp == report.last_sender_report);
        let held = Duration::from_secs_f64(f64::from(report.delay) / 65_536.0);
        if let Some(rtt) = answered.and_then(|sent| now.saturating_duration_since(sent.at).checked_sub(held)) {
            self.state.rtt.update(rtt);
        }
    }

    fn on_keyframe_request(&self, ssrc: u32) {
        self.state.streams.with_stream(ssrc, |stream| {
            stream.counters.plis.fetch_add(u64::from(stream.is_video), Ordering::Relaxed);
        });
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
        } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
            let requested: u32 = nack.nacks.iter().map(|pair| 1 + pair.lost_packets.count_ones()).sum();
            self.state.streams.with_stream(nack.media_ssrc, |stream| {
                stream.counters.nacks.fetch_add(u64::from(requested), Ordering::Relaxed);
            });
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for SendObserver {
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
                if let Some(rtp_time) = self.state.streams.rtp_time(report.ssrc, tagged.now) {
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

impl Interceptor for SendObserver {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
