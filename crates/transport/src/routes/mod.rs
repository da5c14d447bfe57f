//! Routes to the server's media port besides plain UDP, for networks that block UDP.
//!
//! The stack sees each route as one more UDP address of the server ([`synthetic`]). Its sockets ([`socket`]) carry
//! datagrams for such an address over a TCP connection ([`tcp`]) or a relay ([`turn`]). The server's candidates say which
//! routes there are ([`candidates`]), [`fallback`] decides when to try them, and [`opening`] opens them.

pub(crate) mod candidates;
mod fallback;
mod framing;
mod link;
mod opening;
pub(crate) mod route;
mod send_queue;
pub(crate) mod socket;
mod stream;
mod synthetic;
mod tcp;
mod turn;
mod turn_client;
mod turn_server;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dial::{DialConfig, Dialer};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use crate::config::{IceServer, IceTransportPolicy, PeerConfig};
use crate::event::{EventSender, PeerEvent, PeerState};
use candidates::{Remote, ServerCandidate};
use fallback::Fallback;
use link::{Inbox, Link};
use route::{MediaRoute, RouteKind, RouteMemory};
use send_queue::SendQueue;
use synthetic::Table;
use turn_server::TurnServer;

pub(crate) use opening::open_due_routes;

/// All routes of one peer connection.
pub(crate) struct Routes {
    policy: IceTransportPolicy,
    memory: Arc<RouteMemory>,
    dialer: Option<Dialer>,
    turn_servers: Mutex<Vec<TurnServer>>,
    /// Reports to the owner of the connection that the route in use has ended, long before the stack notices.
    events: Arc<EventSender>,
    state: Mutex<State>,
    /// Wakes the task that opens routes.
    changed: Notify,
    /// Routes that are open and become candidates of the stack.
    ready: mpsc::UnboundedSender<Arc<Link>>,
    has_udp_answer: AtomicBool,
    /// Last destination of media.
    destination: Mutex<Option<SocketAddr>>,
}

/// State of the present ICE session; only the sockets outlive it.
#[derive(Default)]
struct State {
    ufrag: String,
    candidates: Vec<ServerCandidate>,
    fallback: Fallback,
    links: Table<Arc<Link>>,
    queues: Vec<Arc<SendQueue>>,
    attempted: Vec<MediaRoute>,
    /// Relays that are being opened or in use.
    relays: Vec<Relay>,
    /// Why a route is not open, in words for people.
    failures: BTreeMap<String, String>,
    sockets: Vec<(SocketAddr, Inbox)>,
}

/// A relay with the queue of its connection.
struct Relay {
    server: TurnServer,
    queue: Arc<SendQueue>,
    /// Takes further addresses of the server that the relay has to reach.
    links: mpsc::UnboundedSender<Arc<Link>>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl State {
    /// Closes all routes.
    fn clear(&mut self) {
        self.queues.drain(..).for_each(|queue| queue.close());
        self.links.clear();
        self.attempted.clear();
        self.relays.clear();
        self.failures.clear();
        self.candidates.clear();
    }

    fn addresses(&self, kind: RouteKind) -> Vec<SocketAddr> {
        let of_kind = |candidate: &ServerCandidate| match (candidate, kind) {
            (ServerCandidate::Tcp(address), RouteKind::Tcp) => Some(*address),
            (ServerCandidate::Udp(address), RouteKind::Udp) => Some(*address),
            _ => None,
        };
        self.candidates.iter().filter_map(of_kind).take(candidates::MAX_CANDIDATES).collect()
    }
}

impl Routes {
    /// Creates the routes of a connection. The receiver is for [`open_due_routes`].
    pub(crate) fn new(
        config: &PeerConfig,
        events: Arc<EventSender>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Arc<Link>>) {
        let (ready, links) = mpsc::unbounded_channel();
        let routes = Self {
            policy: config.policy,
            memory: Arc::clone(&config.memory),
            dialer: config.dialer.clone().or_else(|| Dialer::new(&DialConfig::default()).ok()),
            turn_servers: Mutex::new(turn_server::usable(&config.ice_servers, config.policy)),
            events,
            state: Mutex::default(),
            changed: Notify::new(),
            ready,
            has_udp_answer: AtomicBool::new(false),
            destination: Mutex::new(None),
        };
        (Arc::new(routes), links)
    }

