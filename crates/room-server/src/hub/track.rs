//! Tracks, from announcement to subscription.

use std::time::Instant;

use protocol::messages::{TrackInfo, TrackType};

use super::ids::ParticipantId;
use super::legs::LegId;
use crate::forwarding::core::{LineId, MediaKind};
use crate::forwarding::down_track::DownTrack;
use crate::forwarding::gap_watch::GapWatch;
use crate::forwarding::keyframe_requests::KeyframeRequests;
use crate::forwarding::layer_selector::LayerSelector;

/// A track that a client announced and that none of its offers had yet.
pub struct PendingTrack {
    /// Id that the client calls it in its offer (`a=msid`).
    pub cid: String,
    /// What others will get to know.
    pub info: TrackInfo,
    /// Stream that it belongs to.
    pub stream_id: String,
    /// When it was announced.
    pub since: Instant,
}

/// A track that others can subscribe to.
pub struct PublishedTrack {
    /// Id that the client calls it in its offer.
    pub cid: String,
    /// What others get to know.
    pub info: TrackInfo,
    /// Stream that it belongs to.
    pub stream_id: String,
    /// Sound or picture.
    pub kind: MediaKind,
    /// Line of the publisher's connection.
    pub line: LineId,
    /// Those who get it.
    pub subscribers: Vec<Subscriber>,
    /// Whether the publisher knows that somebody gets it.
    pub was_subscribed: bool,
    /// Which layer is forwarded.
    pub layers: LayerSelector,
    /// Holes in what came.
    pub gaps: GapWatch,
    /// Requests for key frames.
    pub keyframes: KeyframeRequests,
}

/// One who gets a track.
pub struct Subscriber {
    /// Who.
    pub participant: ParticipantId,
    /// On which connection.
    pub leg: LegId,
    /// On which line of it.
    pub line: LineId,
    /// Numbers of the packets to it.
    pub down: DownTrack,
    /// Whether it wants no packets for now.
    pub disabled: bool,
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
    pub line: Option<LineId>,
}

impl PublishedTrack {
    /// A track that an offer had.
    pub fn new(pending: PendingTrack, line: LineId) -> Self {
        let mut info = pending.info;
        info.mid = line.as_str().to_owned();
        Self {
            cid: pending.cid,
            kind: kind_of(&info),
            info,
            stream_id: pending.stream_id,
            line,
            subscribers: Vec::new(),
            was_subscribed: false,
            layers: LayerSelector::default(),
            gaps: GapWatch::default(),
            keyframes: KeyframeRequests::default(),
        }
    }

    /// Numbers for another subscriber.
    pub fn new_down_track(&self) -> DownTrack {
        DownTrack::new(match self.kind {
            MediaKind::Audio => 48_000,
            MediaKind::Video => 90_000,
        })
    }
}

/// Kind of the media that the track carries.
pub fn kind_of(info: &TrackInfo) -> MediaKind {
    if info.r#type == TrackType::Audio as i32 { MediaKind::Audio } else { MediaKind::Video }
}
