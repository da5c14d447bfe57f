use std::net::UdpSocket;

use protocol::messages::{ProtoMessage, Request, SessionDescription, SignalRequest};
use str0m::media::MediaKind;

use crate::client::ClientEvent;
use crate::harness::Server;
use netsim::Random;

#[tokio::test]
async fn garbage_on_one_connection_leaves_the_media_of_others_alone() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    hans.packet_of(&sid).await;
    let mut eve = server.join("r", "eve").await;
    eve.send_raw(&[0xff; 300]);
    eve.wait_for("end of signalling", |event| matches!(event, ClientEvent::SignalClosed).then_some(())).await;
    hans.forget();
    hans.packet_of(&sid).await;
}

#[tokio::test]
async fn an_offer_that_is_none_ends_the_session_of_its_sender_only() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut eve = server.join("r", "eve").await;
    eve.send(Request::Offer(SessionDescription { sdp: "v=0\r\nm=audio".into(), ..Default::default() }));
    eve.leave_message().await;
    let sid = anna.publish("a", "s", MediaKind::Audio).await;
    server.join("r", "hans").await.packet_of(&sid).await;
}

#[tokio::test]
async fn noise_on_the_media_port_is_ignored() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("a", "s", MediaKind::Audio).await;
    hans.packet_of(&sid).await;
    let noise = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut random = Random::new(0x5eed);
    for _ in 0..2000 {
        let length = random.index(200);
        let bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        noise.send_to(&bytes, server.server.media_addr()).unwrap();
    }
    hans.forget();
    hans.packet_of(&sid).await;
}

/// The seeds are messages of a real session, one a file; each is changed at random and sent on a fresh connection
/// when the one before was closed.
#[tokio::test]
async fn thousands_of_broken_messages_do_not_stop_the_server() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    let seeds = seeds();
    let mut random = Random::new(42);
    for round in 0..20 {
        let mut eve = server.join("r", "eve").await;
        for _ in 0..150 {
            let seed = &seeds[random.index(seeds.len())];
            eve.send_raw(&random.mutate(seed));
        }
        if round % 5 == 0 {
            // Whatever became of it, the next login has to work.
            let _ = eve.never(std::time::Duration::from_millis(50), |_| false).await;
        }
    }
    let mut hans = server.join("r", "hans").await;
    hans.packet_of(&sid).await;
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz-seeds");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Folders hold seeds of another kind.
    paths.retain(|path| path.is_file());
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(seeds.len() >= 8);
    for seed in &seeds {
        SignalRequest::decode(&seed[..]).expect("a seed is a valid message");
    }
    seeds
}
