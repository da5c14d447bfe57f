//! Probing: clusters of packets sent faster than the rate for a moment, to find out whether the path carries more.
//!
//! The receiver's feedback shows how fast they arrived. Clusters consist of media where there is any, and of padding
//! where not, so on a good path the first key frame is the probe.

use super::PacketResult;
use super::probe_cluster::ProbeCluster;
use super::probe_measurement::{ProbeMeasurement, ProbeResult};
use rtp::{Bitrate, DataSize};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// First probe, as a multiple of the start rate.
const FIRST_EXPONENTIAL_PROBE_SCALE: f64 = 3.0;
/// Second probe, as a multiple of the start rate.
const SECOND_EXPONENTIAL_PROBE_SCALE: f64 = 6.0;
/// Later probes, as a multiple of the rate, or of the last successful probe.
const FURTHER_EXPONENTIAL_PROBE_SCALE: f64 = 2.0;
/// A smaller multiple of the rate is not worth a probe.
const MIN_PROBE_GAIN: f64 = 1.1;
/// A cluster that arrived at this share of its rate is followed by a larger one.
const FURTHER_PROBE_THRESHOLD: f64 = 0.7;
/// Time between probes while the application needs more than the estimate.
const PROBING_INTERVAL: Duration = Duration::from_secs(3);
/// Time between probes while more bandwidth would only let frames leave faster.
const IDLE_PROBING_INTERVAL: Duration = Duration::from_secs(15);
/// Time from a decrease of the rate to the next probe.
const INTERVAL_AFTER_DECREASE: Duration = Duration::from_millis(1500);
/// A cluster that is not sent or not reported within this time is given up.
const MAX_WAITING_TIME_FOR_RESULT: Duration = Duration::from_secs(1);

/// What the decision on a probe depends on.
#[derive(Clone, Copy, Debug)]
pub struct ProbeConditions {
    /// The present estimate.
    pub estimate: Bitrate,
    /// The highest rate worth knowing.
    pub max_rate: Bitrate,
    /// Whether the application could use more than the estimate.
    pub is_more_needed: bool,
    /// Whether there is no queue on the path.
    pub is_queue_free: bool,
    /// Jitter of the path.
    pub jitter: Duration,
}

/// A cluster that was handed out.
#[derive(Clone, Copy, Debug)]
struct ActiveProbe {
    began: Instant,
    measurement: ProbeMeasurement,
}

/// Decides when to probe and at what rate (libwebrtc's `ProbeController`).
#[derive(Debug, Default)]
pub struct ProbeController {
    /// Rates to be tried next.
    pending: VecDeque<Bitrate>,
    active: Option<ActiveProbe>,
    is_started: bool,
    /// When the last cluster was handed out, or the rate was decreased.
    last: Option<Instant>,
    interval: Duration,
}

impl ProbeController {
    /// The next cluster to send, if it is time for one.
    pub fn poll_cluster(&mut self, now: Instant, conditions: ProbeConditions) -> Option<ProbeCluster> {
        let ProbeConditions { estimate, max_rate, is_more_needed, is_queue_free, jitter } = conditions;
        let min_rate = estimate * MIN_PROBE_GAIN;
        if max_rate <= min_rate {
            return None;
        }
        if !std::mem::replace(&mut self.is_started, true) {
            let scales = [FIRST_EXPONENTIAL_PROBE_SCALE, SECOND_EXPONENTIAL_PROBE_SCALE];
            self.pending = scales.map(|scale| estimate * scale).into_iter().collect();
            self.last = Some(now);
            self.interval = PROBING_INTERVAL;
        }
        let age = |active: ActiveProbe| now.saturating_duration_since(active.began);
        if self.active.is_some_and(|active| age(active) >= MAX_WAITING_TIME_FOR_RESULT) {
            self.active = None;
        }
        if self.active.is_some() {
            return None;
        }
        if !is_queue_free {
            self.pending.clear();
            return None;
        }
        let interval = if is_more_needed { self.interval } else { IDLE_PROBING_INTERVAL };
        if self.pending.is_empty() && self.last.is_some_and(|last| now.saturating_duration_since(last) >= interval) {
            self.pending.push_back(estimate * FURTHER_EXPONENTIAL_PROBE_SCALE);
        }
        let rate = self.pending.pop_front()?.min(max_rate);
        self.last = Some(now);
        self.interval = PROBING_INTERVAL;
        if rate <= min_rate {
            return None;
        }
        let cluster = ProbeCluster::new(rate, jitter);
        self.active = Some(ActiveProbe { began: now, measurement: ProbeMeasurement::new(cluster) });
        Some(cluster)
    }

    /// Cancels all probes after a decrease of the rate, and delays the next one.
    pub fn on_decrease(&mut self, now: Instant) {
        self.pending.clear();
        self.active = None;
        self.last = Some(now);
        self.interval = INTERVAL_AFTER_DECREASE;
    }

    /// Counts a packet of the cluster that left.
    pub fn on_sent(&mut self, departure: Instant, size: DataSize) {
        if let Some(active) = &mut self.active {
            active.measurement.on_sent(departure, size);
        }
    }

