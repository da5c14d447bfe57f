//! All peer connections, found by datagram, by deadline and by number.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use super::ids::ParticipantId;
use crate::forwarding::core::{
    ClientAddress, Codec, CoreEvent, LineId, OutgoingPacket, PeerConnection, PeerFactory, Purpose, Transport,
};
use crate::forwarding::datagram::Datagram;
use crate::number_hasher::NumberMap;

/// Number of a peer connection, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(u64);

/// What a peer connection is for, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client sends media and data.
    Publisher,
    /// The client receives media and data.
    Subscriber,
    /// Both: the client has only this one.
    Both,
}

struct Leg {
    owner: ParticipantId,
    role: Role,
    connection: Box<dyn PeerConnection>,
    addresses: Vec<(Transport, SocketAddr)>,
    ufrag: String,
    /// When the last datagram came.
    heard_at: Option<Instant>,
    /// Earliest entry of this leg in the timer heap.
    timer: Option<Instant>,
}

type Timers = BinaryHeap<Reverse<(Instant, LegId)>>;

impl Leg {
    /// Takes what the connection has to say and to send.
    fn collect(&mut self, id: LegId, events: &mut VecDeque<(LegId, CoreEvent)>, outbox: &mut VecDeque<Datagram>) {
        while let Some(event) = self.connection.poll_event() {
            events.push_back((id, event));
        }
        while let Some(datagram) = self.connection.poll_datagram() {
            outbox.push_back(datagram);
        }
    }

    /// Puts the deadline into the heap, unless an earlier entry of this leg is there: that one will come back here.
    fn arm(&mut self, id: LegId, now: Instant, timers: &mut Timers) {
        // A connection that is due again at once would otherwise keep the loop from everything else.
        let deadline = self.connection.deadline().max(now + MIN_TIMER);
        if self.timer.is_none_or(|timer| deadline < timer) {
            self.timer = Some(deadline);
            timers.push(Reverse((deadline, id)));
        }
    }
}

/// See the module's description.
pub struct Legs {
    factory: Box<dyn PeerFactory>,
    legs: NumberMap<LegId, Leg>,
    by_address: HashMap<(Transport, SocketAddr), LegId>,
    by_ufrag: HashMap<String, LegId>,
    timers: Timers,
    events: VecDeque<(LegId, CoreEvent)>,
    outbox: VecDeque<Datagram>,
    last_id: u64,
}

impl Legs {
    /// No connections; new ones come from `factory`.
    pub fn new(factory: Box<dyn PeerFactory>) -> Self {
        Self {
            factory,
            legs: NumberMap::default(),
            by_address: HashMap::new(),
            by_ufrag: HashMap::new(),
            timers: BinaryHeap::new(),
            events: VecDeque::new(),
            outbox: VecDeque::new(),
            last_id: 0,
        }
    }

    /// Makes a connection for a participant.
    pub fn create(&mut self, now: Instant, owner: ParticipantId, role: Role) -> LegId {
        self.last_id += 1;
        let id = LegId(self.last_id);
        let purpose = Purpose { receives: role != Role::Subscriber, sends: role != Role::Publisher };
        let connection = self.factory.create(now, purpose);
        let leg =
            Leg { owner, role, connection, addresses: Vec::new(), ufrag: String::new(), heard_at: None, timer: None };
        self.legs.insert(id, leg);
        self.refresh_ufrag(id);
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.collect(id, &mut self.events, &mut self.outbox);
        }
        id
    }

    /// Ends a connection. Its good-bye goes out, nothing more comes of it.
    pub fn remove(&mut self, now: Instant, id: LegId) {
        self.act(id, now, |connection| connection.close(now));
        if let Some(leg) = self.legs.remove(&id) {
            for address in &leg.addresses {
                if self.by_address.get(address) == Some(&id) {
                    self.by_address.remove(address);
                }
            }
            self.by_ufrag.remove(&leg.ufrag);
        }
        self.events.retain(|(leg, _)| *leg != id);
    }

    /// Whose connection this is and what for.
    pub fn owner(&self, id: LegId) -> Option<(ParticipantId, Role)> {
        self.legs.get(&id).map(|leg| (leg.owner, leg.role))
    }

    /// When the client was last heard on this connection: media, reports or STUN.
    pub fn heard_at(&self, id: LegId) -> Option<Instant> {
        self.legs.get(&id)?.heard_at
    }

    /// Does something with a connection and collects what follows from it.
    pub fn act<R>(&mut self, id: LegId, now: Instant, action: impl FnOnce(&mut dyn PeerConnection) -> R) -> Option<R> {
        let leg = self.legs.get_mut(&id)?;
        let result = action(leg.connection.as_mut());
        leg.collect(id, &mut self.events, &mut self.outbox);
        leg.arm(id, now, &mut self.timers);
        Some(result)
    }

    /// Whether a client takes this codec on this line.
    pub fn takes(&mut self, id: LegId, line: LineId, codec: Codec) -> bool {
        self.legs.get_mut(&id).is_some_and(|leg| leg.connection.takes(line, codec))
    }

    /// Sends a packet to a client, if there is a way for it.
    pub fn write_rtp(&mut self, id: LegId, now: Instant, packet: &OutgoingPacket) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        self.outbox.extend(leg.connection.write_rtp(now, packet));
        leg.collect(id, &mut self.events, &mut self.outbox);
        leg.arm(id, now, &mut self.timers);
    }

    /// To be called after every negotiation: the name under which the client's datagrams come may be another one.
    pub fn refresh_ufrag(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let ufrag = leg.connection.local_ufrag();
        if ufrag != leg.ufrag {
            self.by_ufrag.remove(&leg.ufrag);
            self.by_ufrag.insert(ufrag.clone(), id);
            leg.ufrag = ufrag;
        }
    }

    /// Hands a datagram to the connection that it is for; one that is for none is dropped.
    pub fn handle_datagram(&mut self, now: Instant, source: ClientAddress, datagram: &[u8]) {
        let Some(id) = self.route(now, source, datagram) else {
            tracing::trace!(?source, length = datagram.len(), "datagram for nobody");
            return;
        };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.heard_at = Some(now);
        }
        self.act(id, now, |connection| connection.handle_datagram(now, source, datagram));
    }

    /// An address may pass from one connection to another (a client's port is used again), and the first sign of it
    /// is a STUN request. So those are routed by the name in them, everything else by address.
    fn route(&mut self, now: Instant, source: ClientAddress, datagram: &[u8]) -> Option<LegId> {
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
        let leg = self.legs.get_mut(&id)?;
        if !leg.connection.accepts(now, source, datagram) {
            return None;
        }
        leg.addresses.push(remote);
        self.by_address.insert(remote, id);
        Some(id)
    }

    /// Lets every connection whose time has come do its work.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            let Some(leg) = self.legs.get_mut(&id) else { continue };
            if leg.timer == Some(at) {
                leg.timer = None;
            }
            if leg.connection.deadline() <= now {
                leg.connection.handle_timeout(now);
                leg.collect(id, &mut self.events, &mut self.outbox);
            }
            leg.arm(id, now, &mut self.timers);
        }
    }

    /// When [`Legs::handle_timeout`] wants to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next event.
    pub fn poll_event(&mut self) -> Option<(LegId, CoreEvent)> {
        self.events.pop_front()
    }

    /// Takes the next datagram to send.
    pub fn poll_datagram(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}

/// Shortest time between two timeouts of one connection.
const MIN_TIMER: std::time::Duration = std::time::Duration::from_millis(1);
