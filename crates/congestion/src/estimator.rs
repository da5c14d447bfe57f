//! The bandwidth estimator: combines the controllers of this crate.

use super::PacketResult;
use super::alr::AlrDetector;
use super::delay_control::{DelayControl, DelayEvent, Observation};
use super::inter_arrival::InterArrival;
use super::loss_control::LossControl;
use super::probe_cluster::ProbeCluster;
use super::probe_controller::{ProbeConditions, ProbeController};
use super::queue_delay::QueueDelay;
use super::report_monitor::ReportMonitor;
use super::throughput::Throughput;
use super::trendline::{BandwidthUsage, TrendlineEstimator};
use rtp::{Bitrate, DataSize};
use std::time::{Duration, Instant};

/// Short window of the throughput, for the capacity that a full queue shows.
const SHORT_WINDOW: Duration = Duration::from_millis(150);
/// Window of the throughput that the growth of the rate depends on.
const MEDIUM_WINDOW: Duration = Duration::from_millis(500);
/// Window of the throughput that loss control falls back to.
const LONG_WINDOW: Duration = Duration::from_secs(1);
/// Interval of the work that needs no report.
const TICK_INTERVAL: Duration = Duration::from_millis(50);
/// The estimate goes up to this multiple of the desired rate: with that headroom frames leave quickly.
const MAX_HEADROOM: f64 = 4.0;
/// The estimate goes up to this rate at least.
const MIN_CEILING: Bitrate = Bitrate::mbps(10);
/// A longer standing queue forbids probes and duplicates.
const MAX_FREE_QUEUE: Duration = Duration::from_millis(15);
/// A longer wait of a packet is a queue, however short the bottleneck keeps it.
const MIN_NOTED_QUEUE: Duration = Duration::from_millis(6);
/// Time for which a queue is remembered.
const QUEUE_MEMORY: Duration = Duration::from_secs(3);
/// A decrease explains the loss that is reported within this time after it.
const DECREASE_EXPLAINS_LOSS: Duration = Duration::from_millis(1500);

/// Bounds of the estimate, in whole datagrams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BitrateLimits {
    /// The first estimate.
    pub start: Bitrate,
    /// The lowest estimate.
    pub min: Bitrate,
    /// The rate that the application could make use of at most.
    pub desired: Bitrate,
}

/// Estimates the bandwidth of a path from what was sent and what the receiver reports.
#[derive(Debug)]
pub struct BandwidthEstimator {
    limits: BitrateLimits,
    /// The estimate.
    rate: Bitrate,
    groups: InterArrival,
    trendline: TrendlineEstimator,
    queue: QueueDelay,
    throughput: Throughput,
    delay: DelayControl,
    loss: LossControl,
    probes: ProbeController,
    alr: AlrDetector,
    reports: ReportMonitor,
    last_tick: Option<Instant>,
    /// When a packet last waited in a queue.
    queue_seen: Option<Instant>,
}

impl BandwidthEstimator {
    /// Creates an estimator for a path of which nothing is known.
    #[must_use]
    pub fn new(limits: BitrateLimits) -> Self {
        Self {
            limits,
            rate: limits.start,
            groups: InterArrival::default(),
            trendline: TrendlineEstimator::default(),
            queue: QueueDelay::default(),
            throughput: Throughput::default(),
            delay: DelayControl::default(),
            loss: LossControl::default(),
            probes: ProbeController::default(),
            alr: AlrDetector::default(),
            reports: ReportMonitor::default(),
            last_tick: None,
            queue_seen: None,
        }
    }

    /// Changes the rate that the application could make use of.
    pub fn set_desired(&mut self, rate: Bitrate) {
        self.limits.desired = rate.max(self.limits.min);
        self.clamp_rate();
    }

    /// Counts a packet that left. `in_probe`: it belongs to the cluster of [`poll_probe`](Self::poll_probe).
    pub fn on_sent(&mut self, now: Instant, size: DataSize, in_probe: bool) {
        self.reports.on_sent(now);
        self.alr.on_sent(size);
        if in_probe {
            self.probes.on_sent(now, size);
        }
    }

