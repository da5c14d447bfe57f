//! Runs the lab of audio and prints one JSON line a case: `audio_lab network [part of its name]`, `audio_lab echo`.
//!
//! A value is [median, least, greatest] over the seeds.

#![allow(clippy::expect_used, missing_docs, reason = "an example")]

#[path = "../tests/audio_lab/cost.rs"]
mod cost;
#[path = "../tests/audio_lab/listening.rs"]
mod listening;
#[path = "../tests/audio_lab/network.rs"]
mod network;
#[path = "../tests/audio_lab/room.rs"]
mod room;
#[path = "../tests/audio_lab/speech.rs"]
mod speech;
#[path = "../tests/audio_lab/stoi.rs"]
mod stoi;

use listening::{Heard, listen};
use media::audio::ProcessingConfig;
use netsim::Loss;
use network::{Jitter, Network};
use room::Room;
use serde_json::{Value, json};

const SEEDS: u64 = 5;
/// Length of a call.
const SECONDS: usize = 60;

fn networks() -> Vec<(&'static str, Network)> {
    let calm = Network::default();
    let jittery = Network { jitter: Jitter::Uniform(60.0), ..calm.clone() };
    let lossy = |loss, network: &Network| Network { loss, ..network.clone() };
    let bursts = Loss::Bursts { rate: 0.1, mean_burst: 4.0 };
    vec![
        ("clean", calm.clone()),
        ("5 %", lossy(Loss::Uniform(0.05), &calm)),
        ("jitter 60 ms", jittery.clone()),
        ("5 %, jitter 60 ms", lossy(Loss::Uniform(0.05), &jittery)),
        ("10 %, jitter 60 ms", lossy(Loss::Uniform(0.10), &jittery)),
        ("jitter exponential, mean 15 ms", Network { jitter: Jitter::Exponential(15.0), ..calm.clone() }),
        ("10 % bursts of 4", lossy(bursts, &calm)),
        ("1 s outage", Network { outage: 30_000.0..31_000.0, ..calm.clone() }),
        (
            "1 s outage, 5 %, jitter 60 ms",
            Network { outage: 30_000.0..31_000.0, ..lossy(Loss::Uniform(0.05), &jittery) },
        ),
        ("sender's clock +200 ppm", Network { drift_ppm: 200.0, ..calm.clone() }),
        ("sender's clock -200 ppm", Network { drift_ppm: -200.0, ..calm }),
    ]
}

/// Median, least and greatest; null for what never was.
fn spread(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    let rounded = |value: Option<&f64>| value.map(|value| (value * 100.0).round() / 100.0);
    json!([rounded(values.get(values.len() / 2)), rounded(values.first()), rounded(values.last())])
}

fn network(named: &str) {
    for (name, network) in networks().into_iter().filter(|(name, _)| name.contains(named)) {
        let calls: Vec<Heard> = (1..=SEEDS).map(|seed| listen(&network, SECONDS, seed)).collect();
        let column = |value: &dyn Fn(&Heard) -> f64| spread(calls.iter().map(value).collect());
        let ms = |samples: u64| samples as f64 / 48.0;
        let row = json!({
            "case": name,
            "concealed %": column(&Heard::concealed_percent),
            "recovered %": column(&Heard::recovered_percent),
            "mean delay ms": column(&Heard::mean_delay_ms),
            "delay p95 ms": column(&|heard| heard.delay_percentile(0.95)),
            "first sound ms": column(&|heard| heard.start_ms),
            "silent in the first 2 s ms": column(&|heard| heard.silent_at_start_ms),
            "longest silence ms": column(&|heard| heard.silence.0),
            "sound back ms": column(&|heard| heard.back_ms),
            "faster ms": column(&|heard| ms(heard.stats.accelerated_samples)),
            "slower ms": column(&|heard| ms(heard.stats.expanded_samples)),
            "thrown away ms": column(&|heard| ms(heard.stats.discarded_samples)),
            "packets with redundancy %": column(&|heard| heard.redundant_percent),
            "CPU of encoder us": column(&|heard| heard.encoder_us),
            "CPU of receiver us": column(&|heard| heard.receiver_us),
        });
        println!("{row}");
    }
}

/// Delay, drift and whether the whole chain runs or the echo canceller alone.
const ROOMS: [(f64, f64, bool); 8] = [
    (20.0, 0.0, true),
    (60.0, 0.0, true),
    (120.0, 0.0, true),
    (200.0, 0.0, true),
    (20.0, 50.0, true),
    (100.0, -50.0, true),
    (200.0, 50.0, true),
    (100.0, 50.0, false),
];
/// Length of a recording.
const ROOM_SECONDS: usize = 20;

fn echo() {
    for (delay_ms, drift_ppm, whole) in ROOMS {
        let processing =
            if whole { ProcessingConfig::default() } else { ProcessingConfig { aec: true, ..ProcessingConfig::OFF } };
        let room = Room { delay_ms, drift_ppm, near_from: None, processing };
        let both = Room { near_from: Some(4.0), ..room };
        let alone: Vec<_> = (1..=SEEDS).map(|seed| room.record(ROOM_SECONDS, seed)).collect();
        let talked: Vec<_> = (1..=SEEDS).map(|seed| both.record(ROOM_SECONDS, seed)).collect();
        let (from, to) = (5.0, ROOM_SECONDS as f64);
        let row = json!({
            "delay ms": delay_ms,
            "drift ppm": drift_ppm,
            "chain": if whole { "AEC, NS, AGC" } else { "AEC" },
            "echo down by 2 s dB": spread(alone.iter().map(|recorded| recorded.echo_loss_db(0.0, 2.0)).collect()),
            "echo down after 2 s dB": spread(alone.iter().map(|recorded| recorded.echo_loss_db(2.0, to)).collect()),
            "near voice kept dB": spread(talked.iter().map(|recorded| recorded.voice_kept_db(from, to)).collect()),
            "near voice to rest before dB": spread(talked.iter().map(|recorded| recorded.voice_to_rest_db(from, to).0).collect()),
            "near voice to rest after dB": spread(talked.iter().map(|recorded| recorded.voice_to_rest_db(from, to).1).collect()),
            "understood before": spread(talked.iter().map(|recorded| recorded.understood(from, to).0).collect()),
            "understood after": spread(talked.iter().map(|recorded| recorded.understood(from, to).1).collect()),
            "CPU us": spread(alone.iter().map(|recorded| recorded.cpu_us).collect()),
        });
        println!("{row}");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["network"] => network(""),
        ["network", named] => network(named),
        ["echo"] => echo(),
        _ => eprintln!("audio_lab network [NAME] | echo"),
    }
}
