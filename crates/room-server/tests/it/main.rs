//! The server as its clients see it: real WebSockets, real peer connections, on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::large_enum_variant, missing_docs)]

mod client;
mod client_traps;
mod harness;
mod hostile;
mod http;
mod joining;
mod limits;
mod line_reuse;
mod media;
mod messages;
mod narrow_link;
mod networks;
mod one_connection;
mod publishing;
mod relay;
mod reports;
mod resume;
mod robustness;
mod stock_publishers;
mod tls;
