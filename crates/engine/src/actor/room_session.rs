//! A room between login and logout: events of its session, losses and reconnects.

use std::time::Instant;

use protocol::messages::ParticipantInfo;
use serde_json::json;
use transport::Role;

use super::Actor;
use crate::command::Input;
use crate::error::code;
use crate::event::{self, RoomReason};
use crate::room::{Phase, Room, RoomKey};
use crate::roster::{Changes, Roster};
use crate::session::{EndReason, Joined, SessionEvent};
use crate::session_outcome::{self, SessionOutcome, Standing, classify_end, may_be_the_clock};
use crate::wall_clock::unix_ms;

impl Actor {
    pub(super) fn retry(&mut self, key: &RoomKey, generation: u64) {
        if self.current(key, generation).is_some() {
            self.connect(key);
        }
    }

    /// The room, if this is its present session.
    fn current(&mut self, key: &RoomKey, generation: u64) -> Option<&mut Room> {
        self.rooms.get_mut(key).filter(|room| room.generation == generation)
    }

    pub(super) fn session_event(&mut self, key: &RoomKey, generation: u64, event: SessionEvent) {
        let Some(room) = self.current(key, generation) else { return };
        match event {
            SessionEvent::Joined(joined) => self.joined(key, *joined),
            SessionEvent::Participants(participants) => self.apply_participants(key, participants, Roster::update),
            SessionEvent::AllParticipants(participants) => self.apply_participants(key, participants, Roster::replace),
            SessionEvent::Room(update) => {
                let news = room.info.apply_metadata(&update.metadata);
                self.emit_room_info(key, news);
            }
            SessionEvent::TokenRefreshed(token) => room.refreshed_token = Some(token),
            SessionEvent::Time(sample) => self.on_time_sample(sample),
            SessionEvent::SignalLost => self.signal_lost(key),
            SessionEvent::Resumed => self.resumed(key),
            SessionEvent::MediaLost(Role::Publisher) => self.interrupt_publishers(key),
            SessionEvent::MediaLost(Role::Subscriber) => self.interrupt_players(key),
            SessionEvent::MediaBack(Role::Publisher) => self.resume_publishers(key),
            SessionEvent::MediaBack(Role::Subscriber) => self.resume_players(key),
            SessionEvent::NoMediaPath { role: Role::Publisher, reason } => {
                self.report_no_path_to_publishers(key, &reason)
            }
            SessionEvent::NoMediaPath { role: Role::Subscriber, reason } => {
                self.report_no_path_to_players(key, &reason)
            }
            SessionEvent::Published { channel } => self.published(channel),
            SessionEvent::PublishRefused { channel, reason } => self.publish_refused(channel, reason),
            SessionEvent::Answered { request, accepted } => self.answered(request, accepted),
            SessionEvent::Track(track) => self.track(key, *track),
            SessionEvent::Undecodable { track_id, codecs } => self.undecodable_track(key, &track_id, &codecs),
            SessionEvent::Quality(update) => self.emit_remote_quality(key, &update),
            SessionEvent::Data(packet) => self.data(key, *packet),
            SessionEvent::KeyframeRequested { channel, layer } => self.keyframe_requested(channel, layer),
            SessionEvent::Ended(reason) => self.session_ended(key, &reason),
        }
    }

