//! A TURN server (RFC 8656) that relays to nothing but the media of this process, without clock or socket.
//!
//! It is for clients whose network lets nothing out but connections to a well-known port. Since the relay and the rooms are
//! one process, an allocation is a number and no socket: what a client sends to one of our own media addresses is handed
//! over at once, and nothing else can be reached. No open relay can come of it, and no ports have to be opened for it.

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
