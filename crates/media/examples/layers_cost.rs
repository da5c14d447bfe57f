//! What three sizes of a frame cost against one, in processor time (Linux only): rounds of both alternating, the median of each.
//!
//! `cargo run --release -p media --example layers_cost`
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use media::video::encoder::{Content, EncoderConfig, VideoEncoder};
use media::video::frame::VideoFrame;
use media::video::pattern::Pattern;
use media::video::pool::FramePool;
use media::video::scale;

const FPS: u32 = 30;
const FRAMES: u16 = 60;
const ROUNDS: usize = 11;
/// Width, height, bits per second, from high to low.
const LAYERS: [(u32, u32, u32); 3] = [(1280, 720, 2_500_000), (640, 360, 750_000), (320, 180, 225_000)];

/// A moving frame with the noise of a camera.
fn source() -> Vec<VideoFrame> {
    let (pool, start) = (FramePool::new(), Instant::now());
    let pattern = Pattern::new(LAYERS[0].0, LAYERS[0].1);
    let mut noise = 1u32;
    let draw = |count: u16| {
        let age = Duration::from_millis(u64::from(count) * 1000 / u64::from(FPS));
        let frame = pattern.draw(&pool, age.as_millis() as u64, count, start + age);
        let mut noisy = pool.take(frame.width(), frame.height());
        noisy.copy_from([frame.y(), frame.u(), frame.v()], frame.strides()).unwrap();
        for sample in noisy.planes_mut()[0].iter_mut() {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = sample.saturating_add((noise >> 28) as u8);
        }
        noisy.freeze(frame.capture_time())
    };
    (0..FRAMES).map(draw).collect()
}

/// Milliseconds a frame.
fn encode(frames: &[VideoFrame], layers: &[(u32, u32, u32)]) -> f64 {
    let encoder = |(width, height, bitrate_bps): &(u32, u32, u32)| {
        let config = EncoderConfig {
            width: *width,
            height: *height,
            fps: FPS,
            bitrate_bps: *bitrate_bps,
            content: Content::Camera,
        };
        VideoEncoder::new(config).unwrap()
    };
    let mut encoders: Vec<VideoEncoder> = layers.iter().map(encoder).collect();
    let before = cpu_ms();
    for (count, frame) in frames.iter().enumerate() {
        let mut picture = frame.clone();
        // The smaller ones get two frames of three.
        let due = if count % 3 == 2 { 1 } else { layers.len() };
        for (encoder, (width, height, _)) in encoders.iter_mut().zip(layers).take(due) {
            picture = scale::fill(&picture, *width, *height);
            encoder.encode(&picture, false).unwrap();
        }
    }
    (cpu_ms() - before) / frames.len() as f64
}

/// Time that this thread has had a processor, in milliseconds.
fn cpu_ms() -> f64 {
    let reported = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    reported.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let frames = source();
    let rounds: Vec<(f64, f64)> =
        (0..ROUNDS).map(|_| (encode(&frames, &LAYERS[..1]), encode(&frames, &LAYERS))).collect();
    let one = median(rounds.iter().map(|round| round.0).collect());
    let three = median(rounds.iter().map(|round| round.1).collect());
    let ratio = median(rounds.iter().map(|round| round.1 / round.0).collect());
    println!("one layer {one:.2} ms a frame, three layers {three:.2} ms, {ratio:.2} times as much");
}
