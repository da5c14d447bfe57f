//! Sums the players' audio and keeps the sum within full scale.

use super::stereo::StereoFrame;
use super::{FRAME_SAMPLES, Frame};

/// Louder than this the limiter turns down: -0.9 dBFS.
const CEILING: f32 = 0.9;
/// How fast the limiter lets go, per frame: 0.2 dB (20 dB/s).
const RELEASE: f32 = 1.023;

/// Gain of a volume of 0..=200 percent; more counts as 200.
pub fn gain_of_volume(percent: u32) -> f32 {
    percent.min(200) as f32 / 100.0
}

/// Multiplies a frame by a gain that moves evenly from `from` to `to`, so that no change clicks, within full scale.
pub(crate) fn ramp(frame: &mut Frame, from: f32, to: f32) {
    if from == 1.0 && to == 1.0 {
        return;
    }
    let step = (to - from) / FRAME_SAMPLES as f32;
    for (index, sample) in (1u16..).zip(frame) {
        *sample = (*sample * (from + step * f32::from(index))).clamp(-1.0, 1.0);
    }
}

/// Adds frames up; one frame is out before the next begins.
#[derive(Debug)]
pub struct Mixer {
    sum: StereoFrame,
    gain: f32,
}

impl Default for Mixer {
    fn default() -> Self {
        Self { sum: StereoFrame::SILENCE, gain: 1.0 }
    }
}

impl Mixer {
    /// Starts a frame of silence.
    pub fn begin(&mut self) {
        self.sum = StereoFrame::SILENCE;
    }

    /// Adds a stream with a gain that moves evenly from `from` to `to` within the frame, so that no change clicks.
    pub fn add(&mut self, frame: &StereoFrame, from: f32, to: f32) {
        let step = (to - from) / FRAME_SAMPLES as f32;
        for (sum, side) in self.sum.sides().into_iter().zip([&frame.left, &frame.right]) {
            for (index, (sum, sample)) in sum.iter_mut().zip(side).enumerate() {
                *sum += sample * (from + step * (index + 1) as f32);
            }
        }
    }

    /// The frame, limited: unchanged while quiet, attenuated when loud, never beyond full scale.
    pub fn finish(&mut self) -> &StereoFrame {
        let peak = self.sum.left.iter().chain(&self.sum.right).fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        let wanted = if peak > CEILING { CEILING / peak } else { 1.0 };
        let target = wanted.min(self.gain * RELEASE).min(1.0);
        let step = (target - self.gain) / FRAME_SAMPLES as f32;
        for side in self.sum.sides() {
            for (index, sample) in side.iter_mut().enumerate() {
                *sample = soft_clip(*sample * (self.gain + step * (index + 1) as f32));
            }
        }
        self.gain = target;
        &self.sum
    }
}

/// Bends samples over the ceiling: the limiter's gain takes one frame to come down, and this covers that frame.
fn soft_clip(sample: f32) -> f32 {
    let over = sample.abs() - CEILING;
    if over <= 0.0 { sample } else { (CEILING + (1.0 - CEILING) * (over / (1.0 - CEILING)).tanh()).copysign(sample) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(mixer: &mut Mixer, levels: &[f32]) -> Frame {
        mixer.begin();
        for level in levels {
            mixer.add(&even(*level), 1.0, 1.0);
        }
        mixer.finish();
        assert_eq!(mixer.sum.left, mixer.sum.right);
        mixer.sum.left
    }

    fn even(level: f32) -> StereoFrame {
        StereoFrame::both(&[level; FRAME_SAMPLES])
    }

    #[test]
    fn what_is_left_stays_left_and_loudness_on_one_side_turns_both_down() {
        let mut mixer = Mixer::default();
        let loud_left = StereoFrame { left: [1.8; FRAME_SAMPLES], right: [0.2; FRAME_SAMPLES] };
        for _ in 0..20 {
            mixer.begin();
            mixer.add(&loud_left, 1.0, 1.0);
            mixer.finish();
        }
        assert!((mixer.sum.left[479] - 0.9).abs() < 0.01 && (mixer.sum.right[479] - 0.1).abs() < 0.01);
    }

    #[test]
    fn quiet_streams_are_summed_exactly() {
        assert_eq!(mix(&mut Mixer::default(), &[0.25, -0.125])[7], 0.125);
    }

    #[test]
    fn twenty_shouting_streams_stay_within_full_scale() {
        let mut mixer = Mixer::default();
        for _ in 0..10 {
            assert!(mix(&mut mixer, &[1.0; 20]).iter().all(|sample| sample.abs() <= 1.0));
        }
        let settled = mix(&mut mixer, &[1.0; 20]);
        assert!((settled[479] - CEILING).abs() < 0.01);
    }

    #[test]
    fn the_limiter_lets_go_after_the_shouting() {
        let mut mixer = Mixer::default();
        mix(&mut mixer, &[1.0; 4]);
        for _ in 0..100 {
            mix(&mut mixer, &[0.1]);
        }
        assert!((mix(&mut mixer, &[0.1])[479] - 0.1).abs() < 1e-4);
    }

    #[test]
    fn volume_200_doubles_and_0_silences() {
        let mut mixer = Mixer::default();
        mixer.begin();
        mixer.add(&even(0.2), gain_of_volume(200), gain_of_volume(200));
        mixer.add(&even(0.3), gain_of_volume(0), gain_of_volume(0));
        assert!((mixer.finish().left[0] - 0.4).abs() < 1e-6);
        assert_eq!(gain_of_volume(9999), 2.0);
    }

    #[test]
    fn a_change_of_volume_is_a_ramp() {
        let mut mixer = Mixer::default();
        mixer.begin();
        mixer.add(&even(0.5), 1.0, 0.0);
        let frame = mixer.finish().left;
        assert!(frame.windows(2).all(|w| (w[0] - w[1]).abs() < 0.002));
        assert!(frame[479].abs() < 1e-6);
    }
}