    /// Replaces the relays and their credentials. Relays in use stay open.
    pub(crate) fn set_ice_servers(&self, servers: &[IceServer]) {
        *self.turn_servers.lock() = turn_server::usable(servers, self.policy);
    }

    /// The policy on which routes media may take.
    pub(crate) fn policy(&self) -> IceTransportPolicy {
        self.policy
    }

    /// Whether the policy allows plain UDP.
    pub(crate) fn allows_udp(&self) -> bool {
        self.policy == IceTransportPolicy::All
    }

    /// Reads the candidates of a remote description that was applied.
    pub(crate) fn on_remote_description(&self, remote: &Remote, now: Instant) {
        let mut state = self.state.lock();
        if state.ufrag != remote.ufrag {
            state.clear();
            state.fallback = Fallback::default();
            state.ufrag.clone_from(&remote.ufrag);
            self.has_udp_answer.store(false, Ordering::Relaxed);
            *self.destination.lock() = None;
        }
        self.add_candidates(&mut state, &remote.candidates, false, now);
    }

    /// Reads a trickled candidate.
    pub(crate) fn on_candidate(&self, line: &str, now: Instant) {
        if let Some(candidate) = ServerCandidate::read(line) {
            self.add_candidates(&mut self.state.lock(), &[candidate], true, now);
        }
    }

    fn add_candidates(&self, state: &mut State, candidates: &[ServerCandidate], more_may_come: bool, now: Instant) {
        let before = state.candidates.len();
        for candidate in candidates {
            if !state.candidates.contains(candidate) && state.candidates.len() < 2 * candidates::MAX_CANDIDATES {
                state.candidates.push(*candidate);
            }
        }
        if state.candidates.len() == before {
            return;
        }
        let has_udp = self.allows_udp() && !state.addresses(RouteKind::Udp).is_empty();
        let has_tcp = self.policy != IceTransportPolicy::Relay && !state.addresses(RouteKind::Tcp).is_empty();
        state.fallback.start(now, self.memory.prospects(has_udp, has_tcp), more_may_come);
        self.changed.notify_one();
    }

    /// Registers a socket; its inbox takes the datagrams that arrive over its routes.
    fn on_bound(&self, address: SocketAddr, inbox: Inbox) {
        let mut state = self.state.lock();
        state.sockets.retain(|(_, inbox)| !inbox.is_closed());
        state.sockets.push((address, inbox));
    }

    /// Notes that the connection came up or went down.
    pub(crate) fn on_connection_state(&self, is_connected: bool) {
        self.state.lock().fallback.on_connection_state(is_connected);
        if is_connected {
            // Media sent before may have been for a route of an earlier ICE session.
            *self.destination.lock() = None;
        }
        self.changed.notify_one();
    }

    fn on_udp_answer(&self) {
        if !self.has_udp_answer.swap(true, Ordering::Relaxed) {
            self.state.lock().fallback.on_udp_answer(Instant::now());
            self.changed.notify_one();
        }
    }

    fn on_media_sent(&self, to: SocketAddr) {
        if self.destination.lock().replace(to) != Some(to)
            && let Some(route) = self.route()
        {
            tracing::debug!(%route, "route of media");
            self.memory.on_connected(route.kind);
            self.close_unused(to);
        }
    }

    /// Closes the routes that a connected peer does not use: they would only cost the server and the relays.
    fn close_unused(&self, used: SocketAddr) {
        let mut state = self.state.lock();
        if state.fallback.is_connected() {
            let used = state.links.get(&used).map(|link| Arc::clone(&link.queue));
            state.queues.retain(|queue| {
                let is_used = used.as_ref().is_some_and(|used| Arc::ptr_eq(used, queue));
                if !is_used {
                    queue.close();
                }
                is_used
            });
        }
    }

    /// The route that media takes at present.
    pub(crate) fn route(&self) -> Option<MediaRoute> {
        let to = (*self.destination.lock())?;
        if synthetic::is_synthetic(&to) {
            return self.state.lock().links.get(&to).map(|link| link.route.clone());
        }
        Some(MediaRoute { kind: RouteKind::Udp, remote: to, relay: None })
    }

