//! Ways to the server's media port beside plain UDP, for networks that let no UDP through.
//!
//! The stack sees each as one more UDP address of the server ([`synthetic`]); its sockets ([`socket`]) send what goes
//! there over a TCP connection ([`tcp`]) or a relay ([`turn`]). What the server offers is read from its candidates ([`candidates`]), when to use it
//! is decided by [`fallback`], and [`beginning`] does it.

mod beginning;
pub(crate) mod candidates;
mod fallback;
mod framing;
mod link;
mod send_queue;
pub(crate) mod socket;
mod stream;
mod synthetic;
mod tcp;
mod turn;
mod turn_client;
mod turn_server;
mod way;

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
use crate::event::{PeerEvent, PeerState};
use crate::interceptors::ChainState;
use candidates::{Remote, ServerCandidate};
use fallback::Fallback;
use link::{Inbox, Link};
use send_queue::SendQueue;
use synthetic::Table;
use turn_server::TurnServer;
pub use way::{MediaWay, WayKind, WayMemory};

pub(crate) use beginning::begin_when_due;

/// All ways of one peer connection.
pub(crate) struct Ways {
    policy: IceTransportPolicy,
    memory: Arc<WayMemory>,
    dialer: Option<Dialer>,
    turn_servers: Mutex<Vec<TurnServer>>,
    /// Tells the owner of the connection that the way it uses is gone, long before the stack finds out.
    chain: Arc<ChainState>,
    state: Mutex<State>,
    /// Wakes whoever begins the ways.
    changed: Notify,
    /// Ways that the stack may be told of now.
    ready: mpsc::UnboundedSender<Arc<Link>>,
    is_udp_answered: AtomicBool,
    /// Where media was sent last.
    destination: Mutex<Option<SocketAddr>>,
}

/// What one ICE session leaves for the next is only the sockets.
#[derive(Default)]
struct State {
    ufrag: String,
    candidates: Vec<ServerCandidate>,
    fallback: Fallback,
    links: Table<Arc<Link>>,
    queues: Vec<Arc<SendQueue>>,
    begun: Vec<MediaWay>,
    /// Relays that are asked or in use, with what takes more addresses for them.
    relays: Vec<(TurnServer, Arc<SendQueue>, mpsc::UnboundedSender<Arc<Link>>)>,
    /// Why a way is not there, for people.
    failures: BTreeMap<String, String>,
    sockets: Vec<(SocketAddr, Inbox)>,
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ways").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl State {
    /// Ends all ways.
    fn clear(&mut self) {
        self.queues.drain(..).for_each(|queue| queue.close());
        self.links.clear();
        self.begun.clear();
        self.relays.clear();
        self.failures.clear();
        self.candidates.clear();
    }

    fn addresses(&self, kind: WayKind) -> Vec<SocketAddr> {
        let of_kind = |candidate: &ServerCandidate| match (candidate, kind) {
            (ServerCandidate::Tcp(address), WayKind::Tcp) => Some(*address),
            (ServerCandidate::Udp(address), WayKind::Udp) => Some(*address),
            _ => None,
        };
        self.candidates.iter().filter_map(of_kind).take(candidates::CANDIDATES_MAX).collect()
    }
}

impl Ways {
    /// The receiver is for [`begin_when_due`].
    pub(crate) fn new(config: &PeerConfig, chain: Arc<ChainState>) -> (Arc<Self>, mpsc::UnboundedReceiver<Arc<Link>>) {
        let (ready, links) = mpsc::unbounded_channel();
        let ways = Self {
            policy: config.policy,
            memory: Arc::clone(&config.memory),
            dialer: config.dialer.clone().or_else(|| Dialer::new(&DialConfig::default()).ok()),
            turn_servers: Mutex::new(turn_server::usable(&config.ice_servers, config.policy)),
            chain,
            state: Mutex::default(),
            changed: Notify::new(),
            ready,
            is_udp_answered: AtomicBool::new(false),
            destination: Mutex::new(None),
        };
        (Arc::new(ways), links)
    }

    /// Relays, and their credentials, from now on; what is in use stays so.
    pub(crate) fn set_ice_servers(&self, servers: &[IceServer]) {
        *self.turn_servers.lock() = turn_server::usable(servers, self.policy);
    }

    pub(crate) fn policy(&self) -> IceTransportPolicy {
        self.policy
    }

    /// Whether the sockets may be used as such.
    pub(crate) fn allows_udp(&self) -> bool {
        self.policy == IceTransportPolicy::All
    }

    /// A remote description was applied.
    pub(crate) fn remote_description(&self, remote: &Remote, now: Instant) {
        let mut state = self.state.lock();
        if state.ufrag != remote.ufrag {
            state.clear();
            state.fallback = Fallback::default();
            state.ufrag.clone_from(&remote.ufrag);
            self.is_udp_answered.store(false, Ordering::Relaxed);
            *self.destination.lock() = None;
        }
        self.add(&mut state, &remote.candidates, false, now);
    }

    /// A candidate came by itself.
    pub(crate) fn candidate(&self, line: &str, now: Instant) {
        if let Some(candidate) = ServerCandidate::read(line) {
            self.add(&mut self.state.lock(), &[candidate], true, now);
        }
    }

    fn add(&self, state: &mut State, candidates: &[ServerCandidate], more_may_come: bool, now: Instant) {
        let before = state.candidates.len();
        for candidate in candidates {
            if !state.candidates.contains(candidate) && state.candidates.len() < 2 * candidates::CANDIDATES_MAX {
                state.candidates.push(*candidate);
            }
        }
        if state.candidates.len() == before {
            return;
        }
        let has_udp = self.allows_udp() && !state.addresses(WayKind::Udp).is_empty();
        let has_tcp = self.policy != IceTransportPolicy::Relay && !state.addresses(WayKind::Tcp).is_empty();
        state.fallback.start(now, self.memory.prospects(has_udp, has_tcp), more_may_come);
        self.changed.notify_one();
    }

