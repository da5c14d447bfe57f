//! The outcome of a session's end: whether to try again, or with which code the login ends.
//!
//! Our own server's refusals have codes. A stock LiveKit server has only its 401, which counts in the first login. Any
//! other answer does not come from a room server: while one starts, moves or is cut off, ingresses and proxies answer many
//! things, so that is tried again, as long as a login is tried at all.
//! things, so that is tried again, as long as a login is tried at all.

use dial::DialError;
use protocol::messages::DisconnectReason;
use protocol::refusal::Refusal;

use crate::error::code;
use crate::session::EndReason;
use crate::signalling::ConnectError;

/// What to do after a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionOutcome {
    /// Try again; the code to report when time has run out.
    Retry(i32),
    /// Hopeless.
    Refused(i32),
    /// Another client or an administrator ended the session.
    KickedOut(i32),
}

/// The circumstances of a session's end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// The application brought a token, so a refusal is about that, and not about its AppSign.
    pub(crate) has_token: bool,
    /// A login has worked with this server.
    pub(crate) was_joined: bool,
    /// The token is over by the server's clock, as far as both are known.
    pub(crate) is_token_over: bool,
}

/// Classifies the end of a session.
pub(crate) fn classify_end(reason: &EndReason, standing: Standing) -> SessionOutcome {
    let again = SessionOutcome::Retry(code::ROOM_CONNECT_FAILED);
    match reason {
        EndReason::Connect(error) => match error {
            ConnectError::Refused { refusal, .. } => refused(*refusal, standing.has_token),
            ConnectError::Unauthorized { .. } if standing.was_joined => again,
            ConnectError::Unauthorized { .. } => SessionOutcome::Refused(unauthorized(standing)),
            ConnectError::Leave(leave) => left(leave.reason, false),
            ConnectError::Timeout => SessionOutcome::Retry(code::ROOM_LOGIN_TIMEOUT),
            // These do not change during a first login; later an administrator may be about to mend them.
            ConnectError::Dial(DialError::Certificate { .. } | DialError::Config(_)) if !standing.was_joined => {
                SessionOutcome::Refused(code::ROOM_CONNECT_FAILED)
            }
            ConnectError::Dial(_)
            | ConnectError::Foreign { .. }
            | ConnectError::Protocol(_)
            | ConnectError::Broken(_)
            | ConnectError::NoneHere(_) => again,
        },
        EndReason::Lost(_) => again,
        EndReason::Left { reason, reconnect } => left(*reason, *reconnect),
        // This client left; no outcome is expected then, and another attempt would be wrong.
        EndReason::Done => SessionOutcome::Refused(code::SUCCESS),
    }
}

/// Whether a token minted with the right time may be accepted where this one was not.
pub(crate) fn may_be_the_clock(reason: &EndReason) -> bool {
    matches!(
        reason,
        EndReason::Connect(
            ConnectError::Refused { refusal: Refusal::TokenExpired | Refusal::TokenNotYetValid, .. }
                | ConnectError::Unauthorized { .. }
        )
    )
}

/// The server's clock at the end of a session, in milliseconds since the Unix epoch, if a room server sent it.
pub(crate) fn server_ms(reason: &EndReason) -> Option<u64> {
    match reason {
        EndReason::Connect(ConnectError::Refused { server_ms, .. } | ConnectError::Unauthorized { server_ms, .. }) => {
            *server_ms
        }
        _ => None,
    }
}