    /// Adds a report of the receiver: results in the order of departure, up to the newest packet that it covers.
    pub fn on_results(&mut self, now: Instant, results: &[PacketResult]) {
        let Some(newest) = results.last() else { return };
        self.reports.on_report(now, newest.departure, results.len());
        // The lower of the two is right soonest after the capacity fell.
        let windows = [SHORT_WINDOW, MEDIUM_WINDOW].into_iter();
        let throughput = windows.filter_map(|window| self.throughput.rate(window)).reduce(Bitrate::min);
        let mut is_queue_disproved = false;
        for result in results {
            let Some(arrival) = result.arrival else { continue };
            self.queue.on_arrival(result.departure, arrival, result.size, throughput);
            is_queue_disproved |= self.delay.is_disproved_by(result.departure, self.queue.newest_wait());
            self.throughput.on_arrival(arrival, result.size);
            if let Some(delta) = self.groups.on_arrival(result.departure, arrival) {
                self.trendline.on_delta(delta);
            }
        }
        self.loss.on_results(results);
        if let Some(probe) = self.probes.on_results(results)
            && !self.delay.is_draining()
            && probe.rate > self.rate
        {
            self.delay.on_probed(probe.rate, probe.is_saturated);
            self.loss.on_probed(probe.rate);
            self.rate = probe.rate;
        }
        if self.queue.newest_wait() >= MIN_NOTED_QUEUE {
            self.queue_seen = Some(now);
        }
        self.update_rate(now, is_queue_disproved);
    }

    fn update_rate(&mut self, now: Instant, is_queue_disproved: bool) {
        let usage = match self.trendline.usage() {
            BandwidthUsage::Normal if self.loss.forbids_increase() => BandwidthUsage::Underuse,
            usage => usage,
        };
        // Packets that the path loses at any rate have to be sent as well to fill it.
        let surviving_share = 1.0 - self.loss.inherent_loss();
        let sent_rate = |window| self.throughput.rate(window).map(|rate| rate / surviving_share);
        let seen = Observation {
            usage,
            standing: self.queue.standing(),
            newest: self.queue.newest(),
            throughput_short: sent_rate(SHORT_WINDOW),
            throughput: sent_rate(MEDIUM_WINDOW),
            is_app_limited: self.alr.is_limited(),
            response_time: self.reports.response_time(),
            is_queue_disproved,
        };
        let update = self.delay.update(now, self.rate, &seen);
        self.rate = update.rate;
        match update.event {
            DelayEvent::None => {}
            DelayEvent::Decrease => self.probes.on_decrease(now),
            DelayEvent::CrossTraffic => self.queue.rebase(),
        }
        let last_decrease = self.delay.last_decrease();
        let is_explained =
            last_decrease.is_some_and(|last| now.saturating_duration_since(last) < DECREASE_EXPLAINS_LOSS);
        self.rate = self.loss.update(now, self.rate, self.throughput.rate(LONG_WINDOW), is_explained);
        self.clamp_rate();
    }

    fn clamp_rate(&mut self) {
        self.rate = self.rate.clamp(self.limits.min, self.ceiling());
    }

    /// The highest rate worth knowing.
    fn ceiling(&self) -> Bitrate {
        (self.limits.desired * MAX_HEADROOM).max(MIN_CEILING)
    }

