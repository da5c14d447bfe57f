//! State of the sent streams, shared by the peer, the senders and the send interceptors.

use super::ssrc_table::SsrcTable;
use crate::budget::Budgets;
use crate::event::{EventSender, PeerEvent};
use crate::rtt::SharedRtt;
use crate::stats::SenderCounters;
use parking_lot::Mutex;
use rtp::Bitrate;
use rtp::clock::CaptureClock;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The first estimate: video of a small size passes almost everywhere.
pub(super) const START_BITRATE: Bitrate = Bitrate::mbps(1);

/// What the sending side of a connection shares.
#[derive(Debug)]
pub(crate) struct SendState {
    pub(crate) streams: OutboundStreams,
    pub(crate) budgets: Budgets,
    pub(super) rtt: Arc<SharedRtt>,
    events: Arc<EventSender>,
}

impl SendState {
    /// Creates the state of a connection without streams.
    pub(crate) fn new(rtt: Arc<SharedRtt>, events: Arc<EventSender>) -> Self {
        Self { streams: OutboundStreams::default(), budgets: Budgets::new(START_BITRATE), rtt, events }
    }

    /// Requests a key frame of a video stream from its encoder.
    pub(crate) fn request_keyframe(&self, ssrc: u32) {
        if let Some((track_id, layer)) = self.streams.layer(ssrc) {
            self.events.emit(PeerEvent::KeyframeRequested { track_id, layer });
        }
    }
}

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
    /// Adds a stream with the SSRC of its RTX stream.
    pub(crate) fn insert(&self, ssrc: u32, rtx_ssrc: u32, stream: OutboundStream) {
        self.0.lock().insert(ssrc, Some(rtx_ssrc), stream);
    }

    /// Removes a stream.
    pub(crate) fn remove(&self, ssrc: u32) {
        self.0.lock().remove(ssrc);
    }

    /// The RTP time of a stream at `now`, by its capture times.
    pub(super) fn rtp_time(&self, ssrc: u32, now: Instant) -> Option<u32> {
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

    /// Calls `visit` with a media stream.
    pub(super) fn with_stream(&self, ssrc: u32, visit: impl FnOnce(&OutboundStream)) {
        if let Some(stream) = self.0.lock().streams.get(&ssrc) {
            visit(stream);
        }
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
