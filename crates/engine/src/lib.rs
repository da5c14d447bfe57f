//! The engine of the vendor's API: rooms, publishers, players, devices, events and error codes, as one actor that speaks
//! LiveKit signalling to a room server. No JS: the addon in `src/` is a thin layer over [`Engine`].
//!
//! Calls become commands for the actor and return at once; results are reported through [`EventSink`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

mod actor;
mod address;
mod audio_command;
mod cameras;
mod capture;
mod command;
mod config;
mod device_watch;
mod embedded_server;
mod engine;
mod engine_audio;
mod engine_devices;
mod engine_network;
mod engine_screen;
mod engine_video;
mod error;
mod event;
mod http_call;
mod layer_encoder;
mod layer_request;
mod logging;
mod messaging;
mod network_quality;
mod network_time;
mod opus_redundancy;
mod playback_stalls;
mod player;
mod publisher;
mod quality;
mod rate_control;
mod reconnect_policy;
mod retry_pauses;
mod room;
mod room_info;
mod room_service;
mod roster;
mod runtime;
mod screen_list;
mod screen_sources;
mod sei;
mod server_clock;
mod server_profile;
mod session;
mod session_outcome;
mod signalling;
mod simulcast;
mod snapshot;
mod speed_test;
mod stats;
mod stream_names;
mod token_life;
mod traffic_control;
mod undecodable;
mod video_playback;
mod video_settings;
mod wall_clock;

pub use config::{
    AudioConfig, EngineConfig, EngineProfile, Layering, LogConfig, PlayerConfig, PublisherConfig, RoomConfig, User,
    VideoConfig, VideoSource,
};
pub use engine::{Engine, Reply};
pub use error::{EngineError, code};
pub use event::{Event, EventSink};
pub use media::audio::DeviceKind;
pub use media::video::screen::Area;
pub use media::video::sink::FrameSink;
pub use media::{DeviceInfo, FakeDevices};
pub use network_time::NetworkTime;
pub use reconnect_policy::{DefaultReconnectPolicy, ReconnectPolicy};
pub use speed_test::SpeedTestConfig;
pub use video_settings::VideoSettings;
