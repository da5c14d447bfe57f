//! Logging in and out.

use std::time::{Duration, Instant};

use protocol::limits::{self, IdError};
use protocol::token::{self, Claims, Grants};
use protocol::token04;
use serde_json::json;

use super::Actor;
use crate::command::Input;
use crate::config::{RoomConfig, User};
use crate::error::code;
use crate::event::{self, NO_EXTENDED_DATA, RoomReason};
use crate::room::{Room, RoomKey};
use crate::session::{self, SessionCommand, SessionEvent, SessionHandle, SessionParams, SessionSink};
use crate::signalling::vendor_query;
use crate::token_life::{Now, TokenLife};
use crate::wall_clock::unix_ms;

/// Lifetime of the tokens that are minted here, one for each attempt.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
/// A first login fails after this; a reconnect has the policy's far longer time.
const FIRST_LOGIN_TIMEOUT: Duration = Duration::from_secs(6);
/// Upper bound of rooms in multi-room mode.
const MAX_ROOMS: usize = 5;

/// Sends a session's events to the actor.
struct Inbox {
    room: RoomKey,
    generation: u64,
    inbox: tokio::sync::mpsc::UnboundedSender<Input>,
}

impl SessionSink for Inbox {
    fn emit(&self, event: SessionEvent) {
        let input = Input::Session { room: self.room.clone(), generation: self.generation, event };
        let _ = self.inbox.send(input);
    }
}

impl Actor {
    /// Whether the application is logged in to a room, or about to be.
    pub(super) fn is_in_a_room(&self) -> bool {
        self.own_rooms().next().is_some()
    }

    /// The rooms that the application logged in to.
    pub(super) fn own_rooms(&self) -> impl Iterator<Item = &Room> {
        self.rooms.values().filter(|room| !room.key.guest)
    }

    pub(super) fn login(&mut self, room_id: String, user: User, config: RoomConfig) {
        let user = if user.name.is_empty() { User { name: user.id.clone(), ..user } } else { user };
        if let Err(code) = self.check_login(&room_id, &user, &config) {
            // The room is undisturbed: its own state must not seem to change.
            if self.rooms.contains_key(&RoomKey::own(&room_id)) {
                return self.debug_error(code, "loginRoom", "already logged in to this room");
            }
            return self.emit_room_state(&room_id, RoomReason::LoginFailed, code);
        }
        self.interrupt_speed_test(code::SPEED_TEST_STOPPED_BY_LOGIN);
        self.emit_room_state(&room_id, RoomReason::Logining, code::SUCCESS);
        let key = RoomKey::own(&room_id);
        self.begin_login(Room::new(key, user, config, Instant::now()));
    }

    /// Starts the first login to a room, with its deadline.
    pub(super) fn begin_login(&mut self, room: Room) {
        let (key, since) = (room.key.clone(), room.since);
        self.rooms.insert(key.clone(), room);
        let (inbox, input) = (self.inbox.clone(), Input::LoginOver { room: key.clone(), since });
        tokio::spawn(async move {
            tokio::time::sleep(FIRST_LOGIN_TIMEOUT).await;
            let _ = inbox.send(input);
        });
        self.connect(&key);
    }

