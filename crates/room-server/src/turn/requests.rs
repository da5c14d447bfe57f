//! Requests of authenticated clients.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use turn_types::AddressFamily;
use turn_types::attribute::{
    ChannelNumber, EvenPort, Lifetime, RequestedAddressFamily, RequestedTransport, ReservationToken, XorPeerAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};
use turn_types::stun::attribute::{Attribute, AttributeStaticType, AttributeType, Nonce, Realm, Username};
use turn_types::stun::message::{LongTermKeyCredentials, Message};

use super::allocation::Allocation;
use super::credentials::{end_of, password};
use super::replies::{Refusal, allocated, done, done_for};
use super::server::{MAX_ALLOCATIONS, REALM, TurnClient, TurnServer};

/// Upper bound of allocations of one user name: two peer connections, over a few routes, twice during an ICE restart.
const ALLOCATIONS_OF_ONE: usize = 12;
/// How long an allocation lives, in seconds (RFC 8656, section 7.2).
const LIFETIME: u32 = 600;
const MAX_LIFETIME: u32 = 3600;
/// An expired user name stays valid for its allocations while media go to the client: for this long after the last of them.
const SERVED_WITHIN: Duration = Duration::from_secs(60);
/// UDP as the number that IP has for it.
const UDP: u8 = 17;
/// Numbers that channels can have: those of RFC 5766, section 11, which older clients use to the full.
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x7fff;
/// Attributes that have to be understood (RFC 8489, section 14) and are: those of STUN, and those of TURN.
const UNDERSTOOD: [u16; 19] = [
    0x0001, 0x0006, 0x0008, 0x0009, 0x000a, 0x000c, 0x000d, 0x0012, 0x0013, 0x0014, 0x0015, 0x0016, 0x0017, 0x0018,
    0x0019, 0x001a, 0x001c, 0x0020, 0x0022,
];
/// The first attribute that need not be understood.
const OPTIONAL: u16 = 0x8000;

type Answer = Result<Vec<u8>, Refusal>;

impl TurnServer {
    /// Attributes that have to be understood and are not.
    pub(super) fn unknown_attributes(message: &Message<'_>) -> Vec<AttributeType> {
        let types = message.iter_attributes().map(|(_, attribute)| attribute.get_type());
        let is_unknown = |kind: &AttributeType| kind.value() < OPTIONAL && !UNDERSTOOD.contains(&kind.value());
        types.filter(is_unknown).take(8).collect()
    }

    pub(super) fn request(
        &mut self,
        now: Instant,
        unix_now: u64,
        client: TurnClient,
        message: &Message<'_>,
        peers: &dyn Fn() -> Vec<SocketAddr>,
    ) -> Answer {
        let key = self.prove(now, unix_now, client, message)?;
        if !Self::unknown_attributes(message).is_empty() {
            return Err(Refusal::UnknownAttribute);
        }
        if message.method() == ALLOCATE {
            return self.allocate(now, client, message, &key);
        }
        let allocation = self.allocations.get_mut(&client).ok_or(Refusal::Mismatch)?;
        match message.method() {
            REFRESH => {
                let seconds = lifetime(message);
                let answer = done_for(message, &key, seconds);
                if family(message)?.is_some_and(|family| is_v4(family) != allocation.relay.is_ipv4()) {
                    return Err(Refusal::PeerFamily);
                }
                if seconds == 0 {
                    self.closed(client);
                } else {
                    allocation.ends_at = now + Duration::from_secs(seconds.into());
                }
                Ok(answer)
            }
            CREATE_PERMISSION => permit(now, allocation, message, &peers()).map(|()| done(message, &key)),
            CHANNEL_BIND => bind(now, allocation, message, &peers()).map(|()| done(message, &key)),
            _ => Err(Refusal::BadRequest),
        }
    }

    /// Authenticates a request (RFC 8489, section 9.2).
    fn prove(
        &self,
        now: Instant,
        unix_now: u64,
        client: TurnClient,
        message: &Message<'_>,
    ) -> Result<LongTermKeyCredentials, Refusal> {
        let username = message.attribute::<Username>().map_err(|_| Refusal::Unauthorized)?;
        let nonce = message.attribute::<Nonce>().map_err(|_| Refusal::Unauthorized)?;
        let realm = message.attribute::<Realm>().map_err(|_| Refusal::Unauthorized)?;
        if realm.realm() != REALM {
            return Err(Refusal::Unauthorized);
        }
        if !self.nonces.is_good(nonce.nonce(), unix_now) {
            return Err(Refusal::StaleNonce);
        }
        let username = username.username();
        let ends = end_of(username).ok_or(Refusal::Unauthorized)?;
        let key = LongTermKeyCredentials::new(username.to_owned(), password(&self.secret, username), REALM.to_owned());
        message.validate_integrity(&key.clone().into()).map_err(|_| Refusal::Unauthorized)?;
        let allocation = self.allocations.get(&client);
        if allocation.is_some_and(|allocation| allocation.username != username) {
            return Err(Refusal::WrongCredentials);
        }
        let is_served =
            allocation.is_some_and(|allocation| now.saturating_duration_since(allocation.served_at) < SERVED_WITHIN);
        if ends < unix_now && !is_served { Err(Refusal::Unauthorized) } else { Ok(key) }
    }

