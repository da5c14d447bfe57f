//! The administrative interface of a LiveKit server, as far as a client needs it: the room's metadata.
//!
//! Twirp over HTTP: `POST /twirp/livekit.RoomService/<Method>` with a protobuf body
//! (<https://docs.livekit.io/reference/server/server-apis>).

use std::time::Duration;

use bytes::Bytes;
use dial::Dialer;
use http_body_util::Full;
use protocol::messages::{ProtoMessage, UpdateRoomMetadataRequest};
use protocol::token::{self, Claims, Grants, TokenError};
use thiserror::Error;
use tokio::time::timeout;

use crate::address::Place;
use crate::http_call::{HttpError, call};

/// Longest wait for an answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Life of the token that a request is signed with.
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// Why a request did not succeed.
#[derive(Debug, Error)]
pub(crate) enum RoomServiceError {
    #[error("no access token: {0}")]
    Token(#[from] TokenError),
    #[error("bad request: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("the server's address cannot be used")]
    Address,
    #[error("no answer of the server: {0}")]
    Http(#[from] HttpError),
    #[error("the server did not answer in time")]
    Timeout,
    #[error("the server refused with HTTP status {0}")]
    Refused(u16),
}

/// Access to one server with the rights of an API key.
#[derive(Clone, Debug)]
pub(crate) struct RoomService {
    /// `ws://host:port` or `wss://host:port`; the service listens at the same place.
    pub(crate) server: String,
    pub(crate) dialer: Dialer,
    pub(crate) api_key: String,
    pub(crate) secret: String,
}

impl RoomService {
    /// Replaces the metadata of a room. `now_s`: Unix seconds by the server's clock.
    ///
    /// # Errors
    /// Every variant of [`RoomServiceError`].
    pub(crate) async fn update_room_metadata(
        &self,
        room: &str,
        metadata: String,
        now_s: u64,
    ) -> Result<(), RoomServiceError> {
        let claims = Claims {
            api_key: self.api_key.clone(),
            room: room.to_owned(),
            grants: Grants { room_admin: true, ..Grants::default() },
            ttl: TOKEN_LIFE,
            ..Claims::default()
        };
        let token = token::mint_at(&self.api_key, &self.secret, &claims, now_s)?;
        let body = UpdateRoomMetadataRequest { room: room.to_owned(), metadata }.encode_to_vec();
        let place = Place::of(&self.server).ok_or(RoomServiceError::Address)?;
        let request = hyper::Request::post(path(&self.server, "UpdateRoomMetadata"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/protobuf")
            .body(Full::new(Bytes::from(body)))?;
        let answer = timeout(RESPONSE_TIMEOUT, call(&self.dialer, &place, request)).await;
        let (status, _) = answer.map_err(|_| RoomServiceError::Timeout)??;
        if status.is_success() { Ok(()) } else { Err(RoomServiceError::Refused(status.as_u16())) }
    }
}

/// The path of a method below that of the server's address.
fn path(server: &str, method: &str) -> String {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    let prefix = rest.split_once('/').map(|(_, prefix)| format!("/{prefix}")).unwrap_or_default();
    format!("{prefix}/twirp/livekit.RoomService/{method}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_where_the_signalling_is() {
        assert_eq!(path("ws://a:7880", "X"), "/twirp/livekit.RoomService/X");
        assert_eq!(path("wss://a/sub", "X"), "/sub/twirp/livekit.RoomService/X");
    }
}
