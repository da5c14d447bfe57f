//! Mixes two channels of a microphone into one.
//!
//! The mean of both would halve a voice on one input of an interface with two, and their sum would clip one that is on both.
//! So the mean is that of the channels that carry a signal: while one of them is 40 dB weaker than the other, the other
//! counts alone. Weights change slowly enough to be inaudible.

use super::SAMPLE_RATE;

/// A channel that is this much weaker carries nothing (as a ratio of powers).
const REST: f32 = 1e-4;
/// Share of the past that is forgotten with each sample: half a second.
const FORGET: f32 = 1.0 / (SAMPLE_RATE as f32 / 2.0);
/// Upper bound of a weight's change with each sample: from a half to all in 50 ms.
const STEP: f32 = 0.5 / (SAMPLE_RATE as f32 / 20.0);

#[derive(Debug)]
pub(crate) struct Downmix {
    powers: [f32; 2],
    /// Of the left one; the right one has the rest.
    weight: f32,
}

impl Default for Downmix {
    fn default() -> Self {
        Self { powers: [0.0; 2], weight: 0.5 }
    }
}

impl Downmix {
    /// One sample of both.
    pub(crate) fn mix(&mut self, left: f32, right: f32) -> f32 {
        for (power, sample) in self.powers.iter_mut().zip([left, right]) {
            *power += (sample * sample - *power) * FORGET;
        }
        let [left_power, right_power] = self.powers;
        let target = match () {
            () if right_power < left_power * REST => 1.0,
            () if left_power < right_power * REST => 0.0,
            () => 0.5,
        };
        self.weight += (target - self.weight).clamp(-STEP, STEP);
        left * self.weight + right * (1.0 - self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loudest sample of the last quarter of a second.
    fn peak(left: f32, right: f32) -> f32 {
        let mut downmix = Downmix::default();
        let tone = |at: u32| (at as f32 * 0.06).sin();
        let mixed: Vec<f32> = (0..SAMPLE_RATE / 2).map(|at| downmix.mix(left * tone(at), right * tone(at))).collect();
        mixed[mixed.len() / 2..].iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
    }

    #[test]
    fn a_tone_on_one_input_is_as_loud_as_on_both() {
        for (left, right) in [(0.5, 0.5), (0.5, 0.0), (0.0, 0.5), (0.5, 0.001), (0.001, 0.5)] {
            assert!((peak(left, right) - 0.5).abs() < 0.01, "{left} and {right}: {}", peak(left, right));
        }
    }

    #[test]
    fn two_sides_that_both_carry_something_are_averaged() {
        assert!((peak(0.6, 0.2) - 0.4).abs() < 0.01);
        assert_eq!(peak(0.0, 0.0), 0.0);
    }

    #[test]
    fn a_side_that_begins_is_faded_in() {
        let mut downmix = Downmix::default();
        for _ in 0..SAMPLE_RATE {
            downmix.mix(0.5, 0.0);
        }
        let mut before = 0.5;
        for _ in 0..SAMPLE_RATE {
            let now = downmix.mix(0.5, 0.5);
            assert!((now - before).abs() < 0.001, "from {before} to {now}");
            before = now;
        }
    }
}
