//! The machine-readable timestamp strip at the top of the test pattern: frame counter and capture time.
//!
//! 2 rows of 32 square cells, a cell's side is 1/32 of the frame's width (cell edges fall on the nearest lower
//! pixel, so the grid scales with the frame). White is 1, black is 0; row by row, most significant bit first:
//! 48 bits of milliseconds since the Unix epoch, 16 bits of frame counter.

use super::frame::{I420, VideoFrame};

const COLUMNS: usize = 32;
const ROWS: usize = 2;
pub(super) const WHITE: u8 = 235;
pub(super) const BLACK: u8 = 16;
pub(super) const NEUTRAL: u8 = 128;

/// Luma this near the middle of black and white is no bit: the frame is too damaged, or no pattern at all.
const UNDECIDED: i32 = 30;

/// The contents of the strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strip {
    /// Capture time in milliseconds since the Unix epoch; 48 bits.
    pub capture_ms: u64,
    /// Counts the frames of one source and wraps.
    pub counter: u16,
}

impl Strip {
    fn to_bits(self) -> u64 {
        self.capture_ms << 16 | u64::from(self.counter)
    }

    fn from_bits(bits: u64) -> Self {
        Self { capture_ms: bits >> 16, counter: (bits & 0xffff) as u16 }
    }
}

/// Rows of luma that the strip covers in a frame of this width.
pub(super) fn height(width: u32) -> usize {
    edge(ROWS, width as usize)
}

fn edge(cell: usize, width: usize) -> usize {
    cell * width / COLUMNS
}

/// Draws the strip over the frame.
pub(super) fn draw_over(picture: &mut I420, strip: Strip) {
    let rows = height(picture.width()).div_ceil(2);
    let strides = picture.strides();
    let [_, u, v] = picture.planes_mut();
    for (chroma, stride) in [(u, strides[1]), (v, strides[2])] {
        let end = (rows * stride).min(chroma.len());
        chroma[..end].fill(NEUTRAL);
    }
    draw(picture, strip);
}

/// Writes the luma of the strip; chroma must be neutral already.
pub(super) fn draw(picture: &mut I420, strip: Strip) {
    let (width, stride) = (picture.width() as usize, picture.strides()[0]);
    let bits = strip.to_bits();
    let [luma, ..] = picture.planes_mut();
    for row in 0..ROWS {
        let (top, bottom) = (edge(row, width), edge(row + 1, width));
        // The first line of a row of cells is drawn, the others are copies of it.
        let Some(first) = luma.get_mut(top * stride..top * stride + width) else { return };
        for column in 0..COLUMNS {
            let shift = COLUMNS * ROWS - 1 - (row * COLUMNS + column);
            let value = if bits >> shift & 1 == 1 { WHITE } else { BLACK };
            first[edge(column, width)..edge(column + 1, width)].fill(value);
        }
        for line in top + 1..bottom.min(luma.len() / stride) {
            luma.copy_within(top * stride..top * stride + width, line * stride);
        }
    }
}

/// Reads the strip back, from scaled and compressed frames too.
///
/// `None` if the frame does not show a strip clearly. A frame scaled to another aspect ratio, cropped or mirrored
/// has no readable strip.
pub fn read_strip(frame: &VideoFrame) -> Option<Strip> {
    let (width, stride, luma) = (frame.width() as usize, frame.strides()[0], frame.y());
    if width < COLUMNS || (frame.height() as usize) < height(frame.width()) {
        return None;
    }
    // The inner half of a cell: blur from scaling and the codec's ringing stay outside.
    let inner = |cell: usize| {
        let start = (4 * cell + 1) * width / (4 * COLUMNS);
        start..((4 * cell + 3) * width / (4 * COLUMNS)).max(start + 1)
    };
    let mut bits = 0u64;
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let (lines, columns) = (inner(row), inner(column));
            let area = (lines.len() * columns.len()) as i32;
            let sum: i32 = lines
                .map(|line| luma[line * stride..][columns.clone()].iter().map(|&value| i32::from(value)).sum::<i32>())
                .sum();
            let level = sum / area - (i32::from(WHITE) + i32::from(BLACK)) / 2;
            if level.abs() < UNDECIDED {
                return None;
            }
            bits = bits << 1 | u64::from(level > 0);
        }
    }
    let strip = Strip::from_bits(bits);
    // All black: a dark frame, and no time that a clock could have shown.
    (strip.capture_ms != 0).then_some(strip)
}

#[cfg(test)]
mod tests {
    use super::super::pool::FramePool;
    use super::*;
    use std::time::Instant;

    const STRIP: Strip = Strip { capture_ms: 1_763_971_234_567, counter: 0xa5c3 };

    fn blank(width: u32, height: u32) -> I420 {
        let mut picture = FramePool::new().take(width, height);
        for (plane, value) in picture.planes_mut().into_iter().zip([BLACK, 128, 128]) {
            plane.fill(value);
        }
        picture
    }

    #[test]
    fn the_strip_reads_back_at_any_size() {
        for (width, height) in [(1280, 720), (640, 360), (360, 640), (854, 480), (64, 64), (1366, 768), (32, 2)] {
            let mut picture = blank(width, height);
            draw(&mut picture, STRIP);
            assert_eq!(read_strip(&picture.freeze(Instant::now())), Some(STRIP), "{width}x{height}");
        }
    }

    #[test]
    fn bits_lie_where_the_format_says() {
        let mut picture = blank(640, 360);
        draw(&mut picture, Strip { capture_ms: 1 << 47, counter: 1 });
        let frame = picture.freeze(Instant::now());
        let cell = |row: usize, column: usize| frame.y()[(row * 20 + 10) * 640 + column * 20 + 10];
        assert_eq!((cell(0, 0), cell(0, 1), cell(1, 30), cell(1, 31)), (WHITE, BLACK, BLACK, WHITE));
        assert_eq!(frame.y()[40 * 640], BLACK, "below the strip");
    }

    #[test]
    fn frames_without_a_timestamp_strip_give_none() {
        assert_eq!(read_strip(&blank(640, 360).freeze(Instant::now())), None);
        let mut grey = blank(640, 360);
        grey.planes_mut()[0].fill(126);
        assert_eq!(read_strip(&grey.freeze(Instant::now())), None);
        assert_eq!(read_strip(&blank(16, 16).freeze(Instant::now())), None);
        assert_eq!(read_strip(&blank(640, 8).freeze(Instant::now())), None);
    }
}
