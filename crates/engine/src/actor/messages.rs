//! Broadcast messages and custom commands.

use std::time::Instant;

use protocol::listeners::ListenerReport;
use protocol::messages::DataPacket;
use serde_json::json;
use transport::DataKind;

use super::Actor;
use crate::config::User;
use crate::engine::Reply;
use crate::error::code;
use crate::event;
use crate::messaging::{self, RoomMessage};
use crate::room::{Room, RoomKey};
use crate::session::SessionCommand;
use crate::wall_clock::unix_ms;

impl Actor {
    pub(super) fn send_broadcast(&mut self, room_id: &str, message: &str, reply: Reply) {
        let result = self.try_broadcast(room_id, message);
        let (error_code, message_id) = match result {
            Ok(id) => (code::SUCCESS, id),
            Err(code) => (code, 0),
        };
        reply(json!({"errorCode": error_code, "messageID": message_id}));
    }

    fn try_broadcast(&mut self, room_id: &str, message: &str) -> Result<u64, i32> {
        messaging::check_text(message)?;
        let room = self.room_of_message(room_id)?;
        let session = room.connected_session().ok_or(code::IM_SEND_FAILED)?.clone();
        if !room.broadcasts.take(Instant::now()) {
            return Err(code::IM_BROADCAST_OVERLOAD);
        }
        let now = unix_ms();
        // Unique enough among a room's users, and an integer that JS represents exactly.
        let id = now * 256 + u64::from(rand::random::<u8>());
        let packet = messaging::broadcast_packet(message, id, now);
        session.send(SessionCommand::SendData { kind: DataKind::Reliable, packet: Box::new(packet) });
        Ok(id)
    }

    pub(super) fn send_barrage(&mut self, room_id: &str, message: &str, reply: Reply) {
        let result = self.try_barrage(room_id, message);
        let error_code = result.as_ref().err().copied().unwrap_or(code::SUCCESS);
        reply(json!({"errorCode": error_code, "messageID": result.unwrap_or_default()}));
    }

    fn try_barrage(&mut self, room_id: &str, message: &str) -> Result<String, i32> {
        messaging::check_text(message)?;
        let room = self.room_of_message(room_id)?;
        let session = room.connected_session().ok_or(code::IM_SEND_FAILED)?;
        let now = unix_ms();
        let id = format!("{now}-{:08x}", rand::random::<u32>());
        let packet = messaging::barrage_packet(message, &id, now);
        session.send(SessionCommand::SendData { kind: DataKind::Lossy, packet: Box::new(packet) });
        Ok(id)
    }

    pub(super) fn send_command(&mut self, room_id: &str, command: &str, to: Vec<User>, reply: Reply) {
        let error_code = self.try_command(room_id, command, to).err().unwrap_or(code::SUCCESS);
        reply(json!({"errorCode": error_code}));
    }

    fn try_command(&mut self, room_id: &str, command: &str, to: Vec<User>) -> Result<(), i32> {
        messaging::check_text(command)?;
        let room = self.room_of_message(room_id)?;
        let session = room.connected_session().ok_or(code::IM_SEND_FAILED)?;
        let to = to.into_iter().map(|user| user.id).collect();
        let packet = messaging::command_packet(command, to);
        session.send(SessionCommand::SendData { kind: DataKind::Reliable, packet: Box::new(packet) });
        Ok(())
    }

    fn room_of_message(&mut self, room_id: &str) -> Result<&mut Room, i32> {
        if !self.is_in_a_room() {
            return Err(code::NOT_LOGIN_ROOM);
        }
        self.rooms.get_mut(&RoomKey::own(room_id)).ok_or(code::IM_INCONSISTENT_ROOM_ID)
    }

    pub(super) fn data(&mut self, room: &RoomKey, packet: DataPacket) {
        if let Some(report) = ListenerReport::from_packet(&packet) {
            return self.on_listener_report(room, report);
        }
        // A hidden participant gets no messages.
        let Some(room) = self.rooms.get(room).filter(|room| !room.key.guest) else { return };
        let Some(message) = messaging::read_packet(packet, unix_ms()) else { return };
        self.emit(match message {
            RoomMessage::Broadcast { from, text, id, sent_at_ms } => {
                event::broadcast_message(&room.key.id, &text, id, sent_at_ms, &room.roster.user(&from))
            }
            RoomMessage::Barrage { from, text, id, sent_at_ms } => {
                event::barrage_message(&room.key.id, &text, &id, sent_at_ms, &room.roster.user(&from))
            }
            RoomMessage::Command { from, text } => event::custom_command(&room.key.id, &room.roster.user(&from), &text),
        });
    }
}