fn refused(refusal: Refusal, has_token: bool) -> SessionOutcome {
    let by = |token: i32, app_sign: i32| SessionOutcome::Refused(if has_token { token } else { app_sign });
    match refusal {
        Refusal::TooManyJoins => SessionOutcome::Retry(code::ROOM_CONNECT_FAILED),
        // For a token that is minted for each attempt it only concerns clocks.
        Refusal::TokenExpired | Refusal::TokenNotYetValid if !has_token => {
            SessionOutcome::Retry(code::ROOM_CONNECT_FAILED)
        }
        Refusal::TokenExpired => SessionOutcome::Refused(code::ROOM_TOKEN_EXPIRED),
        Refusal::TokenKey | Refusal::TokenApp => by(code::ROOM_TOKEN_APP_ID, code::APPID_INCORRECT),
        Refusal::TokenUser => SessionOutcome::Refused(code::ROOM_TOKEN_USER_ID),
        Refusal::TokenVersion => by(code::ROOM_TOKEN_VERSION, code::APPSIGN_INCORRECT),
        Refusal::TokenMalformed => by(code::ROOM_TOKEN_FORMAT, code::APPSIGN_INCORRECT),
        Refusal::NoName | Refusal::TooLong | Refusal::JoinRequest => SessionOutcome::Refused(code::ROOM_CONNECT_FAILED),
        _ => by(code::ROOM_AUTHENTICATION_FAILED, code::APPSIGN_INCORRECT),
    }
}

/// A stock server gives no reliable reason.
fn unauthorized(standing: Standing) -> i32 {
    match (standing.has_token, standing.is_token_over) {
        (true, true) => code::ROOM_TOKEN_EXPIRED,
        (true, false) => code::ROOM_AUTHENTICATION_FAILED,
        (false, _) => code::APPSIGN_INCORRECT,
    }
}

