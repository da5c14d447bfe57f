//! Statistics of tracks. All counters start at the creation of the peer.

use parking_lot::Mutex;
use rtp::clock::SenderClock;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Statistics of a sent track.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SenderStats {
    /// RTP payload bytes, retransmissions included.
    pub bytes: u64,
    /// RTP packets, retransmissions included.
    pub packets: u64,
    /// Access units, or Opus packets.
    pub frames: u64,
    /// Access units or Opus packets that were not sent: not connected, or the queue was full.
    pub dropped: u64,
    /// Packets that were retransmitted.
    pub retransmitted: u64,
    /// Packets requested by NACKs.
    pub nacks: u64,
    /// Key frame requests received.
    pub plis: u64,
    /// Packets lost by the receiver reports.
    pub lost: u64,
    /// Loss ratio of the last receiver report, 0 to 1.
    pub loss_rate: f64,
}

/// Statistics of a received track.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverStats {
    /// RTP payload bytes.
    pub bytes: u64,
    /// RTP packets.
    pub packets: u64,
    /// Packets that never arrived.
    pub lost: u64,
    /// Lost packets that a retransmission has recovered.
    pub recovered: u64,
    /// Packets requested by NACKs; each request counts.
    pub nacks: u64,
    /// Key frames requested.
    pub plis: u64,
    /// Access units or Opus packets delivered.
    pub frames: u64,
    /// Interarrival jitter (RFC 3550) in milliseconds.
    pub jitter_ms: f64,
}

/// Counters of received video that cannot be decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// Packets with payload types that were not negotiated.
    pub foreign_packets: u64,
    /// Codec of the last such packet, as far as the server named it.
    pub foreign_codec: Option<String>,
    /// Complete frames that were malformed, or left out for want of a key frame.
    pub useless_frames: u64,
}

/// Counters of a sent track.
#[derive(Debug, Default)]
pub(crate) struct SenderCounters {
    pub(crate) bytes: AtomicU64,
    pub(crate) packets: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) retransmitted: AtomicU64,
    pub(crate) nacks: AtomicU64,
    pub(crate) plis: AtomicU64,
    pub(crate) lost: AtomicU64,
    /// In 256ths, as in the report.
    pub(crate) fraction_lost: AtomicU64,
}

impl SenderCounters {
    /// Reads the counters.
    pub(crate) fn snapshot(&self) -> SenderStats {
        SenderStats {
            bytes: self.bytes.load(Ordering::Relaxed),
            packets: self.packets.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            retransmitted: self.retransmitted.load(Ordering::Relaxed),
            nacks: self.nacks.load(Ordering::Relaxed),
            plis: self.plis.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            loss_rate: self.fraction_lost.load(Ordering::Relaxed) as f64 / 256.0,
        }
    }
}

/// Counters and clock of a received track.
#[derive(Debug, Default)]
pub(crate) struct ReceiverCounters {
    pub(crate) bytes: AtomicU64,
    pub(crate) packets: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) recovered: AtomicU64,
    pub(crate) nacks: AtomicU64,
    pub(crate) plis: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) jitter_micros: AtomicU64,
    /// Set by the consumer, cleared by the receive interceptor.
    pub(crate) keyframe_requested: AtomicBool,
    pub(crate) unreadable: Mutex<Unreadable>,
    /// By the sender's reports; absent until the first.
    pub(crate) sender_clock: Mutex<Option<SenderClock>>,
}

impl ReceiverCounters {
    /// Reads the counters.
    pub(crate) fn snapshot(&self) -> ReceiverStats {
        ReceiverStats {
            bytes: self.bytes.load(Ordering::Relaxed),
            packets: self.packets.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            recovered: self.recovered.load(Ordering::Relaxed),
            nacks: self.nacks.load(Ordering::Relaxed),
            plis: self.plis.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
            jitter_ms: self.jitter_micros.load(Ordering::Relaxed) as f64 / 1000.0,
        }
    }
}
