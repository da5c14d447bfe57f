//! The server as its clients see it: real WebSockets, real peer connections, on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::large_enum_variant, missing_docs)]

mod client;
mod harness;
mod joining;
mod media;
mod messages;
mod monitoring;
mod one_connection;
mod publishing;
mod reports;
mod resume;
mod robustness;
