//! Signalling over TLS.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair};
use room_server::{ServerConfig, StartError, TlsFiles};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use str0m::media::MediaKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::client::Client;
use crate::harness::{KEY, SECRET, Server, claims};

/// A certificate for localhost in files, and a server that has it.
struct Secure {
    server: Server,
    files: Files,
}

struct Files {
    folder: PathBuf,
    tls: TlsFiles,
}

impl Files {
    fn new(name: &str, certificate: &CertifiedKey<KeyPair>) -> Self {
        let folder = std::env::temp_dir().join(format!("room-server-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = Self { tls: TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") }, folder };
        files.write(certificate);
        files
    }

    fn write(&self, certificate: &CertifiedKey<KeyPair>) {
        std::fs::write(&self.tls.cert, certificate.cert.pem()).unwrap();
        std::fs::write(&self.tls.key, certificate.signing_key.serialize_pem()).unwrap();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

fn trusting(certificate: &CertifiedKey<KeyPair>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Secure {
    async fn start(name: &str, certificate: &CertifiedKey<KeyPair>) -> Self {
        let files = Files::new(name, certificate);
        let config = ServerConfig { tls: Some(files.tls.clone()), ..ServerConfig::default() };
        Self { server: Server::start_with(config).await, files }
    }

    fn port(&self) -> u16 {
        self.server.server.local_addr().port()
    }

    async fn join(&self, room: &str, identity: &str, certificate: &CertifiedKey<KeyPair>) -> Client {
        let token = protocol::token::mint(KEY, SECRET, &claims(room, identity)).unwrap();
        let url = format!("wss://localhost:{}", self.port());
        let connector = TlsConnector::from(trusting(certificate));
        let mut client = Client::connect_by(&url, &token, "", Some(connector)).await.unwrap();
        client.until_active().await;
        client
    }

    async fn is_trusted(&self, certificate: &CertifiedKey<KeyPair>) -> bool {
        let stream = TcpStream::connect(self.server.server.local_addr()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(trusting(certificate)).connect(name, stream).await.is_ok()
    }
}

#[tokio::test]
async fn two_users_see_each_other_over_wss() {
    let certificate = certificate();
    let secure = Secure::start("call", &certificate).await;
    let mut anna = secure.join("r", "anna", &certificate).await;
    let mut hans = secure.join("r", "hans", &certificate).await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    hans.packet_of(&sid).await;
}

#[tokio::test]
async fn who_speaks_without_tls_is_reported_to_use_it() {
    let secure = Secure::start("plain", &certificate()).await;
    let mut stream = TcpStream::connect(secure.server.server.local_addr()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("https://"), "{answer}");
}

#[tokio::test]
async fn handshakes_that_hang_and_garbage_keep_nobody_out() {
    let certificate = certificate();
    let secure = Secure::start("slow", &certificate).await;
    let mut hanging = Vec::new();
    for at in 0..200 {
        let mut stream = TcpStream::connect(secure.server.server.local_addr()).await.unwrap();
        let begin: &[u8] = match at % 4 {
            0 => b"",
            1 => &[22, 3, 1, 2, 0, 1],
            2 => &[0, 3, 0, 8],
            _ => b"CONNECT-like garbage\0\xff",
        };
        stream.write_all(begin).await.unwrap();
        hanging.push(stream);
    }
    timeout(Duration::from_secs(5), secure.join("r", "anna", &certificate)).await.unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_without_a_restart() {
    let (old, new) = (certificate(), certificate());
    let secure = Secure::start("renewed", &old).await;
    let mut anna = secure.join("r", "anna", &old).await;
    assert!(!secure.is_trusted(&new).await);
    secure.files.write(&new);
    let end = Instant::now() + Duration::from_secs(20);
    while !secure.is_trusted(&new).await {
        assert!(Instant::now() < end, "the new certificate is not taken");
        sleep(Duration::from_millis(100)).await;
    }
    // Who is there stays.
    anna.forget();
    let mut hans = secure.join("r", "hans", &new).await;
    let sid = hans.publish("v", "s", MediaKind::Video).await;
    anna.packet_of(&sid).await;
}

#[tokio::test]
async fn a_server_whose_certificate_is_missing_does_not_start() {
    let tls = Some(TlsFiles { cert: "/nowhere/cert.pem".into(), key: "/nowhere/key.pem".into() });
    let started = room_server::RoomServer::start(ServerConfig { port: 0, tls, ..ServerConfig::default() }).await;
    let error = started.err().unwrap();
    assert!(matches!(error, StartError::Certificate(_)) && error.to_string().contains("/nowhere/cert.pem"));
}
