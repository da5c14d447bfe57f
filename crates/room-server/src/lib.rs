//! The room server that takes the place of the vendor's cloud: LiveKit's client protocol (`/rtc` with two
//! peer connections, `/rtc/v1` with one), rooms, forwarding of media and data. Runs inside the addon's process or on its own.
//!
//! Layers, from outside: `http` speaks WebSocket, `auth` decides about admission, `hub` holds all rooms as one state machine
//! without clock or socket, `forwarding` numbers packets and drives the WebRTC engine, `net` owns the UDP sockets and the
//! thread in which hub and forwarding run.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

mod admin;
mod auth;
mod cli;
mod codecs;
mod config;
mod config_file;
mod forwarding;
mod front;
mod http;
mod hub;
mod join_page;
mod join_rate;
mod join_request;
mod keys;
mod limits;
mod metrics;
mod net;
mod number_hasher;
mod reached;
mod server;
mod signalling;
mod sockets;
mod turn;
mod webhooks;

pub use cli::run_cli;
pub use codecs::EnabledCodecs;
pub use config::{IceServerConfig, KeyPolicy, LogConfig, ServerConfig, TcpPort, TlsFiles, TurnConfig};
pub use config_file::{ConfigError, UnusedKey};
pub use front::CertificateError;
pub use join_rate::JoinRate;
pub use limits::Limits;
pub use net::{CandidateRules, Filter};
pub use server::{RoomServer, StartError};
pub use webhooks::{WebhookConfig, WebhookConfigError};
