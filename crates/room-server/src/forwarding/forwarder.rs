//! Forwards one track to one subscriber: which packets, and under which numbers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Codec, IncomingPacket, LayerId, MediaPacket, Mid, OutgoingPacket};
use super::down_track::DownTrack;
use super::layer_selector::{LayerSelector, Verdict};
use super::red::PlainPacket;
use super::vp8_descriptor::PictureIdRewriter;

/// The forwarder of one subscription.
#[derive(Debug)]
pub struct Forwarder {
    down: DownTrack,
    /// Which layer it gets.
    pub layers: LayerSelector,
    pictures: PictureIdRewriter,
}

/// Properties of a packet that are the same for all subscribers.
pub struct Context<'a> {
    /// The part that is shared.
    pub media: &'a Arc<MediaPacket>,
    /// Whether it is the first of a key frame of a layer.
    pub starts_keyframe: bool,
    /// Layers of the line that are being sent.
    pub arriving: &'a [LayerId],
}

/// A packet taken out of a redundant one.
#[derive(Debug)]
pub struct PrimaryPacket {
    /// The publisher's sequence number, extended beyond 16 bits.
    pub sequence: u64,
    /// RTP time, 48 kHz.
    pub timestamp: u32,
    /// The packet.
    pub media: Arc<MediaPacket>,
}

impl PrimaryPacket {
    /// From the shared part of a packet with RTP timestamp `timestamp`, which may carry later audio too.
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

/// The outcome for a packet.
#[derive(Debug)]
pub enum ForwardOutcome {
    /// It belongs to a layer that the subscriber does not get.
    Other,
    /// It belongs to the forwarded layer, and is only padding, or too old.
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
    pub fn take(&mut self, now: Instant, packet: &IncomingPacket, context: &Context<'_>, line: Mid) -> ForwardOutcome {
        let verdict = self.layers.decide(packet.layer, context.starts_keyframe, context.arriving);
        if verdict == Verdict::Drop {
            return ForwardOutcome::Other;
        }
        if packet.payload.is_empty() {
            self.down.skip(packet.ssrc, packet.sequence);
            return ForwardOutcome::LeftOut;
        }
        let Some(numbers) = self.down.forward(packet.ssrc, packet.sequence, packet.timestamp, now) else {
            return ForwardOutcome::LeftOut;
        };
        let media = if packet.layer.is_some() && packet.codec == Codec::Vp8 {
            self.pictures.rewrite(context.media, verdict == Verdict::ForwardSwitched)
        } else {
            Arc::clone(context.media)
        };
        ForwardOutcome::Sent(OutgoingPacket { line, sequence: numbers.sequence, timestamp: numbers.timestamp, media })
    }

    /// Forwards a packet taken out of another one, with the publisher's number and timestamp. `None` if it is too old.
    pub fn forward_primary(
        &mut self,
        now: Instant,
        ssrc: u32,
        alone: &PrimaryPacket,
        line: Mid,
    ) -> Option<OutgoingPacket> {
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