    /// The routes tried in this ICE session, in words for people.
    pub(crate) fn attempted_routes(&self) -> Vec<String> {
        let state = self.state.lock();
        let udp = state.addresses(RouteKind::Udp).into_iter().filter(|_| self.allows_udp());
        let udp = udp.map(|remote| MediaRoute { kind: RouteKind::Udp, remote, relay: None }.to_string());
        let other = state.attempted.iter().map(|route| {
            let name = route.to_string();
            match state.failures.get(&name) {
                Some(why) => format!("{name} ({why})"),
                None => name,
            }
        });
        udp.chain(other).collect()
    }

    fn send<'a>(&self, to: SocketAddr, inbox: &Inbox, datagrams: impl Iterator<Item = &'a [u8]>) {
        let Some(link) = self.state.lock().links.get(&to).cloned() else { return };
        datagrams.for_each(|datagram| link.send(inbox, datagram));
    }

    /// Hands an open route to the stack, which checks it.
    fn on_open(&self, link: &Arc<Link>) {
        self.state.lock().failures.remove(&link.route.to_string());
        let _ = self.ready.send(Arc::clone(link));
    }

    /// Notes that a route could not be opened so far.
    fn on_failed(&self, route: &MediaRoute, why: &str) {
        tracing::info!(%route, why, "route for media is not open");
        self.state.lock().failures.insert(route.to_string(), why.to_owned());
    }

    /// Notes that an open route broke; if it was in use, the connection has failed.
    fn on_broken(&self, route: &MediaRoute, why: &str) {
        self.on_failed(route, why);
        if self.route().as_ref() == Some(route) {
            self.events.emit(PeerEvent::State(PeerState::Failed));
        }
    }

    /// Closes all routes; none is opened any more.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.clear();
        state.fallback = Fallback::default();
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> (Arc<Routes>, mpsc::UnboundedReceiver<PeerEvent>) {
        let (sender, events) = mpsc::unbounded_channel();
        let sender = Arc::new(EventSender::new(sender));
        (Routes::new(&PeerConfig::default(), sender).0, events)
    }

    fn open(routes: &Routes, remote: &str) -> Arc<Link> {
        let mut state = routes.state.lock();
        let route = MediaRoute { kind: RouteKind::Tcp, remote: remote.parse().unwrap(), relay: None };
        let link = state.create_link(route, Arc::default()).unwrap();
        state.queues.push(Arc::clone(&link.queue));
        link
    }

    #[test]
    fn a_connected_peer_keeps_only_the_route_in_use() {
        let (routes, _events) = routes();
        let (used, other) = (open(&routes, "192.0.2.1:1"), open(&routes, "192.0.2.2:1"));
        routes.on_media_sent(other.address);
        routes.on_connection_state(true);
        assert!(!other.queue.is_closed() && !used.queue.is_closed(), "not connected yet");
        routes.on_media_sent(used.address);
        assert!(other.queue.is_closed() && !used.queue.is_closed());
        assert_eq!(routes.route().as_ref(), Some(&used.route));
    }

    #[test]
    fn a_connection_over_udp_closes_all_other_routes() {
        let (routes, _events) = routes();
        let other = open(&routes, "192.0.2.1:1");
        routes.on_connection_state(true);
        routes.on_media_sent("192.0.2.9:7".parse().unwrap());
        assert!(other.queue.is_closed());
    }

    #[test]
    fn only_the_end_of_the_route_in_use_is_reported() {
        let (routes, mut events) = routes();
        let (used, other) = (open(&routes, "192.0.2.1:1"), open(&routes, "192.0.2.2:1"));
        routes.on_media_sent(used.address);
        routes.on_broken(&other.route, "closed");
        assert!(events.try_recv().is_err());
        routes.on_broken(&used.route, "closed");
        assert!(matches!(events.try_recv(), Ok(PeerEvent::State(PeerState::Failed))));
        assert!(routes.attempted_routes().iter().all(|tried| tried.ends_with("(closed)")));
    }

    #[test]
    fn an_ice_restart_closes_all_routes() {
        let (routes, _events) = routes();
        let old = open(&routes, "192.0.2.1:1");
        routes.on_media_sent(old.address);
        let remote = Remote { ufrag: "new".into(), ..Remote::default() };
        routes.on_remote_description(&remote, Instant::now());
        assert!(old.queue.is_closed());
        assert_eq!(routes.route(), None);
        assert_ne!(open(&routes, "192.0.2.1:1").address, old.address);
    }
}
