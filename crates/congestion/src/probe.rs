//! Finding out whether more would fit: clusters of packets sent faster than the rate for a moment.
//!
//! The receiver's report tells how fast they came through. Clusters are made of media where there is any,
//! and of padding where not, so that on a good path the first key frame is the probe.

use super::PacketResult;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Length of a cluster on an even path, and by how many times the jitter beyond what our own bursts make of it it is
/// longer on an uneven one, where the ends of a short one would come too early or too late to tell a rate.
const LENGTH: Duration = Duration::from_millis(20);
const OVER_JITTER: f64 = 8.0;
const OWN_JITTER: Duration = Duration::from_millis(3);
/// Fewer packets measure nothing.
const LEAST_PACKETS: usize = 5;
/// Size reckoned with.
const PACKET_BYTES: usize = 1200;
/// Multiples of the starting rate that are tried first.
const FIRST: [f64; 2] = [3.0, 6.0];
/// What is tried next, as a multiple of the rate.
const FURTHER: f64 = 2.0;
/// Less than this multiple of the rate is not worth a cluster.
const WORTH_TRYING: f64 = 1.1;
/// A cluster that came through at this share of its rate is worth a further one.
const SUCCESS: f64 = 0.7;
/// Came through slower than this share of what it was sent at: the path was full.
const SATURATED: f64 = 0.9;
/// Reliance on a measured capacity.
const CAUTION: f64 = 0.95;
/// Share of the packets that must have arrived.
const LEAST_ARRIVED: f64 = 0.7;
/// Faster than sent by more than this is a measuring error.
const MAX_SPEED_UP: f64 = 2.0;
/// Between attempts on a calm path, where more is needed, and where it would only make frames leave faster.
const INTERVAL: Duration = Duration::from_secs(3);
const IDLE_INTERVAL: Duration = Duration::from_secs(15);
/// After a cut of the rate.
const AFTER_CUT: Duration = Duration::from_millis(1500);
/// A cluster that is not sent or not reported in this time is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// A burst to be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeCluster {
    /// Rate to send it at, in bits per second.
    pub bps: f64,
    /// It is complete with so many bytes
    pub bytes: usize,
    /// and so many packets.
    pub packets: usize,
}

impl ProbeCluster {
    fn new(bps: f64, jitter: Duration) -> Self {
        let length = LENGTH + jitter.saturating_sub(OWN_JITTER).mul_f64(OVER_JITTER);
        let bytes = (bps / 8.0 * length.as_secs_f64()) as usize;
        Self { bps, bytes: bytes.max(LEAST_PACKETS * PACKET_BYTES * 3 / 4), packets: LEAST_PACKETS }
    }
}

/// What a cluster has shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeOutcome {
    /// This much fits through, in bits per second.
    pub bps: f64,
    /// And no more than this.
    pub saturated: bool,
}

#[derive(Clone, Copy, Debug)]
struct Arrivals {
    packets: usize,
    bytes: usize,
    first: (Instant, Duration, usize),
    last_departure: (Instant, usize),
    last_arrival: Duration,
}

/// A cluster under way.
#[derive(Clone, Copy, Debug)]
struct Active {
    cluster: ProbeCluster,
    began: Instant,
    /// Departures of its first and last packet.
    window: Option<(Instant, Instant)>,
    sent_packets: usize,
    sent_bytes: usize,
    reported: usize,
    arrivals: Option<Arrivals>,
}

impl Active {
    fn is_sent(&self) -> bool {
        self.sent_packets >= self.cluster.packets && self.sent_bytes >= self.cluster.bytes
    }

    fn on_result(&mut self, result: &PacketResult) {
        let inside = self.window.is_some_and(|(first, last)| (first..=last).contains(&result.departure));
        if !inside {
            return;
        }
        self.reported += 1;
        let Some(arrival) = result.arrival else { return };
        let seen = self.arrivals.get_or_insert(Arrivals {
            packets: 0,
            bytes: 0,
            first: (result.departure, arrival, result.bytes),
            last_departure: (result.departure, result.bytes),
            last_arrival: arrival,
        });
        seen.packets += 1;
        seen.bytes += result.bytes;
        seen.last_departure = (result.departure, result.bytes);
        seen.last_arrival = seen.last_arrival.max(arrival);
    }

