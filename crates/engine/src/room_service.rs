//! The administrative interface of a LiveKit server, as far as a client needs it: the room's metadata.
//!
//! Twirp over HTTP: `POST /twirp/livekit.RoomService/<Method>` with a protobuf body
//! (<https://docs.livekit.io/reference/server/server-apis>).

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use protocol::messages::{ProtoMessage, UpdateRoomMetadataRequest};
use protocol::token::{self, Claims, Grants, TokenError};
use thiserror::Error;
use tokio::time::timeout;

/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Life of the token that a request is signed with.
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// Why a request did not succeed.
#[derive(Debug, Error)]
pub(crate) enum RoomServiceError {
    #[error("no access token: {0}")]
    Token(#[from] TokenError),
    #[error("bad address: {0}")]
    Address(#[from] hyper::http::Error),
    #[error("the server cannot be reached: {0}")]
    Transport(#[from] hyper_util::client::legacy::Error),
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
    pub(crate) api_key: String,
    pub(crate) secret: String,
}

impl RoomService {
    /// Replaces the metadata of a room.
    ///
    /// # Errors
    /// Every variant of [`RoomServiceError`].
    pub(crate) async fn update_room_metadata(&self, room: &str, metadata: String) -> Result<(), RoomServiceError> {
        let claims = Claims {
            api_key: self.api_key.clone(),
            room: room.to_owned(),
            grants: Grants { room_admin: true, ..Grants::default() },
            ttl: TOKEN_LIFE,
            ..Claims::default()
        };
        let token = token::mint(&self.api_key, &self.secret, &claims)?;
        let body = UpdateRoomMetadataRequest { room: room.to_owned(), metadata }.encode_to_vec();
        let request = hyper::Request::post(address(&self.server, "UpdateRoomMetadata"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/protobuf")
            .body(Full::new(Bytes::from(body)))?;
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(https);
        let answer = timeout(ANSWER_LIMIT, client.request(request)).await.map_err(|_| RoomServiceError::Timeout)??;
        if answer.status().is_success() { Ok(()) } else { Err(RoomServiceError::Refused(answer.status().as_u16())) }
    }
}

/// `ws:` becomes `http:`, `wss:` becomes `https:`.
fn address(server: &str, method: &str) -> String {
    let rest = server.strip_prefix("ws").unwrap_or(server);
    format!("http{rest}/twirp/livekit.RoomService/{method}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_where_the_signalling_is() {
        assert_eq!(address("ws://a:7880", "X"), "http://a:7880/twirp/livekit.RoomService/X");
        assert_eq!(address("wss://a", "X"), "https://a/twirp/livekit.RoomService/X");
    }
}
