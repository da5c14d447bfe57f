//! The consumer's ends of received tracks.

use crate::media_queue::MediaQueue;
use crate::orientation::Rotation;
use crate::payload::VideoCodec;
use crate::stats::{ReceiverCounters, ReceiverStats};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Access units held for a consumer that stalls: a second at 60 frames per second.
pub(crate) const VIDEO_QUEUE: usize = 60;
/// Opus packets held for a consumer that stalls: two seconds.
pub(crate) const AUDIO_QUEUE: usize = 100;

/// A complete access unit.
#[derive(Clone, Debug)]
pub struct ReceivedAccessUnit {
    /// What it is coded with; may change with any key frame.
    pub codec: VideoCodec,
    /// Its bytes, for H.264 in Annex B form.
    pub data: Bytes,
    /// How its picture is to be turned before it is shown.
    pub rotation: Rotation,
    /// RTP timestamp, 90 kHz.
    pub timestamp: u32,
    /// It stands alone.
    pub is_keyframe: bool,
    /// When its last packet arrived.
    pub arrival: Instant,
    /// Nothing was lost before it.
    pub contiguous: bool,
}

/// An Opus packet, or one with copies of earlier ones in front.
#[derive(Clone, Debug)]
pub struct ReceivedAudio {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// One Opus packet, or a payload of RFC 2198.
    pub payload: Bytes,
    /// Whether it is the latter.
    pub is_redundant: bool,
    /// When it arrived.
    pub arrival: Instant,
}

/// What came on a video track and is of no use. Counters since the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// Packets of payload types that were not agreed upon, and the codec of the last one as far as the other side named it.
    pub foreign_packets: u64,
    /// See `foreign_packets`.
    pub foreign_codec: Option<String>,
    /// Whole frames whose payloads made no sense, or that were left out since no key frame has come.
    pub useless_frames: u64,
}

/// Received video. Dropping it discards what arrives from then on.
#[derive(Debug)]
pub struct VideoReceiver {
    queue: Arc<MediaQueue<ReceivedAccessUnit>>,
    counters: Arc<ReceiverCounters>,
}

impl VideoReceiver {
    pub(crate) fn new(queue: Arc<MediaQueue<ReceivedAccessUnit>>, counters: Arc<ReceiverCounters>) -> Self {
        Self { queue, counters }
    }

    /// The next access unit in decoding order; `None` once the track is gone. Cancel safe.
    ///
    /// A consumer more than a second behind loses what is queued; the next unit it gets is then a key
    /// frame, requested on its behalf.
    pub async fn recv(&mut self) -> Option<ReceivedAccessUnit> {
        self.queue.recv().await
    }

    /// A handle for requests and numbers, usable from any thread.
    #[must_use]
    pub fn handle(&self) -> VideoReceiverHandle {
        VideoReceiverHandle { counters: Arc::clone(&self.counters) }
    }
}

impl Drop for VideoReceiver {
    fn drop(&mut self) {
        self.queue.close();
        self.queue.clear();
    }
}

/// Control of a received video track.
#[derive(Clone, Debug)]
pub struct VideoReceiverHandle {
    counters: Arc<ReceiverCounters>,
}

impl VideoReceiverHandle {
    /// Asks the sender for a key frame within some 25 ms. Requests are rate limited; call it as often as needed.
    pub fn request_keyframe(&self) {
        self.counters.keyframe_wanted.store(true, Ordering::Relaxed);
    }

    /// Numbers of the track.
    #[must_use]
    pub fn stats(&self) -> ReceiverStats {
        self.counters.snapshot()
    }

    /// How much came that could not be taken apart.
    #[must_use]
    pub fn unreadable(&self) -> Unreadable {
        self.counters.unreadable.lock().clone()
    }

    /// When the sender captured what carries this RTP time, by the sender's clock, which is the same for all of its
    /// tracks. `None` until the sender has reported.
    #[must_use]
    pub fn captured(&self, rtp_time: u32) -> Option<Duration> {
        self.counters.sender_clock.lock().as_ref()?.captured_at(rtp_time)
    }
}

/// Received audio. Dropping it discards what arrives from then on.
#[derive(Debug)]
pub struct AudioReceiver {
    queue: Arc<MediaQueue<ReceivedAudio>>,
    counters: Arc<ReceiverCounters>,
}

impl AudioReceiver {
    pub(crate) fn new(queue: Arc<MediaQueue<ReceivedAudio>>, counters: Arc<ReceiverCounters>) -> Self {
        Self { queue, counters }
    }

    /// The next packet in the order of arrival; `None` once the track is gone. Cancel safe.
    pub async fn recv(&mut self) -> Option<ReceivedAudio> {
        self.queue.recv().await
    }

    /// A handle for numbers, usable from any thread.
    #[must_use]
    pub fn handle(&self) -> AudioReceiverHandle {
        AudioReceiverHandle { counters: Arc::clone(&self.counters) }
    }
}

impl Drop for AudioReceiver {
    fn drop(&mut self) {
        self.queue.close();
        self.queue.clear();
    }
}

/// Numbers of a received audio track.
#[derive(Clone, Debug)]
pub struct AudioReceiverHandle {
    counters: Arc<ReceiverCounters>,
}

impl AudioReceiverHandle {
    /// Numbers of the track.
    #[must_use]
    pub fn stats(&self) -> ReceiverStats {
        self.counters.snapshot()
    }

    /// When the sender captured what carries this RTP time, by the sender's clock, which is the same for all of its
    /// tracks. `None` until the sender has reported.
    #[must_use]
    pub fn captured(&self, rtp_time: u32) -> Option<Duration> {
        self.counters.sender_clock.lock().as_ref()?.captured_at(rtp_time)
    }
}
