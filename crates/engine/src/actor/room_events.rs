//! Room events: users, streams, their extra info, the number of users.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Actor;
use crate::event::{self, NO_EXTENDED_DATA, UpdateType};
use crate::room::{Phase, RoomKey};
use crate::roster::{Changes, RemovalReason, Stream};

/// Interval of the number of users.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);

impl Actor {
    /// Reports users as gone who did not come back after a reconnect.
    pub(super) fn expire_missing(&mut self) {
        let now = Instant::now();
        let rooms = self.rooms.iter_mut().filter(|(_, room)| room.phase == Phase::Connected);
        let changes: Vec<(RoomKey, Changes)> =
            rooms.map(|(key, room)| (key.clone(), room.roster.expire(now))).collect();
        changes.iter().for_each(|(key, changes)| self.emit_changes(key, changes));
    }

    /// Emits what changed among remote participants: users, then streams, then states of played streams.
    pub(super) fn emit_changes(&mut self, key: &RoomKey, changes: &Changes) {
        let Some(room) = self.rooms.get(key) else { return };
        let (room_id, notify) = (&key.id, room.config.is_user_status_notify);
        // Of a hidden room the application only wants a stream.
        if !key.guest {
            if notify && !changes.users_added.is_empty() {
                self.emit(event::room_user_update(room_id, UpdateType::Add, &changes.users_added));
            }
            self.emit_removed_streams(room_id, &changes.streams_removed);
            if !changes.streams_added.is_empty() {
                let streams = changes.streams_added.iter().map(|(id, stream)| item(id, stream)).collect();
                self.emit(event::room_stream_update(room_id, UpdateType::Add, streams, NO_EXTENDED_DATA));
            }
            if !changes.extra_info_changed.is_empty() {
                let streams = changes.extra_info_changed.iter().map(|(id, stream)| item(id, stream)).collect();
                self.emit(event::stream_extra_info(room_id, streams));
            }
            if notify && !changes.users_removed.is_empty() {
                self.emit(event::room_user_update(room_id, UpdateType::Delete, &changes.users_removed));
            }
        }
        let present = changes.streams_added.iter().chain(&changes.streams_changed).map(|(stream_id, _)| stream_id);
        let absent = changes.streams_removed.iter().map(|(stream_id, ..)| stream_id).chain(&changes.streams_away);
        let touched: Vec<String> = present.chain(absent).cloned().collect();
        touched.iter().for_each(|stream_id| self.sync_player(stream_id));
        self.resolve_stream_ids(key, changes);
    }

    /// One event for each reason, since the reason belongs to the event and not to the stream.
    fn emit_removed_streams(&self, room_id: &str, removed: &[(String, Stream, RemovalReason)]) {
        let mut by_reason = BTreeMap::<i32, Vec<Value>>::new();
        for (stream_id, stream, reason) in removed {
            by_reason.entry(*reason as i32).or_default().push(item(stream_id, stream));
        }
        for (reason, streams) in by_reason {
            let codes: Vec<Value> =
                streams.iter().map(|stream| json!({"streamID": stream["streamID"], "code": reason})).collect();
            let extended = json!({"stream_delete_reason": codes}).to_string();
            self.emit(event::room_stream_update(room_id, UpdateType::Delete, streams, &extended));
        }
    }

    pub(super) fn emit_room_info(&self, key: &RoomKey, news: Vec<Value>) {
        if !news.is_empty() && !key.guest {
            self.emit(event::room_extra_info(&key.id, news));
        }
    }

    /// Emits the number of users in each room, right after the login and then periodically.
    pub(super) fn emit_user_counts(&mut self) {
        let now = Instant::now();
        let mut counts = Vec::new();
        for room in self.rooms.values_mut().filter(|room| room.phase == Phase::Connected && !room.key.guest) {
            if room.counted_at.is_none_or(|at| now.duration_since(at) >= COUNT_INTERVAL) {
                room.counted_at = Some(now);
                // This user included.
                counts.push(event::online_user_count(&room.key.id, room.roster.len() + 1));
            }
        }
        counts.into_iter().for_each(|count| self.emit(count));
    }
}

fn item(stream_id: &str, stream: &Stream) -> Value {
    event::stream_item(&stream.user, stream_id, &stream.extra_info)
}
