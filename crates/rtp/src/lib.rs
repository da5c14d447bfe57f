//! What both ends of a call know of RTP: units, sequence numbers, clocks, payload formats and RTCP.
//!
//! Pure: no clock, no socket, no randomness. Whatever bytes arrive, nothing here panics.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

pub mod sequence;
pub mod units;

pub use sequence::SequenceExtender;
pub use units::{Bitrate, DataSize};