    fn allocate(
        &mut self,
        now: Instant,
        client: TurnClient,
        message: &Message<'_>,
        key: &LongTermKeyCredentials,
    ) -> Answer {
        let transaction = message.transaction_id().into();
        let seconds = lifetime(message).max(LIFETIME);
        if let Some(known) = self.allocations.get(&client) {
            // Over UDP the answer may have been lost.
            let is_repeated = known.transaction == transaction;
            let again = || allocated(message, key, known.relay, client.remote, seconds);
            return if is_repeated { Ok(again()) } else { Err(Refusal::Mismatch) };
        }
        let transport = message.attribute::<RequestedTransport>().map_err(|_| Refusal::BadRequest)?;
        if transport.protocol() != UDP {
            return Err(Refusal::Transport);
        }
        let family = family(message)?;
        let is_reserved = message.has_attribute(ReservationToken::TYPE)
            || message.attribute::<EvenPort>().is_ok_and(|even| even.requested());
        if is_reserved {
            return Err(Refusal::Capacity);
        }
        let of_user = self.allocations.values().filter(|allocation| allocation.username == key.username()).count();
        if of_user >= ALLOCATIONS_OF_ONE {
            return Err(Refusal::Quota);
        }
        if self.allocations.len() >= MAX_ALLOCATIONS {
            return Err(Refusal::Capacity);
        }
        let relay = self.new_relay(family.is_none_or(is_v4));
        let lifetime = Duration::from_secs(seconds.into());
        let allocation = Allocation::new(relay, key.username().to_owned(), transaction, now, lifetime);
        self.keep(now, client, allocation);
        tracing::debug!(client = %client.remote, %relay, "relay allocated");
        Ok(allocated(message, key, relay, client.remote, seconds))
    }
}

/// The lifetime that was asked for, within limits; 0 is the end.
fn lifetime(message: &Message<'_>) -> u32 {
    match message.attribute::<Lifetime>().map(|lifetime| lifetime.seconds()) {
        Ok(0) => 0,
        Ok(seconds) => seconds.clamp(LIFETIME, MAX_LIFETIME),
        Err(_) => LIFETIME,
    }
}

fn is_v4(family: AddressFamily) -> bool {
    family == AddressFamily::IPV4
}

/// The kind of address that was asked for, if one was.
fn family(message: &Message<'_>) -> Result<Option<AddressFamily>, Refusal> {
    if !message.has_attribute(RequestedAddressFamily::TYPE) {
        return Ok(None);
    }
    let family = message.attribute::<RequestedAddressFamily>().map_err(|_| Refusal::AddressFamily)?;
    Ok(Some(family.family()))
}

/// All addresses of a request, which have to be of the kind of the allocation.
fn peers_of(allocation: &Allocation, message: &Message<'_>) -> Result<Vec<SocketAddr>, Refusal> {
    let mut named = Vec::new();
    for (_, attribute) in message.iter_attributes().filter(|(_, one)| one.get_type() == XorPeerAddress::TYPE) {
        let peer = XorPeerAddress::try_from(&attribute).map_err(|_| Refusal::BadRequest)?;
        named.push(peer.addr(message.transaction_id()));
    }
    if named.is_empty() {
        return Err(Refusal::BadRequest);
    }
    let is_other = |peer: &SocketAddr| peer.is_ipv4() != allocation.relay.is_ipv4();
    if named.iter().any(is_other) { Err(Refusal::PeerFamily) } else { Ok(named) }
}

fn permit(
    now: Instant,
    allocation: &mut Allocation,
    message: &Message<'_>,
    peers: &[SocketAddr],
) -> Result<(), Refusal> {
    let named = peers_of(allocation, message)?;
    let is_ours = |peer: &SocketAddr| peers.iter().any(|own| own.ip() == peer.ip());
    if !named.iter().all(is_ours) {
        return Err(Refusal::Forbidden);
    }
    let is_permitted = named.iter().all(|peer| allocation.permit(now, peer.ip()));
    if is_permitted { Ok(()) } else { Err(Refusal::Capacity) }
}

fn bind(now: Instant, allocation: &mut Allocation, message: &Message<'_>, peers: &[SocketAddr]) -> Result<(), Refusal> {
    let number = message.attribute::<ChannelNumber>().map_err(|_| Refusal::BadRequest)?.channel();
    let named = peers_of(allocation, message)?;
    let [peer] = named.as_slice() else { return Err(Refusal::BadRequest) };
    if !CHANNELS.contains(&number) {
        return Err(Refusal::BadRequest);
    }
    if !peers.contains(peer) {
        return Err(Refusal::Forbidden);
    }
    if allocation.bind(now, number, *peer) { Ok(()) } else { Err(Refusal::BadRequest) }
}
