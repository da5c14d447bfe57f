//! Settings of a peer connection.

use crate::payload::VideoCodec;
use crate::routes::route::RouteMemory;
use dial::Dialer;
use std::net::IpAddr;
use std::sync::Arc;

/// Which of the two connections of the signalling protocol a peer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Sends media: it offers, and opens the data channels.
    #[default]
    Publisher,
    /// Receives media: it answers the server's offers, and the server opens the data channels.
    Subscriber,
}

/// A STUN or TURN server named by the signalling server. No other one is ever contacted.
#[derive(Clone, Debug, Default)]
pub struct IceServer {
    /// `stun:` and `turn:` URLs of one server.
    pub urls: Vec<String>,
    /// User name for TURN, else empty.
    pub username: String,
    /// Password for TURN, else empty.
    pub credential: String,
}

/// Which routes media may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IceTransportPolicy {
    /// UDP where it works, else TCP to the server, else a relay.
    #[default]
    All,
    /// Only relays (TURN).
    Relay,
    /// Only over TCP: to the server, or to a relay by TCP or TLS.
    Tcp,
}

/// Settings of a [`Peer`](crate::Peer).
#[derive(Clone, Debug, Default)]
pub struct PeerConfig {
    /// Publisher or subscriber.
    pub role: Role,
    /// Video codecs that a subscriber accepts; any other one is reported by [`PeerEvent::Undecodable`](crate::PeerEvent).
    pub video_codecs: Vec<VideoCodec>,
    /// Servers for address discovery and relaying; may be empty.
    pub ice_servers: Vec<IceServer>,
    /// Address of the signalling server, where known. A loopback server means that loopback candidates
    /// are offered beside those of the network interfaces; with a server elsewhere loopback is left out.
    /// Unknown is treated like loopback: it costs one candidate.
    pub server_address: Option<IpAddr>,
    /// Which routes media may take.
    pub policy: IceTransportPolicy,
    /// Memory of blocked routes, shared by both connections of a session.
    pub memory: Arc<RouteMemory>,
    /// Opens connections to relays; by default with the system's certificates and the environment's proxies.
    pub dialer: Option<Dialer>,
}

/// Identifiers of a track to be sent; both travel in the SDP's `msid`.
#[derive(Clone, Debug)]
pub struct AddTrack {
    /// The track id, which the server matches with the `cid` of the announcement.
    pub track_id: String,
    /// The stream (msid) the track belongs to.
    pub stream_id: String,
}
