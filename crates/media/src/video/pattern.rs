//! The test pattern: colour bars, a moving box, the machine-readable strip and the flash of the second.
//!
//! Time is an argument, so a frame depends on nothing but its size, the wall clock and the counter.

use std::time::Instant;

use super::frame::{I420, VideoFrame};
use super::pool::FramePool;
use super::timestamp_overlay::{self, BLACK, NEUTRAL, WHITE};

pub use super::timestamp_overlay::{Strip, read_strip};

/// 75 % bars in BT.601 limited range: white, yellow, cyan, green, magenta, red, blue, black.
const BARS: [[u8; 3]; 8] = [
    [180, 128, 128],
    [162, 44, 142],
    [131, 156, 44],
    [112, 72, 58],
    [84, 184, 198],
    [65, 100, 212],
    [35, 212, 114],
    [BLACK, 128, 128],
];
const BOX_COLOUR: [u8; 3] = [150, 60, 190];

/// The box needs this long from the left edge to the right one and back, and down and up.
const BOX_PERIOD_MS: (u64, u64) = (4_000, 6_300);

/// The flash shows during this part of each second of the wall clock.
const FLASH_MS: u64 = 100;

/// Draws the pattern in one size.
#[derive(Debug)]
pub struct Pattern {
    /// Everything that never changes; each frame starts as a copy of it.
    background: I420,
}

impl Pattern {
    /// Sides in pixels. Frames under 32 pixels wide have no readable strip.
    pub fn new(width: u32, height: u32) -> Self {
        let mut background = FramePool::new().take(width, height);
        let (sizes, strides) = (background.plane_sizes(), background.strides());
        for (plane, samples) in background.planes_mut().into_iter().enumerate() {
            let columns = sizes[plane].0;
            for row in samples.chunks_exact_mut(strides[plane]) {
                for (column, sample) in row[..columns].iter_mut().enumerate() {
                    *sample = BARS[column * BARS.len() / columns][plane];
                }
            }
        }
        let mut pattern = Self { background };
        let (width, height) = (width as usize, height as usize);
        let strip_height = timestamp_overlay::height(pattern.background.width()).next_multiple_of(2);
        fill(&mut pattern.background, (0, 0), (width, strip_height), [BLACK, NEUTRAL, NEUTRAL]);
        let (left_top, size) = flash_square(width, height);
        fill(&mut pattern.background, left_top, size, [BLACK, NEUTRAL, NEUTRAL]);
        pattern
    }

    /// The frame of this moment; `unix_ms` is the wall clock in milliseconds since the Unix epoch.
    pub fn draw(&self, pool: &FramePool, unix_ms: u64, counter: u16, capture_time: Instant) -> VideoFrame {
        let (width, height) = (self.background.width(), self.background.height());
        let mut picture = pool.take(width, height);
        for (to, from) in picture.planes_mut().into_iter().zip(self.background.planes()) {
            to.copy_from_slice(from);
        }
        timestamp_overlay::draw(&mut picture, Strip { capture_ms: unix_ms & 0xffff_ffff_ffff, counter });
        let (left_top, size) = moving_box(width as usize, height as usize, unix_ms);
        fill(&mut picture, left_top, size, BOX_COLOUR);
        if unix_ms % 1_000 < FLASH_MS {
            let (left_top, size) = flash_square(width as usize, height as usize);
            fill(&mut picture, left_top, size, [WHITE, NEUTRAL, NEUTRAL]);
        }
        picture.freeze(capture_time)
    }
}

/// Left top corner and size of the flash.
fn flash_square(width: usize, height: usize) -> ((usize, usize), (usize, usize)) {
    let side = (height / 4).min(width);
    ((width - side, height - side), (side, side))
}

