//! What each step of the video path costs for one 720p frame: `cargo bench -p media --bench video`.
//!
//! The steps run alternating within one round, so that a busy machine disturbs all of them alike; medians with the range
//! from the 10th to the 90th percentile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::{Duration, Instant};

use media::video::pattern::Pattern;
use media::video::scale::{mirror, scale};
use media::video::{Content, EncoderConfig, FramePool, VideoDecoder, VideoEncoder, VideoFrame, convert};

const ROUNDS: u16 = 300;
const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;

#[derive(Default)]
struct Table(Vec<(&'static str, Vec<f64>)>);

impl Table {
    fn time<T>(&mut self, name: &'static str, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = step();
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, samples)) => samples.push(milliseconds),
            None => self.0.push((name, vec![milliseconds])),
        }
        result
    }

    fn print(mut self) {
        println!("{:<44} {:>8} {:>8} {:>8}  (ms a frame)", "step", "median", "p10", "p90");
        for (name, samples) in &mut self.0 {
            samples.sort_by(f64::total_cmp);
            let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize];
            println!("{name:<44} {:>8.3} {:>8.3} {:>8.3}", at(0.5), at(0.1), at(0.9));
        }
    }
}

/// The pattern under noise that changes from frame to frame, so that the encoder has something to do.
fn noisy(frame: &VideoFrame, pool: &FramePool, noise: &mut u32) -> VideoFrame {
    let mut picture = pool.take(frame.width(), frame.height());
    picture.copy_from([frame.y(), frame.u(), frame.v()], frame.strides()).unwrap();
    let below_strip = frame.strides()[0] * 100;
    for sample in &mut picture.planes_mut()[0][below_strip..] {
        *noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = sample.saturating_add((*noise >> 29) as u8);
    }
    picture.freeze(frame.capture_time())
}

fn main() {
    let config =
        EncoderConfig { width: WIDTH, height: HEIGHT, fps: 30, bitrate_bps: 1_500_000, content: Content::Camera };
    let mut plain_encoder = VideoEncoder::new(config).unwrap();
    let mut noisy_encoder = VideoEncoder::new(config).unwrap();
    let mut plain_decoder = VideoDecoder::new().unwrap();
    let mut noisy_decoder = VideoDecoder::new().unwrap();
    let (pattern, pool, start) = (Pattern::new(WIDTH, HEIGHT), FramePool::new(), Instant::now());
    let mut rgba = vec![0; (WIDTH * HEIGHT * 4) as usize];
    let mut rgba_copy = rgba.clone();
    let (mut table, mut noise, mut skipped) = (Table::default(), 1, [0, 0]);
    for round in 0..ROUNDS {
        let age = Duration::from_millis(u64::from(round) * 1_000 / 30);
        let frame = table.time("pattern 720p", || {
            pattern.draw(&pool, 1_763_971_234_000 + age.as_millis() as u64, round, start + age)
        });
        let noisy_frame = noisy(&frame, &pool, &mut noise);
        table.time("mirror 720p", || mirror(&frame));
        table.time("scale 720p to 640x360", || scale(&frame, 640, 360));
        table.time("scale 720p to 320x180", || scale(&frame, 320, 180));
        table.time("convert 720p to RGBA", || convert::to_rgba(&frame, &mut rgba)).unwrap();
        table.time("convert 720p to RGBA, again at once", || convert::to_rgba(&frame, &mut rgba)).unwrap();
        table.time("for comparison: copy of the RGBA bytes", || rgba_copy.copy_from_slice(&rgba));
        match table.time("encode 720p pattern, 1.5 Mbit/s", || plain_encoder.encode(&frame, false)).unwrap() {
            Some(unit) => {
                let shown = table.time("decode 720p pattern", || plain_decoder.decode(&unit.data, start));
                assert!(shown.unwrap().is_some());
            }
            None => skipped[0] += 1,
        }
        match table.time("encode 720p noisy pattern, 1.5 Mbit/s", || noisy_encoder.encode(&noisy_frame, false)).unwrap()
        {
            Some(unit) => {
                let shown = table.time("decode 720p noisy pattern", || noisy_decoder.decode(&unit.data, start));
                assert!(shown.unwrap().is_some());
            }
            None => skipped[1] += 1,
        }
    }
    table.print();
    println!("skipped by rate control: {} plain, {} noisy of {ROUNDS}", skipped[0], skipped[1]);
}
