//! All allocations: datagrams of clients in, datagrams for the rooms out, and back.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use turn_types::attribute::{Data, XorPeerAddress};
use turn_types::channel::ChannelData;
use turn_types::message::SEND;
use turn_types::stun::message::{BINDING, Message, MessageClass};

use super::allocation::Allocation;
use super::nonces::Nonces;
use super::replies::{Refusal, bound, channel_data, data, refused};

/// Name of the place where user names and passwords are good.
pub const REALM: &str = "zego-room-server";
/// Allocations of all clients together.
pub const MAX_ALLOCATIONS: usize = 16_384;
/// How often it is looked for allocations that have ended.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Port of the relayed addresses. They exist nowhere else.
const RELAY_PORT: u16 = 49_152;
/// The relayed addresses: a range that is never assigned (RFC 1112, section 4), and the discard prefix (RFC 6666). No other
/// client can come from there.
const RELAYS_V4: u32 = 0xf000_0000;
const RELAYS_V6: u128 = 0x0100 << 112;

/// The transport of a client's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// The UDP port of the relay.
    Udp,
    /// A connection, over TLS or not.
    Stream,
}

/// A client's 5-tuple (RFC 8656).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TurnClient {
    /// How it is reached.
    pub via: Via,
    /// Its address.
    pub remote: SocketAddr,
    /// Our address that the client uses.
    pub local: SocketAddr,
}

/// The result of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Handled<'a> {
    /// A reply to the client.
    Reply(Vec<u8>),
    /// This is for the rooms.
    Relay {
        /// Under which address they know the client.
        relay: SocketAddr,
        /// Our address that it is for.
        peer: SocketAddr,
        /// The contents.
        data: &'a [u8],
    },
    /// Nothing.
    Nothing,
}

/// The TURN server.
pub struct TurnServer {
    pub(super) secret: Vec<u8>,
    pub(super) nonces: Nonces,
    pub(super) allocations: HashMap<TurnClient, Allocation>,
    relays: HashMap<SocketAddr, TurnClient>,
    last_relay: u32,
    sweep_at: Option<Instant>,
}

impl TurnServer {
    /// A server that accepts passwords derived from this secret.
    pub fn new(secret: &[u8]) -> Self {
        Self {
            secret: secret.to_vec(),
            nonces: Nonces::new(secret),
            allocations: HashMap::new(),
            relays: HashMap::new(),
            last_relay: 0,
            sweep_at: None,
        }
    }

