//! Turns whole frames, plane by plane.

use super::frame::VideoFrame;

/// Samples on a side of the squares that are turned one after the other, so that rows and columns stay in the cache.
const SQUARE: usize = 32;

/// Turns clockwise by this many quarters; a frame that stays as it is is only cloned.
pub fn turn(frame: &VideoFrame, quarters: u8) -> VideoFrame {
    let quarters = quarters % 4;
    if quarters == 0 {
        return frame.clone();
    }
    let (width, height) = if quarters == 2 { (frame.width(), frame.height()) } else { (frame.height(), frame.width()) };
    let mut picture = frame.pool().take(width, height);
    let (strides, source_strides) = (picture.strides(), frame.strides());
    let sources = frame.planes().into_iter().zip(frame.plane_sizes());
    for (plane, (destination, (source, size))) in picture.planes_mut().into_iter().zip(sources).enumerate() {
        let source = Plane { samples: source, stride: source_strides[plane], size };
        match quarters {
            2 => turn_half(&source, destination, strides[plane]),
            _ => turn_quarter(&source, destination, strides[plane], quarters == 1),
        }
    }
    picture.freeze(frame.capture_time()).with_colour(frame.colour())
}

struct Plane<'a> {
    samples: &'a [u8],
    stride: usize,
    size: (usize, usize),
}

fn turn_half(source: &Plane<'_>, destination: &mut [u8], stride: usize) {
    let (columns, rows) = source.size;
    let from = source.samples.chunks(source.stride).take(rows);
    let to = destination.chunks_mut(stride).take(rows);
    for (from, to) in from.zip(to.rev()) {
        for (sample, to) in from[..columns].iter().zip(to[..columns].iter_mut().rev()) {
            *to = *sample;
        }
    }
}

/// Clockwise, a column read upwards becomes a row; otherwise one read downwards, and the rows from the bottom.
fn turn_quarter(source: &Plane<'_>, destination: &mut [u8], stride: usize, clockwise: bool) {
    let (columns, rows) = source.size;
    for top in (0..rows).step_by(SQUARE) {
        let bottom = (top + SQUARE).min(rows);
        for left in (0..columns).step_by(SQUARE) {
            for column in left..(left + SQUARE).min(columns) {
                let row = if clockwise { column } else { columns - 1 - column };
                let first = row * stride + if clockwise { rows - bottom } else { top };
                let to = &mut destination[first..first + bottom - top];
                let from = source.samples[top * source.stride + column..].iter().step_by(source.stride);
                if clockwise {
                    to.iter_mut().rev().zip(from).for_each(|(to, sample)| *to = *sample);
                } else {
                    to.iter_mut().zip(from).for_each(|(to, sample)| *to = *sample);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::FramePool;
    use super::*;
    use std::time::Instant;

    /// Luma that encodes column and row, for sides up to 256.
    fn picture(width: u32, height: u32) -> VideoFrame {
        let mut picture = FramePool::new().take(width, height);
        let strides = picture.strides();
        for (plane, samples) in picture.planes_mut().into_iter().enumerate() {
            for (row, line) in samples.chunks_mut(strides[plane]).enumerate() {
                for (column, sample) in line.iter_mut().enumerate() {
                    *sample = (column * 7 + row * 31 + plane) as u8;
                }
            }
        }
        picture.freeze(Instant::now())
    }

    fn luma(frame: &VideoFrame, column: u32, row: u32) -> u8 {
        frame.y()[row as usize * frame.strides()[0] + column as usize]
    }

    #[test]
    fn corners_go_where_they_belong() {
        let (width, height) = (70, 41);
        let frame = picture(width, height);
        let corner = luma(&frame, 0, 0);
        let turned = [1, 2, 3].map(|quarters| turn(&frame, quarters));
        assert_eq!(turned.each_ref().map(|frame| (frame.width(), frame.height())), [(41, 70), (70, 41), (41, 70)]);
        assert_eq!(luma(&turned[0], 40, 0), corner);
        assert_eq!(luma(&turned[1], 69, 40), corner);
        assert_eq!(luma(&turned[2], 0, 69), corner);
        assert_eq!(turned[0].u()[20], frame.u()[0]);
    }

    #[test]
    fn four_quarters_are_none_for_every_sample() {
        for (width, height) in [(2, 2), (33, 64), (97, 31)] {
            let frame = picture(width, height);
            let mut turned = frame.clone();
            for _ in 0..4 {
                turned = turn(&turned, 1);
            }
            let back = turn(&turn(&frame, 3), 5);
            let half = turn(&turn(&frame, 2), 2);
            for other in [&turned, &back, &half] {
                for (column, row) in (0..width).flat_map(|column| (0..height).map(move |row| (column, row))) {
                    assert_eq!(luma(other, column, row), luma(&frame, column, row));
                }
                assert_eq!(other.v()[0], frame.v()[0]);
            }
        }
    }
}
