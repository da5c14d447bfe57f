//! One room that the application logged in to, or visits to play a stream: its phase, its session, and what the end of a session means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::listeners::ListenerReport;
use protocol::messages::{DisconnectReason, ParticipantInfo};
use transport::Peer;

use crate::config::{RoomConfig, User};
use crate::error::code;
use crate::messaging::BroadcastLimit;
use crate::room_info::RoomInfo;
use crate::roster::{Roster, SessionAge};
use crate::server_profile::ServerProfile;
use crate::session::{EndReason, SessionHandle};
use crate::signalling::ConnectError;
use crate::token_life::TokenLife;

/// What is told of listeners comes every few seconds; older than this it counts no more.
const LISTENERS_FRESH: Duration = Duration::from_secs(12);

/// Names one of the engine's rooms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RoomKey {
    /// The room ID.
    pub(crate) id: String,
    /// We are there unseen, only to play a stream; the application did not log in.
    pub(crate) guest: bool,
}

impl RoomKey {
    /// A room that the application logs in to.
    pub(crate) fn own(id: &str) -> Self {
        Self { id: id.to_owned(), guest: false }
    }

    /// A room that is only visited.
    pub(crate) fn guest(id: &str) -> Self {
        Self { id: id.to_owned(), guest: true }
    }
}

/// Where a login stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first login has not succeeded yet.
    LoggingIn,
    Connected,
    /// Signalling is lost, and the session tries to take it up; media goes on.
    Resuming,
    /// The session is lost, and a new login is tried.
    Reconnecting,
}

/// What to do after a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Worth another attempt; the code to give when time has run out.
    Retry(i32),
    /// Hopeless.
    Refused(i32),
    /// Somebody wants us out.
    KickedOut(i32),
}

/// State of one room.
pub(crate) struct Room {
    pub(crate) key: RoomKey,
    pub(crate) user: User,
    pub(crate) config: RoomConfig,
    /// Counts sessions; news of an older one is no news.
    pub(crate) generation: u64,
    pub(crate) session: Option<SessionHandle>,
    pub(crate) phase: Phase,
    /// Attempts since `since`.
    pub(crate) attempt: u32,
    /// Why the last session ended, in words.
    pub(crate) failure: Option<String>,
    /// Begin of the login or of the outage.
    pub(crate) since: Instant,
    pub(crate) roster: Roster,
    pub(crate) peers: Option<(Arc<Peer>, Arc<Peer>)>,
    pub(crate) broadcasts: BroadcastLimit,
    /// The newest token that the server gave; outlives the application's own.
    pub(crate) refreshed_token: Option<String>,
    /// Life of the application's own token, where it can be read.
    pub(crate) token_life: Option<TokenLife>,
    /// The login succeeded once.
    pub(crate) was_joined: bool,
    pub(crate) profile: ServerProfile,
    /// Age of our own session, by which contests are settled.
    pub(crate) session_age: SessionAge,
    pub(crate) info: RoomInfo,
    /// What the server told last of those who play what we publish.
    pub(crate) listeners: Option<(Instant, ListenerReport)>,
    /// When the number of users was told last.
    pub(crate) counted_at: Option<Instant>,
}

impl Room {
    pub(crate) fn new(key: RoomKey, user: User, config: RoomConfig, now: Instant) -> Self {
        Self {
            token_life: TokenLife::of(&config.token),
            key,
            user,
            config,
            generation: 0,
            session: None,
            phase: Phase::LoggingIn,
            attempt: 0,
            failure: None,
            since: now,
            roster: Roster::default(),
            peers: None,
            broadcasts: BroadcastLimit::default(),
            refreshed_token: None,
            was_joined: false,
            profile: ServerProfile::default(),
            session_age: SessionAge::default(),
            info: RoomInfo::default(),
            listeners: None,
            counted_at: None,
        }
    }

    /// The token to enter with: the application's own, or when that is over the newest that the server gave.
    pub(crate) fn usable_token(&self, now_s: u64) -> String {
        match (&self.token_life, &self.refreshed_token) {
            (Some(life), Some(refreshed)) if life.is_over(now_s) => refreshed.clone(),
            _ => self.config.token.clone(),
        }
    }

    /// All but ourselves.
    pub(crate) fn others(&self, mut participants: Vec<ParticipantInfo>) -> Vec<ParticipantInfo> {
        participants.retain(|info| info.identity != self.user.id);
        participants
    }

    /// Room extra info that participants carry, as far as it is new.
    pub(crate) fn room_info_of(&mut self, participants: &[ParticipantInfo]) -> Vec<serde_json::Value> {
        self.info.take_participants(participants)
    }

    /// What the server told of those who play what we publish, while it is fresh.
    pub(crate) fn listeners(&self, now: Instant) -> Option<ListenerReport> {
        let (at, report) = self.listeners?;
        (now.saturating_duration_since(at) < LISTENERS_FRESH).then_some(report)
    }

    /// The session, if it is past its login. One that resumes keeps what it is asked for until it is through.
    pub(crate) fn connected_session(&self) -> Option<&SessionHandle> {
        self.session.as_ref().filter(|_| matches!(self.phase, Phase::Connected | Phase::Resuming))
    }
}