    fn outcome(&self) -> Option<ProbeOutcome> {
        let seen = self.arrivals?;
        if (seen.packets as f64) < self.sent_packets as f64 * LEAST_ARRIVED {
            return None;
        }
        let rate = |bytes: usize, time: f64| (time > 0.0).then_some(bytes as f64 * 8.0 / time);
        // The last packet's bytes need no time after its departure, the first one's none before its arrival.
        let departures = seen.last_departure.0.saturating_duration_since(seen.first.0).as_secs_f64();
        let sent = rate(seen.bytes - seen.last_departure.1, departures)?;
        let arrivals = seen.last_arrival.saturating_sub(seen.first.1).as_secs_f64();
        let received = rate(seen.bytes - seen.first.2, arrivals).unwrap_or(sent);
        if received > sent * MAX_SPEED_UP {
            return None;
        }
        let saturated = received < sent * SATURATED;
        Some(ProbeOutcome { bps: if saturated { received * CAUTION } else { sent.min(received) }, saturated })
    }
}

/// Decides when to probe, and reads the results.
#[derive(Debug, Default)]
pub struct ProbeControl {
    waiting: VecDeque<f64>,
    active: Option<Active>,
    began: bool,
    /// When the last one was sent, or the rate was cut.
    last: Option<Instant>,
    pause: Duration,
    jitter: Duration,
}

impl ProbeControl {
    /// How unevenly packets come through the path.
    pub fn set_jitter(&mut self, jitter: Duration) {
        self.jitter = jitter;
    }

    /// The next cluster to send, if it is time. `rate` is the present estimate and `most` what is worth
    /// knowing, both in bits per second; `needed`: the application could use more than the estimate; `calm`:
    /// there is no queue on the path.
    pub fn poll(&mut self, now: Instant, rate: f64, most: f64, needed: bool, calm: bool) -> Option<ProbeCluster> {
        if most <= rate * WORTH_TRYING {
            return None;
        }
        if !std::mem::replace(&mut self.began, true) {
            self.waiting = FIRST.iter().map(|multiple| rate * multiple).collect();
            self.last = Some(now);
            self.pause = INTERVAL;
        }
        if self.active.is_some_and(|active| now.saturating_duration_since(active.began) >= PATIENCE) {
            self.active = None;
        }
        if self.active.is_some() {
            return None;
        }
        if !calm {
            self.waiting.clear();
            return None;
        }
        let pause = if needed { self.pause } else { IDLE_INTERVAL };
        if self.waiting.is_empty() && self.last.is_some_and(|last| now.saturating_duration_since(last) >= pause) {
            self.waiting.push_back(rate * FURTHER);
        }
        let bps = self.waiting.pop_front()?.min(most);
        self.last = Some(now);
        self.pause = INTERVAL;
        if bps <= rate * WORTH_TRYING {
            return None;
        }
        let cluster = ProbeCluster::new(bps, self.jitter);
        self.active = Some(Active {
            cluster,
            began: now,
            window: None,
            sent_packets: 0,
            sent_bytes: 0,
            reported: 0,
            arrivals: None,
        });
        Some(cluster)
    }

    /// The rate was cut: what was planned is void, and the next attempt comes a little later.
    pub fn on_cut(&mut self, now: Instant) {
        self.waiting.clear();
        self.active = None;
        self.last = Some(now);
        self.pause = AFTER_CUT;
    }

    /// A packet of the cluster left.
    pub fn on_sent(&mut self, departure: Instant, bytes: usize) {
        let Some(active) = self.active.as_mut().filter(|active| !active.is_sent()) else { return };
        let first = active.window.map_or(departure, |(first, _)| first);
        active.window = Some((first, departure));
        active.sent_packets += 1;
        active.sent_bytes += bytes;
    }

