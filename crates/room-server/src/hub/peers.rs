//! All peer connections, found by datagram, by deadline and by number.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use super::ids::ParticipantId;
use crate::forwarding::core::{
    ClientAddress, Codec, CoreEvent, Direction, Mid, OutgoingPacket, PeerConnection, PeerFactory, Transport,
};
use crate::forwarding::datagram::Datagram;
use crate::number_hasher::NumberMap;

/// Number of a peer connection, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(u64);

/// The role of a peer connection, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client sends media and data.
    Publisher,
    /// The client receives media and data.
    Subscriber,
    /// Both: the client has only this one.
    Both,
}

struct Peer {
    owner: ParticipantId,
    role: Role,
    connection: Box<dyn PeerConnection>,
    addresses: Vec<(Transport, SocketAddr)>,
    ufrag: String,
    /// When the last datagram arrived.
    heard_at: Option<Instant>,
    /// Earliest entry of this peer connection in the timer heap.
    timer: Option<Instant>,
}

type Timers = BinaryHeap<Reverse<(Instant, PeerId)>>;

impl Peer {
    /// Collects the connection's events and datagrams.
    fn collect(&mut self, id: PeerId, events: &mut VecDeque<(PeerId, CoreEvent)>, outbox: &mut VecDeque<Datagram>) {
        while let Some(event) = self.connection.poll_event() {
            events.push_back((id, event));
        }
        while let Some(datagram) = self.connection.poll_datagram() {
            outbox.push_back(datagram);
        }
    }

    /// Puts the deadline into the heap, unless there is an earlier entry of this peer connection, which leads here again.
    fn arm(&mut self, id: PeerId, now: Instant, timers: &mut Timers) {
        // A connection that is due again at once would otherwise keep the loop from all other work.
        let deadline = self.connection.deadline().max(now + MIN_TIMER);
        if self.timer.is_none_or(|timer| deadline < timer) {
            self.timer = Some(deadline);
            timers.push(Reverse((deadline, id)));
        }
    }
}

/// All peer connections, and the routing of datagrams to them.
pub struct Peers {
    factory: Box<dyn PeerFactory>,
    peers: NumberMap<PeerId, Peer>,
    by_address: HashMap<(Transport, SocketAddr), PeerId>,
    by_ufrag: HashMap<String, PeerId>,
    timers: Timers,
    events: VecDeque<(PeerId, CoreEvent)>,
    outbox: VecDeque<Datagram>,
    last_id: u64,
}

impl Peers {
    /// No connections yet; `factory` creates them.
    pub fn new(factory: Box<dyn PeerFactory>) -> Self {
        Self {
            factory,
            peers: NumberMap::default(),
            by_address: HashMap::new(),
            by_ufrag: HashMap::new(),
            timers: BinaryHeap::new(),
            events: VecDeque::new(),
            outbox: VecDeque::new(),
            last_id: 0,
        }
    }