    /// Does the periodic work.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.last_tick.is_some_and(|last| now.saturating_duration_since(last) < TICK_INTERVAL) {
            return;
        }
        self.last_tick = Some(now);
        self.alr.update(now, self.rate.min(self.limits.desired));
    }

    /// When [`handle_timeout`](Self::handle_timeout) has work next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let first = self.reports.first_sent()?;
        Some(self.last_tick.map_or(first, |last| last + TICK_INTERVAL))
    }

    /// Whether packets should be spaced evenly: loss limits the rate while there is a queue, which bursts may overflow.
    #[must_use]
    pub fn should_avoid_bursts(&self, now: Instant) -> bool {
        self.has_recent_queue(now) && self.loss.is_limiting()
    }

    /// Whether there is no standing queue on the path beyond what may be jitter.
    #[must_use]
    pub fn is_queue_free(&self) -> bool {
        self.queue.standing() <= MAX_FREE_QUEUE + self.queue.uncertainty() && !self.delay.is_draining()
    }

    /// Whether packets waited in a queue during the last seconds, so that losses may be congestion losses.
    #[must_use]
    pub fn has_recent_queue(&self, now: Instant) -> bool {
        self.queue_seen.is_some_and(|seen| now.saturating_duration_since(seen) < QUEUE_MEMORY)
    }

    /// The probe cluster to send now, if any. To be called only while there are packets or padding to fill it with.
    pub fn poll_probe(&mut self, now: Instant) -> Option<ProbeCluster> {
        let conditions = ProbeConditions {
            estimate: self.rate,
            max_rate: self.ceiling(),
            is_more_needed: self.rate < self.limits.desired,
            is_queue_free: self.is_queue_free() && !self.is_silent(now),
            jitter: self.queue.uncertainty(),
        };
        self.probes.poll_cluster(now, conditions)
    }

    /// The bandwidth of the path. May be several times the desired rate.
    #[must_use]
    pub fn estimate(&self) -> Bitrate {
        self.rate
    }

    /// The rate to send at now: at most the desired rate, and less while a queue drains.
    #[must_use]
    pub fn target(&self) -> Bitrate {
        if self.reports.is_unsupported() {
            return self.limits.desired;
        }
        let share = self.delay.send_share(self.queue.newest());
        (self.rate * share).clamp(self.limits.min, self.limits.desired)
    }

    /// Whether reports have been missing for so long that sending should pause.
    #[must_use]
    pub fn is_silent(&self, now: Instant) -> bool {
        self.reports.is_silent(now)
    }

    /// Whether the receiver has reported anything.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        self.reports.has_reports()
    }

    /// The present time from a packet to its answer, the queue on the path included.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.reports.min_response_time() + self.queue.newest()
    }

    /// Whether a queue on the path is being drained.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.delay.is_draining()
    }

    /// The queue on the path as the newest report shows it.
    #[must_use]
    pub fn queue(&self) -> Duration {
        self.queue.newest()
    }

    /// Share of packets lost in the last second, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        self.loss.loss()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BitrateLimits =
        BitrateLimits { start: Bitrate::mbps(1), min: Bitrate::kbps(100), desired: Bitrate::mbps(3) };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Sends a packet of 1250 bytes every 10 ms, from `from` to `to`. Each report covers 50 ms and comes 60 ms after its
    /// last packet, unless `is_reported` is false.
    fn send(estimator: &mut BandwidthEstimator, began: Instant, from: u64, to: u64, is_reported: bool) {
        let mut results = Vec::new();
        for at in (from..to).step_by(10) {
            let now = began + ms(at);
            estimator.on_sent(now, DataSize::bytes(1250), false);
            estimator.handle_timeout(now);
            results.push(PacketResult { departure: now, arrival: Some(ms(at)), size: DataSize::bytes(1250) });
            if is_reported && results.len() == 5 {
                estimator.on_results(now + ms(60), &results);
                results.clear();
            }
        }
    }

    #[test]
    fn a_receiver_that_never_reports_gets_the_desired_rate() {
        let (mut estimator, began) = (BandwidthEstimator::new(LIMITS), Instant::now());
        send(&mut estimator, began, 0, 2000, false);
        assert_eq!(estimator.target(), LIMITS.start);
        send(&mut estimator, began, 2000, 3100, false);
        assert_eq!(estimator.target(), LIMITS.desired);
        assert!(!estimator.is_silent(began + ms(3100)));
    }

    #[test]
    fn the_estimate_stays_within_its_bounds() {
        let (mut estimator, began) = (BandwidthEstimator::new(LIMITS), Instant::now());
        send(&mut estimator, began, 0, 60_000, true);
        assert!(estimator.estimate() <= Bitrate::bps(1.5e6), "the throughput promises no more");
        estimator.set_desired(Bitrate::ZERO);
        assert_eq!(estimator.target(), LIMITS.min);
    }
}