    /// Takes reports in the order of departure; gives the outcome when the cluster's last packet is among them.
    pub fn on_results(&mut self, results: &[PacketResult]) -> Option<ProbeOutcome> {
        let active = self.active.as_mut()?;
        results.iter().for_each(|result| active.on_result(result));
        let (_, last) = active.window?;
        let passed = results.last().is_some_and(|result| result.departure > last);
        if !active.is_sent() || (active.reported < active.sent_packets && !passed) {
            return None;
        }
        let outcome = active.outcome();
        let cluster = active.cluster;
        self.active = None;
        let good = outcome.is_some_and(|outcome| !outcome.saturated && outcome.bps >= cluster.bps * SUCCESS);
        if !good {
            self.waiting.clear();
        } else if self.waiting.is_empty() {
            self.waiting.push_back(cluster.bps * FURTHER);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Sends a cluster evenly at its rate; the path lets it through at `capacity`.
    fn send(control: &mut ProbeControl, cluster: ProbeCluster, began: Instant, capacity: f64) -> Vec<PacketResult> {
        let count = cluster.packets.max(cluster.bytes.div_ceil(1200)) as u32;
        let gap = |bps: f64| Duration::from_secs_f64(9600.0 / bps);
        (0..count)
            .map(|index| {
                let departure = began + gap(cluster.bps) * index;
                control.on_sent(departure, 1200);
                let arrival = ms(500) + gap(cluster.bps.min(capacity)) * index;
                PacketResult { departure, arrival: Some(arrival), bytes: 1200 }
            })
            .collect()
    }

    #[test]
    fn on_an_open_path_each_probe_calls_for_a_larger_one() {
        let (mut control, mut now, mut tried) = (ProbeControl::default(), Instant::now(), Vec::new());
        while let Some(cluster) = control.poll(now, 0.5e6, 10e6, true, true) {
            let results = send(&mut control, cluster, now, 1e9);
            let outcome = control.on_results(&results).unwrap();
            assert!(!outcome.saturated && (outcome.bps / cluster.bps - 1.0).abs() < 0.01);
            tried.push(cluster.bps);
            now += ms(100);
            if tried.len() == 4 {
                break;
            }
        }
        assert_eq!(tried, [1.5e6, 3e6, 6e6, 10e6]);
    }

    #[test]
    fn a_full_path_is_measured_and_not_probed_further_for_some_seconds() {
        let (mut control, now) = (ProbeControl::default(), Instant::now());
        let cluster = control.poll(now, 0.5e6, 10e6, true, true).unwrap();
        let results = send(&mut control, cluster, now, 1e6);
        let outcome = control.on_results(&results).unwrap();
        assert!(outcome.saturated && (0.9e6..1e6).contains(&outcome.bps), "{outcome:?}");
        assert_eq!(control.poll(now + ms(1000), 0.9e6, 10e6, true, true), None);
        assert_eq!(control.poll(now + ms(3100), 0.9e6, 10e6, true, true).map(|cluster| cluster.bps), Some(1.8e6));
    }

    #[test]
    fn where_nobody_needs_more_attempts_are_rare() {
        let (mut control, now) = (ProbeControl::default(), Instant::now());
        let cluster = control.poll(now, 0.5e6, 10e6, false, true).unwrap();
        let results = send(&mut control, cluster, now, 0.6e6);
        control.on_results(&results).unwrap();
        assert_eq!(control.poll(now + ms(14_000), 0.6e6, 10e6, false, true), None);
        assert!(control.poll(now + ms(15_000), 0.6e6, 10e6, false, true).is_some());
    }

    #[test]
    fn too_few_arrivals_tell_nothing() {
        let (mut control, now) = (ProbeControl::default(), Instant::now());
        let cluster = control.poll(now, 0.5e6, 10e6, true, true).unwrap();
        let mut results = send(&mut control, cluster, now, 1e9);
        results.iter_mut().step_by(2).for_each(|result| result.arrival = None);
        assert_eq!(control.on_results(&results), None);
    }

    #[test]
    fn a_cluster_that_never_comes_back_does_not_block_the_next_one() {
        let (mut control, now) = (ProbeControl::default(), Instant::now());
        assert!(control.poll(now, 0.5e6, 10e6, true, true).is_some());
        assert!(control.poll(now + ms(500), 0.5e6, 10e6, true, true).is_none());
        assert!(control.poll(now + ms(1100), 0.5e6, 10e6, true, true).is_some());
    }

    #[test]
    fn nothing_is_probed_while_there_is_a_queue_or_when_there_is_enough() {
        let (mut control, now) = (ProbeControl::default(), Instant::now());
        assert!(control.poll(now, 1e6, 10e6, true, false).is_none());
        let mut control = ProbeControl::default();
        assert!(control.poll(now, 1e6, 1e6, true, true).is_none());
    }
}
