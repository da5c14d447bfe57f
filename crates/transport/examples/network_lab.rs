//! Runs the transport lab and prints one JSON line a case, or the course of one case.
//!
//! `network_lab bandwidth`, `network_lab loss`, `network_lab course CASE SEED`.

#![allow(missing_docs, reason = "an example")]

#[path = "../tests/lab/call.rs"]
mod call;
#[path = "../tests/lab/measure.rs"]
mod measure;

use call::{CallConfig, CallReport, run};
use measure::percentile;
use netsim::{LinkConfig, Loss};
use serde_json::{Value, json};
use std::time::Duration;

const SEEDS: u64 = 5;
const LOSS_CASES: [(u64, &str, Loss); 8] = [
    (50, "2 %", Loss::Uniform(0.02)),
    (50, "5 %", Loss::Uniform(0.05)),
    (50, "10 %", Loss::Uniform(0.10)),
    (80, "10 % bursts", Loss::Bursts { rate: 0.1, mean_burst: 4.0 }),
    (150, "2 %", Loss::Uniform(0.02)),
    (150, "5 %", Loss::Uniform(0.05)),
    (150, "10 %", Loss::Uniform(0.10)),
    (150, "10 % bursts", Loss::Bursts { rate: 0.1, mean_burst: 4.0 }),
];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

struct Case {
    name: &'static str,
    up: LinkConfig,
    max_bps: f64,
    start_bps: f64,
}

fn case(name: &'static str, up: LinkConfig) -> Case {
    Case { name, up, max_bps: 6e6, start_bps: 1e6 }
}

fn bandwidth_cases() -> Vec<Case> {
    let open = LinkConfig::default();
    let steps = LinkConfig { capacity: vec![(secs(0), 3e6), (secs(20), 1e6), (secs(40), 4e6)], ..open.clone() };
    let constant = |bps: f64| LinkConfig { capacity: vec![(secs(0), bps)], ..open.clone() };
    let lossy = |loss| LinkConfig { loss, ..open.clone() };
    let outages = vec![secs(10)..secs(11), secs(20)..secs(21), secs(30)..secs(31)];
    vec![
        case("steps", steps.clone()),
        case("steps, 150 ms", LinkConfig { delay: ms(75), ..steps.clone() }),
        case("steps, jitter 10 ms", LinkConfig { jitter: ms(10), ..steps.clone() }),
        case("steps, jitter 30 ms", LinkConfig { jitter: ms(30), ..steps.clone() }),
        case("steps, loss 2 %", LinkConfig { loss: Loss::Uniform(0.02), ..steps.clone() }),
        case("steps, loss 5 %", LinkConfig { loss: Loss::Uniform(0.05), ..steps.clone() }),
        case("steps, queue 50 ms", LinkConfig { queue: ms(50), ..steps.clone() }),
        case("steps, queue 15 ms", LinkConfig { queue: ms(15), ..steps }),
        Case { start_bps: 0.5e6, max_bps: 3e6, ..case("open, from 0.5 Mbit/s", open.clone()) },
        Case { max_bps: 0.6e6, ..case("open, 0.6 Mbit/s wanted", open.clone()) },
        Case { max_bps: 0.6e6, ..case("1 Mbit/s, 0.6 Mbit/s wanted", constant(1e6)) },
        case("1.5 Mbit/s", constant(1.5e6)),
        case("0.3 Mbit/s", constant(0.3e6)),
        Case { max_bps: 4e6, ..case("open, loss 5 %", lossy(Loss::Uniform(0.05))) },
        Case { max_bps: 4e6, ..case("open, loss 10 %", lossy(Loss::Uniform(0.10))) },
        Case { max_bps: 4e6, ..case("open, loss 20 %", lossy(Loss::Uniform(0.20))) },
        Case { max_bps: 4e6, ..case("open, bursts 10 %", lossy(Loss::Bursts { rate: 0.1, mean_burst: 4.0 })) },
        case("3 Mbit/s, outages of 1 s", LinkConfig { outages, ..constant(3e6) }),
        Case {
            max_bps: 2.5e6,
            ..case("open, stalls 120 ms", LinkConfig { stalls: Some((ms(400), ms(120))), ..open.clone() })
        },
        Case {
            max_bps: 2.5e6,
            ..case(
                "open, stalls 120 ms, bursts 10 %",
                LinkConfig {
                    loss: Loss::Bursts { rate: 0.1, mean_burst: 4.0 },
                    delay: ms(40),
                    stalls: Some((ms(400), ms(120))),
                    ..open.clone()
                },
            )
        },
        case("3 Mbit/s, reordered", LinkConfig { reorder: 0.02, duplicate: 0.02, ..constant(3e6) }),
    ]
}

fn play(case: &Case, seed: u64) -> CallReport {
    let up = LinkConfig { seed, ..case.up.clone() };
    let down = LinkConfig { seed: seed + 1000, capacity: Vec::new(), ..up.clone() };
    run(&CallConfig {
        time: secs(60),
        up,
        down,
        max_bps: case.max_bps,
        start_bps: case.start_bps,
        has_server: false,
        busy_pauses: None,
    })
}

