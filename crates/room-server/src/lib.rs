//! The room server that takes the place of the vendor's cloud: LiveKit's client protocol (`/rtc` with two
//! peer connections, `/rtc/v1` with one), rooms, forwarding of media and data. Runs inside the addon's process or on its own.
//!
//! Layers, from outside: `http` speaks WebSocket, `auth` decides who may enter, `hub` holds all rooms as one
//! state machine without clock or socket, `forwarding` numbers packets and drives the WebRTC engine, `net` owns the
//! UDP socket and the thread in which hub and forwarding run.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

mod admin;
mod auth;
mod cli;
mod config;
mod forwarding;
mod http;
mod hub;
mod join_request;
mod keys;
mod metrics;
mod net;
mod server;
mod signalling;

pub use cli::run_cli;
pub use config::{ConfigError, KeyPolicy, ServerConfig};
pub use server::{RoomServer, StartError};
