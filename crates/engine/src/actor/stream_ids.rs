//! Stream IDs are unique in a room. Our own server enforces it; on other servers publishers agree among themselves.

use std::time::{Duration, Instant};

use super::Actor;
use crate::room::RoomKey;
use crate::roster::Changes;
use crate::session::{RefusedPublish, SessionCommand};

/// Two that publish at the same moment learn of each other within this time; afterwards the older one stays.
const CONTEST: Duration = Duration::from_secs(10);

impl Actor {
    /// Stops own streams whose ID another participant has with priority.
    pub(super) fn resolve_stream_ids(&mut self, key: &RoomKey, changes: &Changes) {
        let Some(room) = self.rooms.get(key).filter(|room| !room.profile.checks_stream_ids) else { return };
        let now = Instant::now();
        let lost = self.publishers.iter().filter(|(_, publisher)| {
            let theirs = changes.streams_added.iter().find(|(stream_id, _)| *stream_id == publisher.stream_id);
            let is_open = now.duration_since(publisher.requested_at) < CONTEST;
            publisher.room == *key && is_open && theirs.is_some_and(|(_, theirs)| theirs.session_age < room.session_age)
        });
        let lost: Vec<u32> = lost.map(|(channel, _)| *channel).collect();
        for channel in lost {
            if let Some(session) = self.rooms.get(key).and_then(|room| room.session.as_ref()) {
                session.send(SessionCommand::Unpublish { channel });
            }
            self.publish_refused(channel, RefusedPublish::StreamExists);
        }
    }
}
