//! The wire messages, as one module.
//!
//! They come from the `livekit-protocol` crate, pinned exactly; nothing else in the project names that crate, so a
//! hand-kept subset could take its place without a change elsewhere.

pub use livekit_protocol::*;
pub use prost::Message as ProtoMessage;

pub use livekit_protocol::signal_request::Message as Request;
pub use livekit_protocol::signal_response::Message as Response;
