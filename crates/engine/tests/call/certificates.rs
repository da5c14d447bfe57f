//! `wss://`: whose certificates are accepted, and what the application hears of the others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::harness::{Client, Server, fakes, profile, runtime};
use crate::reaching_the_server::{failure, message};

/// TLS before a room server. Returns its port and its certificate, which is signed by itself.
fn tls_before(server: SocketAddr, name: &str) -> (u16, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .unwrap();
    let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    runtime().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut onward = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    (port, certificate.pem())
}

fn client(port: u16, options: &[(&str, &str)]) -> Client {
    let mut advanced = fakes();
    advanced.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Client::with(profile(&format!("wss://localhost:{port}")), advanced)
}

#[test]
fn an_untrusted_certificate_ends_the_login_unless_it_is_pinned() {
    let server = Server::start();
    let (port, pem) = tls_before(server.address, "elsewhere");
    let (event, took) = failure(&mut client(port, &[]));
    assert_eq!(event["errorCode"], 1_002_030);
    assert!(took < Duration::from_secs(3), "{took:?}");
    let reported = message(&event);
    assert!(reported.contains("certificate of localhost is refused"), "{reported}");
    // Another name than the server's.
    let reported = message(&failure(&mut client(port, &[("server_ca", &pem)])).0);
    assert!(reported.contains("it is for elsewhere"), "{reported}");
    // What it says with a wrong pin is the right one.
    let wrong = format!("sha256/{}=", "A".repeat(43));
    let reported = message(&failure(&mut client(port, &[("server_pin", &wrong)])).0);
    let pin = reported.split_whitespace().find(|word| word.starts_with("sha256/")).unwrap().to_owned();
    let mut anna = client(port, &[("server_pin", &pin)]);
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    anna.publish("stream");
}

#[test]
fn a_ca_given_as_text_lets_the_server_in() {
    let server = Server::start();
    let (port, pem) = tls_before(server.address, "localhost");
    let mut anna = client(port, &[("server_ca", &pem)]);
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
}