fn left(reason: i32, reconnect: bool) -> SessionOutcome {
    match DisconnectReason::try_from(reason) {
        Ok(DisconnectReason::DuplicateIdentity) => SessionOutcome::KickedOut(code::ROOM_KICKED_OUT),
        Ok(DisconnectReason::ParticipantRemoved | DisconnectReason::RoomDeleted | DisconnectReason::RoomClosed) => {
            SessionOutcome::KickedOut(code::ROOM_MANUAL_KICKED_OUT)
        }
        Ok(DisconnectReason::JoinFailure) => SessionOutcome::Refused(code::ROOM_EXCEED_MAXIMUM_MEMBER),
        Ok(
            DisconnectReason::ServerShutdown
            | DisconnectReason::StateMismatch
            | DisconnectReason::Migration
            | DisconnectReason::SignalClose
            | DisconnectReason::ConnectionTimeout
            | DisconnectReason::MediaFailure,
        ) => SessionOutcome::Retry(code::ROOM_CONNECT_FAILED),
        _ if reconnect => SessionOutcome::Retry(code::ROOM_CONNECT_FAILED),
        _ => SessionOutcome::KickedOut(code::ROOM_MANUAL_KICKED_OUT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Standing = Standing { has_token: false, was_joined: false, is_token_over: false };
    const BY_TOKEN: Standing = Standing { has_token: true, ..FIRST };
    const AGAIN: SessionOutcome = SessionOutcome::Retry(code::ROOM_CONNECT_FAILED);

    fn refusal(refusal: Refusal) -> EndReason {
        EndReason::Connect(ConnectError::Refused { refusal, text: String::new(), server_ms: None })
    }

    fn foreign(status: u16) -> EndReason {
        EndReason::Connect(ConnectError::Foreign { status, text: "token expired, wrong key".into() })
    }

    fn unauthorized() -> EndReason {
        EndReason::Connect(ConnectError::Unauthorized { text: String::new(), server_ms: None })
    }

    fn left_for(reason: DisconnectReason) -> EndReason {
        EndReason::Left { reason: reason as i32, reconnect: false }
    }

    #[test]
    fn a_wrong_app_sign_an_unknown_app_and_a_bad_token_have_their_own_codes() {
        for (of, standing, code) in [
            (Refusal::TokenSignature, FIRST, code::APPSIGN_INCORRECT),
            (Refusal::TokenKey, FIRST, code::APPID_INCORRECT),
            (Refusal::TokenSignature, BY_TOKEN, code::ROOM_AUTHENTICATION_FAILED),
            (Refusal::TokenExpired, BY_TOKEN, code::ROOM_TOKEN_EXPIRED),
            (Refusal::TokenKey, BY_TOKEN, code::ROOM_TOKEN_APP_ID),
            (Refusal::TokenApp, BY_TOKEN, code::ROOM_TOKEN_APP_ID),
            (Refusal::TokenUser, BY_TOKEN, code::ROOM_TOKEN_USER_ID),
            (Refusal::TokenVersion, BY_TOKEN, code::ROOM_TOKEN_VERSION),
            (Refusal::TokenMalformed, BY_TOKEN, code::ROOM_TOKEN_FORMAT),
            (Refusal::TokenRoom, BY_TOKEN, code::ROOM_AUTHENTICATION_FAILED),
            (Refusal::TooLong, FIRST, code::ROOM_CONNECT_FAILED),
        ] {
            assert_eq!(classify_end(&refusal(of), standing), SessionOutcome::Refused(code), "{of:?}");
        }
    }

    #[test]
    fn our_servers_refusal_ends_a_call_too() {
        let joined = Standing { was_joined: true, ..FIRST };
        assert_eq!(
            classify_end(&refusal(Refusal::TokenSignature), joined),
            SessionOutcome::Refused(code::APPSIGN_INCORRECT)
        );
        assert_eq!(classify_end(&refusal(Refusal::TooManyJoins), joined), AGAIN);
    }

    #[test]
    fn an_answer_that_is_not_a_room_servers_ends_nothing() {
        for status in [200, 301, 302, 400, 403, 404, 408, 502] {
            for standing in [FIRST, BY_TOKEN, Standing { was_joined: true, ..FIRST }] {
                assert_eq!(classify_end(&foreign(status), standing), AGAIN, "{status}");
            }
        }
    }

    #[test]
    fn a_stock_servers_401_counts_in_the_first_login_only() {
        assert_eq!(classify_end(&unauthorized(), FIRST), SessionOutcome::Refused(code::APPSIGN_INCORRECT));
        assert_eq!(classify_end(&unauthorized(), BY_TOKEN), SessionOutcome::Refused(code::ROOM_AUTHENTICATION_FAILED));
        let over = Standing { is_token_over: true, ..BY_TOKEN };
        assert_eq!(classify_end(&unauthorized(), over), SessionOutcome::Refused(code::ROOM_TOKEN_EXPIRED));
        assert_eq!(classify_end(&unauthorized(), Standing { was_joined: true, ..BY_TOKEN }), AGAIN);
    }

    #[test]
    fn a_bad_certificate_ends_a_first_login_but_no_call() {
        let error = DialError::Certificate { host: "a".into(), reason: "x".into() };
        let reason = EndReason::Connect(ConnectError::Dial(error));
        assert_eq!(classify_end(&reason, FIRST), SessionOutcome::Refused(code::ROOM_CONNECT_FAILED));
        assert_eq!(classify_end(&reason, Standing { was_joined: true, ..FIRST }), AGAIN);
    }

    #[test]
    fn an_expired_minted_token_means_that_clocks_differ() {
        for of in [Refusal::TokenExpired, Refusal::TokenNotYetValid] {
            assert_eq!(classify_end(&refusal(of), FIRST), AGAIN);
            assert!(may_be_the_clock(&refusal(of)));
        }
        assert!(may_be_the_clock(&unauthorized()) && !may_be_the_clock(&refusal(Refusal::TokenSignature)));
    }

    #[test]
    fn who_is_removed_by_the_applications_backend_is_kicked_out() {
        for reason in [DisconnectReason::ParticipantRemoved, DisconnectReason::RoomDeleted] {
            let expected = SessionOutcome::KickedOut(code::ROOM_MANUAL_KICKED_OUT);
            assert_eq!(classify_end(&left_for(reason), FIRST), expected);
        }
    }

    #[test]
    fn a_second_login_elsewhere_kicks_out_and_is_not_retried() {
        let reason = left_for(DisconnectReason::DuplicateIdentity);
        assert_eq!(classify_end(&reason, FIRST), SessionOutcome::KickedOut(code::ROOM_KICKED_OUT));
    }

    #[test]
    fn a_server_that_shuts_down_is_worth_another_attempt() {
        assert_eq!(classify_end(&left_for(DisconnectReason::ServerShutdown), FIRST), AGAIN);
    }
}
