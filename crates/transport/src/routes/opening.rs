//! Opens routes when they are due, and hands open ones to the stack as candidates.

use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::mpsc;
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit};

use super::fallback::Stage;
use super::link::Link;
use super::route::{MediaRoute, RouteKind};
use super::send_queue::SendQueue;
use super::{Relay, Routes, State, tcp, turn};
use crate::config::IceTransportPolicy;

/// Opens routes until the stack is gone.
pub(crate) async fn open_due_routes(
    stack: Weak<dyn PeerConnection>,
    routes: Arc<Routes>,
    mut ready: mpsc::UnboundedReceiver<Arc<Link>>,
) {
    loop {
        let next = routes.open_due(Instant::now());
        let sleep = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = routes.changed.notified() => {}
            link = ready.recv() => {
                let (Some(link), Some(stack)) = (link, stack.upgrade()) else { return };
                // Its ICE session may be over by now.
                if routes.is_current(&link)
                    && let Err(error) = stack.add_ice_candidate(candidate(&link)).await
                {
                    tracing::warn!(%error, route = %link.route, "the stack rejects a route");
                }
            }
        }
    }
}

/// A host candidate of the lowest priority, so that any other pair is preferred.
fn candidate(link: &Link) -> RTCIceCandidateInit {
    let (foundation, priority) = match link.route.kind {
        RouteKind::Udp => (1, 5u32 << 24),
        RouteKind::Tcp => (2, 4 << 24),
        RouteKind::TurnUdp => (3, 3 << 24),
        RouteKind::TurnTcp => (4, 2 << 24),
        RouteKind::TurnTls => (5, 1 << 24),
    };
    let (ip, port) = (link.address.ip(), link.address.port());
    RTCIceCandidateInit {
        candidate: format!("candidate:{foundation} 1 udp {priority} {ip} {port} typ host"),
        sdp_mid: Some("0".to_owned()),
        sdp_mline_index: Some(0),
        ..RTCIceCandidateInit::default()
    }
}

impl Routes {
    /// Opens the routes that are due and returns the time of the next.
    fn open_due(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        let stage = state.fallback.stage(now);
        if stage.is_some_and(|stage| stage >= Stage::Tcp) && self.policy != IceTransportPolicy::Relay {
            for remote in state.addresses(RouteKind::Tcp) {
                let route = MediaRoute { kind: RouteKind::Tcp, remote, relay: None };
                if let Some(link) = state.create_link(route, Arc::default()) {
                    state.queues.push(Arc::clone(&link.queue));
                    tokio::spawn(tcp::run_connection(link, Arc::downgrade(self)));
                }
            }
        }
        if stage == Some(Stage::Turn) {
            self.open_relays(&mut state);
        }
        state.fallback.next_timeout()
    }

    /// Lets each relay reach each of the server's UDP addresses.
    fn open_relays(self: &Arc<Self>, state: &mut State) {
        let remotes = state.addresses(RouteKind::Udp);
        let servers = if remotes.is_empty() { Vec::new() } else { self.turn_servers.lock().clone() };
        for server in servers {
            let known = state.relays.iter().find(|relay| relay.server.url == server.url);
            let (queue, new_links) = match known {
                Some(relay) => (Arc::clone(&relay.queue), relay.links.clone()),
                None => {
                    let (queue, (new_links, links)) = (Arc::<SendQueue>::default(), mpsc::unbounded_channel());
                    state.queues.push(Arc::clone(&queue));
                    let relay = Relay { server: server.clone(), queue: Arc::clone(&queue), links: new_links.clone() };
                    state.relays.push(relay);
                    let (routes, dialer) = (Arc::downgrade(self), self.dialer.clone());
                    tokio::spawn(turn::run_relay(server.clone(), dialer, Arc::clone(&queue), links, routes));
                    (queue, new_links)
                }
            };
            for remote in &remotes {
                let route = MediaRoute { kind: server.kind, remote: *remote, relay: Some(server.url.clone()) };
                if let Some(link) = state.create_link(route, Arc::clone(&queue)) {
                    let _ = new_links.send(link);
                }
            }
        }
    }

    fn is_current(&self, link: &Arc<Link>) -> bool {
        self.state.lock().links.get(&link.address).is_some_and(|current| Arc::ptr_eq(current, link))
    }
}

impl State {
    /// Creates the link of a route, with a synthetic address; `None` if the route has been tried already.
    pub(super) fn create_link(&mut self, route: MediaRoute, queue: Arc<SendQueue>) -> Option<Arc<Link>> {
        if self.attempted.contains(&route) {
            return None;
        }
        tracing::info!(%route, "trying a route for media");
        self.attempted.push(route.clone());
        self.sockets.retain(|(_, inbox)| !inbox.is_closed());
        let is_ipv6 = !self.sockets.iter().any(|(address, _)| address.is_ipv4());
        let link = Arc::new(Link::new(self.links.allocate(is_ipv6), route, queue));
        self.links.insert(link.address, Arc::clone(&link));
        Some(link)
    }
}
