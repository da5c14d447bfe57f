//! The way to one subscriber: what it carries, learned from when packets arrive (crate `congestion`).
//!
//! Publishers pace, so packets are passed on as they come. Only probes have a rhythm of their own.

use std::time::{Duration, Instant};

use congestion::{BandwidthEstimator, BitrateLimits, PacketStatus, ProbeCluster, SentHistory};

/// The estimate of a new connection, and the least one, in bits per second.
pub const FIRST_ESTIMATE: u64 = 2_000_000;
const LEAST_ESTIMATE: f64 = 50_000.0;
/// A change of the estimate below this share is not worth telling.
const TELLING: f64 = 0.02;
/// A late wake-up during a probe is caught up with, up to this much.
const CATCH_UP: Duration = Duration::from_millis(5);
/// A probe that is not complete after this is given up.
const PROBE_PATIENCE: Duration = Duration::from_millis(500);

/// Repetitions take at most this share of what the way carries, and so much at once in terms of time. Beyond that, what
/// was lost for want of room would only be lost again, and more with it.
const REPEATS_SHARE: f64 = 0.5;
const REPEATS_AT_ONCE: Duration = Duration::from_millis(250);
/// A packet is not repeated again within this share of the round trip, which has the queue on the way in it: its
/// repetition may be under way. Where there is no queue a second one is welcome: the first may get lost as well.
const REPEAT_SPACING: f64 = 0.7;
const EARLY_SPACING: f64 = 0.2;
const NO_QUEUE: Duration = Duration::from_millis(20);
const REPEAT_SPACING_RANGE: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(250)];

/// Packets are sent twice where the way loses this share of them, as a publisher does it (see the client's transport):
/// less is not worth it, and more comes in bursts mostly, which take both copies,
const DOUBLE_LOSS: std::ops::Range<f64> = 0.015..0.08;
/// and where it carries so many times what is sent.
const DOUBLE_ROOM: f64 = 3.0;

/// A probe being sent.
#[derive(Debug)]
struct Probe {
    bps: f64,
    bytes_left: usize,
    packets_left: usize,
    next_at: Instant,
    given_up_at: Instant,
}

/// See the module's description.
#[derive(Debug)]
pub struct Path {
    estimator: BandwidthEstimator,
    sent: SentHistory,
    probe: Option<Probe>,
    told: f64,
    /// Bytes of repetitions that may leave now, as of then.
    repeats: f64,
    repeats_at: Option<Instant>,
}

impl Default for Path {
    fn default() -> Self {
        let start = FIRST_ESTIMATE as f64;
        let limits = BitrateLimits { start, min: LEAST_ESTIMATE, desired: start };
        Self {
            estimator: BandwidthEstimator::new(limits),
            sent: SentHistory::default(),
            probe: None,
            told: 0.0,
            repeats: 0.0,
            repeats_at: None,
        }
    }
}

impl Path {
    /// Changes how much could be sent at best, in bits per second.
    pub fn set_wanted(&mut self, bps: u64) {
        self.estimator.set_desired(bps as f64);
    }

    /// A packet leaves that has a transport-wide number, which this gives. `bytes` is the size of the whole datagram.
    pub fn on_sent(&mut self, now: Instant, bytes: usize) -> u16 {
        let in_probe = self.count_for_probe(now, bytes);
        self.estimator.on_sent(now, bytes, in_probe);
        self.sent.on_sent(now, bytes)
    }

    fn count_for_probe(&mut self, now: Instant, bytes: usize) -> bool {
        let Some(probe) = &mut self.probe else { return false };
        probe.bytes_left = probe.bytes_left.saturating_sub(bytes);
        probe.packets_left = probe.packets_left.saturating_sub(1);
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        probe.next_at = probe.next_at.max(earliest) + Duration::from_secs_f64(bytes as f64 * 8.0 / probe.bps);
        if probe.bytes_left == 0 && probe.packets_left == 0 {
            self.probe = None;
        }
        true
    }

    /// The client told when packets arrived. Gives the estimate in bits per second if it is another one than before.
    pub fn on_arrivals(&mut self, now: Instant, arrivals: Vec<PacketStatus>) -> Option<u64> {
        let results = self.sent.on_feedback(arrivals);
        if results.is_empty() {
            return None;
        }
        self.estimator.on_results(now, &results);
        let estimate = self.estimator.estimate_bps();
        if (estimate - self.told).abs() <= self.told * TELLING {
            return None;
        }
        self.told = estimate;
        Some(estimate as u64)
    }

    /// Whether a repetition of so many bytes may leave. Then it counts as left.
    pub fn allows_repeat(&mut self, now: Instant, bytes: usize) -> bool {
        let bytes_per_second = self.estimator.estimate_bps() / 8.0 * REPEATS_SHARE;
        let passed = self.repeats_at.replace(now).map_or(REPEATS_AT_ONCE, |at| now.saturating_duration_since(at));
        let most = bytes_per_second * REPEATS_AT_ONCE.as_secs_f64();
        self.repeats = (self.repeats + bytes_per_second * passed.as_secs_f64()).min(most);
        let allowed = self.repeats > 0.0;
        if allowed {
            self.repeats -= bytes as f64;
        }
        allowed
    }