    fn check_login(&self, room_id: &str, user: &User, config: &RoomConfig) -> Result<(), i32> {
        self.check_room_count(room_id, user)?;
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
            _ => code::USER_NAME_TOO_LONG,
        })?;
        if self.profile.app_sign.is_empty() { check_token(&config.token, user) } else { Ok(()) }
    }

    fn check_room_count(&self, room_id: &str, user: &User) -> Result<(), i32> {
        if !self.multi_room {
            return if self.is_in_a_room() { Err(code::ROOM_COUNT_EXCEED) } else { Ok(()) };
        }
        if self.rooms.contains_key(&RoomKey::own(room_id)) {
            return Err(code::ROOM_ID_HAS_BEEN_USED);
        }
        if self.own_rooms().count() >= MAX_ROOMS {
            return Err(code::ROOM_MULTI_ROOM_COUNT_EXCEED);
        }
        if self.own_rooms().any(|room| room.user.id != user.id) {
            return Err(code::ROOM_MULTI_ROOM_USER_NOT_SAME);
        }
        Ok(())
    }

    /// Starts a session for the room.
    pub(super) fn connect(&mut self, key: &RoomKey) {
        let dialer = match &self.dialer {
            Ok(dialer) => dialer.clone(),
            // Reported by each login; nothing else needs the option.
            Err(error) => return self.end_with(key, code::ROOM_CONNECT_FAILED, error.to_string()),
        };
        let generation = self.next_generation();
        let (clock, now) = (self.clock, self.now());
        let app = self.profile.app_id.to_string();
        let Some(room) = self.rooms.get_mut(key) else { return };
        // If both are given the appSign counts, as with the vendor.
        let token = if self.profile.app_sign.is_empty() {
            Ok(room.usable_token(&now))
        } else {
            token::mint_at(&app, &self.profile.app_sign, &claims(&app, room), clock.now_s(unix_ms()))
        };
        let token = match token {
            Ok(token) => token,
            Err(error) => {
                tracing::error!(%error, "no access token");
                return self.end_login(key, code::ROOM_INNER_ERROR);
            }
        };
        let embed =
            (self.server.may_embed && !self.profile.app_sign.is_empty()).then(|| (app, self.profile.app_sign.clone()));
        room.generation = generation;
        room.token_clock = clock;
        room.peers = None;
        let sink = Inbox { room: key.clone(), generation, inbox: self.inbox.clone() };
        let query = vendor_query(&token, &key.id, &room.user.name, room.config.max_member_count);
        let (server, policy) = (self.server.url.clone(), self.policy.clone());
        let ways = self.ways.clone();
        let params = SessionParams { server, token, query, embed, dialer, policy, ways };
        room.session = Some(session::spawn(params, sink));
    }

    pub(super) fn logout(&mut self, room_id: Option<&str>) {
        let rooms: Vec<RoomKey> = match room_id {
            Some(room_id) if !self.rooms.contains_key(&RoomKey::own(room_id)) => {
                return self.emit_room_state(room_id, RoomReason::LogoutFailed, code::ROOM_ID_INCORRECT);
            }
            Some(room_id) => vec![RoomKey::own(room_id)],
            None => self.own_rooms().map(|room| room.key.clone()).collect(),
        };
        for key in &rooms {
            // The previews end with the last room.
            if self.own_rooms().count() == 1 {
                for channel in 0..self.channels.len() {
                    self.stop_preview(u32::try_from(channel).unwrap_or_default());
                }
            }
            self.leave_room(key, RoomReason::Logout, code::SUCCESS);
        }
    }

    pub(super) fn switch_room(&mut self, from: &str, to: String, config: RoomConfig) {
        if self.multi_room {
            let info = "rooms are switched in single-room mode only";
            return self.debug_error(code::ROOM_MULTI_ROOM_SWITCH_INVALID, "switchRoom", info);
        }
        let Some(room) = self.rooms.get(&RoomKey::own(from)) else {
            let code = if self.is_in_a_room() { code::ROOM_ID_INCORRECT } else { code::NOT_LOGIN_ROOM };
            return self.emit_room_state(&to, RoomReason::LoginFailed, code);
        };
        let user = room.user.clone();
        // A token for one room may be valid for another: the server decides.
        let token = if config.token.is_empty() { room.config.token.clone() } else { config.token };
        self.leave_room(&RoomKey::own(from), RoomReason::Logout, code::SUCCESS);
        self.login(to, user, RoomConfig { token, ..config });
    }

    pub(super) fn renew_token(&mut self, room_id: &str, text: String) {
        let in_a_room = self.is_in_a_room();
        let has_app_sign = !self.profile.app_sign.is_empty();
        let Some(room) = self.rooms.get_mut(&RoomKey::own(room_id)) else {
            let code = if in_a_room { code::ROOM_ID_INCORRECT } else { code::NOT_LOGIN_ROOM };
            return self.debug_error(code, "renewToken", "not logged in to this room");
        };
        if let Err(code) = check_token(&text, &room.user) {
            return self.debug_error(code, "renewToken", "the token cannot be used");
        }
        room.token_life = TokenLife::of(&text, Instant::now());
        room.config.token.clone_from(&text);
        // With an appSign the token is not used.
        if let Some(session) = room.session.as_ref().filter(|_| !has_app_sign) {
            session.send(SessionCommand::RenewToken(text));
        }
    }

    /// What the clocks show.
    pub(super) fn now(&self) -> Now {
        let own_ms = unix_ms();
        let server_s = self.clock.is_known().then(|| self.clock.now_s(own_ms));
        Now { server_s, own_s: own_ms / 1000, at: Instant::now() }
    }

    /// Warns of tokens that are about to expire.
    pub(super) fn watch_tokens(&mut self) {
        if !self.profile.app_sign.is_empty() {
            return;
        }
        let now = self.now();
        let mut warnings = Vec::new();
        for room in self.rooms.values_mut().filter(|room| !room.key.guest && room.was_joined) {
            if let Some(left) = room.token_life.as_mut().and_then(|life| life.warning(&now)) {
                warnings.push(event::token_will_expire(&room.key.id, left));
            }
        }
        warnings.into_iter().for_each(|warning| self.emit(warning));
    }

    /// Ends what belongs to the room, then the room; also after a kick or a failed reconnect.
    pub(super) fn leave_room(&mut self, key: &RoomKey, reason: RoomReason, code: i32) {
        let Some(room) = self.rooms.remove(key) else { return };
        self.leaving.retain(SessionHandle::is_present);
        if let Some(session) = room.session {
            session.send(SessionCommand::Leave);
            self.leaving.push(session);
        }
        self.registry.networks.lock().remove(key);
        let (publisher_code, player_code) = codes_of_the_end(reason, code);
        self.drop_publishers_of(key, publisher_code);
        self.drop_players_of(key, player_code);
        if key.guest {
            return;
        }
        self.fail_requests_of(key);
        if !self.is_in_a_room() {
            // Nothing is played from hidden rooms without a login.
            let guests: Vec<RoomKey> = self.rooms.keys().cloned().collect();
            guests.iter().for_each(|guest| self.leave_room(guest, RoomReason::Logout, code::SUCCESS));
        }
        match room.failure.filter(|_| matches!(reason, RoomReason::LoginFailed | RoomReason::ReconnectFailed)) {
            Some(failure) => self.emit_failed_room(&key.id, reason, code, &failure),
            None => self.emit_room_state(&key.id, reason, code),
        }
    }

    pub(super) fn emit_room_state(&self, room_id: &str, reason: RoomReason, code: i32) {
        for event in event::room_state(room_id, reason, code, NO_EXTENDED_DATA) {
            self.emit(event);
        }
    }

    /// Emits the room's state with a sentence about the server and its failure.
    fn emit_failed_room(&self, room_id: &str, reason: RoomReason, code: i32, failure: &str) {
        let mut message = format!("{}: {failure}", self.server.url);
        if self.server.may_embed && self.profile.app_sign.is_empty() {
            message += " (without an AppSign no room server is started here)";
        }
        let extended = json!({"message": message}).to_string();
        for event in event::room_state(room_id, reason, code, &extended) {
            self.emit(event);
        }
    }
}

