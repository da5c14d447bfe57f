//! Media over relays: a real TURN server between the client and the server.

use super::coturn::Coturn;
use super::server::{Seen, Server};
use super::{Client, access_unit, bytes};
use dial::{DialConfig, Dialer};
use std::net::Ipv4Addr;
use std::time::Duration;
use str0m::media::MediaKind;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UdpSocket};
use transport::{
    AccessUnitToSend, AddTrack, IceServer, IceTransportPolicy, Peer, PeerConfig, PeerEvent, PeerState, RouteKind,
};

fn config(ice_servers: Vec<IceServer>, policy: IceTransportPolicy) -> PeerConfig {
    PeerConfig { ice_servers, policy, server_address: Some(Ipv4Addr::LOCALHOST.into()), ..PeerConfig::default() }
}

async fn client(config: PeerConfig) -> Client {
    let (sender, events) = tokio::sync::mpsc::unbounded_channel();
    Client { peer: Peer::new(config, sender).await.unwrap(), events }
}

/// Video gets through, and by this route.
async fn expect_media(server: &mut Server, config: PeerConfig, route: RouteKind) -> Client {
    let mut client = client(config).await;
    let track = AddTrack { track_id: "camera".to_owned(), stream_id: "stream".to_owned() };
    let video = client.peer.add_video(track).await.unwrap();
    client.negotiate(server, false).await;
    client.connected().await;
    for number in 1..20u32 {
        let unit = access_unit(number, number == 1, 5000);
        video.send(AccessUnitToSend { data: bytes(unit.clone()), timestamp: number * 3000 });
        let received = server.wait("the video frame", |seen| match seen {
            Seen::Media { kind: MediaKind::Video, data, .. } => Some(data.clone()),
            _ => None,
        });
        assert_eq!(received, unit);
    }
    assert_eq!(client.peer.route().unwrap().kind, route);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_flows_over_relays_reached_by_udp_tcp_and_tls() {
    let Some(coturn) = Coturn::start() else { return };
    let dial = DialConfig { ca: Some(coturn.ca.clone()), ..DialConfig::default() };
    for (route, kind) in [("udp", RouteKind::TurnUdp), ("tcp", RouteKind::TurnTcp), ("tls", RouteKind::TurnTls)] {
        let mut server = Server::start();
        let servers = vec![coturn.ice_server(route, "password")];
        let config =
            PeerConfig { dialer: Some(Dialer::new(&dial).unwrap()), ..config(servers, IceTransportPolicy::Relay) };
        expect_media(&mut server, config, kind).await.peer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_relay_ends_another_one_takes_over() {
    let (Some(mut first), Some(second)) = (Coturn::start(), Coturn::start()) else { return };
    let mut server = Server::start();
    let servers = vec![first.ice_server("tcp", "password")];
    let mut client = expect_media(&mut server, config(servers, IceTransportPolicy::Relay), RouteKind::TurnTcp).await;
    first.kill();
    client
        .wait("the end of the route", |event| matches!(event, PeerEvent::State(PeerState::Failed)).then_some(()))
        .await;
    client.peer.set_ice_servers(&[second.ice_server("udp", "password")]);
    client.negotiate(&server, true).await;
    client.connected().await;
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusable_relays_are_reported_and_do_no_harm() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let talker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let talker_address = talker.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = talker.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let url = |address: std::net::SocketAddr, route: &str| IceServer {
        urls: vec![format!("turn:{address}?transport={route}")],
        username: "user".into(),
        credential: "password".into(),
    };
    let mut servers = vec![url(silent.local_addr().unwrap(), "udp"), url(closed, "tcp"), url(talker_address, "tcp")];
    let coturn = Coturn::start();
    servers.extend(coturn.iter().map(|coturn| coturn.ice_server("tcp", "wrong")));
    let count = servers.len() - 1;
    let mut server = Server::start();
    let stuck = client(config(servers.clone(), IceTransportPolicy::Relay)).await;
    let track = AddTrack { track_id: "camera".to_owned(), stream_id: "stream".to_owned() };
    stuck.peer.add_video(track).await.unwrap();
    stuck.negotiate(&server, false).await;
    let named = async {
        while stuck.peer.attempted_routes().iter().filter(|tried| tried.contains('(')).count() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(8), named)
        .await
        .unwrap_or_else(|_| panic!("not all are named: {:?}", stuck.peer.attempted_routes()));
    eprintln!("{:#?}", stuck.peer.attempted_routes());
    // Beside them UDP is as it was.
    let mut server_beside = Server::start();
    expect_media(&mut server_beside, config(servers, IceTransportPolicy::All), RouteKind::Udp).await.peer.close().await;
    stuck.peer.close().await;
    drop(server.take_all());
}

/// A STUN message of the TURN server with these attributes.
fn response(kind: u16, transaction: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in attributes {
        body.extend_from_slice(&name.to_be_bytes());
        body.extend_from_slice(&(value.len() as u16).to_be_bytes());
        body.extend_from_slice(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut message = kind.to_be_bytes().to_vec();
    message.extend_from_slice(&(body.len() as u16).to_be_bytes());
    message.extend_from_slice(transaction);
    message.extend(body);
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_floods_does_no_harm() {
    let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = relay.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = relay.recv_from(&mut buffer).await {
            if length < 20 {
                continue;
            }
            // An unused address with a lifetime of 600 s; permissions are granted all the same.
            let unused: &[u8] = &[0, 1, 0x21 ^ 1, 0x12, 0x21 ^ 203, 0x12, 0xa4 ^ 113, 0x42 ^ 9];
            let (kind, transaction) = (u16::from_be_bytes([buffer[0], buffer[1]]) | 0x100, buffer[4..20].to_vec());
            let needs_password = length < 60 && kind == 0x103;
            let answer = if needs_password {
                response(0x113, &transaction, &[(9, &[0, 0, 4, 1]), (0x14, b"realm"), (0x15, b"nonce")])
            } else {
                response(kind, &transaction, &[(0x16, unused), (0x0d, &600u32.to_be_bytes())])
            };
            let _ = relay.send_to(&answer, from).await;
            for length in 0..200usize {
                let _ = relay.send_to(&vec![length as u8; length], from).await;
            }
        }
    });
    let servers = vec![IceServer {
        urls: vec![format!("turn:{address}")],
        username: "user".into(),
        credential: "password".into(),
    }];
    let server = Server::start();
    let stuck = client(config(servers.clone(), IceTransportPolicy::Relay)).await;
    let track = AddTrack { track_id: "camera".to_owned(), stream_id: "stream".to_owned() };
    stuck.peer.add_video(track).await.unwrap();
    stuck.negotiate(&server, false).await;
    let mut server_beside = Server::start();
    expect_media(&mut server_beside, config(servers, IceTransportPolicy::All), RouteKind::Udp).await.peer.close().await;
    assert_eq!(stuck.peer.route(), None, "there is none");
    stuck.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misbehaving_tcp_candidates_are_reported_and_do_no_harm() {
    let mut candidates = Vec::new();
    for talk in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0xff; 4096], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        candidates.push(listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(talk).await;
            }
        });
    }
    let flood = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flooder = flood.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = flood.accept().await.unwrap();
        // Empty datagrams, and then whole ones, as fast as they are read.
        while stream.write_all(&[&[0; 1000][..], &[0, 200], &[7; 200]].concat()).await.is_ok() {}
    });
    let add = async |client: &Client| {
        for address in candidates.iter().chain([&flooder]) {
            let (ip, port) = (address.ip(), address.port());
            let candidate = format!("candidate:1 1 tcp 1 {ip} {port} typ host tcptype passive");
            let json = format!(r#"{{"candidate": "{candidate}", "sdpMid": "0", "sdpMLineIndex": 0}}"#);
            client.peer.add_remote_candidate(&json).await.unwrap();
        }
    };
    let server = Server::start();
    let stuck = client(config(Vec::new(), IceTransportPolicy::Tcp)).await;
    let track = AddTrack { track_id: "camera".to_owned(), stream_id: "stream".to_owned() };
    stuck.peer.add_video(track).await.unwrap();
    add(&stuck).await;
    stuck.negotiate(&server, false).await;
    let named = async {
        while stuck.peer.attempted_routes().iter().filter(|tried| tried.contains('(')).count() < candidates.len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), named)
        .await
        .unwrap_or_else(|_| panic!("not all are named: {:?}", stuck.peer.attempted_routes()));
    assert_eq!(stuck.peer.attempted_routes().len(), candidates.len() + 1, "UDP was not tried");
    // Beside them UDP is as it was.
    let mut server_beside = Server::start();
    let client_beside =
        expect_media(&mut server_beside, config(Vec::new(), IceTransportPolicy::All), RouteKind::Udp).await;
    add(&client_beside).await;
    client_beside.peer.close().await;
    stuck.peer.close().await;
}