    /// A socket is there; its inbox takes what comes over the ways it uses.
    fn bound(&self, address: SocketAddr, inbox: Inbox) {
        let mut state = self.state.lock();
        state.sockets.retain(|(_, inbox)| !inbox.is_closed());
        state.sockets.push((address, inbox));
    }

    /// The connection came up or went down.
    pub(crate) fn connected(&self, is_connected: bool) {
        self.state.lock().fallback.connected(is_connected);
        if is_connected {
            // What was sent before may have been for the way of an earlier ICE session.
            *self.destination.lock() = None;
        }
        self.changed.notify_one();
    }

    fn udp_answered(&self) {
        if !self.is_udp_answered.swap(true, Ordering::Relaxed) {
            self.state.lock().fallback.answered(Instant::now());
            self.changed.notify_one();
        }
    }

    fn sent_media(&self, to: SocketAddr) {
        if self.destination.lock().replace(to) != Some(to)
            && let Some(way) = self.way()
        {
            tracing::debug!(%way, "media has a way");
            self.memory.learn(way.kind);
            self.retire(to);
        }
    }

    /// Ends the ways that a connection does not use once it is up: they would only cost the server and the relays.
    fn retire(&self, used: SocketAddr) {
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

    /// Which way media takes at present.
    pub(crate) fn way(&self) -> Option<MediaWay> {
        let to = (*self.destination.lock())?;
        if synthetic::is_synthetic(&to) {
            return self.state.lock().links.get(&to).map(|link| link.way.clone());
        }
        Some(MediaWay { kind: WayKind::Udp, remote: to, relay: None })
    }

    /// What has been tried in this ICE session, for people.
    pub(crate) fn tried(&self) -> Vec<String> {
        let state = self.state.lock();
        let udp = state.addresses(WayKind::Udp).into_iter().filter(|_| self.allows_udp());
        let udp = udp.map(|remote| MediaWay { kind: WayKind::Udp, remote, relay: None }.to_string());
        let other = state.begun.iter().map(|way| {
            let name = way.to_string();
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

    /// The way is open: the stack shall check it.
    fn is_ready(&self, link: &Arc<Link>) {
        self.state.lock().failures.remove(&link.way.to_string());
        let _ = self.ready.send(Arc::clone(link));
    }

    /// The way could not be opened so far.
    fn failed(&self, way: &MediaWay, why: &str) {
        tracing::info!(%way, why, "a way for media is not open");
        self.state.lock().failures.insert(way.to_string(), why.to_owned());
    }

    /// The way was open and is no more.
    fn broke(&self, way: &MediaWay, why: &str) {
        self.failed(way, why);
        if self.way().as_ref() == Some(way) {
            self.chain.events.emit(PeerEvent::State(PeerState::Failed));
        }
    }

    /// Ends all ways; nothing is begun any more.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.clear();
        state.fallback = Fallback::default();
    }
}

impl Drop for Ways {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventSender;

    fn ways() -> (Arc<Ways>, mpsc::UnboundedReceiver<PeerEvent>) {
        let (sender, events) = mpsc::unbounded_channel();
        let chain = Arc::new(ChainState::new(EventSender::new(sender)));
        (Ways::new(&PeerConfig::default(), chain).0, events)
    }

    fn begin(ways: &Ways, remote: &str) -> Arc<Link> {
        let mut state = ways.state.lock();
        let way = MediaWay { kind: WayKind::Tcp, remote: remote.parse().unwrap(), relay: None };
        let link = state.begin(way, Arc::default()).unwrap();
        state.queues.push(Arc::clone(&link.queue));
        link
    }

    #[test]
    fn a_connection_that_is_up_keeps_only_the_way_it_uses() {
        let (ways, _events) = ways();
        let (used, other) = (begin(&ways, "192.0.2.1:1"), begin(&ways, "192.0.2.2:1"));
        ways.sent_media(other.address);
        ways.connected(true);
        assert!(!other.queue.is_closed() && !used.queue.is_closed(), "that was before");
        ways.sent_media(used.address);
        assert!(other.queue.is_closed() && !used.queue.is_closed());
        assert_eq!(ways.way().as_ref(), Some(&used.way));
    }

    #[test]
    fn udp_that_works_ends_all_others() {
        let (ways, _events) = ways();
        let other = begin(&ways, "192.0.2.1:1");
        ways.connected(true);
        ways.sent_media("192.0.2.9:7".parse().unwrap());
        assert!(other.queue.is_closed());
    }

    #[test]
    fn only_the_end_of_the_way_in_use_is_told() {
        let (ways, mut events) = ways();
        let (used, other) = (begin(&ways, "192.0.2.1:1"), begin(&ways, "192.0.2.2:1"));
        ways.sent_media(used.address);
        ways.broke(&other.way, "closed");
        assert!(events.try_recv().is_err());
        ways.broke(&used.way, "closed");
        assert!(matches!(events.try_recv(), Ok(PeerEvent::State(PeerState::Failed))));
        assert!(ways.tried().iter().all(|tried| tried.ends_with("(closed)")));
    }

    #[test]
    fn a_restart_of_ice_begins_with_no_way() {
        let (ways, _events) = ways();
        let old = begin(&ways, "192.0.2.1:1");
        ways.sent_media(old.address);
        let remote = Remote { ufrag: "new".into(), ..Remote::default() };
        ways.remote_description(&remote, Instant::now());
        assert!(old.queue.is_closed());
        assert_eq!(ways.way(), None);
        assert_ne!(begin(&ways, "192.0.2.1:1").address, old.address);
    }
}
