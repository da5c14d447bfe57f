//! A signalling server that does what a test says. It knows no media.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use protocol::messages::{
    JoinResponse, LeaveRequest, ParticipantInfo, ProtoMessage, ReconnectResponse, Request, Response, Room, ServerInfo,
    SignalRequest, SignalResponse,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Upgrade, Response as Upgraded};

use crate::harness::runtime;

const LIMIT: Duration = Duration::from_secs(15);

/// Where the test's end of each connection comes out.
pub struct ScriptedServer {
    pub url: String,
    connections: Receiver<Incoming>,
}

/// One signalling connection, as the server sees it.
pub struct Incoming {
    /// The query of the address.
    pub query: String,
    pub token: String,
    requests: Receiver<Request>,
    /// Closed when dropped.
    responses: UnboundedSender<Response>,
}

impl ScriptedServer {
    pub fn start() -> Self {
        let (sender, connections) = channel();
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(serve(stream, sender));
            }
        });
        Self { url, connections }
    }

    /// The next connection.
    pub fn next(&self) -> Incoming {
        self.connections.recv_timeout(LIMIT).expect("a connection")
    }
}

impl Incoming {
    pub fn is_resume(&self) -> bool {
        self.query.contains("reconnect=1")
    }

    pub fn send(&self, response: Response) {
        let _ = self.responses.send(response);
    }

    /// Lets the client in.
    pub fn join(&self, sid: &str) {
        self.send(Response::Join(JoinResponse {
            room: Some(Room { sid: "RM_1".into(), name: "room".into(), ..Room::default() }),
            participant: Some(ParticipantInfo { sid: sid.into(), identity: "anna".into(), ..Default::default() }),
            server_info: Some(ServerInfo { version: "1.9.0".into(), ..ServerInfo::default() }),
            ping_interval: 5,
            ping_timeout: 15,
            ..JoinResponse::default()
        }));
    }

    pub fn take_up(&self) {
        self.send(Response::Reconnect(ReconnectResponse::default()));
    }

    pub fn leave(&self, leave: LeaveRequest) {
        self.send(Response::Leave(leave));
    }

    /// The next request that the condition takes; others are passed over.
    pub fn request<T>(&self, mut take: impl FnMut(Request) -> Option<T>) -> T {
        loop {
            let request = self.requests.recv_timeout(LIMIT).expect("a request");
            if let Some(taken) = take(request) {
                return taken;
            }
        }
    }
}

async fn serve(stream: TcpStream, connections: std::sync::mpsc::Sender<Incoming>) {
    let (mut query, mut token) = (String::new(), String::new());
    #[allow(clippy::result_large_err)]
    let upgrade = |request: &Upgrade, response: Upgraded| {
        query = request.uri().query().unwrap_or_default().to_owned();
        let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        token = header.unwrap_or_default().trim_start_matches("Bearer ").to_owned();
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, upgrade).await else { return };
    let (requests_in, requests) = channel();
    let (responses, mut outgoing): (_, UnboundedReceiver<Response>) = unbounded_channel();
    let _ = connections.send(Incoming { query, token, requests, responses });
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    if let Some(message) = SignalRequest::decode(bytes).unwrap().message {
                        let _ = requests_in.send(message);
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            },
            response = outgoing.recv() => match response {
                Some(response) => {
                    let bytes = SignalResponse { message: Some(response) }.encode_to_vec();
                    let _ = socket.send(Message::Binary(bytes.into())).await;
                }
                None => return,
            },
        }
    }
}
