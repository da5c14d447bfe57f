//! Connections to real servers over real sockets: certificates, and proxies that behave and misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod certificates;
mod proxies;
mod tools;
