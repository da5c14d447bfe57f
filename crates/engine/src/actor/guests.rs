//! Rooms that are joined as a hidden participant, only to play their streams.

use std::time::Instant;

use super::Actor;
use crate::config::{RoomConfig, User};
use crate::error::code;
use crate::event::RoomReason;
use crate::room::{Room, RoomKey};

impl Actor {
    /// The room that a stream is to be played from, joined as a hidden participant if necessary.
    pub(super) fn room_to_play_from(&mut self, wanted: Option<&str>) -> Result<RoomKey, i32> {
        let Some(first) = self.own_rooms().next() else { return Err(code::NOT_LOGIN_ROOM) };
        let wanted = match wanted {
            None if self.multi_room => return Err(code::PLAYER_NO_CONFIG_IN_MULTI_ROOM),
            Some("") if self.multi_room => return Err(code::PLAYER_NO_ROOM_ID_IN_MULTI_ROOM),
            None | Some("") => return Ok(first.key.clone()),
            Some(wanted) => wanted,
        };
        let own = RoomKey::own(wanted);
        if self.rooms.contains_key(&own) {
            return Ok(own);
        }
        // The application's token is for its own room; only the appSign opens others.
        if self.profile.app_sign.is_empty() || protocol::limits::validate_room_id(wanted).is_err() {
            return Err(code::PLAYER_CROSS_ROOM);
        }
        let guest = RoomKey::guest(wanted);
        if !self.rooms.contains_key(&guest) {
            // The user may be in that room with another engine: the hidden participant must not replace it.
            let id = format!("zg.guest.{}.{:08x}", first.user.id, rand::random::<u32>());
            let user = User { name: id.clone(), id };
            self.begin_login(Room::new(guest.clone(), user, RoomConfig::default(), Instant::now()));
        }
        Ok(guest)
    }

    /// Leaves hidden rooms without players.
    pub(super) fn leave_idle_guests(&mut self) {
        let idle = self.rooms.keys().filter(|key| key.guest && !self.players.values().any(|p| p.room == **key));
        let idle: Vec<RoomKey> = idle.cloned().collect();
        idle.iter().for_each(|key| self.leave_room(key, RoomReason::Logout, code::SUCCESS));
    }
}
