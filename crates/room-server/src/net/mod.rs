//! Sockets and thread of the media path.

mod addresses;
mod media_loop;
mod own_addresses;
mod send_lanes;
mod tcp_media;
mod udp;

pub use addresses::{candidates, default_route_ip, local_candidates};
pub use media_loop::{MediaLoop, bind_udp};
pub use own_addresses::OwnAddresses;
pub use tcp_media::TcpMedia;
