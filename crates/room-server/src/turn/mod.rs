//! A TURN server (RFC 8656) that relays to nothing but the media of this process, without clock or socket.
//!
//! It serves clients whose network lets only connections to a well-known port out. Since the relay and the rooms are one
//! process, an allocation is a number and no socket: datagrams to our own media addresses are passed on at once, and nothing
//! else can be reached. So it is no open relay, and needs no ports.

mod allocation;
pub mod announcement;
pub mod credentials;
mod nonces;
mod replies;
mod requests;
#[cfg(test)]
mod robustness;
mod server;

pub use server::{Handled, TurnClient, TurnServer, Via};
