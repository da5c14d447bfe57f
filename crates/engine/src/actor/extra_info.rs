//! Extra info of rooms and streams: requests to the server, and the promises that wait for its answers.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use protocol::conventions;
use serde_json::json;

use super::Actor;
use crate::engine::Reply;
use crate::error::code;
use crate::room::RoomKey;
use crate::room_info::Entry;
use crate::room_service::RoomService;
use crate::session::SessionCommand;
use crate::wall_clock::unix_ms;

/// Stream extra info must be shorter than this, in bytes.
const STREAM_INFO_LIMIT: usize = 1024;
/// A request without an answer fails after this time.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A call that waits for the server's response.
pub(super) struct PendingRequest {
    room: RoomKey,
    since: Instant,
    failure: i32,
    reply: Reply,
}

impl Actor {
    pub(super) fn set_room_extra_info(&mut self, room_id: &str, key: &str, value: String, reply: Reply) {
        if let Err(code) = self.check_room_extra_info(room_id, key, &value) {
            return reply(json!({"errorCode": code}));
        }
        let room_key = RoomKey::own(room_id);
        let Some(room) = self.rooms.get_mut(&room_key) else { return };
        let entry = Entry { v: value, t: room.info.next_time(key, unix_ms()), u: room.user.clone() };
        room.info.note_own_setting(key, &entry);
        let is_administrator = !room.profile.keeps_room_info && !self.profile.app_sign.is_empty();
        let metadata = room.info.metadata_with(key, &entry).filter(|_| is_administrator);
        if let Some(metadata) = metadata.filter(|_| room.connected_session().is_some()) {
            return self.write_room_metadata(room_id, metadata, reply);
        }
        // Our own server knows the attribute and moves it into the room's metadata.
        let attributes = HashMap::from([(conventions::room_info_attribute(key), entry.to_text())]);
        self.request(room_key, attributes, code::ROOM_EXTRA_INFO_FAILED, reply);
    }

    fn write_room_metadata(&self, room_id: &str, metadata: String, reply: Reply) {
        let Ok(dialer) = self.dialer.clone() else {
            return reply(json!({"errorCode": code::ROOM_EXTRA_INFO_FAILED}));
        };
        let now_s = self.clock.now_s(unix_ms());
        let service = RoomService {
            server: self.server.url.clone(),
            dialer,
            api_key: self.profile.app_id.to_string(),
            secret: self.profile.app_sign.clone(),
        };
        let room_id = room_id.to_owned();
        tokio::spawn(async move {
            let code = match service.update_room_metadata(&room_id, metadata, now_s).await {
                Ok(()) => code::SUCCESS,
                Err(error) => {
                    tracing::warn!(room = room_id, %error, "the extra info of the room was not set");
                    code::ROOM_EXTRA_INFO_FAILED
                }
            };
            reply(json!({"errorCode": code}));
        });
    }

    fn check_room_extra_info(&self, room_id: &str, key: &str, value: &str) -> Result<(), i32> {
        if !self.is_in_a_room() {
            return Err(code::NOT_LOGIN_ROOM);
        }
        let room = self.rooms.get(&RoomKey::own(room_id)).ok_or(code::ROOM_ID_INCORRECT)?;
        room.info.check(key, value)
    }

    pub(super) fn set_stream_extra_info(&mut self, info: String, channel: u32, reply: Reply) {
        let Some(state) = self.channel(channel, "setStreamExtraInfo") else {
            return reply(json!({"errorCode": code::ILLEGAL_PARAM}));
        };
        if info.len() >= STREAM_INFO_LIMIT {
            return reply(json!({"errorCode": code::PUBLISHER_EXTRA_INFO_TOO_LONG}));
        }
        state.settings.extra_info.clone_from(&info);
        let Some(publisher) = self.publishers.get(&channel) else {
            // It is sent with the next publish.
            return reply(json!({"errorCode": code::SUCCESS}));
        };
        let attributes = HashMap::from([(conventions::extra_info_attribute(&publisher.stream_id), info)]);
        let room = publisher.room.clone();
        if self.rooms.get(&room).is_none_or(|room| room.connected_session().is_none()) {
            // It is sent with the publish request once there is a session.
            return reply(json!({"errorCode": code::SUCCESS}));
        }
        self.request(room, attributes, code::PUBLISHER_UPDATE_EXTRA_INFO_FAILED, reply);
    }

    /// Asks the server to change attributes of this participant; `reply` gets its response.
    fn request(&mut self, room: RoomKey, attributes: HashMap<String, String>, failure: i32, reply: Reply) {
        let Some(session) = self.rooms.get(&room).and_then(|room| room.connected_session()) else {
            return reply(json!({"errorCode": failure}));
        };
        self.last_request = self.last_request.wrapping_add(1).max(1);
        session.send(SessionCommand::SetAttributes { attributes, request: self.last_request });
        let pending = PendingRequest { room, since: Instant::now(), failure, reply };
        self.pending.insert(self.last_request, pending);
    }

    pub(super) fn answered(&mut self, request: u32, accepted: bool) {
        if let Some(pending) = self.pending.remove(&request) {
            let code = if accepted { code::SUCCESS } else { pending.failure };
            (pending.reply)(json!({"errorCode": code}));
        }
    }

    /// Fails requests whose response is overdue.
    pub(super) fn expire_requests(&mut self) {
        let now = Instant::now();
        self.fail_requests(|pending| now.duration_since(pending.since) >= RESPONSE_TIMEOUT);
    }

    pub(super) fn fail_requests_of(&mut self, room: &RoomKey) {
        self.fail_requests(|pending| pending.room == *room);
    }

    fn fail_requests(&mut self, is_over: impl Fn(&PendingRequest) -> bool) {
        let over = self.pending.iter().filter(|(_, pending)| is_over(pending));
        let over: Vec<u32> = over.map(|(request, _)| *request).collect();
        for request in over {
            self.answered(request, false);
        }
    }
}
