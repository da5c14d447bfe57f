//! One room that the application logged in to: its phase, its session, and what the end of a session means.

use std::sync::Arc;
use std::time::Instant;

use protocol::messages::DisconnectReason;
use transport::Peer;

use crate::config::{RoomConfig, User};
use crate::error::code;
use crate::messaging::BroadcastLimit;
use crate::roster::Roster;
use crate::session::{EndReason, SessionHandle};
use crate::signalling::ConnectError;

/// Where a login stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first login has not succeeded yet.
    LoggingIn,
    Connected,
    /// Was connected, and tries to be again.
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
    pub(crate) id: String,
    pub(crate) user: User,
    pub(crate) config: RoomConfig,
    /// Counts sessions; news of an older one is no news.
    pub(crate) generation: u64,
    pub(crate) session: Option<SessionHandle>,
    pub(crate) phase: Phase,
    /// Attempts since `since`.
    pub(crate) attempt: u32,
    /// Begin of the login or of the outage.
    pub(crate) since: Instant,
    pub(crate) roster: Roster,
    pub(crate) peers: Option<(Arc<Peer>, Arc<Peer>)>,
    pub(crate) broadcasts: BroadcastLimit,
}

impl Room {
    pub(crate) fn new(id: String, user: User, config: RoomConfig, now: Instant) -> Self {
        Self {
            id,
            user,
            config,
            generation: 0,
            session: None,
            phase: Phase::LoggingIn,
            attempt: 0,
            since: now,
            roster: Roster::default(),
            peers: None,
            broadcasts: BroadcastLimit::default(),
        }
    }

    /// The session, if it is past its login.
    pub(crate) fn connected_session(&self) -> Option<&SessionHandle> {
        self.session.as_ref().filter(|_| self.phase == Phase::Connected)
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
        401 | 403 if has_token => Verdict::Refused(code::ROOM_AUTHENTICATION_FAILED),
        401 | 403 if body.contains("key") => Verdict::Refused(code::APPID_INCORRECT),
        401 | 403 => Verdict::Refused(code::APPSIGN_INCORRECT),
        _ => Verdict::Refused(code::ROOM_CONNECT_FAILED),
    }
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