/// The codes for publishers and players of a room that ends: 0 after a logout, their own codes after a loss, otherwise
/// the code of the room.
fn codes_of_the_end(reason: RoomReason, code: i32) -> (i32, i32) {
    match (reason, code) {
        (RoomReason::Logout, _) => (code::SUCCESS, code::SUCCESS),
        (RoomReason::ReconnectFailed, code::ROOM_RETRY_TIMEOUT) => {
            (code::PUBLISHER_RETRY_TIMEOUT, code::PLAYER_RETRY_TIMEOUT)
        }
        _ => (code, code),
    }
}

/// The code of a token that this user cannot use, as far as it can be reported locally.
fn check_token(text: &str, user: &User) -> Result<(), i32> {
    if text.is_empty() {
        return Err(code::ROOM_NO_TOKEN);
    }
    if !token04::is_token04(text) {
        let identity = token::peek_identity(text).map_err(|_| code::ROOM_TOKEN_FORMAT)?;
        if identity != user.id {
            return Err(code::ROOM_TOKEN_USER_ID);
        }
    }
    Ok(())
}

fn claims(app: &str, room: &Room) -> Claims {
    let mut grants = Grants::participant();
    if room.key.guest {
        grants.hidden = true;
        grants.can_publish = Some(false);
        grants.can_publish_data = Some(false);
    }
    Claims {
        api_key: app.to_owned(),
        identity: room.user.id.clone(),
        name: room.user.name.clone(),
        room: room.key.id.clone(),
        grants,
        max_participants: room.config.max_member_count,
        ttl: TOKEN_TTL,
        ..Claims::default()
    }
}
