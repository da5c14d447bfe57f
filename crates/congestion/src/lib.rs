//! How much may be sent: send-side bandwidth estimation from transport-wide feedback.
//!
//! One small controller a file, put together in [`estimator`]. Where the delay grows, too much is sent
//! ([`arrival_group`], [`trendline`], [`queue_delay`]), unless somebody on the way had no time ([`hold_up`]); then the rate goes to what gets through
//! ([`throughput`], [`delay_control`], [`capacity`]). Loss counts where sending less makes it less
//! ([`loss`]). Short bursts find out whether more would fit ([`probe`]), and what the application does
//! not use is no evidence ([`alr`]).
//!
//! The frame is Google's congestion control (draft-ietf-rmcat-gcc-02); what differs is said where it does.
//! Sans-IO: time is an argument, and so is what the receiver reported.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

pub mod alr;
pub mod arrival_group;
pub mod capacity;
pub mod delay_control;
pub mod estimator;
pub mod history;
pub mod hold_up;
pub mod loss;
pub mod probe;
pub mod queue_delay;
pub mod throughput;
pub mod trendline;

pub use estimator::{Estimator, Limits};
pub use history::{Acknowledgement, SentHistory};
pub use probe::ProbeCluster;

use std::time::{Duration, Instant};

/// What became of one sent packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketResult {
    /// When it left the pacer.
    pub departure: Instant,
    /// When it arrived, on the receiver's clock, whose zero is unknown; `None` if it was lost.
    pub arrival: Option<Duration>,
    /// Size of the whole datagram, IP header included.
    pub bytes: usize,
}
