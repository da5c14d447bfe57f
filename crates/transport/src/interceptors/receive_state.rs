//! State of the received streams, shared by the peer and the receive interceptor.

use super::inbound_stream::{AUDIO_CLOCK_HZ, InboundStream, VIDEO_CLOCK_HZ};
use super::ssrc_table::SsrcTable;
use crate::remote_media::Format;
use crate::rtt::SharedRtt;
use crate::stats::ReceiverCounters;
use parking_lot::Mutex;
use rtc::rtcp::sender_report::SenderReport;
use rtp::clock::{NtpTime, SenderClock};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What the receiving side of a connection shares.
#[derive(Debug)]
pub(crate) struct ReceiveState {
    pub(crate) streams: InboundStreams,
    pub(super) rtt: Arc<SharedRtt>,
    /// RTP and RTCP packets that were received, of any kind.
    pub(crate) packets: AtomicU64,
}

impl ReceiveState {
    /// Creates the state of a connection without streams.
    pub(crate) fn new(rtt: Arc<SharedRtt>) -> Self {
        Self { streams: InboundStreams::default(), rtt, packets: AtomicU64::new(0) }
    }
}

/// The received streams by SSRC.
#[derive(Debug, Default)]
pub(crate) struct InboundStreams(pub(super) Mutex<SsrcTable<InboundStream>>);

impl InboundStreams {
    /// Adds a stream, and closes one that it replaces.
    pub(crate) fn insert(&self, ssrc: u32, rtx_ssrc: Option<u32>, stream: InboundStream) {
        if let Some(old) = self.0.lock().insert(ssrc, rtx_ssrc, stream) {
            old.close();
        }
    }

    /// Changes a stream's formats and the ID of its orientation extension.
    pub(crate) fn update(&self, ssrc: u32, formats: &[(u8, Format)], orientation: Option<u8>) {
        if let Some(stream) = self.0.lock().streams.get_mut(&ssrc) {
            stream.formats = formats.to_vec();
            stream.orientation = orientation;
        }
    }

    /// Removes and closes a stream.
    pub(crate) fn remove(&self, ssrc: u32) {
        if let Some(old) = self.0.lock().remove(ssrc) {
            old.close();
        }
    }

    /// Notes the clock of a sender, from its report.
    pub(super) fn on_sender_report(&self, report: &SenderReport) {
        if let Some(stream) = self.0.lock().streams.get(&report.ssrc) {
            let rate = if stream.is_video() { VIDEO_CLOCK_HZ } else { AUDIO_CLOCK_HZ };
            let mut clock = stream.counters.sender_clock.lock();
            clock
                .get_or_insert_with(|| SenderClock::new(rate))
                .on_report(NtpTime::from_bits(report.ntp_time), report.rtp_time);
        }
    }

    /// Closes all streams.
    pub(crate) fn close_all(&self) {
        for (_, stream) in self.0.lock().streams.drain() {
            stream.close();
        }
    }

    /// Calls `visit` with the counters of every stream.
    pub(crate) fn for_each_counters(&self, mut visit: impl FnMut(&ReceiverCounters)) {
        self.0.lock().streams.values().for_each(|stream| visit(&stream.counters));
    }
}
