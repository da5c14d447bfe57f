//! The bandwidth estimator: combines the controllers of this crate.

use super::PacketResult;
use super::alr::AlrDetector;
use super::delay_control::{DelayControl, DelayEvent, Observation};
use super::inter_arrival::InterArrival;
use super::loss_control::LossControl;
use super::probe_cluster::ProbeCluster;
use super::probe_controller::{ProbeConditions, ProbeController};
use super::queue_delay::QueueDelay;
use super::throughput::Throughput;
use super::trendline::{BandwidthUsage, TrendlineEstimator};
use rtp::{Bitrate, DataSize};
use std::collections::VecDeque;
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
/// Sending pauses when reports are later than the usual response time by more than this.
const REPORT_TIMEOUT: Duration = Duration::from_millis(250);
/// A receiver without any report this long after the first packet supports none.
const FIRST_REPORT_TIMEOUT: Duration = Duration::from_secs(3);
/// A packet without a report after this time will never have one: the report was lost.
const LOST_REPORT_AGE: Duration = Duration::from_secs(2);
/// Fewer unreported packets than this multiple of the smallest recent report are no sign of silence: some receivers report
/// only after a number of packets.
const MIN_SILENT_BATCHES: f64 = 1.5;
/// Number of recent reports that the smallest one is taken from.
const RECENT_REPORTS: usize = 8;
/// Packets that are remembered as unreported.
const MAX_UNREPORTED: usize = 8192;
/// Response time before the first report.
const DEFAULT_RESPONSE_TIME: Duration = Duration::from_millis(150);

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
    /// Departures that no report covers yet.
    unreported: VecDeque<Instant>,
    /// Numbers of packets in the last reports.
    report_sizes: VecDeque<usize>,
    first_sent: Option<Instant>,
    is_reported: bool,
    /// Smoothed time from a departure to its report.
    response_time: Option<Duration>,
    min_response_time: Option<Duration>,
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
            unreported: VecDeque::new(),
            report_sizes: VecDeque::new(),
            first_sent: None,
            is_reported: false,
            response_time: None,
            min_response_time: None,
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
        self.first_sent.get_or_insert(now);
        self.alr.on_sent(size);
        if self.unreported.len() == MAX_UNREPORTED {
            self.unreported.pop_front();
        }
        self.unreported.push_back(now);
        if in_probe {
            self.probes.on_sent(now, size);
        }
    }

    /// Adds a report of the receiver: results in the order of departure, up to the newest packet that it covers.
    pub fn on_results(&mut self, now: Instant, results: &[PacketResult]) {
        let Some(newest) = results.last() else { return };
        self.note_report(now, newest.departure, results.len());
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

    fn note_report(&mut self, now: Instant, newest_departure: Instant, packets: usize) {
        self.is_reported = true;
        if self.report_sizes.len() == RECENT_REPORTS {
            self.report_sizes.pop_front();
        }
        self.report_sizes.push_back(packets);
        while self.unreported.front().is_some_and(|departure| *departure <= newest_departure) {
            self.unreported.pop_front();
        }
        let response = now.saturating_duration_since(newest_departure);
        self.response_time = Some(self.response_time.map_or(response, |known| (known * 7 + response) / 8));
        // The minimum creeps up, so that a longer path is noticed in time.
        let min = self.min_response_time.map_or(response, |min| (min + min / 256).min(response));
        self.min_response_time = Some(min);
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
            response_time: self.response_time.unwrap_or(DEFAULT_RESPONSE_TIME),
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
        let first = self.first_sent?;
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
        if self.is_without_reports() {
            return self.limits.desired;
        }
        let share = self.delay.send_share(self.queue.newest());
        (self.rate * share).clamp(self.limits.min, self.limits.desired)
    }

    /// Whether reports have been missing for so long that sending should pause.
    #[must_use]
    pub fn is_silent(&self, now: Instant) -> bool {
        let usual = self.response_time.unwrap_or(DEFAULT_RESPONSE_TIME);
        let ages = self.unreported.iter().map(|departure| now.saturating_duration_since(*departure));
        let mut awaited = ages.filter(|age| *age < LOST_REPORT_AGE);
        let smallest_report = self.report_sizes.iter().min().copied().unwrap_or_default() as f64;
        self.is_reported
            && awaited.next().is_some_and(|oldest| oldest > usual + REPORT_TIMEOUT)
            && (awaited.count() + 1) as f64 > smallest_report * MIN_SILENT_BATCHES
    }

    /// Whether the receiver has reported anything.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        self.is_reported
    }

    /// Whether the receiver has never reported anything: there is nothing to estimate from.
    fn is_without_reports(&self) -> bool {
        let sent = self.unreported.back().zip(self.first_sent);
        let sent_for = sent.map(|(last, first)| last.saturating_duration_since(first));
        !self.is_reported && sent_for.is_some_and(|time| time > FIRST_REPORT_TIMEOUT)
    }

    /// The present time from a packet to its answer, the queue on the path included.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.min_response_time.unwrap_or(DEFAULT_RESPONSE_TIME) + self.queue.newest()
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
    fn missing_reports_are_silence_until_they_come_again() {
        let (mut estimator, began) = (BandwidthEstimator::new(LIMITS), Instant::now());
        send(&mut estimator, began, 0, 1000, true);
        assert!(!estimator.is_silent(began + ms(1100)));
        send(&mut estimator, began, 1000, 1500, false);
        assert!(estimator.is_silent(began + ms(1500)));
        send(&mut estimator, began, 1500, 2000, true);
        assert!(!estimator.is_silent(began + ms(2000)));
    }

    #[test]
    fn a_receiver_that_reports_every_20_packets_is_not_silent() {
        let (mut estimator, began) = (BandwidthEstimator::new(LIMITS), Instant::now());
        let mut results = Vec::new();
        for at in (0..10_000).step_by(66) {
            let now = began + ms(at);
            assert!(!estimator.is_silent(now), "after {at} ms");
            estimator.on_sent(now, DataSize::bytes(300), false);
            results.push(PacketResult { departure: now, arrival: Some(ms(at)), size: DataSize::bytes(300) });
            if results.len() > 20 {
                estimator.on_results(now + ms(1), &results);
                results.clear();
            }
        }
    }

    #[test]
    fn a_report_lost_before_a_pause_is_no_silence_after_it() {
        let (mut estimator, began) = (BandwidthEstimator::new(LIMITS), Instant::now());
        send(&mut estimator, began, 0, 1000, true);
        estimator.on_sent(began + ms(1000), DataSize::bytes(1250), false);
        assert!(!estimator.is_silent(began + ms(8000)));
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
