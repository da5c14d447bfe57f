//! Prints what each stage of the audio path costs per 10 ms of audio: `cargo run --release -p media --example audio_cost`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use media::audio::codec::{OpusDecoder, OpusEncoder, PACKET_SAMPLES};
use media::audio::jitter_buffer::JitterBuffer;
use media::audio::mixer::Mixer;
use media::audio::processing::{ProcessingConfig, Processor};
use media::audio::resample::Resampler;
use media::audio::stereo::StereoFrame;
use media::audio::time_stretch::{Limits, Stretch, stretch};
use media::audio::{AudioPacket, FRAME_SAMPLES, Frame};

const ROUNDS: usize = 1000;

/// Median of `ROUNDS` calls, and the worst percentile, microseconds, each divided by the frames of 10 ms in a call.
fn measure(name: &str, frames: f64, mut call: impl FnMut(usize)) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let begin = Instant::now();
            call(round);
            begin.elapsed().as_secs_f64() * 1e6 / frames
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:<34} {:>7.1} us   p99 {:>7.1} us", times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
}

/// Something like a voice: harmonics that come and go, with some noise.
fn voice(frame: usize) -> Frame {
    std::array::from_fn(|index| {
        let at = (frame * FRAME_SAMPLES + index) as f32 / 48_000.0;
        let syllable = (at * 4.0 * std::f32::consts::TAU).sin().max(0.0);
        let noise = ((index * 7919 + frame * 104_729) % 1000) as f32 / 1000.0 - 0.5;
        let harmonics: f32 = (1..12).map(|k| (std::f32::consts::TAU * 140.0 * k as f32 * at).sin() / k as f32).sum();
        0.1 * syllable * harmonics + 0.004 * noise
    })
}

fn packet_of(frames: usize) -> [f32; PACKET_SAMPLES] {
    let (first, second) = (voice(frames * 2), voice(frames * 2 + 1));
    std::array::from_fn(|index| if index < FRAME_SAMPLES { first[index] } else { second[index - FRAME_SAMPLES] })
}

fn main() {
    let frames: Vec<Frame> = (0..ROUNDS).map(voice).collect();
    for (name, config) in [
        ("processing: AEC + NS + AGC", ProcessingConfig::default()),
        ("processing: NS + AGC", ProcessingConfig { aec: false, ..ProcessingConfig::default() }),
    ] {
        let mut processor = Processor::new(config);
        measure(name, 1.0, |round| {
            processor.render(&frames[(round + 3) % ROUNDS]);
            let mut frame = frames[round];
            processor.capture(&mut frame);
            black_box(frame);
        });
    }

    let packets: Vec<[f32; PACKET_SAMPLES]> = (0..ROUNDS).map(packet_of).collect();
    let mut encoder = OpusEncoder::new(48_000, 5, false).unwrap();
    let mut encoded = Vec::new();
    measure("opus encode, 48 kbit/s", 2.0, |round| encoded.push(encoder.encode(&packets[round]).unwrap()));
    let mut decoder = OpusDecoder::new().unwrap();
    let mut out = [0.0; PACKET_SAMPLES];
    measure("opus decode", 2.0, |round| {
        decoder.decode(&encoded[round], &mut out).unwrap();
    });
    measure("opus conceal", 2.0, |_| decoder.conceal(&mut out).unwrap());

    let mut buffer = JitterBuffer::new().unwrap();
    let epoch = Instant::now();
    let mut frame = [0.0; FRAME_SAMPLES];
    measure("jitter buffer with decoding", 2.0, |round| {
        let at = epoch + Duration::from_millis(20 * round as u64);
        let (sequence, timestamp) = (round as u16, (round * PACKET_SAMPLES) as u32);
        buffer.insert(AudioPacket {
            sequence,
            timestamp,
            payload: encoded[round].clone(),
            is_redundant: false,
            arrival: at,
        });
        buffer.pull(at, &mut frame);
        buffer.pull(at + Duration::from_millis(10), &mut frame);
    });
    let mut stretched = Vec::with_capacity(2 * PACKET_SAMPLES);
    measure("time stretch, when it acts", 2.0, |round| {
        stretched.clear();
        stretch(&packets[round], Stretch::Accelerate, Limits::default(), &mut stretched);
    });
    let mut mixer = Mixer::default();
    measure("mix 10 streams", 1.0, |round| {
        mixer.begin();
        for stream in 0..10 {
            mixer.add(&StereoFrame::both(&frames[(round + stream) % ROUNDS]), 1.0, 1.0);
        }
        black_box(mixer.finish());
    });
    let mut resampler = Resampler::new(44_100, 48_000).unwrap();
    let mut resampled = Vec::with_capacity(4096);
    measure("resample 44.1 to 48 kHz", 1.0, |round| {
        resampled.clear();
        resampler.process(&frames[round][..441], &mut resampled);
    });
}