    /// Handles a client's message. `unix_now` is the same moment as `now`, in seconds; `peers` are the media addresses that can be
    /// reached.
    pub fn handle<'a>(
        &mut self,
        now: Instant,
        unix_now: u64,
        client: TurnClient,
        bytes: &'a [u8],
        peers: &dyn Fn() -> Vec<SocketAddr>,
    ) -> Handled<'a> {
        if bytes.first().is_some_and(|first| (0x40..0x80).contains(first)) {
            return self.channel(now, client, bytes);
        }
        let Ok(message) = Message::from_bytes(bytes) else { return Handled::Nothing };
        match (message.class(), message.method()) {
            (MessageClass::Request, BINDING) => Handled::Reply(bound(&message, client.remote)),
            (MessageClass::Request, _) => Handled::Reply(
                self.request(now, unix_now, client, &message, peers)
                    .unwrap_or_else(|refusal| self.no(&message, refusal, unix_now)),
            ),
            (MessageClass::Indication, SEND) => self.send(now, client, bytes, &message, peers),
            _ => Handled::Nothing,
        }
    }

    fn no(&self, message: &Message<'_>, refusal: Refusal, unix_now: u64) -> Vec<u8> {
        let nonce = self.nonces.make(unix_now);
        let is_challenge = matches!(refusal, Refusal::Unauthorized | Refusal::StaleNonce);
        let unknown = if refusal == Refusal::UnknownAttribute { Self::unknown_attributes(message) } else { Vec::new() };
        refused(message, refusal, is_challenge.then_some((REALM, nonce.as_str())), &unknown)
    }

    fn channel<'a>(&self, now: Instant, client: TurnClient, bytes: &'a [u8]) -> Handled<'a> {
        let Some(allocation) = self.allocations.get(&client) else { return Handled::Nothing };
        let Ok((number, length)) = ChannelData::parse_header(bytes) else { return Handled::Nothing };
        let peer = allocation.peer_of(now, number).filter(|peer| allocation.permits(now, peer.ip()));
        match (peer, bytes.get(4..4 + length)) {
            (Some(peer), Some(data)) => Handled::Relay { relay: allocation.relay, peer, data },
            _ => Handled::Nothing,
        }
    }

    fn send<'a>(
        &self,
        now: Instant,
        client: TurnClient,
        bytes: &'a [u8],
        message: &Message<'_>,
        peers: &dyn Fn() -> Vec<SocketAddr>,
    ) -> Handled<'a> {
        let Some(allocation) = self.allocations.get(&client) else { return Handled::Nothing };
        let peer = message.attribute::<XorPeerAddress>().map(|peer| peer.addr(message.transaction_id()));
        let (Ok(peer), Ok((at, content))) = (peer, message.attribute_and_offset::<Data<'_>>()) else {
            return Handled::Nothing;
        };
        // Behind the attribute's type and length.
        let Some(data) = bytes.get(at + 4..at + 4 + content.data().len()) else { return Handled::Nothing };
        if !allocation.permits(now, peer.ip()) || !peers().contains(&peer) {
            return Handled::Nothing;
        }
        Handled::Relay { relay: allocation.relay, peer, data }
    }

    /// A datagram from one of our addresses to the client behind a relayed address: the client, and the bytes to send.
    pub fn for_client(
        &mut self,
        now: Instant,
        relay: SocketAddr,
        peer: SocketAddr,
        bytes: &[u8],
    ) -> Option<(TurnClient, Vec<u8>)> {
        let client = *self.relays.get(&relay)?;
        let allocation = self.allocations.get_mut(&client)?;
        if !allocation.permits(now, peer.ip()) {
            return None;
        }
        allocation.served_at = now;
        let message = match allocation.channel_of(now, peer) {
            Some(number) => channel_data(number, bytes),
            None => data(peer, bytes),
        };
        Some((client, message))
    }

    /// A connection has ended, and with it the allocations over it.
    pub fn closed(&mut self, client: TurnClient) {
        if let Some(allocation) = self.allocations.remove(&client) {
            self.relays.remove(&allocation.relay);
        }
    }

    /// Removes what has expired.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.sweep_at.is_some_and(|at| at > now) {
            return;
        }
        self.allocations.retain(|_, allocation| allocation.ends_at > now);
        self.relays.retain(|_, client| self.allocations.contains_key(client));
        self.sweep_at = (!self.allocations.is_empty()).then_some(now + SWEEP_EVERY);
    }

    /// When [`TurnServer::handle_timeout`] wants to be called, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        self.sweep_at
    }

    /// A relayed address that was never used before.
    pub(super) fn new_relay(&mut self, is_v4: bool) -> SocketAddr {
        self.last_relay = self.last_relay.wrapping_add(1) & !RELAYS_V4;
        let ip = if is_v4 {
            Ipv4Addr::from(RELAYS_V4 | self.last_relay).into()
        } else {
            Ipv6Addr::from(RELAYS_V6 | u128::from(self.last_relay)).into()
        };
        SocketAddr::new(ip, RELAY_PORT)
    }

    pub(super) fn keep(&mut self, now: Instant, client: TurnClient, allocation: Allocation) {
        self.relays.insert(allocation.relay, client);
        self.allocations.insert(client, allocation);
        self.sweep_at.get_or_insert(now + SWEEP_EVERY);
    }
}
