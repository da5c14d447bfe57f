//! A user in a room.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use bytes::Bytes;
use protocol::limits::MAX_WIRE_NAME;
use protocol::messages::{ParticipantInfo, ParticipantPermission, Response, participant_info};
use protocol::token::Grants;

use super::bandwidth::Bandwidth;
use super::data::SentData;
use super::ids::{ConnectionId, ParticipantId, RoomKey};
use super::layers::LayerWish;
use super::negotiation::Negotiation;
use super::peers::PeerId;
use super::permissions::Audience;
use super::reports::Link;
use super::single_connection::SingleConnection;
use super::speakers::Loudness;
use super::track::{PendingTrack, PublishedTrack, Subscription};
use crate::auth::{Admission, Permission};
use crate::forwarding::loss_based_layer_cap::LossBasedLayerCap;
use crate::signalling::{SignalSender, encode};

/// Upper bound of refused tracks that are remembered.
const MAX_REFUSED: usize = 64;

/// A signalling connection in use.
pub struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// Where messages go.
    pub sender: SignalSender,
}

/// A participant of a room.
pub struct Participant {
    /// Number within this process.
    pub id: ParticipantId,
    /// Id on the wire.
    pub sid: String,
    /// The room.
    pub room: RoomKey,
    /// Its identity.
    pub identity: String,
    /// Display name.
    pub name: String,
    /// Free text.
    pub metadata: String,
    /// Attributes that others see.
    pub attributes: BTreeMap<String, String>,
    /// Its permissions.
    pub permission: Permission,
    /// Unix time of joining in ms.
    pub joined_at_ms: i64,
    /// Counts changes, so that clients recognise old updates.
    pub version: u32,
    /// Whether its primary connection has been up.
    pub is_active: bool,
    /// The signalling connection, `None` while it is lost.
    pub connection: Option<Connection>,
    /// Since when the signalling connection is lost.
    pub lost_since: Option<Instant>,
    /// When signalling was lost before a resume, until the client has sent its state.
    pub missed_since: Option<Instant>,
    /// Connection on which it sends.
    pub publisher: PeerId,
    /// Whether that one is up.
    pub publisher_up: bool,
    /// Connection on which it receives.
    pub subscriber: PeerId,
    /// Whether that one is up.
    pub subscriber_up: bool,
    /// Tracks that were announced but are in no offer yet.
    pub pending_tracks: Vec<PendingTrack>,
    /// Its names for tracks that were refused, the last ones.
    pub refused_tracks: Vec<String>,
    /// Whether it has called a line of an offer as it had called the track in the announcement.
    pub names_lines: bool,
    /// Tracks that others can subscribe to.
    pub tracks: Vec<PublishedTrack>,
    /// Whether it gets all tracks without asking.
    pub auto_subscribe: bool,
    /// Explicit subscriptions by track sid, which override `auto_subscribe`.
    pub wishes: HashMap<String, bool>,
    /// Tracks whose packets it does not want for now, by track sid.
    pub disabled: HashMap<String, bool>,
    /// Layers that it wants at best, by track sid.
    pub layer_wishes: HashMap<String, LayerWish>,
    /// Priorities of tracks, by track sid; larger is more important.
    pub priorities: HashMap<String, u32>,
    /// Its subscriptions, present and pending.
    pub subscriptions: Vec<Subscription>,
    /// State of the offers to it.
    pub negotiation: Negotiation,
    /// Lines to a client that has only one peer connection; then `publisher` and `subscriber` are the same.
    pub single: Option<SingleConnection>,
    /// Sequence number of its last reliable data packet.
    pub last_data_sequence: u32,
    /// Its last reliable data packets, for participants that missed them.
    pub sent_data: SentData,
    /// When it was last notified that its data are refused.
    pub data_refused_at: Option<Instant>,
    /// How loud it is.
    pub loudness: Loudness,
    /// How well packets get through.
    pub link: Link,
    /// The layer cap by its loss, without an estimate.
    pub ladder: LossBasedLayerCap,
    /// The allocation of its downlink.
    pub bandwidth: Bandwidth,
    /// Who may subscribe to its tracks; `None`: all participants to all tracks.
    pub audience: Option<Audience>,
    /// Grants of its token, for its next one.
    pub grants: Option<Grants>,
    /// When it needs another token.
    pub token_at: Instant,
}

/// The connections that a participant is made with.
pub struct ParticipantPeers {
    /// For media from the client.
    pub publisher: PeerId,
    /// For media to the client.
    pub subscriber: PeerId,
}

