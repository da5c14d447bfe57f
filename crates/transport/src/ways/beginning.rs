//! Begins the ways when it is time, and tells the stack of those that are open.

use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::mpsc;
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit};

use super::fallback::Stage;
use super::link::Link;
use super::send_queue::SendQueue;
use super::way::{MediaWay, WayKind};
use super::{State, Ways, tcp, turn};
use crate::config::IceTransportPolicy;

/// Runs until the stack is gone.
pub(crate) async fn begin_when_due(
    stack: Weak<dyn PeerConnection>,
    ways: Arc<Ways>,
    mut ready: mpsc::UnboundedReceiver<Arc<Link>>,
) {
    loop {
        let next = ways.begin_due(Instant::now());
        let sleep = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = ways.changed.notified() => {}
            link = ready.recv() => {
                let (Some(link), Some(stack)) = (link, stack.upgrade()) else { return };
                // Its ICE session may be over by now.
                if ways.is_current(&link)
                    && let Err(error) = stack.add_ice_candidate(candidate(&link)).await
                {
                    tracing::warn!(%error, way = %link.way, "a way is of no use");
                }
            }
        }
    }
}

/// A host candidate of the lowest kind, so that any other pair comes first.
fn candidate(link: &Link) -> RTCIceCandidateInit {
    let (foundation, priority) = match link.way.kind {
        WayKind::Udp => (1, 5u32 << 24),
        WayKind::Tcp => (2, 4 << 24),
        WayKind::TurnUdp => (3, 3 << 24),
        WayKind::TurnTcp => (4, 2 << 24),
        WayKind::TurnTls => (5, 1 << 24),
    };
    let (ip, port) = (link.address.ip(), link.address.port());
    RTCIceCandidateInit {
        candidate: format!("candidate:{foundation} 1 udp {priority} {ip} {port} typ host"),
        sdp_mid: Some("0".to_owned()),
        sdp_mline_index: Some(0),
        ..RTCIceCandidateInit::default()
    }
}

impl Ways {
    /// Begins what is due; gives the time of the next.
    fn begin_due(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        let stage = state.fallback.stage(now);
        if stage.is_some_and(|stage| stage >= Stage::Tcp) && self.policy != IceTransportPolicy::Relay {
            for remote in state.addresses(WayKind::Tcp) {
                let way = MediaWay { kind: WayKind::Tcp, remote, relay: None };
                if let Some(link) = state.begin(way, Arc::default()) {
                    state.queues.push(Arc::clone(&link.queue));
                    tokio::spawn(tcp::run(link, Arc::downgrade(self)));
                }
            }
        }
        if stage == Some(Stage::Turn) {
            self.begin_relays(&mut state);
        }
        state.fallback.next()
    }

    /// Each relay shall reach each of the server's addresses for UDP.
    fn begin_relays(self: &Arc<Self>, state: &mut State) {
        let remotes = state.addresses(WayKind::Udp);
        let servers = if remotes.is_empty() { Vec::new() } else { self.turn_servers.lock().clone() };
        for server in servers {
            let known = state.relays.iter().find(|(other, ..)| other.url == server.url);
            let (queue, wanted) = match known {
                Some((_, queue, wanted)) => (Arc::clone(queue), wanted.clone()),
                None => {
                    let (queue, (wanted, links)) = (Arc::<SendQueue>::default(), mpsc::unbounded_channel());
                    state.queues.push(Arc::clone(&queue));
                    state.relays.push((server.clone(), Arc::clone(&queue), wanted.clone()));
                    let (ways, dialer) = (Arc::downgrade(self), self.dialer.clone());
                    tokio::spawn(turn::run(server.clone(), dialer, Arc::clone(&queue), links, ways));
                    (queue, wanted)
                }
            };
            for remote in &remotes {
                let way = MediaWay { kind: server.kind, remote: *remote, relay: Some(server.url.clone()) };
                if let Some(link) = state.begin(way, Arc::clone(&queue)) {
                    let _ = wanted.send(link);
                }
            }
        }
    }

    fn is_current(&self, link: &Arc<Link>) -> bool {
        self.state.lock().links.get(&link.address).is_some_and(|current| Arc::ptr_eq(current, link))
    }
}

impl State {
    /// A synthetic address for a way that has none yet.
    pub(super) fn begin(&mut self, way: MediaWay, queue: Arc<SendQueue>) -> Option<Arc<Link>> {
        if self.begun.contains(&way) {
            return None;
        }
        tracing::info!(%way, "trying another way for media");
        self.begun.push(way.clone());
        self.sockets.retain(|(_, inbox)| !inbox.is_closed());
        let is_ipv6 = !self.sockets.iter().any(|(address, _)| address.is_ipv4());
        let link = Arc::new(Link::new(self.links.allocate(is_ipv6), way, queue));
        self.links.insert(link.address, Arc::clone(&link));
        Some(link)
    }
}
