//! The relay in the server, and what clients are reported of relays.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use protocol::messages::IceServer;
use room_server::{IceServerConfig, ServerConfig, TurnConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{connect_async, tungstenite};

use crate::client::Client;
use crate::harness::{KEY, SECRET, Server, claims};

/// A server that listens on all addresses, which is where a relay makes sense.
async fn server() -> Server {
    Server::start_with(ServerConfig { bind: "0.0.0.0".parse().unwrap(), ..ServerConfig::default() }).await
}

/// An address of this machine other than loopback.
fn own_address(port: u16) -> Option<SocketAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("198.51.100.1:9").ok()?;
    Some(SocketAddr::new(socket.local_addr().ok()?.ip(), port))
}

async fn offered(url: &str) -> Vec<IceServer> {
    let token = protocol::token::mint(KEY, SECRET, &claims("r", "anna")).unwrap();
    Client::connect(url, &token, "").await.unwrap().joined().await.ice_servers
}

#[tokio::test]
async fn clients_are_reported_the_relay_where_they_found_the_server() {
    let server = server().await;
    let Some(address) = own_address(server.server.local_addr().port()) else {
        return println!("skipped: this machine has no address but loopback");
    };
    let offered = offered(&format!("ws://{address}")).await;
    assert_eq!(offered[0].urls, [format!("turn:{address}?transport=tcp")]);
    assert!(offered[0].username.contains(":PA_") && !offered[0].credential.is_empty());
}

#[tokio::test]
async fn who_comes_through_a_proxy_or_from_this_machine_is_not_reported_of_a_relay_that_cannot_be_reached() {
    let server = server().await;
    let port = server.server.local_addr().port();
    assert_eq!(offered(&format!("ws://127.0.0.1:{port}")).await, []);
    let Some(address) = own_address(port) else { return };
    let token = protocol::token::mint(KEY, SECRET, &claims("r", "hans")).unwrap();
    let mut request = format!("ws://{address}/rtc?access_token={token}").into_client_request().unwrap();
    request.headers_mut().insert("X-Forwarded-For", "198.51.100.1".parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    let message = futures_util::StreamExt::next(&mut socket).await.unwrap().unwrap();
    let tungstenite::Message::Binary(bytes) = message else { panic!("{message:?}") };
    assert!(!bytes.windows(5).any(|part| part == b"turn:"));
}

#[tokio::test]
async fn a_relay_that_shares_a_secret_gets_a_user_name_for_each_participant() {
    let relay = IceServerConfig {
        urls: vec!["turn:turn.example.com:3478?transport=udp".to_owned()],
        secret: "north".to_owned(),
        ..IceServerConfig::default()
    };
    let server = Server::start_with(ServerConfig { ice_servers: vec![relay], ..ServerConfig::default() }).await;
    let offered = offered(&server.url()).await;
    let end: u64 = offered[0].username.split(':').next().unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((now + 290..=now + 300).contains(&end) && !offered[0].credential.is_empty());
}

/// Whether a program of coturn is there.
fn has(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Lets coturn's own client allocate at `address`, and gives what it says.
async fn allocate(address: SocketAddr, user: &IceServer, over_tcp: bool) -> String {
    // -y: to itself; -c: without RTCP; -n, -m: few messages, one client.
    let arguments = ["20", "turnutils_uclient", "-y", "-c", "-n", "1", "-m", "1"];
    let mut client = Command::new("timeout");
    client.args(arguments).args(over_tcp.then_some("-t")).args(["-u", &user.username, "-w", &user.credential]);
    client.args(["-p", &address.port().to_string()]).arg(address.ip().to_string()).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn a_client_of_others_is_let_in_by_the_password_of_its_join_and_reaches_nothing_but_media() {
    if !has("turnutils_uclient") {
        return println!("skipped: coturn is not installed");
    }
    let server = server().await;
    let Some(address) = own_address(server.server.local_addr().port()) else { return };
    let offered = offered(&format!("ws://{address}")).await;
    let said = allocate(address, &offered[0], true).await;
    // It allocates, and then wants to reach itself, which is refused.
    assert!(said.contains("403"), "{said}");
    let wrong = IceServer { credential: "wrong".to_owned(), ..offered[0].clone() };
    let said = allocate(address, &wrong, true).await;
    assert!(said.contains("Cannot complete Allocation") && !said.contains("403"), "{said}");
}

/// A relay of another client, with a secret.
struct Coturn {
    process: std::process::Child,
    address: SocketAddr,
}

impl Coturn {
    fn start(secret: &str) -> Self {
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut command = Command::new("turnserver");
        command.args(["-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--realm", "example.org"]);
        command.args(["--use-auth-secret", "--static-auth-secret", secret, "--allow-loopback-peers", "--no-cli"]);
        command.args(["--no-tls", "--no-dtls", "--log-file", "stdout", "--pidfile", "/dev/null"]);
        command.args(["--listening-port", &address.port().to_string()]);
        Self { process: command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), address }
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn coturn_takes_the_password_that_a_participant_gets() {
    if !has("turnserver") || !has("turnutils_uclient") {
        return println!("skipped: coturn is not installed");
    }
    let coturn = Coturn::start("north");
    let urls = vec![format!("turn:{}?transport=udp", coturn.address)];
    let relay = IceServerConfig { urls, secret: "north".to_owned(), ..IceServerConfig::default() };
    let server = Server::start_with(ServerConfig { ice_servers: vec![relay], ..ServerConfig::default() }).await;
    let offered = offered(&server.url()).await;
    // It may just be starting.
    let end = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let said = allocate(coturn.address, &offered[0], false).await;
        if said.contains("Total lost packets 0") {
            return;
        }
        assert!(std::time::Instant::now() < end, "{said}");
    }
}

#[tokio::test]
async fn noise_on_the_port_disturbs_nobody() {
    let server = server().await;
    let mut anna = server.join("r", "anna").await;
    for begin in [
        &[0u8, 3, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42][..],
        &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3],
        &[0x16; 64],
        b"CONNECT x:1 HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(server.server.local_addr()).await.unwrap();
        stream.write_all(begin).await.unwrap();
        let _ = timeout(Duration::from_millis(50), stream.read(&mut [0; 64])).await;
    }
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("v", "s", str0m::media::MediaKind::Video).await;
    hans.packet_of(&sid).await;
}

#[tokio::test]
async fn a_relay_that_is_switched_off_answers_nobody() {
    let turn = TurnConfig { enabled: Some(false), ..TurnConfig::default() };
    let config = ServerConfig { bind: "0.0.0.0".parse().unwrap(), turn, ..ServerConfig::default() };
    let server = Server::start_with(config).await;
    let mut stream = TcpStream::connect(server.server.local_addr()).await.unwrap();
    let binding = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    stream.write_all(&binding).await.unwrap();
    assert!(!matches!(stream.read(&mut [0; 1]).await, Ok(1..)));
}
