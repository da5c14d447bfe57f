//! Socket and thread of the media path.

mod addresses;
mod media_loop;

pub use addresses::candidates;
pub use media_loop::{MediaLoop, bind_udp};
