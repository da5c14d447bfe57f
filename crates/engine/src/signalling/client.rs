//! One WebSocket to the room server. Binary protobuf frames; the first message answers the join or the resume.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use protocol::limits::{SIGNAL_MESSAGE_MAX, SIGNAL_READ_BUFFER};
use protocol::messages::{
    JoinResponse, LeaveRequest, ReconnectReason, ReconnectResponse, SignalRequest, SignalResponse, signal_request,
    signal_response,
};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header::AUTHORIZATION};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Limit for the TCP, TLS and HTTP part, and again for the first message.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// Protocol version that we speak; 18 and up would mean pre-negotiated data channels.
const PROTOCOL_VERSION: u32 = 16;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The server's HTTP answer refused the login.
    #[error("the room server answered {status}: {body}")]
    Refused { status: u16, body: String },
    /// The server let us in and at once out again.
    #[error("the room server refused the login: reason {}", .0.reason)]
    Leave(LeaveRequest),
    #[error("no answer from the room server in time")]
    Timeout,
    #[error("the room server is out of reach: {0}")]
    Unreachable(String),
    /// Something answered, but it does not speak the protocol.
    #[error("not a room server: {0}")]
    Protocol(&'static str),
}

/// An open signalling connection.
pub(crate) struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// Opens the WebSocket and waits for the join response.
///
/// `query` goes into the address as it is: see [`vendor_query`](super::vendor_query).
pub(crate) async fn connect(
    server: &str,
    token: &str,
    query: &str,
) -> Result<(Connection, JoinResponse), ConnectError> {
    match open(server, token, query).await? {
        (connection, signal_response::Message::Join(join)) => Ok((connection, join)),
        _ => Err(ConnectError::Protocol("the first message was not a join response")),
    }
}

/// Opens the WebSocket anew for a session that the server knows by the participant's `sid`.
///
/// [`ConnectError::Leave`] comes when it does not know it any more.
pub(crate) async fn resume(
    server: &str,
    token: &str,
    query: &str,
    sid: &str,
    reason: ReconnectReason,
) -> Result<(Connection, ReconnectResponse), ConnectError> {
    let query = format!("{query}&reconnect=1&sid={sid}&reconnect_reason={}", reason as i32);
    match open(server, token, &query).await? {
        (connection, signal_response::Message::Reconnect(response)) => Ok((connection, response)),
        _ => Err(ConnectError::Protocol("the first message was not a reconnect response")),
    }
}

/// Opens the WebSocket and waits for the first message.
async fn open(server: &str, token: &str, query: &str) -> Result<(Connection, signal_response::Message), ConnectError> {
    let url = format!(
        "{server}/rtc?protocol={PROTOCOL_VERSION}&auto_subscribe=0&adaptive_stream=0&sdk=rust&version={}{query}",
        env!("CARGO_PKG_VERSION")
    );
    let mut request = url.into_client_request().map_err(|error| ConnectError::Unreachable(error.to_string()))?;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| ConnectError::Refused { status: 401, body: "the token has forbidden characters".into() })?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let limits = WebSocketConfig::default()
        .max_message_size(Some(SIGNAL_MESSAGE_MAX))
        .max_frame_size(Some(SIGNAL_MESSAGE_MAX))
        .read_buffer_size(SIGNAL_READ_BUFFER);
    let attempt = connect_async_with_config(request, Some(limits), true);
    let (socket, _) =
        tokio::time::timeout(STEP_TIMEOUT, attempt).await.map_err(|_| ConnectError::Timeout)?.map_err(connect_error)?;
    let mut connection = Connection { socket };
    let first = tokio::time::timeout(STEP_TIMEOUT, connection.receive()).await.map_err(|_| ConnectError::Timeout)?;
    match first {
        Some(signal_response::Message::Leave(leave)) => Err(ConnectError::Leave(leave)),
        Some(message) => Ok((connection, message)),
        None => Err(ConnectError::Protocol("it closed the connection before the first message")),
    }
}

fn connect_error(error: WsError) -> ConnectError {
    match error {
        WsError::Http(response) => {
            let body = response.body().as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            ConnectError::Refused { status: response.status().as_u16(), body: body.unwrap_or_default() }
        }
        WsError::Io(error) => ConnectError::Unreachable(error.to_string()),
        other => ConnectError::Unreachable(other.to_string()),
    }
}

impl Connection {
    /// Address of the server, for choosing the network interface that leads to it.
    pub(crate) fn server_ip(&self) -> Option<IpAddr> {
        let stream = match self.socket.get_ref() {
            MaybeTlsStream::Plain(stream) => stream,
            MaybeTlsStream::Rustls(stream) => stream.get_ref().0,
            _ => return None,
        };
        stream.peer_addr().ok().map(|address| address.ip())
    }

    /// The next message; `None` when the connection has ended, for whatever reason.
    ///
    /// Cancel safe. Frames that are no known message are skipped: a newer server may send what we do not know.
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

    /// Closes politely, but waits for nobody.
    pub(crate) async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_millis(200), self.socket.close(None)).await;
    }
}
