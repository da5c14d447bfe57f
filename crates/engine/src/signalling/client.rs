//! One WebSocket to the room server. Binary protobuf frames; the first message answers the join or the resume.

use std::net::IpAddr;
use std::time::Duration;

use dial::{DialError, Dialer};
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use protocol::limits::{MAX_SIGNAL_MESSAGE, SIGNAL_READ_BUFFER};
use protocol::messages::{
    JoinResponse, LeaveRequest, ReconnectReason, ReconnectResponse, SignalRequest, SignalResponse, signal_request,
    signal_response,
};
use protocol::refusal::Refusal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header::AUTHORIZATION};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::answer::classify;
use crate::address::Place;

/// Limit for the TCP, TLS and HTTP part, and again for the first message.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// The protocol version of this client; 18 and up would mean pre-negotiated data channels.
const PROTOCOL_VERSION: u32 = 16;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// Our own server refuses the login. `server_ms` is its clock, in milliseconds since the Unix epoch.
    #[error("the room server refuses the login: {text}")]
    Refused { refusal: Refusal, text: String, server_ms: Option<u64> },
    /// So does a stock LiveKit server.
    #[error("the room server does not accept the token: {text}")]
    Unauthorized { text: String, server_ms: Option<u64> },
    /// The answer is not that of a room server, or of something before one.
    #[error("the answer is not that of a room server: HTTP status {status}{}", detail(.text))]
    Foreign { status: u16, text: String },
    /// The server let us in and at once out again.
    #[error("the room server refused the login: reason {}", .0.reason)]
    Leave(LeaveRequest),
    #[error("no answer from the room server in time")]
    Timeout,
    /// There is no connection to speak over.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// Something answered, but it does not speak the protocol.
    #[error("not a room server: {0}")]
    Protocol(&'static str),
    #[error("the connection to the room server broke: {0}")]
    Broken(String),
    /// No server was named, and there is none for this app on this machine.
    #[error("no room server on this machine: {0}")]
    NoneHere(String),
}

fn detail(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

/// A connection with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open signalling connection.
pub(crate) struct Connection {
    socket: WebSocketStream<Box<dyn Stream>>,
    server_ip: Option<IpAddr>,
}

/// Opens the WebSocket and waits for the join response.
///
/// `query` is added to the address as it is: see [`vendor_query`](super::vendor_query).
pub(crate) async fn connect(
    dialer: &Dialer,
    server: &str,
    token: &str,
    query: &str,
) -> Result<(Connection, JoinResponse), ConnectError> {
    match open(dialer, server, token, query).await? {
        (connection, signal_response::Message::Join(join)) => Ok((connection, join)),
        _ => Err(ConnectError::Protocol("the first message was not a join response")),
    }
}

/// Opens a new WebSocket for a session that the server knows by the participant's `sid`.
///
/// [`ConnectError::Leave`] means that it does not know it any more.
pub(crate) async fn resume(
    dialer: &Dialer,
    server: &str,
    token: &str,
    query: &str,
    sid: &str,
    reason: ReconnectReason,
) -> Result<(Connection, ReconnectResponse), ConnectError> {
    let query = format!("{query}&reconnect=1&sid={sid}&reconnect_reason={}", reason as i32);
    match open(dialer, server, token, &query).await? {
        (connection, signal_response::Message::Reconnect(response)) => Ok((connection, response)),
        _ => Err(ConnectError::Protocol("the first message was not a reconnect response")),
    }
}

/// Opens the WebSocket and waits for the first message.
async fn open(
    dialer: &Dialer,
    server: &str,
    token: &str,
    query: &str,
) -> Result<(Connection, signal_response::Message), ConnectError> {
    let bad_address =
        |reason: String| DialError::Config(format!("{server:?} is no address of a room server: {reason}"));
    let url = format!(
        "{server}/rtc?protocol={PROTOCOL_VERSION}&auto_subscribe=0&adaptive_stream=0&sdk=rust&version={}{query}",
        env!("CARGO_PKG_VERSION")
    );
    let place = Place::of(server).ok_or_else(|| bad_address("it is not ws://host:port or wss://host:port".into()))?;
    let mut request = url.into_client_request().map_err(|error| bad_address(error.to_string()))?;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ConnectError::Refused {
        refusal: Refusal::TokenMalformed,
        text: "the token has forbidden characters".into(),
        server_ms: None,
    })?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let attempt = async {
        let (stream, server_ip) = dial(dialer, &place).await?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_SIGNAL_MESSAGE))
            .max_frame_size(Some(MAX_SIGNAL_MESSAGE))
            .read_buffer_size(SIGNAL_READ_BUFFER);
        let (socket, _) = client_async_with_config(request, stream, Some(limits)).await.map_err(connect_error)?;
        Ok::<_, ConnectError>(Connection { socket, server_ip })
    };
    let mut connection = tokio::time::timeout(STEP_TIMEOUT, attempt).await.map_err(|_| ConnectError::Timeout)??;
    let first = tokio::time::timeout(STEP_TIMEOUT, connection.receive()).await.map_err(|_| ConnectError::Timeout)?;
    match first {
        Some(signal_response::Message::Leave(leave)) => Err(ConnectError::Leave(leave)),
        Some(message) => Ok((connection, message)),
        None => Err(ConnectError::Protocol("it closed the connection before the first message")),
    }
}