    /// Makes a connection for a participant.
    pub fn create(&mut self, now: Instant, owner: ParticipantId, role: Role) -> PeerId {
        self.last_id += 1;
        let id = PeerId(self.last_id);
        let purpose = Direction { receives: role != Role::Subscriber, sends: role != Role::Publisher };
        let connection = self.factory.create(now, purpose);
        let peer =
            Peer { owner, role, connection, addresses: Vec::new(), ufrag: String::new(), heard_at: None, timer: None };
        self.peers.insert(id, peer);
        self.refresh_ufrag(id);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.collect(id, &mut self.events, &mut self.outbox);
        }
        id
    }

    /// Closes a connection. Its last datagrams are sent, nothing more is received.
    pub fn remove(&mut self, now: Instant, id: PeerId) {
        self.act(id, now, |connection| connection.close(now));
        if let Some(peer) = self.peers.remove(&id) {
            for address in &peer.addresses {
                if self.by_address.get(address) == Some(&id) {
                    self.by_address.remove(address);
                }
            }
            self.by_ufrag.remove(&peer.ufrag);
        }
        self.events.retain(|(peer, _)| *peer != id);
    }

    /// The participant and the role of this connection.
    pub fn owner(&self, id: PeerId) -> Option<(ParticipantId, Role)> {
        self.peers.get(&id).map(|peer| (peer.owner, peer.role))
    }

    /// When the last datagram arrived on this connection: media, RTCP or STUN.
    pub fn heard_at(&self, id: PeerId) -> Option<Instant> {
        self.peers.get(&id)?.heard_at
    }

    /// Runs an action on a connection and collects its results.
    pub fn act<R>(&mut self, id: PeerId, now: Instant, action: impl FnOnce(&mut dyn PeerConnection) -> R) -> Option<R> {
        let peer = self.peers.get_mut(&id)?;
        let result = action(peer.connection.as_mut());
        peer.collect(id, &mut self.events, &mut self.outbox);
        peer.arm(id, now, &mut self.timers);
        Some(result)
    }

    /// Whether a client accepts this codec on this m-line.
    pub fn takes(&mut self, id: PeerId, line: Mid, codec: Codec) -> bool {
        self.peers.get_mut(&id).is_some_and(|peer| peer.connection.takes(line, codec))
    }

    /// Sends a packet to a client, if there is a way for it.
    pub fn write_rtp(&mut self, id: PeerId, now: Instant, packet: &OutgoingPacket) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        self.outbox.extend(peer.connection.write_rtp(now, packet));
        peer.collect(id, &mut self.events, &mut self.outbox);
        peer.arm(id, now, &mut self.timers);
    }

    /// Reads the ICE user name again, which a negotiation may have changed.
    pub fn refresh_ufrag(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let ufrag = peer.connection.local_ufrag();
        if ufrag != peer.ufrag {
            self.by_ufrag.remove(&peer.ufrag);
            self.by_ufrag.insert(ufrag.clone(), id);
            peer.ufrag = ufrag;
        }
    }

    /// Hands a datagram to the connection that it is for; one that is for none is dropped.
    pub fn handle_datagram(&mut self, now: Instant, source: ClientAddress, datagram: &[u8]) {
        let Some(id) = self.route(now, source, datagram) else {
            tracing::trace!(?source, length = datagram.len(), "datagram for nobody");
            return;
        };
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.heard_at = Some(now);
        }
        self.act(id, now, |connection| connection.handle_datagram(now, source, datagram));
    }

    /// An address may pass from one connection to another (a client's port is reused), and the first sign of it is a STUN
    /// request. So requests are routed by the user name in them, everything else by address.
    fn route(&mut self, now: Instant, source: ClientAddress, datagram: &[u8]) -> Option<PeerId> {
        let remote = (source.transport, source.socket);
        let known = self.by_address.get(&remote).copied();
        let is_stun = datagram.first().is_some_and(|first| *first < 2);
        if !is_stun {
            return known;
        }
        let Some(ufrag) = self.factory.stun_ufrag(datagram) else { return known };
        let id = *self.by_ufrag.get(&ufrag)?;
        if known == Some(id) {
            return known;
        }
        let peer = self.peers.get_mut(&id)?;
        if !peer.connection.accepts(now, source, datagram) {
            return None;
        }
        peer.addresses.push(remote);
        self.by_address.insert(remote, id);
        Some(id)
    }

    /// Runs all connections that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            if peer.timer == Some(at) {
                peer.timer = None;
            }
            if peer.connection.deadline() <= now {
                peer.connection.handle_timeout(now);
                peer.collect(id, &mut self.events, &mut self.outbox);
            }
            peer.arm(id, now, &mut self.timers);
        }
    }

    /// When [`Peers::handle_timeout`] has to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<(PeerId, CoreEvent)> {
        self.events.pop_front()
    }

    /// The next datagram to send.
    pub fn poll_datagram(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}

/// Shortest time between two timeouts of one connection.
const MIN_TIMER: std::time::Duration = std::time::Duration::from_millis(1);