    /// Adds reports in the order of departure; returns the result when the cluster's last packet is among them.
    pub fn on_results(&mut self, results: &[PacketResult]) -> Option<ProbeResult> {
        let measurement = &mut self.active.as_mut()?.measurement;
        results.iter().for_each(|result| measurement.on_result(result));
        if !measurement.is_complete(results.last().map(|newest| newest.departure)) {
            return None;
        }
        let result = measurement.result();
        let cluster = measurement.cluster();
        self.active = None;
        let is_success =
            result.is_some_and(|result| !result.is_saturated && result.rate >= cluster.rate * FURTHER_PROBE_THRESHOLD);
        if !is_success {
            self.pending.clear();
        } else if self.pending.is_empty() {
            self.pending.push_back(cluster.rate * FURTHER_EXPONENTIAL_PROBE_SCALE);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: ProbeConditions = ProbeConditions {
        estimate: mbit(0.5e6),
        max_rate: mbit(10e6),
        is_more_needed: true,
        is_queue_free: true,
        jitter: Duration::ZERO,
    };

    const fn mbit(bps: f64) -> Bitrate {
        Bitrate::bps(bps)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Sends a cluster evenly at its rate over a path of this capacity.
    fn send(
        control: &mut ProbeController,
        cluster: ProbeCluster,
        began: Instant,
        capacity: Bitrate,
    ) -> Vec<PacketResult> {
        let count = cluster.packets.max(cluster.size.as_bytes().div_ceil(1200) as usize) as u32;
        let size = DataSize::bytes(1200);
        let gap = |rate: Bitrate| size.time_at(rate);
        (0..count)
            .map(|index| {
                let departure = began + gap(cluster.rate) * index;
                control.on_sent(departure, size);
                let arrival = ms(500) + gap(cluster.rate.min(capacity)) * index;
                PacketResult { departure, arrival: Some(arrival), size }
            })
            .collect()
    }

    #[test]
    fn on_an_open_path_each_probe_leads_to_a_larger_one() {
        let (mut control, mut now, mut tried) = (ProbeController::default(), Instant::now(), Vec::new());
        while let Some(cluster) = control.poll_cluster(now, OPEN) {
            let results = send(&mut control, cluster, now, mbit(1e9));
            let result = control.on_results(&results).unwrap();
            assert!(!result.is_saturated && (result.rate.ratio(cluster.rate) - 1.0).abs() < 0.01);
            tried.push(cluster.rate.as_bps());
            now += ms(100);
            if tried.len() == 4 {
                break;
            }
        }
        assert_eq!(tried, [1.5e6, 3e6, 6e6, 10e6]);
    }

    #[test]
    fn a_saturated_path_is_measured_and_not_probed_again_for_some_seconds() {
        let (mut control, now) = (ProbeController::default(), Instant::now());
        let cluster = control.poll_cluster(now, OPEN).unwrap();
        let results = send(&mut control, cluster, now, mbit(1e6));
        let result = control.on_results(&results).unwrap();
        assert!(result.is_saturated && (0.9e6..1e6).contains(&result.rate.as_bps()), "{result:?}");
        let conditions = ProbeConditions { estimate: mbit(0.9e6), ..OPEN };
        assert_eq!(control.poll_cluster(now + ms(1000), conditions), None);
        let next = control.poll_cluster(now + ms(3100), conditions);
        assert_eq!(next.map(|cluster| cluster.rate), Some(mbit(1.8e6)));
    }

    #[test]
    fn probes_are_rare_while_no_more_is_needed() {
        let (mut control, now) = (ProbeController::default(), Instant::now());
        let conditions = ProbeConditions { is_more_needed: false, ..OPEN };
        let cluster = control.poll_cluster(now, conditions).unwrap();
        let results = send(&mut control, cluster, now, mbit(0.6e6));
        control.on_results(&results).unwrap();
        let conditions = ProbeConditions { estimate: mbit(0.6e6), ..conditions };
        assert_eq!(control.poll_cluster(now + ms(14_000), conditions), None);
        assert!(control.poll_cluster(now + ms(15_000), conditions).is_some());
    }

    #[test]
    fn too_few_arrivals_give_no_result() {
        let (mut control, now) = (ProbeController::default(), Instant::now());
        let cluster = control.poll_cluster(now, OPEN).unwrap();
        let mut results = send(&mut control, cluster, now, mbit(1e9));
        results.iter_mut().step_by(2).for_each(|result| result.arrival = None);
        assert_eq!(control.on_results(&results), None);
    }

    #[test]
    fn a_cluster_without_a_report_does_not_block_the_next_one() {
        let (mut control, now) = (ProbeController::default(), Instant::now());
        assert!(control.poll_cluster(now, OPEN).is_some());
        assert!(control.poll_cluster(now + ms(500), OPEN).is_none());
        assert!(control.poll_cluster(now + ms(1100), OPEN).is_some());
    }

    #[test]
    fn nothing_is_probed_while_there_is_a_queue_or_enough_bandwidth() {
        let (mut control, now) = (ProbeController::default(), Instant::now());
        let conditions = ProbeConditions { estimate: mbit(1e6), ..OPEN };
        assert!(control.poll_cluster(now, ProbeConditions { is_queue_free: false, ..conditions }).is_none());
        let mut control = ProbeController::default();
        assert!(control.poll_cluster(now, ProbeConditions { max_rate: mbit(1e6), ..conditions }).is_none());
    }
}
