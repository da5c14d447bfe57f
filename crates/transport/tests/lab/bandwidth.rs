//! Bandwidth estimation: the sender finds the capacity of the link and uses it.
//!
//! Shares are of all bytes on the link, headers, audio and retransmissions included.

use super::call::{CallConfig, CallReport, run};
use super::measure::percentile;
use netsim::{LinkConfig, Loss};
use std::ops::RangeInclusive;
use std::time::Duration;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Calls whose feedback has the delay, loss and outages of the forward direction, with three seeds.
fn calls(time: u64, max_bps: f64, start_bps: f64, up: LinkConfig) -> Vec<CallReport> {
    calls_on_busy_machines(None, time, max_bps, start_bps, up)
}

/// The same on machines whose threads wake up late, see [`CallConfig`].
fn calls_on_busy_machines(
    busy_pauses: Option<RangeInclusive<u64>>,
    time: u64,
    max_bps: f64,
    start_bps: f64,
    up: LinkConfig,
) -> Vec<CallReport> {
    (1..=3)
        .map(|seed| {
            let up = LinkConfig { seed, ..up.clone() };
            let down = LinkConfig { seed: seed + 1000, capacity: Vec::new(), ..up.clone() };
            run(&CallConfig {
                time: secs(time),
                up,
                down,
                max_bps,
                start_bps,
                has_server: false,
                busy_pauses: busy_pauses.clone(),
            })
        })
        .collect()
}

/// 3, 1 and 4 Mbit/s in turn.
fn steps() -> LinkConfig {
    LinkConfig { capacity: vec![(secs(0), 3e6), (secs(20), 1e6), (secs(40), 4e6)], ..LinkConfig::default() }
}

/// Share of the capacity in the last 15 s of each phase of [`steps`].
fn shares(report: &CallReport) -> [f64; 3] {
    [(0.0, 3e6), (20.0, 1e6), (40.0, 4e6)].map(|(from, bps)| report.received_bps(from + 5.0, from + 20.0).0 / bps)
}

/// Lowest estimate after the first five seconds.
fn min_estimate(report: &CallReport) -> f64 {
    let settled = report.samples.iter().filter(|sample| sample.at >= secs(5));
    settled.map(|sample| sample.estimate_bps).fold(f64::INFINITY, f64::min)
}

#[test]
fn the_rate_follows_the_capacity_down_and_up() {
    for report in calls(60, 6e6, 1e6, steps()) {
        assert!(shares(&report).iter().all(|share| *share >= 0.85), "{:?}", shares(&report));
        assert!(report.queue_percentile(0.95, 0.0, 60.0) <= ms(100));
        assert!(report.longest_gap(1.0, 59.0) <= secs(1), "{:?}", report.longest_gap(1.0, 59.0));
    }
}

#[test]
fn the_rate_follows_the_capacity_on_a_long_path_too() {
    for report in calls(60, 6e6, 1e6, LinkConfig { delay: ms(75), ..steps() }) {
        assert!(shares(&report).iter().all(|share| *share >= 0.85), "{:?}", shares(&report));
        assert!(report.queue_percentile(0.95, 0.0, 60.0) <= ms(100));
    }
}

#[test]
fn jitter_does_not_look_like_a_queue() {
    for report in calls(60, 6e6, 1e6, LinkConfig { jitter: ms(10), ..steps() }) {
        assert!(shares(&report).iter().all(|share| *share >= 0.85), "{:?}", shares(&report));
    }
    for report in calls(60, 6e6, 1e6, LinkConfig { jitter: ms(30), ..steps() }) {
        assert!(shares(&report).iter().all(|share| *share >= 0.80), "{:?}", shares(&report));
    }
}

#[test]
fn a_bottleneck_with_a_short_queue_is_used_without_flooding_it() {
    for report in calls(60, 6e6, 1e6, LinkConfig { queue: ms(15), ..steps() }) {
        assert!(shares(&report).iter().all(|share| *share >= 0.80), "{:?}", shares(&report));
        let sent = report.arrivals.len() as u64 + report.link.overflowed;
        assert!(report.link.overflowed * 100 <= sent * 9, "{} of {sent}", report.link.overflowed);
        assert!(percentile(report.latencies(1.0, 59.0), 0.95) <= ms(180));
    }
}

#[test]
fn loss_on_top_of_the_steps_costs_little() {
    for report in calls(60, 6e6, 1e6, LinkConfig { loss: Loss::Uniform(0.02), ..steps() }) {
        assert!(shares(&report).iter().all(|share| *share >= 0.80), "{:?}", shares(&report));
    }
    for report in calls(60, 6e6, 1e6, LinkConfig { loss: Loss::Uniform(0.05), ..steps() }) {
        assert!(shares(&report).iter().all(|share| *share >= 0.70), "{:?}", shares(&report));
    }
}