/// Left top corner and size of the box; it moves between the strip and the flash and covers neither.
fn moving_box(width: usize, height: usize, unix_ms: u64) -> ((usize, usize), (usize, usize)) {
    let side = (height / 8).min(width / 2) & !1;
    let top = timestamp_overlay::height(width as u32).next_multiple_of(2);
    let bottom = height - flash_square(width, height).1.1;
    let room = (width - side, bottom.saturating_sub(top + side));
    let size = if top + side > bottom { (0, 0) } else { (side, side) };
    let left_top = (sweep(unix_ms, BOX_PERIOD_MS.0, room.0), top + sweep(unix_ms, BOX_PERIOD_MS.1, room.1));
    ((left_top.0 & !1, left_top.1 & !1), size)
}

/// From 0 to `room` and back within the period.
fn sweep(unix_ms: u64, period_ms: u64, room: usize) -> usize {
    let phase = unix_ms % period_ms * 2;
    let phase = if phase > period_ms { 2 * period_ms - phase } else { phase };
    (phase * room as u64 / period_ms) as usize
}

/// Fills a rectangle, cut to the frame; chroma covers every sample that the rectangle touches.
fn fill(picture: &mut I420, (left, top): (usize, usize), (width, height): (usize, usize), colour: [u8; 3]) {
    if width == 0 || height == 0 {
        return;
    }
    let (sizes, strides) = (picture.plane_sizes(), picture.strides());
    for (plane, samples) in picture.planes_mut().into_iter().enumerate() {
        let scale = if plane == 0 { 1 } else { 2 };
        let (columns, rows) = sizes[plane];
        let (left, right) = (left / scale, (left + width).div_ceil(scale).min(columns));
        let (top, bottom) = (top / scale, (top + height).div_ceil(scale).min(rows));
        for row in samples.chunks_exact_mut(strides[plane]).take(bottom).skip(top) {
            row[left..right].fill(colour[plane]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_700_000_000_000;

    fn draw(width: u32, height: u32, unix_ms: u64, counter: u16) -> VideoFrame {
        Pattern::new(width, height).draw(&FramePool::new(), unix_ms, counter, Instant::now())
    }

    fn luma(frame: &VideoFrame, x: usize, y: usize) -> u8 {
        frame.y()[y * frame.strides()[0] + x]
    }

    #[test]
    fn a_frame_tells_its_capture_time_and_counter() {
        let frame = draw(1280, 720, NOON + 123, 65_535);
        assert_eq!(read_strip(&frame), Some(Strip { capture_ms: NOON + 123, counter: 65_535 }));
    }

    #[test]
    fn the_corner_flashes_in_the_first_tenth_of_each_second() {
        for (at, expected) in [(0, WHITE), (99, WHITE), (100, BLACK), (999, BLACK), (1_000, WHITE)] {
            let frame = draw(1280, 720, NOON + at, 0);
            assert_eq!(luma(&frame, 1280 - 180, 720 - 180), expected, "left top of the square at {at} ms");
            assert_eq!(luma(&frame, 1279, 719), expected, "right bottom of the square at {at} ms");
        }
        let dark = draw(1280, 720, NOON + 500, 0);
        assert_ne!(luma(&dark, 640, 719), BLACK, "bars beside the square");
    }

    #[test]
    fn the_box_moves_and_covers_neither_strip_nor_flash() {
        let mut places = std::collections::BTreeSet::new();
        for at in (0..20_000).step_by(37) {
            let ((left, top), (width, height)) = moving_box(1280, 720, NOON + at);
            assert!(top >= 80 && top + height <= 540 && left + width <= 1280, "at {at} ms");
            places.insert((left, top));
        }
        assert!(places.len() > 400);
    }

    #[test]
    fn bars_have_their_colours_in_all_planes() {
        let frame = draw(640, 480, NOON + 500, 0);
        let chroma = 470 / 2 * frame.strides()[1] + 120 / 2;
        assert_eq!([luma(&frame, 120, 470), frame.u()[chroma], frame.v()[chroma]], BARS[1]);
    }

    #[test]
    fn odd_and_tiny_sizes_are_drawn_too() {
        for (width, height) in [(1, 1), (2, 2), (33, 17), (641, 361), (16, 720), (720, 16)] {
            let frame = draw(width, height, NOON, 7);
            assert_eq!((frame.width(), frame.height()), (width, height));
        }
    }
}
