//! The client's peer connection against an independent WebRTC stack as the server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod coturn;
mod poor_network;
mod publishing;
mod relay;
mod relays;
mod server;
mod subscribing;

use bytes::Bytes;
use server::Server;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use transport::{Peer, PeerConfig, PeerEvent, PeerState, Role, VideoCodec};

/// A peer and its events.
struct Client {
    peer: Arc<Peer>,
    events: UnboundedReceiver<PeerEvent>,
}

impl Client {
    async fn new(role: Role) -> Self {
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        let config = PeerConfig {
            role,
            server_address: Some(Ipv4Addr::LOCALHOST.into()),
            video_codecs: vec![VideoCodec::H264, VideoCodec::Vp8],
            ..PeerConfig::default()
        };
        Self { peer: Peer::new(config, sender).await.unwrap(), events }
    }

    /// Waits for an event that matches; others are dropped.
    async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(PeerEvent) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.unwrap_or_else(|| panic!("events ended before {what}"));
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), search).await.unwrap_or_else(|_| panic!("no {what} in time"))
    }

    async fn connected(&mut self) {
        self.wait("connection", |event| matches!(event, PeerEvent::State(PeerState::Connected)).then_some(())).await;
    }

    /// Negotiates as the publisher.
    async fn negotiate(&self, server: &Server, ice_restart: bool) {
        let offer = self.peer.create_offer(ice_restart).await.unwrap();
        let answer = server.call(move |core| core.answer(&offer));
        self.peer.accept_answer(&answer).await.unwrap();
    }
}

/// An access unit that contains its number. Key frames carry parameter sets.
fn access_unit(number: u32, is_keyframe: bool, size: usize) -> Vec<u8> {
    let mut unit = Vec::new();
    if is_keyframe {
        unit.extend([0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0xa9, 0x18, 0x14, 0x16, 0xec]);
        unit.extend([0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80]);
    }
    unit.extend([0, 0, 0, 1, if is_keyframe { 0x65 } else { 0x41 }]);
    // No byte is zero, so that nothing looks like a start code.
    unit.extend(number.to_be_bytes().map(|byte| byte | 0x80));
    unit.resize(unit.len().max(size), 0xab);
    unit
}

fn bytes(unit: Vec<u8>) -> Bytes {
    Bytes::from(unit)
}

/// Whether this is a video packet: RTP version 2, a payload type outside the RTCP range (RFC 5761), and larger than audio.
fn is_large_rtp(datagram: &[u8]) -> bool {
    datagram.len() > 500 && datagram[0] & 0xc0 == 0x80 && !(192..=223).contains(&datagram[1])
}
