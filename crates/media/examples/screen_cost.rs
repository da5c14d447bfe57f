//! What a shared screen costs and how sharp it gets: `cargo run --release -p media --example screen_cost`.
//!
//! A page of made-up text, at rest and scrolled, through the encoder for screens and the one for cameras.

use std::time::{Duration, Instant};

use media::video::decoder::VideoDecoder;
use media::video::encoder::{Content, EncoderConfig, VideoEncoder};
use media::video::frame::VideoFrame;
use media::video::pool::FramePool;

const FPS: u32 = 15;

/// Dark letters of 5 x 7 points on white in words and lines with margins, `scroll` rows further down.
fn page(pool: &FramePool, width: u32, height: u32, scroll: u32, at: Instant) -> VideoFrame {
    let mut picture = pool.take(width, height);
    let strides = picture.strides();
    let [y, u, v] = picture.planes_mut();
    u.fill(128);
    v.fill(128);
    for (row, line) in y.chunks_mut(strides[0]).enumerate() {
        let row = row as u32 + scroll;
        for (column, sample) in line.iter_mut().enumerate() {
            let column = column as u32;
            let (line, place, dot_x, dot_y) = (row / 16, column / 7, column % 7, row % 16);
            let chance = (line * 1_000 + place).wrapping_mul(2_654_435_761);
            let glyph = (chance >> 20) % 26 * 0x9e37_79b9;
            let in_text = column > width / 10 && column < width * 9 / 10 && (chance >> 8) % 6 > 0 && line % 8 > 0;
            let is_ink = in_text && dot_x < 5 && dot_y < 7 && glyph >> ((dot_x + dot_y * 5) % 32) & 1 == 1;
            *sample = if is_ink { 30 } else { 235 };
        }
    }
    picture.freeze(at)
}

/// Peak signal to noise ratio of the luma, in dB.
fn psnr(a: &VideoFrame, b: &VideoFrame) -> f64 {
    let (mut sum, mut count) = (0u64, 0u64);
    for (one, other) in a.y().chunks(a.strides()[0]).zip(b.y().chunks(b.strides()[0])) {
        for (one, other) in one.iter().zip(other).take(a.width() as usize) {
            sum += u64::from(one.abs_diff(*other)).pow(2);
            count += 1;
        }
    }
    10.0 * (255.0f64.powi(2) * count as f64 / (sum.max(1) as f64)).log10()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("size       content  pictures        kbit/s  key frames  skipped  ms/picture  dB first  dB last");
    for (width, height, kbps) in [(1280, 720, 1_500), (1920, 1080, 3_000), (640, 360, 600)] {
        for content in [Content::Camera, Content::Screen] {
            for (name, scroll) in [("at rest", 0), ("scrolled", 6), ("new pages", 997)] {
                let config = EncoderConfig { width, height, fps: FPS, bitrate_bps: kbps * 1_000, content };
                let (mut encoder, mut decoder) = (VideoEncoder::new(config)?, VideoDecoder::new()?);
                let (pool, start) = (FramePool::new(), Instant::now());
                let (mut bytes, mut keys, mut skipped, mut spent) = (0, 0, 0, Duration::ZERO);
                let (mut first, mut last) = (0.0, 0.0);
                let mut shown: Option<VideoFrame> = None;
                for index in 0..60u32 {
                    let step = if scroll == 997 { index / 15 } else { index };
                    let at = start + Duration::from_secs(1) * index / FPS;
                    let frame = page(&pool, width, height, step * scroll, at);
                    let began = Instant::now();
                    let unit = encoder.encode(&frame, false)?;
                    spent += began.elapsed();
                    match unit {
                        Some(unit) => {
                            bytes += unit.data.len();
                            keys += u32::from(unit.is_keyframe);
                            shown = decoder.decode(&unit.data, at)?.or(shown);
                        }
                        None => skipped += 1,
                    }
                    if let Some(shown) = &shown {
                        last = psnr(shown, &frame);
                        first = if index == 0 { last } else { first };
                    }
                }
                println!(
                    "{width:4}x{height:<5} {:8} {name:10} {:10.0} {keys:11} {skipped:8} {:11.1} {first:9.1} {last:8.1}",
                    format!("{content:?}"),
                    bytes as f64 * 8.0 * f64::from(FPS) / 60.0 / 1000.0,
                    spent.as_secs_f64() * 1000.0 / 60.0,
                );
            }
        }
    }
    Ok(())
}
