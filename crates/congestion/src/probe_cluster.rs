//! The size of a probe cluster.

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
/// Size of a packet that the size of a cluster is derived from.
const PACKET_BYTES: usize = 1200;

/// A burst to be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeCluster {
    /// Rate to send the cluster at, in bits per second.
    pub bps: f64,
    /// Number of bytes that the cluster has at least.
    pub bytes: usize,
    /// Number of packets that the cluster has at least.
    pub packets: usize,
}

impl ProbeCluster {
    /// A cluster of this rate, long enough to be measured on a path with this jitter.
    #[must_use]
    pub fn new(bps: f64, jitter: Duration) -> Self {
        let length = MIN_PROBE_DURATION + jitter.saturating_sub(SELF_JITTER).mul_f64(JITTER_LENGTH_FACTOR);
        let bytes = (bps / 8.0 * length.as_secs_f64()) as usize;
        let packets = MIN_PROBE_PACKETS_SENT;
        Self { bps, bytes: bytes.max(packets * PACKET_BYTES * 3 / 4), packets }
    }
}
