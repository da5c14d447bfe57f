//! A user in a room.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use bytes::Bytes;
use protocol::limits::WIRE_NAME_MAX;
use protocol::messages::{ParticipantInfo, ParticipantPermission, Response, participant_info};
use protocol::token::Grants;

use super::bandwidth::Bandwidth;
use super::data::SentData;
use super::ids::{ConnectionId, ParticipantId, RoomKey};
use super::layers::LayerWish;
use super::legs::LegId;
use super::negotiation::Negotiation;
use super::permissions::Audience;
use super::reports::Link;
use super::single_connection::SingleConnection;
use super::speakers::Loudness;
use super::track::{PendingTrack, PublishedTrack, Subscription};
use crate::auth::{Admission, Permission};
use crate::forwarding::loss_ladder::LossLadder;
use crate::signalling::{SignalSender, encode};

/// Most refused tracks that are remembered of a participant.
const REFUSED_MAX: usize = 64;

/// A signalling connection in use.
pub struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// Where messages go.
    pub sender: SignalSender,
}

/// See the module's description.
pub struct Participant {
    /// Number within this process.
    pub id: ParticipantId,
    /// Id on the wire.
    pub sid: String,
    /// The room.
    pub room: RoomKey,
    /// Who it is.
    pub identity: String,
    /// Display name.
    pub name: String,
    /// Free text.
    pub metadata: String,
    /// Attributes that others see.
    pub attributes: BTreeMap<String, String>,
    /// What it may do.
    pub permission: Permission,
    /// Unix time of joining in ms.
    pub joined_at_ms: i64,
    /// Counts changes, so that clients can tell old updates.
    pub version: u32,
    /// Whether its primary connection has been up.
    pub is_active: bool,
    /// The signalling connection, `None` while it is lost.
    pub connection: Option<Connection>,
    /// Since when the signalling connection is lost.
    pub lost_since: Option<Instant>,
    /// Since when the signalling connection was lost before it was taken up, until the client has said what it missed.
    pub missed_since: Option<Instant>,
    /// Connection on which it sends.
    pub publisher: LegId,
    /// Whether that one is up.
    pub publisher_up: bool,
    /// Connection on which it receives.
    pub subscriber: LegId,
    /// Whether that one is up.
    pub subscriber_up: bool,
    /// Tracks that were announced but are in no offer yet.
    pub pending_tracks: Vec<PendingTrack>,
    /// What it called tracks that were refused, the last ones.
    pub refused_tracks: Vec<String>,
    /// Whether it has called a line of an offer as it had called the track in the announcement.
    pub names_lines: bool,
    /// Tracks that others can subscribe to.
    pub tracks: Vec<PublishedTrack>,
    /// Whether it gets all tracks without asking.
    pub auto_subscribe: bool,
    /// Explicit wishes by track sid, which win over `auto_subscribe`.
    pub wishes: HashMap<String, bool>,
    /// Tracks whose packets it does not want for now, by track sid.
    pub disabled: HashMap<String, bool>,
    /// Layers that it wants at best, by track sid.
    pub layer_wishes: HashMap<String, LayerWish>,
    /// Which tracks matter more to it, by track sid; larger is more.
    pub priorities: HashMap<String, u32>,
    /// What it gets or is about to get.
    pub subscriptions: Vec<Subscription>,
    /// State of the offers to it.
    pub negotiation: Negotiation,
    /// Lines to a client that has only one peer connection; then `publisher` and `subscriber` are the same.
    pub single: Option<SingleConnection>,
    /// Sequence number of its last reliable data packet.
    pub last_data_sequence: u32,
    /// Its last reliable data packets, for those who missed them.
    pub sent_data: SentData,
    /// When it was last told that its data are refused.
    pub data_refused_at: Option<Instant>,
    /// How loud it is.
    pub loudness: Loudness,
    /// How well packets get through.
    pub link: Link,
    /// How much the way to it carries by its losses, as long as there is no estimate.
    pub ladder: LossLadder,
    /// What of it each track gets.
    pub bandwidth: Bandwidth,
    /// Who may subscribe to what; `None`: everybody to everything.
    pub audience: Option<Audience>,
    /// Grants of its token, for its next one.
    pub grants: Option<Grants>,
    /// When it needs another token.
    pub token_at: Instant,
}

/// The connections that a participant is made with.
pub struct ParticipantLegs {
    /// For what it sends.
    pub publisher: LegId,
    /// For what it receives.
    pub subscriber: LegId,
}

impl Participant {
    /// A participant who just joined.
    pub fn new(
        id: ParticipantId,
        sid: String,
        admission: Admission,
        auto_subscribe: bool,
        legs: ParticipantLegs,
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
            publisher: legs.publisher,
            publisher_up: false,
            subscriber: legs.subscriber,
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
            single: (legs.publisher == legs.subscriber).then(SingleConnection::default),
            last_data_sequence: 0,
            sent_data: SentData::default(),
            data_refused_at: None,
            loudness: Loudness::default(),
            link: Link::default(),
            ladder: LossLadder::default(),
            bandwidth: Bandwidth::default(),
            audience: None,
            grants: admission.grants,
            token_at: now,
        }
    }

    /// Sends a message to the client. A client that does not keep up with its messages loses the connection; it can
    /// take it up again.
    pub fn send(&mut self, message: Response) {
        self.send_encoded(encode(message));
    }

    /// [`Participant::send`] for a message that goes to several clients.
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

    /// What others get to know.
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

    /// Remembers a track that was refused, by the name that the client gave it.
    pub fn note_refused(&mut self, cid: &str) {
        if cid.len() <= WIRE_NAME_MAX && self.refused_tracks.iter().all(|refused| refused != cid) {
            if self.refused_tracks.len() >= REFUSED_MAX {
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