/// What the end of a session means. `has_token`: the application brought a token, so a refusal is about that.
pub(crate) fn verdict(reason: &EndReason, has_token: bool) -> Verdict {
    match reason {
        EndReason::Connect(ConnectError::Refused { status, body }) => refused(*status, body, has_token),
        EndReason::Connect(ConnectError::Leave(leave)) => left(leave.reason, false),
        EndReason::Connect(ConnectError::Timeout) => Verdict::Retry(code::ROOM_LOGIN_TIMEOUT),
        EndReason::Connect(ConnectError::Unreachable(_) | ConnectError::Protocol(_)) | EndReason::Lost(_) => {
            Verdict::Retry(code::ROOM_CONNECT_FAILED)
        }
        EndReason::Left { reason, reconnect } => left(*reason, *reconnect),
        // We left ourselves; nobody asks for a verdict then, and another attempt would be wrong.
        EndReason::Done => Verdict::Refused(code::SUCCESS),
    }
}

fn refused(status: u16, body: &str, has_token: bool) -> Verdict {
    let body = body.to_ascii_lowercase();
    match status {
        429 | 500..=599 => Verdict::Retry(code::ROOM_CONNECT_FAILED),
        401 | 403 if body.contains("expired") => Verdict::Refused(code::ROOM_TOKEN_EXPIRED),
        401 | 403 if has_token => Verdict::Refused(refused_token(&body)),
        401 | 403 if body.contains("key") => Verdict::Refused(code::APPID_INCORRECT),
        401 | 403 => Verdict::Refused(code::APPSIGN_INCORRECT),
        _ => Verdict::Refused(code::ROOM_CONNECT_FAILED),
    }
}

/// The code for a token that the server refused, by what our server says about it.
fn refused_token(body: &str) -> i32 {
    const TEXTS: [(&str, i32); 5] = [
        ("another app", code::ROOM_TOKEN_APP_ID),
        ("key of the token is not known", code::ROOM_TOKEN_APP_ID),
        ("another user", code::ROOM_TOKEN_USER_ID),
        ("version", code::ROOM_TOKEN_VERSION),
        ("malformed", code::ROOM_TOKEN_FORMAT),
    ];
    TEXTS.iter().find(|(text, _)| body.contains(text)).map_or(code::ROOM_AUTHENTICATION_FAILED, |(_, code)| *code)
}

fn left(reason: i32, reconnect: bool) -> Verdict {
    match DisconnectReason::try_from(reason) {
        Ok(DisconnectReason::DuplicateIdentity) => Verdict::KickedOut(code::ROOM_KICKED_OUT),
        Ok(DisconnectReason::ParticipantRemoved | DisconnectReason::RoomDeleted | DisconnectReason::RoomClosed) => {
            Verdict::KickedOut(code::ROOM_MANUAL_KICKED_OUT)
        }
        Ok(DisconnectReason::JoinFailure) => Verdict::Refused(code::ROOM_EXCEED_MAXIMUM_MEMBER),
        Ok(
            DisconnectReason::ServerShutdown
            | DisconnectReason::StateMismatch
            | DisconnectReason::Migration
            | DisconnectReason::SignalClose
            | DisconnectReason::ConnectionTimeout
            | DisconnectReason::MediaFailure,
        ) => Verdict::Retry(code::ROOM_CONNECT_FAILED),
        _ if reconnect => Verdict::Retry(code::ROOM_CONNECT_FAILED),
        _ => Verdict::KickedOut(code::ROOM_MANUAL_KICKED_OUT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16, body: &str) -> EndReason {
        EndReason::Connect(ConnectError::Refused { status, body: body.into() })
    }

    #[test]
    fn a_wrong_app_sign_an_unknown_app_and_a_bad_token_have_their_own_codes() {
        assert_eq!(verdict(&http(401, "invalid signature"), false), Verdict::Refused(code::APPSIGN_INCORRECT));
        assert_eq!(verdict(&http(401, "unknown API key"), false), Verdict::Refused(code::APPID_INCORRECT));
        assert_eq!(verdict(&http(401, "bad"), true), Verdict::Refused(code::ROOM_AUTHENTICATION_FAILED));
        assert_eq!(verdict(&http(401, "token expired"), true), Verdict::Refused(code::ROOM_TOKEN_EXPIRED));
    }

    #[test]
    fn a_token_of_another_app_or_version_and_one_that_is_none_have_their_own_codes() {
        for (body, code) in [
            ("the token is for another app", code::ROOM_TOKEN_APP_ID),
            ("the API key of the token is not known", code::ROOM_TOKEN_APP_ID),
            ("the token's version is not 04", code::ROOM_TOKEN_VERSION),
            ("the token is malformed", code::ROOM_TOKEN_FORMAT),
            ("the token does not allow to enter this room", code::ROOM_AUTHENTICATION_FAILED),
        ] {
            assert_eq!(verdict(&http(401, body), true), Verdict::Refused(code), "{body}");
        }
    }

    #[test]
    fn who_is_removed_by_the_applications_backend_is_kicked_out() {
        for reason in [DisconnectReason::ParticipantRemoved, DisconnectReason::RoomDeleted] {
            let reason = EndReason::Left { reason: reason as i32, reconnect: false };
            assert_eq!(verdict(&reason, false), Verdict::KickedOut(code::ROOM_MANUAL_KICKED_OUT));
        }
    }

    #[test]
    fn a_second_login_elsewhere_kicks_out_and_is_not_retried() {
        let reason = EndReason::Left { reason: DisconnectReason::DuplicateIdentity as i32, reconnect: false };
        assert_eq!(verdict(&reason, false), Verdict::KickedOut(code::ROOM_KICKED_OUT));
    }

    #[test]
    fn a_server_that_shuts_down_is_worth_another_attempt() {
        let reason = EndReason::Left { reason: DisconnectReason::ServerShutdown as i32, reconnect: false };
        assert_eq!(verdict(&reason, false), Verdict::Retry(code::ROOM_CONNECT_FAILED));
        assert_eq!(verdict(&http(503, ""), false), Verdict::Retry(code::ROOM_CONNECT_FAILED));
    }
}
