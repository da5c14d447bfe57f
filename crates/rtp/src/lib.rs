//! What both ends of a call know of RTP: units, sequence numbers, clocks, payload formats and RTCP.
//!
//! Pure: no clock, no socket, no randomness. Whatever bytes arrive, nothing here panics.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

pub mod clock;
pub mod h264;
pub mod history;
pub mod keyframe;
pub mod opus;
pub mod payload;
pub mod red;
pub mod rtcp;
pub mod sequence;
pub mod units;
pub mod vp8;

pub use history::SentHistory;
pub use keyframe::{KeyframeDetector, VideoFormat};
pub use payload::PayloadError;
pub use sequence::SequenceExtender;
pub use units::{Bitrate, DataSize};
