//! Sharpens a static screen.
//!
//! In screen content mode the codec library repeats an unchanged block as it is, however coarse it was when it was first
//! sent. An invisible difference of one step in one sample of each block makes it encode the block again; then the unused
//! bits of a static screen go into the missing detail.

use super::frame::VideoFrame;

/// Sides of the blocks that the library compares, in samples.
const BLOCK: usize = 8;

/// The refinement of one encoder.
#[derive(Debug, Default)]
pub(super) struct StaticRefinement {
    last: Option<VideoFrame>,
    /// Which of two samples of a block differs: another one each time.
    turn: bool,
}

impl StaticRefinement {
    /// The frame to encode: with a difference to the last one if there is none.
    pub(super) fn nudge(&mut self, frame: VideoFrame) -> VideoFrame {
        let rests = self.last.as_ref().is_some_and(|last| same_luma(last, &frame));
        self.last = Some(frame.clone());
        if !rests {
            return frame;
        }
        let mut picture = frame.pool().take(frame.width(), frame.height());
        if picture.copy_from(frame.planes(), frame.strides()).is_err() {
            return frame;
        }
        self.turn = !self.turn;
        let (stride, columns) = (picture.strides()[0], frame.width() as usize);
        for row in picture.planes_mut()[0].chunks_mut(stride).step_by(BLOCK) {
            for sample in row[..columns].iter_mut().skip(usize::from(self.turn)).step_by(BLOCK) {
                *sample ^= 1;
            }
        }
        picture.freeze(frame.capture_time())
    }
}

fn same_luma(one: &VideoFrame, other: &VideoFrame) -> bool {
    let columns = one.width() as usize;
    let rows = |frame: &'_ VideoFrame| frame.strides()[0];
    (one.width(), one.height()) == (other.width(), other.height())
        && one
            .y()
            .chunks(rows(one))
            .zip(other.y().chunks(rows(other)))
            .all(|(one, other)| one[..columns] == other[..columns])
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::decoder::VideoDecoder;
    use super::super::encoder::{Content, EncoderConfig, VideoEncoder};
    use super::super::pool::FramePool;
    use super::*;

    const SIZE: (u32, u32) = (320, 180);

    /// Fine strokes on white, shifted to the side.
    fn strokes(pool: &FramePool, shift: usize, at: Instant) -> VideoFrame {
        let mut picture = pool.take(SIZE.0, SIZE.1);
        let stride = picture.strides()[0];
        let [y, u, v] = picture.planes_mut();
        u.fill(128);
        v.fill(128);
        for (row, line) in y.chunks_mut(stride).enumerate() {
            for (column, sample) in line.iter_mut().enumerate() {
                *sample = if (column + shift) * 7 % 11 < 3 && row % 12 < 8 { 30 } else { 235 };
            }
        }
        picture.freeze(at)
    }

    fn differences(one: &VideoFrame, other: &VideoFrame) -> Vec<u8> {
        let stride = one.strides()[0];
        let rows = one.y().chunks(stride).zip(other.y().chunks(stride));
        let pairs = rows.flat_map(|(one, other)| one.iter().zip(other).take(SIZE.0 as usize));
        pairs.map(|(one, other)| one.abs_diff(*other)).collect()
    }

    #[test]
    fn a_frame_that_moved_is_left_alone() {
        let (pool, mut static_refinement, now) = (FramePool::new(), StaticRefinement::default(), Instant::now());
        for shift in 0..3 {
            let frame = strokes(&pool, shift, now);
            assert!(differences(&static_refinement.nudge(frame.clone()), &frame).iter().all(|step| *step == 0));
        }
    }

    #[test]
    fn one_that_rests_differs_by_one_step_in_one_sample_of_each_block() {
        let (pool, mut static_refinement, now) = (FramePool::new(), StaticRefinement::default(), Instant::now());
        let frame = strokes(&pool, 0, now);
        let mut former = static_refinement.nudge(frame.clone());
        for _ in 0..3 {
            let nudged = static_refinement.nudge(frame.clone());
            let steps = differences(&nudged, &frame);
            assert_eq!(steps.iter().map(|step| u32::from(*step)).sum::<u32>(), 320 / 8 * 180_u32.div_ceil(8));
            assert!(steps.iter().all(|step| *step <= 1));
            assert!(differences(&nudged, &former).contains(&1), "the one before differs too");
            former = nudged;
        }
    }

    #[test]
    fn text_that_is_hard_to_read_at_first_becomes_sharp() {
        let config =
            EncoderConfig { width: SIZE.0, height: SIZE.1, fps: 15, bitrate_bps: 200_000, content: Content::Screen };
        let (mut encoder, mut decoder) = (VideoEncoder::new(config).unwrap(), VideoDecoder::new().unwrap());
        let (pool, start) = (FramePool::new(), Instant::now());
        let mut errors = Vec::new();
        for index in 0..45 {
            let frame = strokes(&pool, 0, start + Duration::from_secs(1) * index / 15);
            let Some(unit) = encoder.encode(&frame, false).unwrap() else { continue };
            assert_eq!(unit.is_keyframe, index == 0);
            let shown = decoder.decode(&unit.data, unit.capture_time).unwrap().unwrap();
            errors.push(differences(&shown, &frame).iter().map(|step| u32::from(*step).pow(2)).sum::<u32>());
        }
        let (first, last) = (errors[0], errors[errors.len() - 1]);
        assert!(last * 5 < first, "{errors:?}");
    }
}
