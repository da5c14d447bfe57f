//! Plain HTTP to a server, and what is said there outside of calls.

use protocol::proof;
use protocol::token::{Grants, mint, mint_at, verify};
use room_server::{RoomServer, ServerConfig, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::harness::{KEY, SECRET, Server, claims, claims_with};

/// Sends a request with these lines of headers, and gives the whole answer.
pub async fn request(server: &Server, line: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(server.server.local_addr()).await.unwrap();
    let length = body.len();
    let request =
        format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

pub async fn get(server: &Server, path: &str) -> String {
    request(server, &format!("GET {path}"), "", "").await
}

async fn ask_for_token(server: &Server, body: &str) -> String {
    request(server, "POST /dev/token", "Content-Type: application/json\r\n", body).await
}

async fn dev_server() -> Server {
    Server::start_with(ServerConfig { dev: true, ..ServerConfig::default() }).await
}

#[tokio::test]
async fn numbers_are_reported_where_that_is_switched_on() {
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

#[tokio::test]
async fn numbers_have_a_port_of_their_own_where_that_is_wanted() {
    let server = Server::start_with(ServerConfig { metrics_port: Some(0), ..ServerConfig::default() }).await;
    let mut stream = TcpStream::connect(server.server.metrics_addr().unwrap()).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("room_server_rooms 0\n"), "{answer}");
    assert!(get(&server, "/metrics").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn people_get_the_join_page_with_all_its_files() {
    let server = Server::start().await;
    let page = request(&server, "GET /", "Accept: text/html\r\n", "").await;
    let files: Vec<&str> = page.split('"').filter(|part| part.starts_with("join/")).collect();
    assert!(files.len() >= 4, "{page}");
    for file in files {
        let answer = get(&server, &format!("/{file}")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{file}: is npm's part there? {:.200}", answer);
    }
    assert!(get(&server, "/").await.ends_with("\r\n\r\nOK"));
}

#[tokio::test]
async fn a_development_server_gives_a_token_that_lets_its_user_in() {
    let server = dev_server().await;
    let answer = ask_for_token(&server, r#"{"room":"r","identity":"anna","name":"Anna"}"#).await;
    let token = answer.rsplit('"').nth(1).unwrap();
    let claims = verify(token, |key| (key == KEY).then(|| SECRET.to_owned())).unwrap();
    assert_eq!((claims.room.as_str(), claims.identity.as_str(), claims.name.as_str()), ("r", "anna", "Anna"));
    assert!(!claims.grants.room_admin);
    Client::connect(&server.url(), token, "").await.unwrap().joined().await;
}

#[tokio::test]
async fn a_token_is_given_to_nobody_else() {
    let server = Server::start().await;
    assert!(ask_for_token(&server, r#"{"room":"r","identity":"anna"}"#).await.starts_with("HTTP/1.1 404"));
    let config = ServerConfig { dev: true, bind: "0.0.0.0".parse().unwrap(), ..ServerConfig::default() };
    assert!(matches!(RoomServer::start(config).await, Err(StartError::DevNotLoopback)));
}

#[tokio::test]
async fn a_bad_request_for_a_token_is_answered_with_what_is_wrong() {
    let server = dev_server().await;
    for body in ["", "{", "[]", r#"{"room":"r"}"#, r#"{"room":"","identity":"a"}"#, r#"{"room":1,"identity":"a"}"#] {
        assert!(ask_for_token(&server, body).await.starts_with("HTTP/1.1 400"), "{body}");
    }
    let long = format!(r#"{{"room":"{}","identity":"a"}}"#, "r".repeat(257));
    assert!(ask_for_token(&server, &long).await.starts_with("HTTP/1.1 400"));
    // What a form of another page could send without being asked by the browser.
    let plain = request(&server, "POST /dev/token", "Content-Type: text/plain\r\n", r#"{"room":"r","identity":"a"}"#);
    assert!(plain.await.starts_with("HTTP/1.1 415"));
}

#[tokio::test]
async fn services_that_are_not_here_are_named_as_such() {
    let server = Server::start().await;
    let answer =
        request(&server, "POST /twirp/livekit.Egress/ListEgress", "Content-Type: application/json\r\n", "{}").await;
    assert!(answer.starts_with("HTTP/1.1 501") && answer.contains(r#""code":"unimplemented""#), "{answer}");
}

#[tokio::test]
async fn pages_can_read_that_there_is_no_path_with_one_connection() {
    let config = ServerConfig { single_peer_connection: false, ..ServerConfig::default() };
    let server = Server::start_with(config).await;
    let answer = get(&server, "/rtc/v1/validate").await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("access-control-allow-origin: *"), "{answer}");
}

#[tokio::test]
async fn each_refusal_has_its_code_beside_its_text() {
    let server = Server::start().await;
    let token = |key: &str, secret: &str| mint(key, secret, &claims("r", "anna")).unwrap();
    for (token, status, code) in [
        (String::new(), 401, "no-token"),
        ("a.b.c".into(), 401, "token-malformed"),
        (token("unknown", SECRET), 401, "token-key"),
        (token(KEY, "wrong"), 401, "token-signature"),
        (mint_at(KEY, SECRET, &claims("r", "anna"), 1_000).unwrap(), 401, "token-expired"),
        (mint_at(KEY, SECRET, &claims("r", "anna"), 4_000_000_000).unwrap(), 401, "token-not-yet-valid"),
        (mint(KEY, SECRET, &claims_with("r", "anna", Grants::default())).unwrap(), 403, "join-not-allowed"),
        (mint(KEY, SECRET, &claims("", "anna")).unwrap(), 400, "no-name"),
        (mint(KEY, SECRET, &claims(&"r".repeat(300), "anna")).unwrap(), 400, "too-long"),
    ] {
        let header = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        for path in ["/rtc", "/rtc/v1", "/rtc/validate"] {
            let answer = request(&server, &format!("GET {path}"), &header, "").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{code} {answer}");
            assert!(answer.contains(&format!("\r\nx-zego-refusal: {code}\r\n")), "{code} {answer}");
            // By which clients know how far their clock is off.
            assert!(answer.contains("\r\ndate: "), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_server_proves_that_it_knows_an_apps_secret_and_nothing_else() {
    let server = Server::start().await;
    let nonce = [3; proof::NONCE_LENGTH];
    let question = |app: &str, nonce: &str| format!("/zego/proof?app={app}&nonce={nonce}");
    let answer = get(&server, &question(KEY, &proof::write_nonce(&nonce))).await;
    let right = answer.rsplit("\r\n").next().unwrap();
    assert!(proof::is_right(SECRET, server.server.local_addr().port(), &nonce, right), "{answer}");
    let unknown = get(&server, &question("nobody", &proof::write_nonce(&nonce))).await;
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    for nonce in ["", "00", "zz", &"0".repeat(4000)] {
        let answer = get(&server, &question(KEY, nonce)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
}