impl Participant {
    /// A participant that has just joined.
    pub fn new(
        id: ParticipantId,
        sid: String,
        admission: Admission,
        auto_subscribe: bool,
        peers: ParticipantPeers,
        joined_at_ms: i64,
        now: Instant,
    ) -> Self {
        Self {
            id,
            sid,
            room: RoomKey { app: admission.app, room: admission.room },
            identity: admission.identity,
            name: admission.name,
            metadata: admission.metadata,
            attributes: admission.attributes,
            permission: admission.permission,
            joined_at_ms,
            version: 1,
            is_active: false,
            connection: None,
            lost_since: None,
            missed_since: None,
            publisher: peers.publisher,
            publisher_up: false,
            subscriber: peers.subscriber,
            subscriber_up: false,
            pending_tracks: Vec::new(),
            refused_tracks: Vec::new(),
            names_lines: false,
            tracks: Vec::new(),
            auto_subscribe,
            wishes: HashMap::new(),
            disabled: HashMap::new(),
            layer_wishes: HashMap::new(),
            priorities: HashMap::new(),
            subscriptions: Vec::new(),
            negotiation: Negotiation::default(),
            single: (peers.publisher == peers.subscriber).then(SingleConnection::default),
            last_data_sequence: 0,
            sent_data: SentData::default(),
            data_refused_at: None,
            loudness: Loudness::default(),
            link: Link::default(),
            ladder: LossBasedLayerCap::default(),
            bandwidth: Bandwidth::default(),
            audience: None,
            grants: admission.grants,
            token_at: now,
        }
    }

    /// Sends a message to the client. A client that does not keep up with its messages loses the connection; it can resume.
    pub fn send(&mut self, message: Response) {
        self.send_encoded(encode(message));
    }

    /// [`Participant::send`] for a message that is sent to several clients.
    pub fn send_encoded(&mut self, message: Bytes) {
        if let Some(connection) = &self.connection
            && !connection.sender.send(message)
        {
            if !connection.sender.is_closed() {
                tracing::warn!(identity = self.identity, "client does not read its messages");
            }
            self.connection = None;
        }
    }

    /// Its information for other participants.
    pub fn info(&self) -> ParticipantInfo {
        let state = if self.is_active { participant_info::State::Active } else { participant_info::State::Joined };
        ParticipantInfo {
            sid: self.sid.clone(),
            identity: self.identity.clone(),
            name: self.name.clone(),
            metadata: self.metadata.clone(),
            attributes: self.attributes.clone().into_iter().collect(),
            state: state as i32,
            joined_at: self.joined_at_ms / 1000,
            joined_at_ms: self.joined_at_ms,
            version: self.version,
            is_publisher: !self.tracks.is_empty(),
            permission: Some(self.permission_info()),
            tracks: self.tracks.iter().map(|track| track.info.clone()).collect(),
            ..ParticipantInfo::default()
        }
    }

    fn permission_info(&self) -> ParticipantPermission {
        ParticipantPermission {
            can_subscribe: self.permission.subscribe,
            can_publish: self.permission.publish,
            can_publish_data: self.permission.publish_data,
            can_publish_sources: self.permission.sources.clone(),
            can_update_metadata: self.permission.update_metadata,
            hidden: self.permission.hidden,
            ..ParticipantPermission::default()
        }
    }

    /// Remembers a track that was refused, by the client's name for it.
    pub fn remember_refused(&mut self, cid: &str) {
        if cid.len() <= MAX_WIRE_NAME && self.refused_tracks.iter().all(|refused| refused != cid) {
            if self.refused_tracks.len() >= MAX_REFUSED {
                self.refused_tracks.remove(0);
            }
            self.refused_tracks.push(cid.to_owned());
        }
    }

    /// Whether it wants this track.
    pub fn wants(&self, track_sid: &str) -> bool {
        self.permission.subscribe && self.wishes.get(track_sid).copied().unwrap_or(self.auto_subscribe)
    }

    /// The published track with this sid.
    pub fn track_mut(&mut self, sid: &str) -> Option<&mut PublishedTrack> {
        self.tracks.iter_mut().find(|track| track.info.sid == sid)
    }

    /// Whether it holds a stream of this ID: published, or chosen in an announcement.
    pub fn has_stream(&self, stream_id: &str) -> bool {
        self.tracks.iter().any(|track| track.stream_id == stream_id) || self.has_chosen(stream_id)
    }

    /// Whether it chose this ID in an announcement.
    pub fn has_chosen(&self, stream_id: &str) -> bool {
        self.pending_tracks.iter().any(|track| track.is_chosen && track.stream_id == stream_id)
    }
}
