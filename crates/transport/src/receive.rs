//! Received tracks, as their consumers see them.

use crate::media_queue::MediaQueue;
use crate::orientation::Rotation;
use crate::payload::VideoCodec;
use crate::stats::{ReceiverCounters, ReceiverStats, Unreadable};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Access units queued for a consumer that stalls: a second at 60 frames per second.
pub(crate) const VIDEO_QUEUE_CAPACITY: usize = 60;
/// Opus packets queued for a consumer that stalls: two seconds.
pub(crate) const AUDIO_QUEUE_CAPACITY: usize = 100;

/// A complete access unit.
#[derive(Clone, Debug)]
pub struct ReceivedAccessUnit {
    /// Its codec, which may change with any key frame.
    pub codec: VideoCodec,
    /// Its bytes, for H.264 in Annex B form.
    pub data: Bytes,
    /// Rotation of the frame before it is displayed.
    pub rotation: Rotation,
    /// RTP timestamp, 90 kHz.
    pub timestamp: u32,
    /// Whether it is a key frame.
    pub is_keyframe: bool,
    /// When its last packet arrived.
    pub arrival: Instant,
    /// Whether nothing was lost between the previous access unit and this one.
    pub contiguous: bool,
}

/// An Opus packet, or a RED payload with earlier packets as well.
#[derive(Clone, Debug)]
pub struct ReceivedAudio {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// One Opus packet, or a payload of RFC 2198.
    pub payload: Bytes,
    /// Whether the payload is RED (RFC 2198).
    pub is_redundant: bool,
    /// When it arrived.
    pub arrival: Instant,
}

/// Received video. Dropping it discards what arrives from then on.
#[derive(Debug)]
pub struct VideoReceiver {
    queue: Arc<MediaQueue<ReceivedAccessUnit>>,
    counters: Arc<ReceiverCounters>,
}

impl VideoReceiver {
    /// Creates the receiver of a queue.
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

    /// A handle for requests and statistics, usable from any thread.
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
    /// Requests a key frame from the sender within about 25 ms. Requests are rate limited; call it as often as needed.
    pub fn request_keyframe(&self) {
        self.counters.keyframe_requested.store(true, Ordering::Relaxed);
    }

    /// Statistics of the track.
    #[must_use]
    pub fn stats(&self) -> ReceiverStats {
        self.counters.snapshot()
    }

    /// Counters of what could not be decoded.
    #[must_use]
    pub fn unreadable(&self) -> Unreadable {
        self.counters.unreadable.lock().clone()
    }

    /// The capture time of the media with this RTP timestamp, on the sender's clock, which all of its tracks share. `None`
    /// until the first sender report.
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
    /// Creates the receiver of a queue.
    pub(crate) fn new(queue: Arc<MediaQueue<ReceivedAudio>>, counters: Arc<ReceiverCounters>) -> Self {
        Self { queue, counters }
    }

    /// The next packet in the order of arrival; `None` once the track is gone. Cancel safe.
    pub async fn recv(&mut self) -> Option<ReceivedAudio> {
        self.queue.recv().await
    }

    /// A handle for statistics, usable from any thread.
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

/// Statistics of a received audio track.
#[derive(Clone, Debug)]
pub struct AudioReceiverHandle {
    counters: Arc<ReceiverCounters>,
}

impl AudioReceiverHandle {
    /// Statistics of the track.
    #[must_use]
    pub fn stats(&self) -> ReceiverStats {
        self.counters.snapshot()
    }

    /// The capture time of the media with this RTP timestamp, on the sender's clock, which all of its tracks share. `None`
    /// until the first sender report.
    #[must_use]
    pub fn captured(&self, rtp_time: u32) -> Option<Duration> {
        self.counters.sender_clock.lock().as_ref()?.captured_at(rtp_time)
    }
}
