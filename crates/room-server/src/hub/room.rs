//! A room and its participants.

use std::time::Instant;

use protocol::messages::{Codec, Room as RoomInfo};

use super::ids::{ParticipantId, RoomKey, new_sid};

/// A room.
pub struct Room {
    /// Id on the wire.
    pub sid: String,
    /// Upper bound of participants, 0 for no limit. Set by the join that creates the room.
    pub max_participants: u32,
    /// Free text for all participants.
    pub metadata: String,
    /// Until when it is kept while it is empty.
    pub kept_until: Option<Instant>,
    /// Unix time of creation in ms.
    pub created_at_ms: i64,
    /// Members in the order of joining.
    pub members: Vec<ParticipantId>,
}

impl Room {
    /// An empty room.
    pub fn new(max_participants: u32, created_at_ms: i64) -> Self {
        Self {
            sid: new_sid("RM"),
            max_participants,
            metadata: String::new(),
            kept_until: None,
            created_at_ms,
            members: Vec::new(),
        }
    }

    /// Its information for clients.
    pub fn info(&self, key: &RoomKey, codecs: Vec<Codec>, num_participants: u32, num_publishers: u32) -> RoomInfo {
        RoomInfo {
            sid: self.sid.clone(),
            name: key.room.clone(),
            max_participants: self.max_participants,
            creation_time: self.created_at_ms / 1000,
            creation_time_ms: self.created_at_ms,
            enabled_codecs: codecs,
            metadata: self.metadata.clone(),
            num_participants,
            num_publishers,
            ..RoomInfo::default()
        }
    }
}
