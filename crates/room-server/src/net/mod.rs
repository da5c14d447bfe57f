//! Sockets and thread of the media path.

mod addresses;
mod bind;
mod framing;
mod interfaces;
mod media_loop;
mod offer;
mod own_addresses;
mod send_lanes;
mod streams;
mod turn_relay;
mod udp;

pub use addresses::{CandidateRules, Filter};
pub use bind::{distinct, tcp as bind_tcp, udp as bind_udp};
pub use framing::Framing;
pub use media_loop::MediaLoop;
pub use offer::Offer;
pub use own_addresses::OwnAddresses;
pub use streams::{StreamInlet, Streams};
pub use turn_relay::TurnRelay;
pub use udp::UdpSockets;