async fn dial(dialer: &Dialer, place: &Place) -> Result<(Box<dyn Stream>, Option<IpAddr>), DialError> {
    Ok(if place.is_tls {
        let stream = dialer.tls(&place.host, place.port).await?;
        let peer = stream.get_ref().0.peer_addr();
        (Box::new(stream), peer.ok().map(|peer| peer.ip()))
    } else {
        let stream = dialer.tcp(&place.host, place.port).await?;
        let peer = stream.peer_addr();
        (Box::new(stream), peer.ok().map(|peer| peer.ip()))
    })
}

fn connect_error(error: WsError) -> ConnectError {
    match error {
        WsError::Http(response) => {
            classify(response.status().as_u16(), response.headers(), response.body().as_deref().unwrap_or_default())
        }
        WsError::Io(error) => ConnectError::Broken(error.to_string()),
        // Anything else that fails while a WebSocket opens is an invalid answer.
        other => ConnectError::Broken(format!("it does not speak as a room server does: {other}")),
    }
}

impl Connection {
    /// Address of the server, or of the proxy before it, for choosing the network interface that leads there.
    pub(crate) fn server_ip(&self) -> Option<IpAddr> {
        self.server_ip
    }

    /// The next message; `None` when the connection has ended, for whatever reason.
    ///
    /// Cancel safe. Frames that are no known message are skipped: a newer server may send unknown ones.
    pub(crate) async fn receive(&mut self) -> Option<signal_response::Message> {
        loop {
            match self.socket.next().await?.ok()? {
                Message::Binary(bytes) => match SignalResponse::decode(bytes) {
                    Ok(SignalResponse { message: Some(message), .. }) => return Some(message),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "a signalling message could not be read"),
                },
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Sends one message; an error shows as the end of the connection at the next [`Self::receive`].
    pub(crate) async fn send(&mut self, message: signal_request::Message) {
        let bytes = SignalRequest { message: Some(message) }.encode_to_vec();
        // A dead connection whose buffers are full must not hold up the session, which has to notice the death.
        match tokio::time::timeout(STEP_TIMEOUT, self.socket.send(Message::Binary(bytes.into()))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a signalling message was not sent"),
            Err(_) => tracing::debug!("a signalling message was not sent in time"),
        }
    }

    /// Sends a close frame without waiting for the peer's.
    pub(crate) async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_millis(200), self.socket.close(None)).await;
    }
}
