//! The parts of `/rtc/v1` that need no media; calls over it are tested with stock clients.

use protocol::token::mint;
use room_server::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{KEY, SECRET, Server, claims};

/// The status of an upgrade request, or of a plain one.
async fn status(server: &Server, path: &str, upgrade: bool) -> u16 {
    let headers = if upgrade {
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    } else {
        "Connection: close\r\n"
    };
    let token = mint(KEY, SECRET, &claims("r", "anna")).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\r\n");
    let mut stream = TcpStream::connect(server.server.local_addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_request_that_says_nothing_is_refused() {
    let server = Server::start().await;
    assert_eq!(status(&server, "/rtc/v1", true).await, 400);
    assert_eq!(status(&server, "/rtc/v1?join_request=%25", true).await, 400);
    assert_eq!(status(&server, "/rtc/v1/validate", false).await, 200);
    // An empty message is a join with nothing special.
    assert_eq!(status(&server, "/rtc/v1?join_request=EgA", true).await, 101);
}

#[tokio::test]
async fn a_join_request_on_the_older_path_is_a_wish_for_one_connection_too() {
    let server = Server::start().await;
    assert_eq!(status(&server, "/rtc?join_request=%25", true).await, 400);
    let mut anna = server.connect(claims("r", "anna"), "&join_request=EgA").await;
    assert!(!anna.joined().await.subscriber_primary);
}

#[tokio::test]
async fn where_it_is_switched_off_clients_see_that_there_is_nothing() {
    let config = ServerConfig { single_peer_connection: false, ..ServerConfig::default() };
    let server = Server::start_with(config).await;
    assert_eq!(status(&server, "/rtc/v1?join_request=EgA", true).await, 404);
    assert_eq!(status(&server, "/rtc/v1/validate", false).await, 404);
    assert_eq!(status(&server, "/rtc", true).await, 101);
}