#[test]
fn the_capacity_of_an_open_link_is_found_within_four_seconds() {
    for report in calls(10, 3e6, 0.5e6, LinkConfig::default()) {
        let reached = report.reached(2.5e6);
        assert!(reached.is_some_and(|at| at <= secs(4)), "{reached:?}");
    }
}

#[test]
fn a_constant_capacity_is_used_for_a_minute_without_a_collapse() {
    for report in calls(60, 6e6, 1e6, LinkConfig { capacity: vec![(secs(0), 1.5e6)], ..LinkConfig::default() }) {
        assert!(report.received_bps(5.0, 60.0).0 >= 0.85 * 1.5e6);
        assert!(min_estimate(&report) >= 0.9e6, "{}", min_estimate(&report));
        assert!(report.queue_percentile(0.95, 0.0, 60.0) <= ms(100));
        assert!(report.longest_gap(1.0, 59.0) <= ms(200));
    }
}

#[test]
fn a_narrow_link_still_carries_a_call() {
    for report in calls(60, 6e6, 1e6, LinkConfig { capacity: vec![(secs(0), 0.3e6)], ..LinkConfig::default() }) {
        assert!(report.received_bps(5.0, 60.0).0 >= 0.85 * 0.3e6);
        assert!(report.longest_gap(5.0, 59.0) <= ms(300), "{:?}", report.longest_gap(5.0, 59.0));
    }
}

#[test]
fn random_loss_does_not_lower_the_rate() {
    let bursts = Loss::Bursts { rate: 0.1, mean_burst: 4.0 };
    for (loss, arrives) in
        [(Loss::Uniform(0.05), 0.95), (Loss::Uniform(0.10), 0.9), (Loss::Uniform(0.20), 0.8), (bursts, 0.9)]
    {
        for report in calls(60, 4e6, 1e6, LinkConfig { loss, ..LinkConfig::default() }) {
            let (all, _) = report.received_bps(5.0, 60.0);
            assert!(all >= 0.85 * 4e6 * arrives, "{loss:?}: {all}");
        }
    }
}

#[test]
fn after_an_outage_video_is_back_at_once() {
    let outages = vec![secs(10)..secs(11), secs(20)..secs(21), secs(30)..secs(31)];
    for report in calls(40, 6e6, 1e6, LinkConfig { capacity: vec![(secs(0), 3e6)], outages, ..LinkConfig::default() }) {
        assert!(report.longest_gap(1.0, 40.0) <= ms(1300), "{:?}", report.longest_gap(1.0, 40.0));
        assert!(report.received_bps(12.0, 20.0).0 >= 0.8 * 3e6);
    }
}

#[test]
fn reordered_and_duplicate_packets_do_no_harm() {
    let up = LinkConfig { capacity: vec![(secs(0), 3e6)], reorder: 0.02, duplicate: 0.02, ..LinkConfig::default() };
    for report in calls(60, 6e6, 1e6, up) {
        assert!(report.received_bps(5.0, 60.0).0 >= 0.85 * 3e6);
    }
}

#[test]
fn most_frames_are_delivered_soon_after_capture() {
    for report in calls(60, 6e6, 1e6, LinkConfig { capacity: vec![(secs(0), 3e6)], ..LinkConfig::default() }) {
        // 25 ms of the link, and as much as the link takes for a frame at this rate.
        assert!(percentile(report.latencies(1.0, 59.0), 0.95) <= ms(110));
    }
}

#[test]
fn stalls_of_a_busy_machine_do_not_look_like_a_narrow_path() {
    for (period, longest, loss, least) in
        [(ms(250), ms(60), Loss::None, 2.5e6), (ms(400), ms(120), Loss::Bursts { rate: 0.1, mean_burst: 4.0 }, 0.8e6)]
    {
        let up = LinkConfig { loss, stalls: Some((period, longest)), ..LinkConfig::default() };
        for report in calls(60, 2.5e6, 1e6, up) {
            let lowest = report.samples.iter().filter(|sample| sample.at >= secs(5)).map(|sample| sample.estimate_bps);
            let lowest = lowest.fold(f64::MAX, f64::min);
            assert!(lowest >= least, "{lowest}");
        }
    }
}

#[test]
fn machines_that_are_always_busy_do_not_look_like_a_narrow_path() {
    for busy_pauses in [5..=30, 20..=80] {
        for report in calls_on_busy_machines(Some(busy_pauses.clone()), 60, 2.5e6, 1e6, LinkConfig::default()) {
            let (least, carried) = (min_estimate(&report), report.received_bps(5.0, 60.0).0);
            assert!(least >= 1.2e6 && carried >= 2.4e6, "{busy_pauses:?}: {least} {carried}");
        }
    }
}
