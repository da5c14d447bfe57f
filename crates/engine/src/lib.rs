//! What the vendor calls the engine: rooms, publishers, players, devices, events and error codes, as one actor that
//! speaks LiveKit signalling to a room server. No JS: the addon in `src/` is a thin face over [`Engine`].
//!
//! Calls become commands for the actor and return at once; everything that happens comes back through [`EventSink`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

mod actor;
mod address;
mod audio_loss;
mod capture;
mod command;
mod config;
mod embedded_server;
mod engine;
mod error;
mod event;
mod logging;
mod messaging;
mod player;
mod publisher;
mod quality;
mod rate_control;
mod reconnect_policy;
mod room;
mod roster;
mod runtime;
mod session;
mod signalling;
mod stats;
mod wall_clock;

pub use config::{
    EngineConfig, EngineProfile, LogConfig, PlayerConfig, PublisherConfig, RoomConfig, User, VideoConfig,
};
pub use engine::{Engine, Reply};
pub use error::{EngineError, code};
pub use event::{Event, EventSink};
pub use media::audio::DeviceKind;
pub use media::video::sink::FrameSink;
pub use media::{DeviceInfo, FakeDevices};
