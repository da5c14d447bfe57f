//! Measurement of one probe cluster (libwebrtc's `ProbeBitrateEstimator`).
//!
//! Compares the rate at which a cluster was sent with the rate at which it arrived.

use super::PacketResult;
use super::probe_cluster::ProbeCluster;
use rtp::{Bitrate, DataSize};
use std::time::{Duration, Instant};

/// Share of the packets that must have arrived.
const MIN_RECEIVED_PROBES_RATIO: f64 = 0.7;
/// A cluster that arrives faster than this multiple of its rate is a measurement error.
const MAX_VALID_RATIO: f64 = 2.0;
/// A cluster that arrives slower than this share of its rate has saturated the path.
const MIN_RATIO_FOR_UNSATURATED_LINK: f64 = 0.9;
/// Share of a measured capacity that is used.
const TARGET_UTILIZATION_FRACTION: f64 = 0.95;

/// The result of a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeResult {
    /// Rate that the path carries.
    pub rate: Bitrate,
    /// Whether the path carries no more than this.
    pub is_saturated: bool,
}

#[derive(Clone, Copy, Debug)]
struct Departure {
    at: Instant,
    size: DataSize,
}

#[derive(Clone, Copy, Debug)]
struct Arrivals {
    packets: usize,
    size: DataSize,
    first_departure: Departure,
    last_departure: Departure,
    first_arrival: Duration,
    last_arrival: Duration,
}

/// Times of departure of a cluster's first and last packet.
#[derive(Clone, Copy, Debug)]
struct SendWindow {
    first: Instant,
    last: Instant,
}

/// A cluster from its first departure to the report of its last packet.
#[derive(Clone, Copy, Debug)]
pub struct ProbeMeasurement {
    cluster: ProbeCluster,
    window: Option<SendWindow>,
    sent_packets: usize,
    sent: DataSize,
    reported_packets: usize,
    arrivals: Option<Arrivals>,
}

impl ProbeMeasurement {
    /// A measurement of a cluster that is to be sent.
    #[must_use]
    pub fn new(cluster: ProbeCluster) -> Self {
        Self { cluster, window: None, sent_packets: 0, sent: DataSize::ZERO, reported_packets: 0, arrivals: None }
    }

    /// The cluster that is measured.
    #[must_use]
    pub fn cluster(&self) -> ProbeCluster {
        self.cluster
    }

    fn is_sent(&self) -> bool {
        self.sent_packets >= self.cluster.packets && self.sent >= self.cluster.size
    }

    /// Counts a packet of the cluster that left. Packets beyond the cluster's size are not part of it.
    pub fn on_sent(&mut self, departure: Instant, size: DataSize) {
        if self.is_sent() {
            return;
        }
        let first = self.window.map_or(departure, |window| window.first);
        self.window = Some(SendWindow { first, last: departure });
        self.sent_packets += 1;
        self.sent += size;
    }

    /// Adds a report on a packet, which need not belong to the cluster.
    pub fn on_result(&mut self, result: &PacketResult) {
        let is_inside = self.window.is_some_and(|window| (window.first..=window.last).contains(&result.departure));
        if !is_inside {
            return;
        }
        self.reported_packets += 1;
        let Some(arrival) = result.arrival else { return };
        let departure = Departure { at: result.departure, size: result.size };
        let seen = self.arrivals.get_or_insert(Arrivals {
            packets: 0,
            size: DataSize::ZERO,
            first_departure: departure,
            last_departure: departure,
            first_arrival: arrival,
            last_arrival: arrival,
        });
        seen.packets += 1;
        seen.size += result.size;
        seen.last_departure = departure;
        seen.last_arrival = seen.last_arrival.max(arrival);
    }

    /// Whether the whole cluster was sent and reported, or the reports have reached a packet that left after it.
    #[must_use]
    pub fn is_complete(&self, newest_reported: Option<Instant>) -> bool {
        let Some(window) = self.window else { return false };
        let is_passed = newest_reported.is_some_and(|departure| departure > window.last);
        self.is_sent() && (self.reported_packets >= self.sent_packets || is_passed)
    }

    /// The result; `None` if too few packets arrived, or faster than is possible.
    #[must_use]
    pub fn result(&self) -> Option<ProbeResult> {
        let seen = self.arrivals?;
        if (seen.packets as f64) < self.sent_packets as f64 * MIN_RECEIVED_PROBES_RATIO {
            return None;
        }
        let rate = |size: DataSize, time: Duration| (!time.is_zero()).then(|| size.rate_over(time));
        // The last packet takes no time after its departure, and the first one none before its arrival.
        let departures = seen.last_departure.at.saturating_duration_since(seen.first_departure.at);
        let send_rate = rate(seen.size - seen.last_departure.size, departures)?;
        let arrivals = seen.last_arrival.saturating_sub(seen.first_arrival);
        let receive_rate = rate(seen.size - seen.first_departure.size, arrivals).unwrap_or(send_rate);
        if receive_rate > send_rate * MAX_VALID_RATIO {
            return None;
        }
        let is_saturated = receive_rate < send_rate * MIN_RATIO_FOR_UNSATURATED_LINK;
        let rate = if is_saturated { receive_rate * TARGET_UTILIZATION_FRACTION } else { send_rate.min(receive_rate) };
        Some(ProbeResult { rate, is_saturated })
    }
}
