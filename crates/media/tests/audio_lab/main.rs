//! The lab of audio: the real encoder, jitter buffer and processing over an emulated network and an emulated room, faster
//! than real time and the same in every run. What is checked is what somebody in a call would hear.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cost;
mod listening;
mod network;
mod room;
mod speech;
mod stoi;

use listening::{Heard, listen};
use media::audio::ProcessingConfig;
use netsim::Loss;
use network::{Jitter, Network};
use room::Room;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;

fn calls(network: Network) -> Vec<Heard> {
    SEEDS.map(|seed| listen(&network, 25, seed)).collect()
}

#[test]
fn a_bad_network_is_hardly_heard() {
    for heard in calls(Network { loss: Loss::Uniform(0.05), jitter: Jitter::Uniform(60.0), ..Network::default() }) {
        assert!(heard.concealed_percent() <= 1.0, "{} % concealed", heard.concealed_percent());
        assert!(heard.mean_delay_ms() <= 100.0, "{} ms", heard.mean_delay_ms());
        assert_eq!(heard.silent_at_start_ms, 0.0);
    }
}

#[test]
fn a_few_very_late_packets_are_not_waited_for() {
    for heard in calls(Network { jitter: Jitter::Exponential(15.0), ..Network::default() }) {
        assert!(heard.concealed_percent() <= 1.0, "{} % concealed", heard.concealed_percent());
        assert!(heard.delay_percentile(0.95) <= 120.0, "{} ms", heard.delay_percentile(0.95));
    }
}

#[test]
fn bursts_of_loss_are_bridged_by_copies_in_later_packets() {
    for heard in calls(Network { loss: Loss::Bursts { rate: 0.1, mean_burst: 4.0 }, ..Network::default() }) {
        assert!(heard.redundant_percent > 99.0);
        assert!(heard.concealed_percent() <= 2.5, "{} % concealed", heard.concealed_percent());
        assert!(heard.mean_delay_ms() <= 150.0, "{} ms", heard.mean_delay_ms());
    }
}

#[test]
fn a_call_takes_a_small_part_of_a_processor() {
    let heard = listen(&Network::default(), 10, 1);
    let recorded = ROOM.record(5, 1);
    // Ten times what it takes, so that a busy machine does not matter.
    let all = heard.encoder_us + heard.receiver_us + recorded.cpu_us;
    assert!(all < 1500.0, "{all} us for 10 ms");
    assert!(heard.start_ms <= 60.0, "{} ms until the first sound", heard.start_ms);
    assert!(heard.silence.0 <= 30.0, "{:?}", heard.silence);
}

#[test]
fn single_losses_are_recovered_from_redundancy() {
    for heard in calls(Network { loss: Loss::Uniform(0.05), ..Network::default() }) {
        assert!(heard.recovered_percent() > 4.0 * heard.concealed_percent(), "{:?}", heard.stats);
        assert!(heard.mean_delay_ms() <= 60.0, "{} ms", heard.mean_delay_ms());
    }
}

#[test]
fn packets_that_overtake_one_another_cost_no_redundancy_wait() {
    for heard in calls(Network { jitter: Jitter::Uniform(60.0), ..Network::default() }) {
        assert!(heard.concealed_percent() <= 0.5, "{} % concealed", heard.concealed_percent());
        assert!(heard.mean_delay_ms() <= 85.0, "{} ms", heard.mean_delay_ms());
    }
}

#[test]
fn clocks_that_drift_apart_are_not_heard() {
    for drift_ppm in [-200.0, 200.0] {
        for heard in calls(Network { drift_ppm, ..Network::default() }) {
            assert_eq!(heard.stats.concealed_samples, 0, "{:?}", heard.stats);
            assert!(heard.mean_delay_ms() <= 40.0, "{} ms", heard.mean_delay_ms());
        }
    }
}

#[test]
fn audio_is_back_soon_after_an_outage() {
    for heard in calls(Network { outage: 10_000.0..11_000.0, ..Network::default() }) {
        assert!(heard.back_ms <= 200.0, "{} ms", heard.back_ms);
    }
}

const ROOM: Room = Room { delay_ms: 20.0, drift_ppm: 0.0, near_from: None, processing: ECHO };
const ECHO: ProcessingConfig = ProcessingConfig { aec: true, ns: true, agc: true, ..ProcessingConfig::OFF };

#[test]
fn a_far_talker_does_not_hear_himself() {
    for (delay_ms, drift_ppm) in [(20.0, 0.0), (100.0, -50.0), (200.0, 50.0)] {
        for seed in [1, 2] {
            let recorded = Room { delay_ms, drift_ppm, ..ROOM }.record(10, seed);
            let loss = recorded.echo_loss_db(2.0, 10.0);
            assert!(loss >= 40.0, "{loss} dB at {delay_ms} ms, {drift_ppm} ppm, seed {seed}");
        }
    }
}

#[test]
fn who_speaks_at_the_same_time_is_heard() {
    for seed in [1, 2] {
        let recorded = Room { delay_ms: 100.0, near_from: Some(3.0), ..ROOM }.record(10, seed);
        let kept = recorded.voice_kept_db(4.0, 10.0);
        assert!(kept >= -6.0, "{kept} dB");
        let (_, clear) = recorded.voice_to_rest_db(4.0, 10.0);
        assert!(clear >= 3.0, "{clear} dB");
    }
}

#[test]
fn who_speaks_while_another_process_does_is_understood() {
    for seed in SEEDS {
        let recorded = Room { near_from: Some(4.0), ..ROOM }.record(12, seed);
        let (before, after) = recorded.understood(5.0, 12.0);
        assert!(after >= 0.65 && after >= before - 0.25, "seed {seed}: {before:.2} -> {after:.2}");
    }
}

#[test]
fn a_voice_is_understood_by_itself_and_ever_less_under_noise() {
    let mut talker = speech::Speech::new(1, 190.0, 0.08);
    let voice: Vec<f32> = (0..5 * 48_000).map(|_| talker.sample()).collect();
    let mut rng = netsim::Random::new(1);
    let mut under = |noise: f64| {
        let heard: Vec<f32> = voice.iter().map(|sample| sample + (noise * rng.signed()) as f32).collect();
        stoi::stoi(&voice, &heard)
    };
    let understood = [0.0, 0.01, 0.1, 1.0].map(&mut under);
    assert!(understood[0] > 0.999, "{understood:?}");
    assert!(understood.windows(2).all(|pair| pair[1] < pair[0]), "{understood:?}");
    assert!(understood[3] < 0.6, "{understood:?}");
}
