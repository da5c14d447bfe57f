//! The estimator: all controllers of this folder as one.

use super::PacketResult;
use super::alr::Alr;
use super::arrival_group::ArrivalGroups;
use super::delay_control::{DelayControl, Observation, Verdict};
use super::loss::LossControl;
use super::probe::{ProbeCluster, ProbeControl};
use super::queue_delay::QueueDelay;
use super::throughput::Throughput;
use super::trendline::{Trendline, Usage};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Windows of the throughput.
const SHORT: Duration = Duration::from_millis(150);
const HALF_SECOND: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
/// Rhythm of what needs no report.
const TICK: Duration = Duration::from_millis(50);
/// It is worth knowing whether so many times what is wanted would fit, or so much: then frames leave quickly.
const HEADROOM: f64 = 4.0;
const FAST_BPS: f64 = 10e6;
/// Without a queue longer than this, more may be tried.
const CALM: Duration = Duration::from_millis(15);
/// A queue of this length is one, however short the bottleneck keeps it; and it is remembered for so long.
const SOME_QUEUE: Duration = Duration::from_millis(6);
const QUEUE_REMEMBERED: Duration = Duration::from_secs(3);
/// A cut explains the loss that is reported for this long after it.
const CUT_EXPLAINS: Duration = Duration::from_millis(1500);
/// Unreported packets may span this much beyond the usual response time; then sending pauses.
const SILENCE: Duration = Duration::from_millis(250);
/// Without any report at all for this long after the first packet, the receiver gives none.
const NEVER_REPORTS: Duration = Duration::from_secs(3);
/// A packet that is not reported in this time never will be: its report got lost.
const REPORT_LOST: Duration = Duration::from_secs(2);
/// Some receivers report only after so many packets: fewer than so many times the fewest of late are no sign of silence.
const USUAL_BATCH: f64 = 1.5;
/// Reports that the fewest are taken from.
const RECENT_REPORTS: usize = 8;
/// Most packets remembered as unreported.
const MOST_UNREPORTED: usize = 8192;
/// Used before the first report.
const ASSUMED_RESPONSE: Duration = Duration::from_millis(150);

/// Bounds of the estimate, in bits per second of whole datagrams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Where to begin.
    pub start: f64,
    /// Never less.
    pub least: f64,
    /// All that the application could make use of.
    pub wanted: f64,
}

/// See the module.
#[derive(Debug)]
pub struct Estimator {
    limits: Limits,
    rate: f64,
    groups: ArrivalGroups,
    trend: Trendline,
    queue: QueueDelay,
    throughput: Throughput,
    delay: DelayControl,
    loss: LossControl,
    probes: ProbeControl,
    alr: Alr,
    /// Departures that no report covers yet.
    unreported: VecDeque<Instant>,
    /// How many packets each of the last reports was about.
    batches: VecDeque<usize>,
    first_sent: Option<Instant>,
    reported: bool,
    response: Option<Duration>,
    least_response: Option<Duration>,
    last_tick: Option<Instant>,
    /// When a packet last found others before it.
    queue_seen: Option<Instant>,
}

