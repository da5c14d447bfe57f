//! What may be sent over a path, and when: bandwidth estimation from transport-wide feedback, pacing, probes, repair.
//!
//! [`SendController`] joins everything for one end of a path: the uplink of a client, or a downlink of the server. The signal
//! flow:
//!
//! ```text
//!            feedback
//!                |
//!          sent history ----------> report monitor (response time, silence)
//!                |
//!    +-----------+------------+-----------------+--------------+
//!    |           |            |                 |              |
//! inter-      arrival     throughput       loss control    probe measurement
//! arrival     stalls          |            (trials)            |
//!    |           |            |                 |          probe controller
//! trendline   queue           |                 |              |
//!    |        delay           |                 |              |
//!    +-----------+------------+                 |              |
//!                |                              |              |
//!          delay control <-> link capacity      |              |
//!                |                              |              |
//!                +-------------> estimate <-----+--------------+
//!                                    |
//!                            send controller
//!                                    |
//!            +-------------+---------+----+--------------+
//!            |             |              |              |
//!         target         pacer         repair       duplication
//!      (encoders)   (stream queues)
//! ```
//!
//! Growing delay means that more is sent than the path carries ([`inter_arrival`], [`trendline`], [`queue_delay`]),
//! unless the packets were held by a scheduling stall ([`arrival_stall`]). The rate then follows the throughput
//! ([`throughput`], [`delay_control`], [`link_capacity`]). Loss counts only as far as sending less reduces it
//! ([`loss_control`]). Short bursts find out whether the path carries more ([`probe_controller`],
//! [`probe_measurement`]), and capacity that the application leaves unused is no evidence ([`alr`]).
//!
//! The framework is Google congestion control (draft-ietf-rmcat-gcc-02); each file says where it differs. Constants that
//! libwebrtc has too carry its names. Sans-IO: time is an argument, and so are the reports of the receiver.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

pub mod alr;
pub mod arrival_stall;
pub mod delay_control;
pub mod duplication;
pub mod estimator;
pub mod history;
pub mod inter_arrival;
pub mod link_capacity;
pub mod loss_control;
pub mod pacer;
pub mod probe_cluster;
pub mod probe_controller;
pub mod probe_measurement;
pub mod queue_delay;
pub mod repair;
pub mod report_monitor;
pub mod send_controller;
mod sent_rate;
pub mod stream_queues;
pub mod throughput;
pub mod trendline;

pub use estimator::{BandwidthEstimator, BitrateLimits};
pub use history::SentHistory;
pub use pacer::{Priority, SendAction};
pub use probe_cluster::ProbeCluster;
pub use rtp::rtcp::arrivals::PacketStatus;
pub use send_controller::SendController;

use rtp::DataSize;
use std::time::{Duration, Instant};

/// One sent packet and what the receiver reported about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketResult {
    /// When the packet left the pacer.
    pub departure: Instant,
    /// When the packet arrived, on the receiver's clock, whose zero is unknown; `None` if it was lost.
    pub arrival: Option<Duration>,
    /// Size of the whole datagram, IP header included.
    pub size: DataSize,
}