    /// Least time between two copies of a packet.
    pub fn repeat_spacing(&self) -> Duration {
        let [least, most] = REPEAT_SPACING_RANGE;
        let is_free = self.estimator.queue() <= NO_QUEUE && !self.estimator.is_draining();
        let share = if is_free { EARLY_SPACING } else { REPEAT_SPACING };
        // Without reports nothing is known.
        if self.told == 0.0 { least } else { self.estimator.round_trip().mul_f64(share).clamp(least, most) }
    }

    /// Whether a second copy of each picture's packet is worth its while: the way loses packets for reasons of its own, and
    /// carries much more than is sent.
    pub fn doubles(&self) -> bool {
        let has_room = self.estimator.estimate_bps() >= self.estimator.target_bps() * DOUBLE_ROOM;
        let loss = self.estimator.loss();
        has_room && self.estimator.is_queue_free() && loss.is_some_and(|loss| DOUBLE_LOSS.contains(&loss))
    }

    /// Lets time pass, every few tens of milliseconds. With `can_pad` there is something to fill a probe with.
    pub fn tick(&mut self, now: Instant, can_pad: bool) {
        if self.estimator.next_timeout().is_none_or(|due| due > now) {
            return;
        }
        self.estimator.handle_timeout(now);
        if can_pad {
            self.probe_if_due(now);
        }
    }

    /// Begins a probe if it is time for one. To be asked only while there is something to fill it with.
    pub fn probe_if_due(&mut self, now: Instant) {
        if self.probe.is_some() {
            return;
        }
        self.probe = self.estimator.poll_probe(now).map(|ProbeCluster { bps, bytes, packets }| Probe {
            bps: bps.max(1.0),
            bytes_left: bytes,
            packets_left: packets,
            next_at: now,
            given_up_at: now + PROBE_PATIENCE,
        });
    }

    /// Whether the probe wants a packet now.
    pub fn wants_padding(&mut self, now: Instant) -> bool {
        self.probe.take_if(|probe| probe.given_up_at <= now);
        self.probe.as_ref().is_some_and(|probe| probe.next_at <= now)
    }

    /// When the probe wants its next packet.
    pub fn next_padding(&self) -> Option<Instant> {
        self.probe.as_ref().map(|probe| probe.next_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1200;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Sends media of `bps` for a time over a way that carries `capacity`, with padding where a probe wants it. Gives
    /// the last estimate.
    fn run(path: &mut Path, began: Instant, seconds: u64, bps: u64, capacity: u64) -> u64 {
        let (mut estimate, mut media, mut free_at) = (0, 0, began);
        let mut arrivals = Vec::new();
        for at in 0..seconds * 1000 {
            let now = began + ms(at);
            path.tick(now, true);
            while media * 8000 < bps * at || path.wants_padding(now) {
                if !path.wants_padding(now) {
                    media += PACKET as u64;
                }
                let sequence = path.on_sent(now, PACKET);
                free_at = free_at.max(now) + Duration::from_secs_f64(PACKET as f64 * 8.0 / capacity as f64);
                arrivals.push(PacketStatus { sequence, arrival: Some(free_at - began + ms(500)) });
            }
            if at % 50 == 0 {
                estimate = path.on_arrivals(now, std::mem::take(&mut arrivals)).unwrap_or(estimate);
            }
        }
        estimate
    }

    #[test]
    fn a_way_that_carries_more_than_is_sent_is_found_out_by_probes() {
        let mut path = Path::default();
        path.set_wanted(5_000_000);
        let estimate = run(&mut path, Instant::now(), 10, 500_000, 8_000_000);
        assert!(estimate > 5_000_000, "{estimate}");
    }

    #[test]
    fn a_full_way_is_noticed() {
        let mut path = Path::default();
        path.set_wanted(5_000_000);
        let estimate = run(&mut path, Instant::now(), 4, 1_500_000, 800_000);
        assert!(estimate < 1_000_000, "{estimate}");
    }

    #[test]
    fn repetitions_are_bounded() {
        let (mut path, began) = (Path::default(), Instant::now());
        let allowed = (0..2000).filter(|at| path.allows_repeat(began + ms(at / 2), PACKET)).count();
        let most = FIRST_ESTIMATE as f64 / 8.0 * REPEATS_SHARE * 1.25 / PACKET as f64;
        assert!((most - 2.0..most + 2.0).contains(&(allowed as f64)), "{allowed} {most}");
    }

    #[test]
    fn a_probe_has_its_rate_and_an_end() {
        let (mut path, began) = (Path::default(), Instant::now());
        path.set_wanted(20_000_000);
        path.probe_if_due(began);
        let mut sent = 0;
        for at in 0..100 {
            while path.wants_padding(began + ms(at)) {
                path.on_sent(began + ms(at), PACKET);
                sent += PACKET;
            }
        }
        // 20 ms at three times the first estimate.
        let cluster = FIRST_ESTIMATE as usize * 3 / 8 / 50;
        assert!((cluster..cluster + 2 * PACKET).contains(&sent), "{sent}");
        assert_eq!(path.next_padding(), None);
    }
}
