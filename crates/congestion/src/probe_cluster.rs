//! The size of a probe cluster.

use rtp::{Bitrate, DataSize};
use std::time::Duration;

/// Length of a cluster on a path without jitter.
const MIN_PROBE_DURATION: Duration = Duration::from_millis(20);
/// A cluster is longer by this multiple of the jitter: the ends of a short one would arrive too early or too late to
/// measure a rate.
const JITTER_LENGTH_FACTOR: f64 = 8.0;
/// Jitter up to this is caused by our own bursts.
const SELF_JITTER: Duration = Duration::from_millis(3);
/// Fewer packets measure nothing.
const MIN_PROBE_PACKETS_SENT: usize = 5;
/// Minimum size of a cluster: fewer full packets measure nothing either.
const MIN_CLUSTER_SIZE: DataSize = DataSize::bytes(4500);

/// A burst to be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeCluster {
    /// Rate to send the cluster at.
    pub rate: Bitrate,
    /// Minimum size of the cluster.
    pub size: DataSize,
    /// Minimum number of packets of the cluster.
    pub packets: usize,
}

impl ProbeCluster {
    /// A cluster of this rate, long enough to be measured on a path with this jitter.
    #[must_use]
    pub fn new(rate: Bitrate, jitter: Duration) -> Self {
        let length = MIN_PROBE_DURATION + jitter.saturating_sub(SELF_JITTER).mul_f64(JITTER_LENGTH_FACTOR);
        let size = (rate * length).max(MIN_CLUSTER_SIZE);
        Self { rate, size, packets: MIN_PROBE_PACKETS_SENT }
    }
}