    fn joined(&mut self, key: &RoomKey, joined: Joined) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        // Only the server can read the user of an `04` token.
        if !joined.identity.is_empty() && joined.identity != room.user.id {
            return self.end_login(key, code::ROOM_TOKEN_USER_ID);
        }
        let reason = match room.phase {
            Phase::LoggingIn => RoomReason::Logined,
            _ => RoomReason::Reconnected,
        };
        room.phase = Phase::Connected;
        room.attempt = 0;
        room.failure = None;
        room.was_joined = true;
        room.peers = Some((joined.publisher, joined.subscriber));
        room.profile = joined.profile;
        room.session_age = joined.session_age;
        let mut news = room.info.apply_metadata(&joined.room.metadata);
        news.extend(room.room_info_of(&joined.participants));
        let others = room.others(joined.participants);
        room.roster.server_names_streams = joined.profile.names_streams;
        let changes = room.roster.replace(&others, Instant::now());
        if !key.guest {
            let extended = json!({"room_session_id": joined.room.sid}).to_string();
            for event in event::room_state(&key.id, reason, code::SUCCESS, &extended) {
                self.emit(event);
            }
        }
        self.request_publishers_of(key);
        self.emit_changes(key, &changes);
        self.emit_room_info(key, news);
        self.sync_players_of(key);
    }

    /// Applies a list of participants, as an update or as the whole list.
    fn apply_participants(
        &mut self,
        key: &RoomKey,
        participants: Vec<ParticipantInfo>,
        apply: fn(&mut Roster, &[ParticipantInfo], Instant) -> Changes,
    ) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        let news = room.room_info_of(&participants);
        let others = room.others(participants);
        let changes = apply(&mut room.roster, &others, Instant::now());
        self.emit_changes(key, &changes);
        self.emit_room_info(key, news);
    }

    fn signal_lost(&mut self, key: &RoomKey) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        room.phase = Phase::Resuming;
        room.since = Instant::now();
        if !key.guest {
            self.emit_room_state(&key.id, RoomReason::Reconnecting, code::ROOM_TEMPORARY_BROKEN);
        }
    }

    fn resumed(&mut self, key: &RoomKey) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        room.phase = Phase::Connected;
        if !key.guest {
            self.emit_room_state(&key.id, RoomReason::Reconnected, code::SUCCESS);
        }
    }

    fn session_ended(&mut self, key: &RoomKey, reason: &EndReason) {
        if let Some(server_ms) = session_outcome::server_ms(reason) {
            self.clock.note(server_ms, unix_ms());
        }
        let (clock, now, has_token) = (self.clock, self.now(), self.profile.app_sign.is_empty());
        let Some(room) = self.rooms.get_mut(key) else { return };
        tracing::info!(room = key.id, %reason, "the room session ended");
        room.session = None;
        room.peers = None;
        let may_be_the_clock = may_be_the_clock(reason);
        let complaint = clock.complaint().filter(|_| may_be_the_clock);
        room.failure = Some(complaint.map_or(reason.to_string(), |complaint| format!("{reason}; {complaint}")));
        if may_be_the_clock && !has_token && clock.contradicts(room.token_clock) {
            // Minted with the server's time it may be accepted: tried once, since nothing more is known at the next attempt.
            return self.connect(key);
        }
        let standing = Standing {
            has_token,
            was_joined: room.was_joined,
            is_token_over: now.server_s.is_some() && room.token_life.as_ref().is_some_and(|life| life.is_over(&now)),
        };
        let is_first = room.phase == Phase::LoggingIn;
        let was_away = matches!(room.phase, Phase::Resuming | Phase::Reconnecting);
        match classify_end(reason, standing) {
            SessionOutcome::Retry(give_up_code) => self.schedule_retry(key, give_up_code),
            // Another client took this user ID while the connection was lost.
            SessionOutcome::KickedOut(code::ROOM_KICKED_OUT) if was_away => self.end_login(key, code::ROOM_LOGIN_OTHER),
            SessionOutcome::KickedOut(code) if is_first => self.end_login(key, code),
            SessionOutcome::KickedOut(code) => self.leave_room(key, RoomReason::KickOut, code),
            // The token may have expired in the middle of a call.
            SessionOutcome::Refused(code::ROOM_TOKEN_EXPIRED) if !is_first => {
                self.leave_room(key, RoomReason::KickOut, code::ROOM_TOKEN_EXPIRED_KICKED_OUT);
            }
            SessionOutcome::Refused(code) => self.end_login(key, code),
        }
    }

    fn schedule_retry(&mut self, key: &RoomKey, give_up_code: i32) {
        let now = Instant::now();
        let Some(room) = self.rooms.get_mut(key) else { return };
        let was_told = room.phase == Phase::Resuming;
        if was_told || room.phase == Phase::Connected {
            room.phase = Phase::Reconnecting;
            room.attempt = 0;
            if !was_told {
                room.since = now;
                if !key.guest {
                    self.emit_room_state(&key.id, RoomReason::Reconnecting, code::ROOM_TEMPORARY_BROKEN);
                }
            }
            self.interrupt_publishers(key);
            self.interrupt_players(key);
            self.forget_subscriptions(key);
        }
        let Some(room) = self.rooms.get_mut(key) else { return };
        room.give_up_code = give_up_code;
        let elapsed = now.duration_since(room.since);
        let Some(delay) = self.policy.next_login(room.attempt, elapsed, rand::random()) else {
            let code = if room.phase == Phase::LoggingIn { give_up_code } else { code::ROOM_RETRY_TIMEOUT };
            return self.end_login(key, code);
        };
        room.attempt += 1;
        let input = Input::Retry { room: key.clone(), generation: room.generation };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = inbox.send(input);
        });
    }

    /// The time of a first login is over.
    pub(super) fn login_over(&mut self, key: &RoomKey, since: Instant) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        if room.phase == Phase::LoggingIn && room.since == since {
            let (code, failure) = (room.give_up_code, room.failure.clone());
            self.end_with(key, code, failure.unwrap_or_else(|| "no answer in time".to_owned()));
        }
    }

    /// The login or reconnect has failed finally, for a reason in words.
    pub(super) fn end_with(&mut self, key: &RoomKey, code: i32, failure: String) {
        if let Some(room) = self.rooms.get_mut(key) {
            room.failure = Some(failure);
        }
        self.end_login(key, code);
    }

    /// The login or reconnect has failed finally.
    pub(super) fn end_login(&mut self, key: &RoomKey, code: i32) {
        let reason = match self.rooms.get(key).map(|room| room.phase) {
            Some(Phase::LoggingIn) => RoomReason::LoginFailed,
            _ => RoomReason::ReconnectFailed,
        };
        self.leave_room(key, reason, code);
    }
}
