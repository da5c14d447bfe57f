//! What one subscriber gets of one track: which packets, and under which numbers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Codec, IncomingPacket, LayerId, LineId, MediaPacket, OutgoingPacket};
use super::down_track::DownTrack;
use super::layer_selector::{LayerSelector, Verdict};
use super::red::PlainPacket;
use super::vp8_descriptor::PictureIdRewriter;

/// See the module's description.
#[derive(Debug)]
pub struct Forwarder {
    down: DownTrack,
    /// Which layer it gets.
    pub layers: LayerSelector,
    pictures: PictureIdRewriter,
}

/// What is known of a packet besides itself, the same for all subscribers.
pub struct Context<'a> {
    /// The part that is shared.
    pub media: &'a Arc<MediaPacket>,
    /// Whether it is the first of a key frame of a layer.
    pub starts_keyframe: bool,
    /// Layers of the line that are being sent.
    pub arriving: &'a [LayerId],
}

/// Sound on its own that came within a packet with redundancy.
#[derive(Debug)]
pub struct Alone {
    /// The publisher's number, extended beyond 16 bits.
    pub sequence: u64,
    /// RTP time, 48 kHz.
    pub timestamp: u32,
    /// The packet.
    pub media: Arc<MediaPacket>,
}

impl Alone {
    /// Out of a packet with this part that is shared, which came at RTP time `timestamp` and may hold later sound too.
    pub fn new(packet: &MediaPacket, timestamp: u32, sound: PlainPacket) -> Self {
        let earlier =
            Duration::from_secs(u64::from(timestamp.wrapping_sub(sound.timestamp))) / Codec::Opus.clock_rate();
        let media = MediaPacket {
            codec: Codec::Opus,
            payload: sound.payload,
            wallclock: packet.wallclock.checked_sub(earlier).unwrap_or(packet.wallclock),
            ..packet.clone()
        };
        Self { sequence: sound.sequence, timestamp: sound.timestamp, media: Arc::new(media) }
    }
}

/// What becomes of a packet.
#[derive(Debug)]
pub enum Fate {
    /// It belongs to a layer that the subscriber does not get.
    Other,
    /// It belongs to what the subscriber gets, and is nothing but padding, or too old.
    LeftOut,
    /// It is sent.
    Sent(OutgoingPacket),
}

impl Forwarder {
    /// For a track whose timestamps count `clock_rate` per second.
    pub fn new(clock_rate: u32, layers: LayerSelector) -> Self {
        Self { down: DownTrack::new(clock_rate), layers, pictures: PictureIdRewriter::default() }
    }

    /// Decides about a packet. If it is sent, then on this line.
    pub fn take(&mut self, now: Instant, packet: &IncomingPacket, context: &Context<'_>, line: LineId) -> Fate {
        let verdict = self.layers.decide(packet.layer, context.starts_keyframe, context.arriving);
        if verdict == Verdict::Drop {
            return Fate::Other;
        }
        if packet.payload.is_empty() {
            self.down.skip(packet.ssrc, packet.sequence);
            return Fate::LeftOut;
        }
        let Some(numbers) = self.down.forward(packet.ssrc, packet.sequence, packet.timestamp, now) else {
            return Fate::LeftOut;
        };
        let media = if packet.layer.is_some() && packet.codec == Codec::Vp8 {
            self.pictures.rewrite(context.media, verdict == Verdict::ForwardSwitched)
        } else {
            Arc::clone(context.media)
        };
        Fate::Sent(OutgoingPacket { line, sequence: numbers.sequence, timestamp: numbers.timestamp, media })
    }

    /// Sound that was taken out of another packet, with the publisher's number and time of its own. `None` if it is too old.
    pub fn take_alone(&mut self, now: Instant, ssrc: u32, alone: &Alone, line: LineId) -> Option<OutgoingPacket> {
        let numbers = self.down.forward(ssrc, alone.sequence, alone.timestamp, now)?;
        let media = Arc::clone(&alone.media);
        Some(OutgoingPacket { line, sequence: numbers.sequence, timestamp: numbers.timestamp, media })
    }

    /// The subscriber gets nothing for a while, and then begins with a key frame. Its numbers go on.
    pub fn pause(&mut self) {
        self.down.pause();
        self.layers.restart();
    }
}
