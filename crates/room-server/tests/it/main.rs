//! The server as its clients see it: real WebSockets, real peer connections, on loopback.
#![allow(missing_docs)]

mod client;
mod harness;
mod joining;
mod media;
mod messages;
mod publishing;
mod resume;
mod robustness;
