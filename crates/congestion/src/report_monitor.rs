//! Response time and silence of the receiver's reports.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

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

/// Watches which packets are reported, and when.
#[derive(Debug, Default)]
pub struct ReportMonitor {
    /// Departures that no report covers yet.
    unreported: VecDeque<Instant>,
    /// Numbers of packets in the last reports.
    report_sizes: VecDeque<usize>,
    first_sent: Option<Instant>,
    is_reported: bool,
    /// Smoothed time from a departure to its report.
    response_time: Option<Duration>,
    min_response_time: Option<Duration>,
}

impl ReportMonitor {
    /// Notes a packet that left.
    pub fn on_sent(&mut self, now: Instant) {
        self.first_sent.get_or_insert(now);
        if self.unreported.len() == MAX_UNREPORTED {
            self.unreported.pop_front();
        }
        self.unreported.push_back(now);
    }

    /// Notes a report on a number of packets, of which the newest left at `newest_departure`.
    pub fn on_report(&mut self, now: Instant, newest_departure: Instant, packets: usize) {
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

    /// When the first packet left.
    #[must_use]
    pub fn first_sent(&self) -> Option<Instant> {
        self.first_sent
    }

    /// Whether the receiver has reported anything.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        self.is_reported
    }

    /// Smoothed time from a departure to its report.
    #[must_use]
    pub fn response_time(&self) -> Duration {
        self.response_time.unwrap_or(DEFAULT_RESPONSE_TIME)
    }

    /// Shortest recent time from a departure to its report.
    #[must_use]
    pub fn min_response_time(&self) -> Duration {
        self.min_response_time.unwrap_or(DEFAULT_RESPONSE_TIME)
    }

    /// Whether reports have been missing for so long that sending should pause.
    #[must_use]
    pub fn is_silent(&self, now: Instant) -> bool {
        let ages = self.unreported.iter().map(|departure| now.saturating_duration_since(*departure));
        let mut awaited = ages.filter(|age| *age < LOST_REPORT_AGE);
        let smallest_report = self.report_sizes.iter().min().copied().unwrap_or_default() as f64;
        self.is_reported
            && awaited.next().is_some_and(|oldest| oldest > self.response_time() + REPORT_TIMEOUT)
            && (awaited.count() + 1) as f64 > smallest_report * MIN_SILENT_BATCHES
    }

    /// Whether the receiver has never reported anything although it has had time to.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        let sent = self.unreported.back().zip(self.first_sent);
        let sent_for = sent.map(|(last, first)| last.saturating_duration_since(first));
        !self.is_reported && sent_for.is_some_and(|time| time > FIRST_REPORT_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Sends a packet every 10 ms, from `from` to `to`. Each report covers 50 ms and comes 60 ms after its last packet, unless
    /// `is_reported` is false.
    fn send(monitor: &mut ReportMonitor, began: Instant, from: u64, to: u64, is_reported: bool) {
        for at in (from..to).step_by(10) {
            let now = began + ms(at);
            monitor.on_sent(now);
            if is_reported && at % 50 == 40 {
                monitor.on_report(now + ms(60), now, 5);
            }
        }
    }

    #[test]
    fn a_receiver_without_reports_is_noticed_after_three_seconds() {
        let (mut monitor, began) = (ReportMonitor::default(), Instant::now());
        send(&mut monitor, began, 0, 2000, false);
        assert!(!monitor.is_unsupported());
        send(&mut monitor, began, 2000, 3100, false);
        assert!(monitor.is_unsupported() && !monitor.is_silent(began + ms(3100)));
    }

    #[test]
    fn missing_reports_are_silence_until_they_come_again() {
        let (mut monitor, began) = (ReportMonitor::default(), Instant::now());
        send(&mut monitor, began, 0, 1000, true);
        assert!(!monitor.is_silent(began + ms(1100)));
        send(&mut monitor, began, 1000, 1500, false);
        assert!(monitor.is_silent(began + ms(1500)));
        send(&mut monitor, began, 1500, 2000, true);
        assert!(!monitor.is_silent(began + ms(2000)));
    }

    #[test]
    fn a_receiver_that_reports_every_20_packets_is_not_silent() {
        let (mut monitor, began) = (ReportMonitor::default(), Instant::now());
        for (index, at) in (0..10_000).step_by(66).enumerate() {
            let now = began + ms(at);
            assert!(!monitor.is_silent(now), "after {at} ms");
            monitor.on_sent(now);
            if index % 20 == 19 {
                monitor.on_report(now + ms(1), now, 20);
            }
        }
    }

    #[test]
    fn a_report_lost_before_a_pause_is_no_silence_after_it() {
        let (mut monitor, began) = (ReportMonitor::default(), Instant::now());
        send(&mut monitor, began, 0, 1000, true);
        monitor.on_sent(began + ms(1000));
        assert!(!monitor.is_silent(began + ms(8000)));
    }
}
