//! What the end of a session means: whether to try again, and with which code it ends otherwise.
//!
//! Our own server's refusals have codes, and go by them. A stock LiveKit server has only its 401, which counts in the first
//! login. Whatever else answers is no room server: while one starts, moves or is cut off, ingresses and proxies say many
//! things, so that is tried again, as long as a login is tried at all.

use dial::DialError;
use protocol::messages::DisconnectReason;
use protocol::refusal::Refusal;

use crate::error::code;
use crate::session::EndReason;
use crate::signalling::ConnectError;

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

/// What a refusal is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// The application brought a token, so a refusal is about that, and not about its AppSign.
    pub(crate) has_token: bool,
    /// A login has worked with this server.
    pub(crate) was_joined: bool,
    /// The token is over by the server's clock, as far as both are known.
    pub(crate) is_token_over: bool,
}

/// What the end of a session means.
pub(crate) fn verdict(reason: &EndReason, standing: Standing) -> Verdict {
    let again = Verdict::Retry(code::ROOM_CONNECT_FAILED);
    match reason {
        EndReason::Connect(error) => match error {
            ConnectError::Refused { refusal, .. } => refused(*refusal, standing.has_token),
            ConnectError::Unauthorized { .. } if standing.was_joined => again,
            ConnectError::Unauthorized { .. } => Verdict::Refused(unauthorized(standing)),
            ConnectError::Leave(leave) => left(leave.reason, false),
            ConnectError::Timeout => Verdict::Retry(code::ROOM_LOGIN_TIMEOUT),
            // These stay as they are for as long as a login lasts; later somebody may be about to mend them.
            ConnectError::Dial(DialError::Certificate { .. } | DialError::Config(_)) if !standing.was_joined => {
                Verdict::Refused(code::ROOM_CONNECT_FAILED)
            }
            ConnectError::Dial(_)
            | ConnectError::Foreign { .. }
            | ConnectError::Protocol(_)
            | ConnectError::Broken(_)
            | ConnectError::NoneHere(_) => again,
        },
        EndReason::Lost(_) => again,
        EndReason::Left { reason, reconnect } => left(*reason, *reconnect),
        // We left ourselves; nobody asks for a verdict then, and another attempt would be wrong.
        EndReason::Done => Verdict::Refused(code::SUCCESS),
    }
}

/// Whether a token made with the right time may be taken where that one was not.
pub(crate) fn may_be_the_clock(reason: &EndReason) -> bool {
    matches!(
        reason,
        EndReason::Connect(
            ConnectError::Refused { refusal: Refusal::TokenExpired | Refusal::TokenNotYetValid, .. }
                | ConnectError::Unauthorized { .. }
        )
    )
}

/// The server's clock at the end of a session, in milliseconds since the Unix epoch, where a room server told it.
pub(crate) fn server_ms(reason: &EndReason) -> Option<u64> {
    match reason {
        EndReason::Connect(ConnectError::Refused { server_ms, .. } | ConnectError::Unauthorized { server_ms, .. }) => {
            *server_ms
        }
        _ => None,
    }
}

fn refused(refusal: Refusal, has_token: bool) -> Verdict {
    let by = |token: i32, app_sign: i32| Verdict::Refused(if has_token { token } else { app_sign });
    match refusal {
        Refusal::TooManyJoins => Verdict::Retry(code::ROOM_CONNECT_FAILED),
        // Of a token that is made anew for each attempt it only says something about clocks.
        Refusal::TokenExpired | Refusal::TokenNotYetValid if !has_token => Verdict::Retry(code::ROOM_CONNECT_FAILED),
        Refusal::TokenExpired => Verdict::Refused(code::ROOM_TOKEN_EXPIRED),
        Refusal::TokenKey | Refusal::TokenApp => by(code::ROOM_TOKEN_APP_ID, code::APPID_INCORRECT),
        Refusal::TokenUser => Verdict::Refused(code::ROOM_TOKEN_USER_ID),
        Refusal::TokenVersion => by(code::ROOM_TOKEN_VERSION, code::APPSIGN_INCORRECT),
        Refusal::TokenMalformed => by(code::ROOM_TOKEN_FORMAT, code::APPSIGN_INCORRECT),
        Refusal::NoName | Refusal::TooLong | Refusal::JoinRequest => Verdict::Refused(code::ROOM_CONNECT_FAILED),
        _ => by(code::ROOM_AUTHENTICATION_FAILED, code::APPSIGN_INCORRECT),
    }
}

