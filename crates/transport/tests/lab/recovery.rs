//! Loss recovery: frames arrive complete and in time although packets get lost.

use super::call::{CallConfig, CallReport, run};
use super::measure::percentile;
use netsim::{LinkConfig, Loss};
use std::time::Duration;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Calls of a minute at 2.5 Mbit/s with loss in both directions, with three seeds.
fn calls(round_trip: u64, loss: Loss) -> Vec<CallReport> {
    calls_through(round_trip, loss, false)
}

/// The same, with a server next to the receiver if `has_server`.
fn calls_through(round_trip: u64, loss: Loss, has_server: bool) -> Vec<CallReport> {
    (1..=3)
        .map(|seed| {
            let up = LinkConfig { seed, loss, delay: ms(round_trip / 2), ..LinkConfig::default() };
            let down = LinkConfig { seed: seed + 1000, ..up.clone() };
            run(&CallConfig {
                time: Duration::from_secs(60),
                up,
                down,
                max_bps: 2.5e6,
                start_bps: 1e6,
                has_server,
                busy_pauses: None,
            })
        })
        .collect()
}

/// Shares of the frames encoded between the 5th and the 58th second that were delivered, and delivered within `limit`.
fn shares(report: &CallReport, limit: Duration) -> (f64, f64) {
    let measured = report.frames.iter().filter(|frame| !frame.skipped && (5..58).contains(&frame.captured.as_secs()));
    let waits: Vec<_> = measured.map(|frame| frame.delivered.map(|at| at - frame.captured)).collect();
    let share = |count: usize| count as f64 / waits.len() as f64;
    let whole = waits.iter().flatten().count();
    (share(whole), share(waits.iter().flatten().filter(|wait| **wait <= limit).count()))
}

#[test]
fn five_percent_loss_on_a_short_path_costs_no_frame_and_little_time() {
    for report in calls(50, Loss::Uniform(0.05)) {
        let (whole, in_time) = shares(&report, ms(200));
        assert!(whole >= 1.0 && in_time >= 0.99, "{whole} {in_time}");
        assert!(percentile(report.latencies(5.0, 58.0), 0.95) <= ms(150));
        assert_eq!(report.keyframe_requests, 0);
    }
}

#[test]
fn slow_nacks_of_a_server_cost_no_frame_and_little_time() {
    for (round_trip, p95, p99) in [(50, 90, 140), (150, 240, 330)] {
        for report in calls_through(round_trip, Loss::Uniform(0.05), true) {
            let late = |share| percentile(report.latencies(5.0, 58.0), share).as_millis();
            let (whole, _) = shares(&report, ms(500));
            assert!(whole >= 1.0 && late(0.95) <= p95 && late(0.99) <= p99, "{whole} {} {}", late(0.95), late(0.99));
            assert_eq!(report.keyframe_requests, 0);
        }
    }
}

#[test]
fn five_percent_loss_on_a_long_path_costs_no_frame() {
    for report in calls(150, Loss::Uniform(0.05)) {
        let (whole, in_time) = shares(&report, ms(500));
        assert!(whole >= 0.999 && in_time >= 0.98, "{whole} {in_time}");
        assert!(percentile(report.latencies(5.0, 58.0), 0.95) <= ms(330));
    }
}

#[test]
fn bursts_of_loss_cost_hardly_any_frame() {
    for round_trip in [80, 150] {
        for report in calls(round_trip, Loss::Bursts { rate: 0.1, mean_burst: 4.0 }) {
            let (whole, in_time) = shares(&report, ms(600));
            assert!(whole >= 0.99 && in_time >= 0.97, "{whole} {in_time}");
        }
    }
}

#[test]
fn a_call_survives_ten_percent_loss() {
    for round_trip in [50, 150] {
        for report in calls(round_trip, Loss::Uniform(0.10)) {
            let (whole, in_time) = shares(&report, ms(600));
            assert!(whole >= 0.999 && in_time >= 0.97, "{whole} {in_time}");
        }
    }
}

#[test]
fn retransmissions_hardly_exceed_the_losses() {
    for (round_trip, loss) in [(50, 0.05), (150, 0.05), (50, 0.10)] {
        for report in calls(round_trip, Loss::Uniform(loss)) {
            let copies = report.retransmissions as f64 / report.link.lost as f64;
            assert!(copies <= 1.8, "{copies}");
        }
    }
}

#[test]
fn packets_are_duplicated_only_where_packets_are_lost() {
    for report in calls(50, Loss::None) {
        assert_eq!(report.duplicates, 0);
    }
    for report in calls(50, Loss::Uniform(0.05)) {
        assert!(report.duplicates > report.link.lost, "{}", report.duplicates);
    }
}

#[test]
fn packets_are_not_duplicated_without_spare_capacity() {
    for seed in 1..=3 {
        let capacity = vec![(Duration::ZERO, 3e6)];
        let up = LinkConfig { seed, loss: Loss::Uniform(0.05), capacity, ..LinkConfig::default() };
        let down = LinkConfig { seed: seed + 1000, capacity: Vec::new(), ..up.clone() };
        let time = Duration::from_secs(60);
        let report =
            run(&CallConfig { time, up, down, max_bps: 2.5e6, start_bps: 1e6, has_server: false, busy_pauses: None });
        assert!(report.duplicates * 50 <= report.link.sent, "{} of {}", report.duplicates, report.link.sent);
    }
}
