//! Sockets and thread of the media path.

mod addresses;
mod media_loop;
mod send_lanes;
mod tcp_media;
mod udp;

pub use addresses::candidates;
pub use media_loop::{MediaLoop, bind_udp};
pub use tcp_media::TcpMedia;
