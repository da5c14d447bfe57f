use room_server::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::Server;

async fn get(server: &Server, path: &str) -> String {
    let mut stream = TcpStream::connect(server.server.local_addr()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn numbers_are_told_where_that_is_switched_on() {
    let server = Server::start_with(ServerConfig { metrics: true, ..ServerConfig::default() }).await;
    let _anna = server.join("r", "anna").await;
    let _hans = server.join("r", "hans").await;
    let text = get(&server, "/metrics").await;
    assert!(text.contains("room_server_rooms 1\n") && text.contains("room_server_participants 2\n"), "{text}");
    assert!(text.contains("room_server_joins_total 2\n"), "{text}");
}

#[tokio::test]
async fn numbers_are_secret_by_default() {
    let server = Server::start().await;
    assert!(get(&server, "/metrics").await.starts_with("HTTP/1.1 404"));
}
