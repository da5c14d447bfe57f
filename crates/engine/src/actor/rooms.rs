//! Logging in and out, and what happens to a room in between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::limits::{self, IdError};
use protocol::token::{self, Claims, Grants};
use protocol::token04;
use serde_json::{Value, json};

use super::Actor;
use crate::command::Input;
use crate::config::{RoomConfig, User};
use crate::error::code;
use crate::event::{self, NO_EXTENDED_DATA, RoomReason, UpdateType};
use crate::room::{Phase, Room, Verdict, verdict};
use crate::roster::{Changes, RemovalReason, Stream};
use crate::session::{self, EndReason, Joined, SessionCommand, SessionEvent, SessionParams, SessionSink};

/// A first login that does not get through is given up after this; an outage has the policy's far longer time.
const FIRST_LOGIN_LIMIT: Duration = Duration::from_secs(6);
/// Validity of the tokens that we mint; they are minted anew for every attempt.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// Brings a session's news to the actor.
struct Inbox {
    room_id: String,
    generation: u64,
    inbox: tokio::sync::mpsc::UnboundedSender<Input>,
}

impl SessionSink for Inbox {
    fn emit(&self, event: SessionEvent) {
        let input = Input::Session { room_id: self.room_id.clone(), generation: self.generation, event };
        let _ = self.inbox.send(input);
    }
}

impl Actor {
    pub(super) fn login(&mut self, room_id: String, user: User, config: RoomConfig) {
        let user = if user.name.is_empty() { User { name: user.id.clone(), ..user } } else { user };
        if let Err(code) = self.check_login(&room_id, &user, &config) {
            // The room that we are in is undisturbed: its own state must not seem to change.
            if self.room.as_ref().is_some_and(|room| room.id == room_id) {
                return self.debug_error(code, "loginRoom", "already logged in to this room");
            }
            return self.emit_room_state(&room_id, RoomReason::LoginFailed, code);
        }
        self.emit_room_state(&room_id, RoomReason::Logining, code::SUCCESS);
        self.room = Some(Room::new(room_id, user, config, Instant::now()));
        self.connect();
    }

    fn check_login(&self, room_id: &str, user: &User, config: &RoomConfig) -> Result<(), i32> {
        if self.room.is_some() {
            return Err(code::ROOM_COUNT_EXCEED);
        }
        limits::validate_room_id(room_id).map_err(|error| match error {
            IdError::Empty => code::ROOM_ID_NULL,
            IdError::TooLong => code::ROOM_ID_TOO_LONG,
            _ => code::ROOM_ID_INVALID_CHARACTER,
        })?;
        limits::validate_user_id(&user.id).map_err(|error| match error {
            IdError::Empty => code::USER_ID_NULL,
            IdError::TooLong => code::USER_ID_TOO_LONG,
            _ => code::USER_ID_INVALID_CHARACTER,
        })?;
        limits::validate_user_name(&user.name).map_err(|error| match error {
            IdError::Empty => code::USER_NAME_NULL,
            IdError::TooLong => code::USER_NAME_TOO_LONG,
            _ => code::USER_NAME_INVALID_CHARACTER,
        })?;
        if self.profile.app_sign.is_empty() && config.token.is_empty() {
            return Err(code::ROOM_NO_TOKEN);
        }
        if !config.token.is_empty() && self.profile.app_sign.is_empty() && !token04::is_token04(&config.token) {
            let identity = token::peek_identity(&config.token).map_err(|_| code::ROOM_TOKEN_FORMAT)?;
            if identity != user.id {
                return Err(code::ROOM_TOKEN_USER_ID);
            }
        }
        Ok(())
    }

