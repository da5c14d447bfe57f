//! The messages that go to clients.

use std::net::SocketAddr;

use turn_types::attribute::{Data, Lifetime, XorPeerAddress, XorRelayedAddress};
use turn_types::channel::ChannelData;
use turn_types::message::DATA;
use turn_types::stun::attribute::{
    AttributeType, AttributeWrite, ErrorCode, Nonce, Realm, UnknownAttributes, XorMappedAddress,
};
use turn_types::stun::message::{IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageWriteVec};
use turn_types::stun::prelude::{MessageWrite, MessageWriteExt};

/// Why a request is refused, by the numbers of RFC 8489 and RFC 8656.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It makes no sense.
    BadRequest = 400,
    /// The request is not authenticated.
    Unauthorized = 401,
    /// Not permitted to anybody.
    Forbidden = 403,
    /// It has attributes that have to be understood and are not.
    UnknownAttribute = 420,
    /// There is no such allocation, or there is one already.
    Mismatch = 437,
    /// The nonce is too old.
    StaleNonce = 438,
    /// This kind of address is not there.
    AddressFamily = 440,
    /// The allocation belongs to another user.
    WrongCredentials = 441,
    /// Only UDP is relayed.
    Transport = 442,
    /// The address is of another kind than the allocation.
    PeerFamily = 443,
    /// This user has too many of them.
    Quota = 486,
    /// There is no room for more.
    Capacity = 508,
}

impl Refusal {
    fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::UnknownAttribute => "Unknown Attribute",
            Self::Mismatch => "Allocation Mismatch",
            Self::StaleNonce => "Stale Nonce",
            Self::AddressFamily => "Address Family not Supported",
            Self::WrongCredentials => "Wrong Credentials",
            Self::Transport => "Unsupported Transport Protocol",
            Self::PeerFamily => "Peer Address Family Mismatch",
            Self::Quota => "Allocation Quota Reached",
            Self::Capacity => "Insufficient Capacity",
        }
    }
}

/// Adds an attribute. None of ours is too long, and none follows the signature.
fn add(message: &mut MessageWriteVec, attribute: &dyn AttributeWrite) {
    if let Err(error) = message.add_attribute(attribute) {
        tracing::debug!(%error, "attribute left out");
    }
}

fn signed(mut message: MessageWriteVec, key: Option<&LongTermKeyCredentials>) -> Vec<u8> {
    if let Some(key) = key
        && let Err(error) = message.add_message_integrity(&key.clone().into(), IntegrityAlgorithm::Sha1)
    {
        tracing::debug!(%error, "message not signed");
    }
    message.finish()
}

/// An error response. `challenge` (realm and nonce) says how to authenticate.
pub fn refused(
    request: &Message<'_>,
    refusal: Refusal,
    challenge: Option<(&str, &str)>,
    unknown: &[AttributeType],
) -> Vec<u8> {
    let mut message = Message::builder_error(request, MessageWriteVec::new());
    if let Ok(error) = ErrorCode::new(refusal as u16, refusal.reason()) {
        add(&mut message, &error);
    }
    if let Some((realm, nonce)) = challenge {
        if let Ok(nonce) = Nonce::new(nonce) {
            add(&mut message, &nonce);
        }
        if let Ok(realm) = Realm::new(realm) {
            add(&mut message, &realm);
        }
    }
    if !unknown.is_empty() {
        add(&mut message, &UnknownAttributes::new(unknown));
    }
    message.finish()
}

/// Yes.
pub fn done(request: &Message<'_>, key: &LongTermKeyCredentials) -> Vec<u8> {
    signed(Message::builder_success(request, MessageWriteVec::new()), Some(key))
}

/// A success response with a lifetime in seconds.
pub fn done_for(request: &Message<'_>, key: &LongTermKeyCredentials, seconds: u32) -> Vec<u8> {
    let mut message = Message::builder_success(request, MessageWriteVec::new());
    add(&mut message, &Lifetime::new(seconds));
    signed(message, Some(key))
}

/// Where the client is, seen from here.
pub fn bound(request: &Message<'_>, client: SocketAddr) -> Vec<u8> {
    let mut message = Message::builder_success(request, MessageWriteVec::new());
    add(&mut message, &XorMappedAddress::new(client, request.transaction_id()));
    message.finish()
}

/// A success response to an allocation.
pub fn allocated(
    request: &Message<'_>,
    key: &LongTermKeyCredentials,
    relay: SocketAddr,
    client: SocketAddr,
    seconds: u32,
) -> Vec<u8> {
    let mut message = Message::builder_success(request, MessageWriteVec::new());
    add(&mut message, &XorRelayedAddress::new(relay, request.transaction_id()));
    add(&mut message, &Lifetime::new(seconds));
    add(&mut message, &XorMappedAddress::new(client, request.transaction_id()));
    signed(message, Some(key))
}

/// A datagram from one of our addresses.
pub fn data(peer: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut message = Message::builder_indication(DATA, MessageWriteVec::new());
    let transaction = message.transaction_id();
    add(&mut message, &XorPeerAddress::new(peer, transaction));
    add(&mut message, &Data::new(bytes));
    message.finish()
}

/// The same, from an address with a short name.
pub fn channel_data(number: u16, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 4 + bytes.len()];
    ChannelData::new(number, bytes).write_into_unchecked(&mut message);
    message
}
