//! One signalling connection: a WebSocket with protobuf messages.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use protocol::messages::{ProtoMessage, Response, SignalRequest, SignalResponse};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::hub::command::{Command, Connect};
use crate::hub::ids::ConnectionId;

/// How often clients shall send a sign of life, in seconds.
pub const PING_INTERVAL: i32 = 5;
/// Clients give the connection up after this silence, in seconds.
pub const PING_TIMEOUT: i32 = 15;
/// How often clients are asked for a sign of life: those built on LiveKit's Go SDK send none by themselves, but every
/// WebSocket answers a ping (RFC 6455, section 5.5.2).
const PING_EVERY: Duration = Duration::from_secs(5);
/// The server gives it up after this silence: a bit later, so that the client acts first.
const MAX_SILENCE: Duration = Duration::from_secs(20);
/// A client that does not take a message for this long has gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an ended connection is kept for the client's answer. Closing a socket with unread data resets the connection, and
/// then clients take an orderly end for a failure.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Messages that wait for a client before it counts as not reading.
pub const QUEUE_LENGTH: usize = 512;

/// The queue of messages to one client. When it is dropped, the connection ends after the last message.
#[derive(Clone, Debug)]
pub struct SignalSender(mpsc::Sender<Bytes>);

impl SignalSender {
    /// A queue and its other end.
    pub fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
        (Self(sender), receiver)
    }

    /// Whether the connection has ended already.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Queues a message; false when the queue is full or the connection gone.
    pub fn send(&self, message: Bytes) -> bool {
        self.0.try_send(message).is_ok()
    }
}

/// A message as it is sent.
pub fn encode(message: Response) -> Bytes {
    SignalResponse { message: Some(message) }.encode_to_vec().into()
}

/// Serves a connection until it ends.
pub async fn serve(
    mut socket: WebSocket,
    hub: mpsc::Sender<Command>,
    connect: Connect,
    mut outgoing: mpsc::Receiver<Bytes>,
) {
    let id = connect.connection;
    if hub.send(Command::Connect(Box::new(connect))).await.is_err() {
        return;
    }
    exchange(&mut socket, &hub, id, &mut outgoing).await;
    // The hub may have stopped, then nothing needs to know.
    let _ = hub.send(Command::Disconnected(id)).await;
    close(&mut socket).await;
}

/// Ends a connection as RFC 6455, section 7, has it: our close frame, then everything that the client still says up to its own.
async fn close(socket: &mut WebSocket) {
    let frame = CloseFrame { code: close_code::NORMAL, reason: "".into() };
    // The client may have closed already.
    if timeout(WRITE_TIMEOUT, socket.send(Message::Close(Some(frame)))).await.is_ok_and(|sent| sent.is_ok()) {
        let _ = timeout(CLOSE_TIMEOUT, async { while matches!(socket.recv().await, Some(Ok(_))) {} }).await;
    }
}

/// False when the client does not take the message.
async fn write(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(WRITE_TIMEOUT, socket.send(message)).await, Ok(Ok(())))
}

async fn exchange(
    socket: &mut WebSocket,
    hub: &mpsc::Sender<Command>,
    id: ConnectionId,
    outgoing: &mut mpsc::Receiver<Bytes>,
) {
    let mut silence_ends = Instant::now() + MAX_SILENCE;
    let mut ping_at = Instant::now() + PING_EVERY;
    loop {
        tokio::select! {
            message = outgoing.recv() => {
                let Some(message) = message else { return };
                if !write(socket, Message::Binary(message)).await {
                    return;
                }
            }
            message = socket.recv() => {
                let Some(Ok(message)) = message else { return };
                silence_ends = Instant::now() + MAX_SILENCE;
                let Message::Binary(bytes) = message else { continue };
                match SignalRequest::decode(bytes) {
                    Ok(SignalRequest { message: Some(request) }) => {
                        if hub.send(Command::Request(id, Box::new(request))).await.is_err() {
                            return;
                        }
                    }
                    // A request of a newer protocol that we do not know.
                    Ok(SignalRequest { message: None }) => {}
                    Err(error) => {
                        tracing::info!(?id, %error, "message is garbage, connection closed");
                        return;
                    }
                }
            }
            () = sleep_until(ping_at) => {
                ping_at = Instant::now() + PING_EVERY;
                if !write(socket, Message::Ping(Bytes::new())).await {
                    return;
                }
            }
            () = sleep_until(silence_ends) => {
                tracing::info!(?id, "client is silent, connection closed");
                return;
            }
        }
    }
}