    /// Starts a session for the room.
    fn connect(&mut self) {
        let generation = self.next_generation();
        let Some(room) = &mut self.room else { return };
        let key = self.profile.app_id.to_string();
        // With both at hand the AppSign counts, as with the vendor.
        let token = if self.profile.app_sign.is_empty() {
            Ok(room.config.token.clone())
        } else {
            token::mint(&key, &self.profile.app_sign, &claims(&key, room))
        };
        let token = match token {
            Ok(token) => token,
            Err(error) => {
                tracing::error!(%error, "no access token");
                return self.end_login(code::ROOM_INNER_ERROR);
            }
        };
        let embed =
            (self.server.may_embed && !self.profile.app_sign.is_empty()).then(|| (key, self.profile.app_sign.clone()));
        room.generation = generation;
        room.peers = None;
        let sink = Inbox { room_id: room.id.clone(), generation, inbox: self.inbox.clone() };
        room.session = Some(session::spawn(SessionParams { server: self.server.url.clone(), token, embed }, sink));
    }

    pub(super) fn logout(&mut self, room_id: Option<&str>) {
        match (&self.room, room_id) {
            (None, None) => return,
            (Some(room), Some(wanted)) if room.id != wanted => {
                return self.emit_room_state(wanted, RoomReason::LogoutFailed, code::ROOM_ID_INCORRECT);
            }
            (None, Some(wanted)) => {
                return self.emit_room_state(wanted, RoomReason::LogoutFailed, code::ROOM_ID_INCORRECT);
            }
            _ => {}
        }
        self.leave_room(RoomReason::Logout, code::SUCCESS);
    }

    /// Ends everything that hangs on the room, then the room. Also the end after a kick or a failed reconnect.
    fn leave_room(&mut self, reason: RoomReason, code: i32) {
        let Some(room) = self.room.take() else { return };
        if let Some(session) = &room.session {
            session.send(SessionCommand::Leave);
        }
        self.drop_all_publishers();
        self.drop_all_players();
        if reason == RoomReason::Logout {
            for channel in 0..self.channels.len() {
                self.stop_preview(u32::try_from(channel).unwrap_or_default());
            }
        }
        *self.registry.network.lock() = Default::default();
        self.emit_room_state(&room.id, reason, code);
    }

    pub(super) fn retry(&mut self, room_id: &str, generation: u64) {
        if self.is_current(room_id, generation) {
            self.connect();
        }
    }

    fn is_current(&self, room_id: &str, generation: u64) -> bool {
        self.room.as_ref().is_some_and(|room| room.id == room_id && room.generation == generation)
    }

    pub(super) fn session_event(&mut self, room_id: &str, generation: u64, event: SessionEvent) {
        if !self.is_current(room_id, generation) {
            return;
        }
        match event {
            SessionEvent::Joined(joined) => self.joined(*joined),
            SessionEvent::Participants(participants) => {
                let Some(room) = &mut self.room else { return };
                let own = room.user.id.clone();
                let others: Vec<_> = participants.into_iter().filter(|info| info.identity != own).collect();
                let changes = room.roster.update(&others);
                self.tell_changes(&changes);
            }
            SessionEvent::Published { channel } => self.published(channel),
            SessionEvent::PublishRefused { channel, reason } => self.publish_refused(channel, reason),
            SessionEvent::Track(track) => self.track(*track),
            SessionEvent::Data(packet) => self.data(*packet),
            SessionEvent::KeyframeRequested { channel } => self.keyframe_requested(channel),
            SessionEvent::Ended(reason) => self.session_ended(&reason),
        }
    }

    fn joined(&mut self, joined: Joined) {
        let Some(room) = &mut self.room else { return };
        let reason = match room.phase {
            Phase::LoggingIn => RoomReason::Logined,
            _ => RoomReason::Reconnected,
        };
        room.phase = Phase::Connected;
        room.attempt = 0;
        room.peers = Some((joined.publisher, joined.subscriber));
        let others: Vec<_> = joined.participants.into_iter().filter(|info| info.identity != room.user.id).collect();
        let changes = room.roster.replace(&others);
        let room_id = room.id.clone();
        let extended = json!({"room_session_id": joined.room_sid}).to_string();
        for event in event::room_state(&room_id, reason, code::SUCCESS, &extended) {
            self.emit(event);
        }
        self.request_all_publishers();
        self.tell_changes(&changes);
        self.sync_all_players();
    }

