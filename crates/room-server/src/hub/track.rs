//! Tracks, from announcement to subscription.

use std::time::{Duration, Instant};

use protocol::messages::{AudioTrackFeature, TrackInfo, TrackType};
use rtp::KeyframeDetector;

use super::ids::ParticipantId;
use super::peers::PeerId;
use crate::forwarding::core::{Codec, LayerId, MediaKind, Mid};
use crate::forwarding::dynacast::Dynacast;
use crate::forwarding::forwarder::Forwarder;
use crate::forwarding::keyframe_requests::KeyframeRequests;
use crate::forwarding::layer_selector::LayerSelector;
use crate::forwarding::rate_meter::RateMeter;
use crate::forwarding::red::PrimaryBlocks;
use crate::forwarding::unrecoverable_loss::UnrecoverableLossDetector;

/// A layer that was silent for this long counts as stopped.
const SILENCE: Duration = Duration::from_millis(1500);
/// Upper bound of layers of an m-line.
const MAX_STREAMS: usize = 4;

/// A track that a client announced and that none of its offers had yet.
pub struct PendingTrack {
    /// The client's ID; most clients use it in their offer too (`a=msid`).
    pub cid: String,
    /// Its information for other participants.
    pub info: TrackInfo,
    /// Stream that it belongs to.
    pub stream_id: String,
    /// Whether its publisher chose that; otherwise another one may have to be taken when the track arrives.
    pub is_chosen: bool,
    /// When it was announced.
    pub since: Instant,
}

/// A track that others can subscribe to.
pub struct PublishedTrack {
    /// The name of its m-line in the offer that brought it: most clients use the ID of the announcement.
    pub offered_as: String,
    /// Its information for other participants.
    pub info: TrackInfo,
    /// The codec that its publisher was asked for (`video/H264`), empty without one. The publisher uses that name even if it
    /// then sends another one.
    pub announced_codec: String,
    /// Stream that it belongs to.
    pub stream_id: String,
    /// Whether its publisher chose that.
    pub is_chosen: bool,
    /// Audio or video.
    pub kind: MediaKind,
    /// Line of the publisher's connection.
    pub line: Mid,
    /// When a change of its codec was last sent to the others.
    pub codec_notified_at: Option<Instant>,
    /// Its subscribers.
    pub subscribers: Vec<Subscriber>,
    /// Whether the publisher knows that there is a subscriber.
    pub was_subscribed: bool,
    /// What arrives: one stream, or one for each simulcast layer.
    pub streams: Vec<ReceivedStream>,
    /// Its audio without redundancy, if it arrives as RED.
    pub plain: PrimaryBlocks,
    /// The wanted layers as the publisher knows them.
    pub dynacast: Dynacast,
}

/// A simulcast layer of a track, or a track without layers.
#[derive(Debug)]
pub struct ReceivedStream {
    /// Its name, if it is a layer.
    pub layer: Option<LayerId>,
    /// When its last packet arrived.
    pub seen: Instant,
    /// Detects losses that were not repaired.
    pub gaps: UnrecoverableLossDetector,
    /// Requests for its key frames.
    pub keyframes: KeyframeRequests,
    /// Where its key frames begin.
    pub keyframe_starts: KeyframeDetector,
    /// How much it carries.
    pub rate: RateMeter,
}

/// A subscriber of a track.
pub struct Subscriber {
    /// The participant.
    pub participant: ParticipantId,
    /// On which connection.
    pub peer: PeerId,
    /// On which line of it.
    pub line: Mid,
    /// The forwarder of its packets.
    pub forwarder: Forwarder,
    /// Whether it wants no packets for now.
    pub disabled: bool,
    /// Whether its link does not carry them.
    pub paused: bool,
    /// The codec of the last check whether the subscriber accepts it.
    pub checked_codec: Option<Codec>,
    /// Whether it was notified that it does not accept the track's codec.
    pub codec_notified: bool,
}

/// A subscription, seen from the subscriber.
pub struct Subscription {
    /// Track.
    pub track_sid: String,
    /// Who publishes it.
    pub publisher: ParticipantId,
    /// Sound or picture.
    pub kind: MediaKind,
    /// Line of the subscriber's connection, once the client has agreed to it.
    pub line: Option<Mid>,
}

impl Subscriber {
    /// Whether it gets packets.
    pub fn is_served(&self) -> bool {
        !self.disabled && !self.paused
    }
}

impl PublishedTrack {
    /// A track that an offer had.
    pub fn new(pending: PendingTrack, line: Mid) -> Self {
        let mut info = pending.info;
        info.mid = line.as_str().to_owned();
        Self {
            offered_as: pending.cid,
            kind: kind_of(&info),
            info,
            stream_id: pending.stream_id,
            is_chosen: pending.is_chosen,
            announced_codec: String::new(),
            line,
            codec_notified_at: None,
            subscribers: Vec::new(),
            was_subscribed: false,
            streams: Vec::new(),
            plain: PrimaryBlocks::default(),
            dynacast: Dynacast::default(),
        }
    }

    /// The stream that packets of this layer belong to; `None` when the client invents more layers than there are.
    pub fn stream_mut(&mut self, layer: Option<LayerId>, now: Instant) -> Option<&mut ReceivedStream> {
        let at = match self.streams.iter().position(|stream| stream.layer == layer) {
            Some(at) => at,
            None if self.streams.len() < MAX_STREAMS => {
                self.streams.push(ReceivedStream {
                    layer,
                    seen: now,
                    gaps: UnrecoverableLossDetector::default(),
                    keyframes: KeyframeRequests::default(),
                    keyframe_starts: KeyframeDetector::default(),
                    rate: RateMeter::default(),
                });
                self.streams.len() - 1
            }
            None => return None,
        };
        self.streams.get_mut(at)
    }

    /// The layers that are being sent.
    pub fn arriving(&self, now: Instant) -> Vec<LayerId> {
        self.alive(now).filter_map(|stream| stream.layer).collect()
    }

    /// The streams that are being sent.
    pub fn alive(&self, now: Instant) -> impl Iterator<Item = &ReceivedStream> {
        self.streams.iter().filter(move |stream| now.saturating_duration_since(stream.seen) < SILENCE)
    }

    /// Rank of the best layer that anybody wants, 0 for none.
    pub fn wanted_rank(&self) -> u8 {
        let watching = self.subscribers.iter().filter(|subscriber| !subscriber.disabled);
        watching.map(|subscriber| subscriber.forwarder.layers.max_rank).max().unwrap_or(0)
    }

    /// What another subscriber gets.
    pub fn new_forwarder(&self, layers: LayerSelector) -> Forwarder {
        let clock_rate = match self.kind {
            MediaKind::Audio => 48_000,
            MediaKind::Video => 90_000,
        };
        Forwarder::new(clock_rate, layers)
    }
}

/// Whether the track is announced as sound with two channels. Older clients say so in the deprecated field.
#[allow(deprecated)]
pub fn is_stereo(info: &TrackInfo) -> bool {
    info.stereo || info.audio_features.contains(&(AudioTrackFeature::TfStereo as i32))
}

/// Kind of the media that the track carries.
pub fn kind_of(info: &TrackInfo) -> MediaKind {
    if info.r#type == TrackType::Audio as i32 { MediaKind::Audio } else { MediaKind::Video }
}