/// Median, least and greatest.
fn spread(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    let rounded = |value: Option<&f64>| value.map(|value| (value * 100.0).round() / 100.0);
    json!([rounded(values.get(values.len() / 2)), rounded(values.first()), rounded(values.last())])
}

fn column(reports: &[CallReport], value: impl Fn(&CallReport) -> f64) -> Value {
    spread(reports.iter().map(value).collect())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn bandwidth() {
    for case in bandwidth_cases() {
        let reports: Vec<CallReport> = (1..=SEEDS).map(|seed| play(&case, seed)).collect();
        let capacity = |from: f64| {
            let step = case.up.capacity.iter().rev().find(|step| step.0.as_secs_f64() <= from);
            step.map_or(case.max_bps, |step| step.1)
        };
        let share = |from: f64, is_video: bool| {
            column(&reports, |report| {
                let (all, video) = report.received_bps(from + 5.0, from + 20.0);
                (if is_video { video } else { all }) / capacity(from) * 100.0
            })
        };
        let row = json!({
            "case": case.name,
            "link use %": [share(0.0, false), share(20.0, false), share(40.0, false)],
            "picture %": [share(0.0, true), share(20.0, true), share(40.0, true)],
            "least estimate kbit/s after 5 s": column(&reports, |report| {
                report.samples.iter().filter(|sample| sample.at >= secs(5)).map(|sample| sample.estimate_bps / 1e3).fold(f64::MAX, f64::min)
            }),
            "s to 2.5 Mbit/s": column(&reports, |report| report.reached(2.5e6).map_or(f64::NAN, |at| at.as_secs_f64())),
            "longest gap ms": column(&reports, |report| millis(report.longest_gap(1.0, 59.0))),
            "queue p95 ms": column(&reports, |report| millis(report.queue_percentile(0.95, 0.0, 60.0))),
            "latency p50 ms": column(&reports, |report| millis(percentile(report.latencies(1.0, 59.0), 0.50))),
            "latency p95 ms": column(&reports, |report| millis(percentile(report.latencies(1.0, 59.0), 0.95))),
            "frames skipped": column(&reports, |report| report.frames.iter().filter(|frame| frame.skipped).count() as f64),
            "key frame requests": column(&reports, |report| report.keyframe_requests as f64),
            "packets overflowed": column(&reports, |report| report.link.overflowed as f64),
        });
        println!("{row}");
    }
}

fn loss() {
    for (round_trip, name, loss) in LOSS_CASES {
        let up = LinkConfig { loss, delay: ms(round_trip / 2), ..LinkConfig::default() };
        let case = Case { max_bps: 2.5e6, ..case(name, up) };
        let reports: Vec<CallReport> = (1..=SEEDS).map(|seed| play(&case, seed)).collect();
        let waits = |report: &CallReport| -> Vec<Option<Duration>> {
            let frames =
                report.frames.iter().filter(|frame| !frame.skipped && (5..58).contains(&frame.captured.as_secs()));
            frames.map(|frame| frame.delivered.map(|at| at - frame.captured)).collect()
        };
        let share = |limit: Duration| {
            column(&reports, |report| {
                let waits = waits(report);
                let good = waits.iter().flatten().filter(|wait| **wait <= limit).count();
                good as f64 / waits.len() as f64 * 100.0
            })
        };
        let latency = |part: f64| column(&reports, |report| millis(percentile(report.latencies(5.0, 58.0), part)));
        let row = json!({
            "round trip ms": round_trip,
            "loss": name,
            "whole %": share(Duration::MAX),
            "within 200 ms %": share(ms(200)),
            "within 400 ms %": share(ms(400)),
            "latency p50 ms": latency(0.50),
            "latency p95 ms": latency(0.95),
            "latency p99 ms": latency(0.99),
            "longest gap ms": column(&reports, |report| millis(report.longest_gap(5.0, 58.0))),
            "picture kbit/s": column(&reports, |report| report.received_bps(5.0, 58.0).1 / 1e3),
            "copies per lost packet": column(&reports, |report| report.retransmissions as f64 / report.link.lost.max(1) as f64),
            "key frame requests": column(&reports, |report| report.keyframe_requests as f64),
        });
        println!("{row}");
    }
}

fn course(name: &str, seed: u64) {
    let Some(case) = bandwidth_cases().into_iter().find(|case| case.name == name) else {
        bandwidth_cases().iter().for_each(|case| eprintln!("{}", case.name));
        return;
    };
    let report = play(&case, seed);
    for sample in &report.samples {
        let at = sample.at.as_secs_f64();
        let row = json!({
            "at": at,
            "estimate": sample.estimate_bps.round(),
            "target": sample.target_bps.round(),
            "queue": millis(sample.queue),
            "backlog": millis(sample.backlog),
            "received": report.received_bps(at, at + 0.5).0,
        });
        println!("{row}");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bandwidth"] => bandwidth(),
        ["loss"] => loss(),
        ["course", name, seed] => course(name, seed.parse().unwrap_or(1)),
        _ => eprintln!("network_lab bandwidth | loss | course CASE SEED"),
    }
}