    fn session_ended(&mut self, reason: &EndReason) {
        let Some(room) = &mut self.room else { return };
        tracing::info!(room = room.id, %reason, "the room session ended");
        room.session = None;
        room.peers = None;
        let has_token = self.profile.app_sign.is_empty();
        match verdict(reason, has_token) {
            Verdict::Retry(give_up_code) => self.schedule_retry(give_up_code),
            Verdict::KickedOut(code) => match room.phase {
                Phase::LoggingIn => self.end_login(code),
                _ => self.leave_room(RoomReason::KickOut, code),
            },
            Verdict::Refused(code) => self.end_login(code),
        }
    }

    fn schedule_retry(&mut self, give_up_code: i32) {
        let now = Instant::now();
        let Some(room) = &mut self.room else { return };
        let room_id = room.id.clone();
        if room.phase == Phase::Connected {
            room.phase = Phase::Reconnecting;
            room.since = now;
            room.attempt = 0;
            self.emit_room_state(&room_id, RoomReason::Reconnecting, code::ROOM_TEMPORARY_BROKEN);
            self.interrupt_publishers();
            self.interrupt_players();
        }
        let Some(room) = &mut self.room else { return };
        let elapsed = now.duration_since(room.since);
        let first_login_over = room.phase == Phase::LoggingIn && elapsed >= FIRST_LOGIN_LIMIT;
        let delay = self.policy.next_delay(room.attempt, elapsed, rand::random()).filter(|_| !first_login_over);
        let Some(delay) = delay else {
            let code = if room.phase == Phase::LoggingIn { give_up_code } else { code::ROOM_RETRY_TIMEOUT };
            return self.end_login(code);
        };
        room.attempt += 1;
        let (inbox, generation) = (self.inbox.clone(), room.generation);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = inbox.send(Input::Retry { room_id, generation });
        });
    }

    /// The login or the reconnect has failed for good.
    fn end_login(&mut self, code: i32) {
        let reason = match self.room.as_ref().map(|room| room.phase) {
            Some(Phase::LoggingIn) => RoomReason::LoginFailed,
            _ => RoomReason::ReconnectFailed,
        };
        self.leave_room(reason, code);
    }

    fn emit_room_state(&self, room_id: &str, reason: RoomReason, code: i32) {
        for event in event::room_state(room_id, reason, code, NO_EXTENDED_DATA) {
            self.emit(event);
        }
    }

    /// Tells what changed among the others: users, then streams, then states of what is played.
    fn tell_changes(&mut self, changes: &Changes) {
        let Some(room) = &self.room else { return };
        let (room_id, notify) = (room.id.clone(), room.config.is_user_status_notify);
        if notify && !changes.users_added.is_empty() {
            self.emit(event::room_user_update(&room_id, UpdateType::Add, &changes.users_added));
        }
        self.tell_removed_streams(&room_id, &changes.streams_removed);
        if !changes.streams_added.is_empty() {
            let streams = changes.streams_added.iter().map(|(id, stream)| item(id, stream)).collect();
            self.emit(event::room_stream_update(&room_id, UpdateType::Add, streams, NO_EXTENDED_DATA));
        }
        if notify && !changes.users_removed.is_empty() {
            self.emit(event::room_user_update(&room_id, UpdateType::Delete, &changes.users_removed));
        }
        for (stream_id, _) in changes.streams_added.iter().chain(&changes.streams_changed) {
            self.sync_player(stream_id);
        }
        for (stream_id, _, _) in &changes.streams_removed {
            self.sync_player(stream_id);
        }
    }

    /// One event for each reason, since the reason stands beside the list and not in it.
    fn tell_removed_streams(&self, room_id: &str, removed: &[(String, Stream, RemovalReason)]) {
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
}

fn item(stream_id: &str, stream: &Stream) -> Value {
    event::stream_item(&stream.user, stream_id, &stream.extra_info)
}

fn claims(key: &str, room: &Room) -> Claims {
    Claims {
        api_key: key.to_owned(),
        identity: room.user.id.clone(),
        name: room.user.name.clone(),
        room: room.id.clone(),
        grants: Grants::participant(),
        max_participants: room.config.max_member_count,
        ttl: TOKEN_TTL,
        ..Claims::default()
    }
}
