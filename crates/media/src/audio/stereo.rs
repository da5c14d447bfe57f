//! Stereo frames.

use super::{FRAME_SAMPLES, Frame};

/// 10 ms for each ear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StereoFrame {
    /// For the left ear.
    pub left: Frame,
    /// For the right ear.
    pub right: Frame,
}

impl StereoFrame {
    /// Silence.
    pub const SILENCE: Self = Self { left: [0.0; FRAME_SAMPLES], right: [0.0; FRAME_SAMPLES] };

    /// The same for both ears.
    pub fn both(frame: &Frame) -> Self {
        Self { left: *frame, right: *frame }
    }

    /// The mean of both channels.
    pub fn mono(&self) -> Frame {
        if self.left == self.right {
            return self.left;
        }
        std::array::from_fn(|at| (self.left[at] + self.right[at]) / 2.0)
    }

    /// Both sides, to change them alike.
    pub fn sides(&mut self) -> [&mut Frame; 2] {
        [&mut self.left, &mut self.right]
    }
}

/// Interleaves two channels: left, right, left and so on, up to the shorter one.
pub(crate) fn interleave(left: &[f32], right: &[f32], out: &mut Vec<f32>) {
    out.extend(left.iter().zip(right).flat_map(|(left, right)| [*left, *right]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_make_one() {
        let mut frame = StereoFrame::both(&[0.5; FRAME_SAMPLES]);
        assert_eq!(frame.mono(), [0.5; FRAME_SAMPLES]);
        frame.right = [-0.25; FRAME_SAMPLES];
        assert_eq!(frame.mono(), [0.125; FRAME_SAMPLES]);
    }

    #[test]
    fn left_and_right_take_turns() {
        let mut out = vec![9.0];
        interleave(&[1.0, 2.0, 3.0], &[-1.0, -2.0], &mut out);
        assert_eq!(out, [9.0, 1.0, -1.0, 2.0, -2.0]);
    }
}
