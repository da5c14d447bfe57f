//! Sums the players' audio and keeps the sum within full scale.

use super::{FRAME_SAMPLES, Frame};

/// Louder than this the limiter turns down: -0.9 dBFS.
const CEILING: f32 = 0.9;
/// How fast the limiter lets go, per frame: 0.2 dB (20 dB/s).
const RELEASE: f32 = 1.023;

/// Gain of a volume of 0..=200 percent; more counts as 200.
pub fn gain_of_volume(percent: u32) -> f32 {
    percent.min(200) as f32 / 100.0
}

/// Adds frames up; one frame is out before the next begins.
#[derive(Debug)]
pub struct Mixer {
    sum: Frame,
    gain: f32,
}

impl Default for Mixer {
    fn default() -> Self {
        Self { sum: [0.0; FRAME_SAMPLES], gain: 1.0 }
    }
}

impl Mixer {
    /// Starts a frame of silence.
    pub fn begin(&mut self) {
        self.sum.fill(0.0);
    }

    /// Adds a stream whose gain goes evenly from `from` to `to` within the frame, so that no change clicks.
    pub fn add(&mut self, frame: &Frame, from: f32, to: f32) {
        let step = (to - from) / FRAME_SAMPLES as f32;
        for (index, (sum, sample)) in self.sum.iter_mut().zip(frame).enumerate() {
            *sum += sample * (from + step * (index + 1) as f32);
        }
    }

    /// Gives the frame, limited: untouched while quiet, turned down when loud, never beyond full scale.
    pub fn finish(&mut self) -> &Frame {
        let peak = self.sum.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        let wanted = if peak > CEILING { CEILING / peak } else { 1.0 };
        let target = wanted.min(self.gain * RELEASE).min(1.0);
        let step = (target - self.gain) / FRAME_SAMPLES as f32;
        for (index, sample) in self.sum.iter_mut().enumerate() {
            *sample = soft_clip(*sample * (self.gain + step * (index + 1) as f32));
        }
        self.gain = target;
        &self.sum
    }
}

/// Bends what is over the ceiling: the limiter's gain takes one frame to come down, and this covers that frame.
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
            mixer.add(&[*level; FRAME_SAMPLES], 1.0, 1.0);
        }
        *mixer.finish()
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
        mixer.add(&[0.2; FRAME_SAMPLES], gain_of_volume(200), gain_of_volume(200));
        mixer.add(&[0.3; FRAME_SAMPLES], gain_of_volume(0), gain_of_volume(0));
        assert!((mixer.finish()[0] - 0.4).abs() < 1e-6);
        assert_eq!(gain_of_volume(9999), 2.0);
    }

    #[test]
    fn a_change_of_volume_is_a_ramp() {
        let mut mixer = Mixer::default();
        mixer.begin();
        mixer.add(&[0.5; FRAME_SAMPLES], 1.0, 0.0);
        let frame = mixer.finish();
        assert!(frame.windows(2).all(|w| (w[0] - w[1]).abs() < 0.002));
        assert!(frame[479].abs() < 1e-6);
    }
}
