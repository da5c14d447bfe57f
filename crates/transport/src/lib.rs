//! Media transport of the client.
//!
//! Two halves. The sans-IO half ([`assembler`], [`nack`], [`retransmission_buffer`], …, and the crate
//! `congestion`) decides about loss, order, frames and rates. It has no clock and no socket: time is an argument, and every
//! behaviour is a deterministic test. The I/O half ([`Peer`]) drives ICE, DTLS, SRTP, SDP and SCTP through the `webrtc`
//! crate, and plugs the first half into it by the crate's interceptor trait.
//!
//! Video is sent as H.264 (RFC 6184, packetization mode 1) and received as that or VP8 (RFC 7741), audio is Opus (RFC 7587).

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

pub mod assembler;
pub mod loss_log;
pub mod nack;
pub mod rtt;

mod addresses;
mod budget;
mod codecs;
mod config;
mod data;
mod data_kind;
mod dtls_flights;
mod dtls_runtime;
mod error;
mod event;
mod feedback_gaps;
mod interceptors;
mod media_queue;
mod orientation;
mod payload;
mod peer;
mod peer_builder;
mod peer_stats;
mod receive;
mod reception;
mod remote_media;
mod routes;
mod send;
mod stats;

pub use addresses::local_address_towards;
pub use budget::SendBudget;
pub use config::{AddTrack, IceServer, IceTransportPolicy, PeerConfig, Role};
pub use congestion::send_controller::MAX_ENCODER_BACKLOG;
pub use data_kind::DataKind;
pub use error::TransportError;
pub use event::{MediaKind, PeerEvent, PeerState, RemoteMedia, RemoteTrack};
pub use orientation::Rotation;
pub use payload::VideoCodec;
pub use peer::Peer;
pub use peer_stats::PeerStats;
pub use receive::{
    AudioReceiver, AudioReceiverHandle, ReceivedAccessUnit, ReceivedAudio, VideoReceiver, VideoReceiverHandle,
};
pub use routes::route::{MediaRoute, RouteKind, RouteMemory};
pub use send::{AUDIO_BLOCK_TYPE, AccessUnitToSend, AudioSender, VideoSender};
pub use stats::{ReceiverStats, SenderStats, Unreadable};