/// A stock server does not say what it dislikes in a way that could be relied on.
fn unauthorized(standing: Standing) -> i32 {
    match (standing.has_token, standing.is_token_over) {
        (true, true) => code::ROOM_TOKEN_EXPIRED,
        (true, false) => code::ROOM_AUTHENTICATION_FAILED,
        (false, _) => code::APPSIGN_INCORRECT,
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

    const FIRST: Standing = Standing { has_token: false, was_joined: false, is_token_over: false };
    const BY_TOKEN: Standing = Standing { has_token: true, ..FIRST };
    const AGAIN: Verdict = Verdict::Retry(code::ROOM_CONNECT_FAILED);

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
            assert_eq!(verdict(&refusal(of), standing), Verdict::Refused(code), "{of:?}");
        }
    }

    #[test]
    fn our_servers_clear_no_ends_a_call_too() {
        let joined = Standing { was_joined: true, ..FIRST };
        assert_eq!(verdict(&refusal(Refusal::TokenSignature), joined), Verdict::Refused(code::APPSIGN_INCORRECT));
        assert_eq!(verdict(&refusal(Refusal::TooManyJoins), joined), AGAIN);
    }

    #[test]
    fn what_is_no_room_server_ends_nothing_whatever_it_says() {
        for status in [200, 301, 302, 400, 403, 404, 408, 502] {
            for standing in [FIRST, BY_TOKEN, Standing { was_joined: true, ..FIRST }] {
                assert_eq!(verdict(&foreign(status), standing), AGAIN, "{status}");
            }
        }
    }

    #[test]
    fn a_stock_servers_401_counts_in_the_first_login_only() {
        assert_eq!(verdict(&unauthorized(), FIRST), Verdict::Refused(code::APPSIGN_INCORRECT));
        assert_eq!(verdict(&unauthorized(), BY_TOKEN), Verdict::Refused(code::ROOM_AUTHENTICATION_FAILED));
        let over = Standing { is_token_over: true, ..BY_TOKEN };
        assert_eq!(verdict(&unauthorized(), over), Verdict::Refused(code::ROOM_TOKEN_EXPIRED));
        assert_eq!(verdict(&unauthorized(), Standing { was_joined: true, ..BY_TOKEN }), AGAIN);
    }

    #[test]
    fn a_bad_certificate_ends_the_first_login_at_once_and_no_call() {
        let error = DialError::Certificate { host: "a".into(), reason: "x".into() };
        let reason = EndReason::Connect(ConnectError::Dial(error));
        assert_eq!(verdict(&reason, FIRST), Verdict::Refused(code::ROOM_CONNECT_FAILED));
        assert_eq!(verdict(&reason, Standing { was_joined: true, ..FIRST }), AGAIN);
    }

    #[test]
    fn a_token_of_our_own_does_not_expire_only_clocks_differ() {
        for of in [Refusal::TokenExpired, Refusal::TokenNotYetValid] {
            assert_eq!(verdict(&refusal(of), FIRST), AGAIN);
            assert!(may_be_the_clock(&refusal(of)));
        }
        assert!(may_be_the_clock(&unauthorized()) && !may_be_the_clock(&refusal(Refusal::TokenSignature)));
    }

    #[test]
    fn who_is_removed_by_the_applications_backend_is_kicked_out() {
        for reason in [DisconnectReason::ParticipantRemoved, DisconnectReason::RoomDeleted] {
            let expected = Verdict::KickedOut(code::ROOM_MANUAL_KICKED_OUT);
            assert_eq!(verdict(&left_for(reason), FIRST), expected);
        }
    }

    #[test]
    fn a_second_login_elsewhere_kicks_out_and_is_not_retried() {
        let reason = left_for(DisconnectReason::DuplicateIdentity);
        assert_eq!(verdict(&reason, FIRST), Verdict::KickedOut(code::ROOM_KICKED_OUT));
    }

    #[test]
    fn a_server_that_shuts_down_is_worth_another_attempt() {
        assert_eq!(verdict(&left_for(DisconnectReason::ServerShutdown), FIRST), AGAIN);
    }
}