impl Estimator {
    /// An estimator that knows nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            rate: limits.start,
            groups: ArrivalGroups::default(),
            trend: Trendline::default(),
            queue: QueueDelay::default(),
            throughput: Throughput::default(),
            delay: DelayControl::default(),
            loss: LossControl::default(),
            probes: ProbeControl::default(),
            alr: Alr::default(),
            unreported: VecDeque::new(),
            batches: VecDeque::new(),
            first_sent: None,
            reported: false,
            response: None,
            least_response: None,
            last_tick: None,
            queue_seen: None,
        }
    }

    /// Changes what the application could make use of, in bits per second.
    pub fn set_wanted(&mut self, bps: f64) {
        self.limits.wanted = bps.max(self.limits.least);
        self.clamp();
    }

    /// A packet left. `in_probe`: it belongs to the cluster that [`poll_probe`](Self::poll_probe) asked for.
    pub fn on_sent(&mut self, now: Instant, bytes: usize, in_probe: bool) {
        self.first_sent.get_or_insert(now);
        self.alr.sent(bytes);
        if self.unreported.len() == MOST_UNREPORTED {
            self.unreported.pop_front();
        }
        self.unreported.push_back(now);
        if in_probe {
            self.probes.on_sent(now, bytes);
        }
    }

    /// The receiver reported. Results are in the order of departure, and cover everything up to the newest.
    pub fn on_results(&mut self, now: Instant, results: &[PacketResult]) {
        let Some(newest) = results.last() else { return };
        self.reported = true;
        if self.batches.len() == RECENT_REPORTS {
            self.batches.pop_front();
        }
        self.batches.push_back(results.len());
        while self.unreported.front().is_some_and(|departure| *departure <= newest.departure) {
            self.unreported.pop_front();
        }
        let response = now.saturating_duration_since(newest.departure);
        self.response = Some(self.response.map_or(response, |known| (known * 7 + response) / 8));
        // Creeps up, so that a longer path is believed in time.
        self.least_response = Some(self.least_response.map_or(response, |least| (least + least / 256).min(response)));
        // The least is right soonest after a capacity fell.
        let through = [SHORT, HALF_SECOND].into_iter().filter_map(|window| self.throughput.bps(window));
        let through = through.min_by(f64::total_cmp);
        let mut passed_by = false;
        for result in results {
            let Some(arrival) = result.arrival else { continue };
            self.queue.add(result.departure, arrival, result.bytes, through);
            passed_by |= self.delay.is_disproved_by(result.departure, self.queue.wait());
            self.throughput.add(arrival, result.bytes);
            if let Some(delta) = self.groups.add(result.departure, arrival) {
                self.trend.add(delta);
            }
        }
        self.loss.on_results(results);
        if let Some(outcome) = self.probes.on_results(results)
            && !self.delay.is_draining()
            && outcome.bps > self.rate
        {
            self.delay.probed(outcome.bps, outcome.saturated);
            self.loss.lift(outcome.bps);
            self.rate = outcome.bps;
        }
        if self.queue.wait() >= SOME_QUEUE {
            self.queue_seen = Some(now);
        }
        self.control(now, passed_by);
    }

    fn control(&mut self, now: Instant, passed_by: bool) {
        let usage = match self.trend.usage() {
            Usage::Normal if self.loss.forbids_growth() => Usage::Under,
            usage => usage,
        };
        // What the path loses whatever is sent has to be sent all the same to fill it.
        let survives = 1.0 - self.loss.inherent();
        let fits = |window| self.throughput.bps(window).map(|bps| bps / survives);
        let seen = Observation {
            usage,
            standing: self.queue.standing(),
            newest: self.queue.newest(),
            throughput_short: fits(SHORT),
            throughput: fits(HALF_SECOND),
            app_limited: self.alr.is_limited(),
            response_time: self.response.unwrap_or(ASSUMED_RESPONSE),
            passed_by,
        };
        let (rate, verdict) = self.delay.update(now, self.rate, &seen);
        self.rate = rate;
        match verdict {
            Verdict::Nothing => {}
            Verdict::Cut => self.probes.on_cut(now),
            Verdict::ForeignQueue => self.queue.accept_present(),
        }
        let explained = self.delay.last_cut().is_some_and(|cut| now.saturating_duration_since(cut) < CUT_EXPLAINS);
        self.rate = self.loss.update(now, self.rate, self.throughput.bps(SECOND), explained);
        self.clamp();
    }

    fn clamp(&mut self) {
        self.rate = self.rate.clamp(self.limits.least, self.worth_knowing());
    }

    fn worth_knowing(&self) -> f64 {
        (self.limits.wanted * HEADROOM).max(FAST_BPS)
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.last_tick.is_some_and(|last| now.saturating_duration_since(last) < TICK) {
            return;
        }
        self.last_tick = Some(now);
        self.alr.update(now, self.rate.min(self.limits.wanted));
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let first = self.first_sent?;
        Some(self.last_tick.map_or(first, |last| last + TICK))
    }

    /// Whether packets should leave evenly: loss is being tried for, and there is a queue, so bursts may be what overflows it.
    #[must_use]
    pub fn is_careful(&self, now: Instant) -> bool {
        self.has_queue(now) && self.loss.is_careful()
    }

    /// Whether no queue stands on the path, as far as that can be told from jitter.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.queue.standing() <= CALM + self.queue.uncertainty() && !self.delay.is_draining()
    }

    /// Whether packets waited on the path lately, so that what is lost may be what did not fit.
    #[must_use]
    pub fn has_queue(&self, now: Instant) -> bool {
        self.queue_seen.is_some_and(|seen| now.saturating_duration_since(seen) < QUEUE_REMEMBERED)
    }

    /// A cluster to be sent now, if more would be of use and the path is calm. To be asked only while
    /// there is something to fill a cluster with.
    pub fn poll_probe(&mut self, now: Instant) -> Option<ProbeCluster> {
        let calm = self.is_calm() && !self.is_silent(now);
        self.probes.set_jitter(self.queue.uncertainty());
        self.probes.poll(now, self.rate, self.worth_knowing(), self.rate < self.limits.wanted, calm)
    }

    /// What the path carries, in bits per second. May be several times what is wanted.
    #[must_use]
    pub fn estimate_bps(&self) -> f64 {
        self.rate
    }

    /// What should be sent now, in bits per second: at most what is wanted, and less while a queue drains.
    #[must_use]
    pub fn target_bps(&self) -> f64 {
        if self.is_blind() {
            return self.limits.wanted;
        }
        let share = self.delay.share(self.queue.newest());
        (self.rate * share).clamp(self.limits.least, self.limits.wanted)
    }

    /// Whether packets have gone unreported for so long that it is better to wait.
    #[must_use]
    pub fn is_silent(&self, now: Instant) -> bool {
        let usual = self.response.unwrap_or(ASSUMED_RESPONSE);
        let waiting = self.unreported.iter().map(|departure| now.saturating_duration_since(*departure));
        let mut fresh = waiting.filter(|waiting| *waiting < REPORT_LOST);
        let fewest = self.batches.iter().min().copied().unwrap_or_default() as f64;
        self.reported
            && fresh.next().is_some_and(|longest| longest > usual + SILENCE)
            && (fresh.count() + 1) as f64 > fewest * USUAL_BATCH
    }

    /// The receiver has never reported anything: there is nothing to estimate with.
    fn is_blind(&self) -> bool {
        let waited =
            self.unreported.back().zip(self.first_sent).map(|(last, first)| last.saturating_duration_since(first));
        !self.reported && waited.is_some_and(|waited| waited > NEVER_REPORTS)
    }

    /// How long a packet and an answer to it take at present, the queue on the way included.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.least_response.unwrap_or(ASSUMED_RESPONSE) + self.queue.newest()
    }

    /// Whether a queue on the path is being drained.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.delay.is_draining()
    }

    /// Queue on the path that the newest report tells of.
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

    const LIMITS: Limits = Limits { start: 1e6, least: 1e5, wanted: 3e6 };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Sends a packet of 1250 bytes every 10 ms, from `from` to `to`; each report covers 50 ms and comes 60 ms
    /// after its last packet, unless `reports` is false.
    fn send(estimator: &mut Estimator, began: Instant, from: u64, to: u64, reports: bool) {
        let mut results = Vec::new();
        for at in (from..to).step_by(10) {
            let now = began + ms(at);
            estimator.on_sent(now, 1250, false);
            estimator.handle_timeout(now);
            results.push(PacketResult { departure: now, arrival: Some(ms(at)), bytes: 1250 });
            if reports && results.len() == 5 {
                estimator.on_results(now + ms(60), &results);
                results.clear();
            }
        }
    }

    #[test]
    fn a_receiver_that_never_reports_is_sent_everything() {
        let (mut estimator, began) = (Estimator::new(LIMITS), Instant::now());
        send(&mut estimator, began, 0, 2000, false);
        assert_eq!(estimator.target_bps(), 1e6);
        send(&mut estimator, began, 2000, 3100, false);
        assert_eq!(estimator.target_bps(), 3e6);
        assert!(!estimator.is_silent(began + ms(3100)));
    }

    #[test]
    fn reports_that_stop_mean_silence_until_they_come_again() {
        let (mut estimator, began) = (Estimator::new(LIMITS), Instant::now());
        send(&mut estimator, began, 0, 1000, true);
        assert!(!estimator.is_silent(began + ms(1100)));
        send(&mut estimator, began, 1000, 1500, false);
        assert!(estimator.is_silent(began + ms(1500)));
        send(&mut estimator, began, 1500, 2000, true);
        assert!(!estimator.is_silent(began + ms(2000)));
    }

    #[test]
    fn a_receiver_that_reports_after_twenty_packets_is_not_silent_while_few_are_sent() {
        let (mut estimator, began) = (Estimator::new(LIMITS), Instant::now());
        let mut results = Vec::new();
        for at in (0..10_000).step_by(66) {
            let now = began + ms(at);
            assert!(!estimator.is_silent(now), "after {at} ms");
            estimator.on_sent(now, 300, false);
            results.push(PacketResult { departure: now, arrival: Some(ms(at)), bytes: 300 });
            if results.len() > 20 {
                estimator.on_results(now + ms(1), &results);
                results.clear();
            }
        }
    }

    #[test]
    fn a_lost_report_before_a_pause_does_not_count_as_silence_after_it() {
        let (mut estimator, began) = (Estimator::new(LIMITS), Instant::now());
        send(&mut estimator, began, 0, 1000, true);
        estimator.on_sent(began + ms(1000), 1250, false);
        assert!(!estimator.is_silent(began + ms(8000)));
    }

    #[test]
    fn the_estimate_keeps_to_its_bounds() {
        let (mut estimator, began) = (Estimator::new(LIMITS), Instant::now());
        send(&mut estimator, began, 0, 60_000, true);
        assert!(estimator.estimate_bps() <= 1.5e6, "what gets through does not promise more");
        estimator.set_wanted(0.0);
        assert_eq!(estimator.target_bps(), LIMITS.least);
    }
}
