//! Changes the sampling rate of mono audio.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{
    Async, FixedAsync, Indexing, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};

/// Taps of the interpolation filter: 1.3 ms at 48 kHz.
const FILTER_LENGTH: usize = 64;

/// Converts a stream of mono samples from one rate to another; equal rates are passed through untouched.
pub struct Resampler {
    inner: Option<Async<f32>>,
    pending: Vec<f32>,
    scratch: Vec<f32>,
}

impl Resampler {
    /// `from` and `to` in Hz. `None` if the ratio is out of the question (0, or more than 256).
    pub fn new(from: u32, to: u32) -> Option<Self> {
        if from == to {
            return Some(Self { inner: None, pending: Vec::new(), scratch: Vec::new() });
        }
        if from == 0 || to == 0 {
            return None;
        }
        let ratio = f64::from(to) / f64::from(from);
        if !(1.0 / 256.0..=256.0).contains(&ratio) {
            return None;
        }
        let parameters = SincInterpolationParameters::new(FILTER_LENGTH, WindowFunction::BlackmanHarris2)
            .oversampling_factor(128)
            .interpolation(SincInterpolationType::Linear);
        let chunk = (from / 100).max(1) as usize;
        let inner = Async::new_sinc(ratio, 1.05, &parameters, chunk, 1, FixedAsync::Input).ok()?;
        let scratch = vec![0.0; inner.output_frames_max()];
        Some(Self { inner: Some(inner), pending: Vec::with_capacity(4 * chunk), scratch })
    }

    /// Resamples `input` and appends the ready part to `out`, in steps of 10 ms of input.
    pub fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        let Some(inner) = &mut self.inner else {
            out.extend_from_slice(input);
            return;
        };
        self.pending.extend_from_slice(input);
        let mut used = 0;
        while self.pending.len() - used >= inner.input_frames_next() {
            let chunk = &self.pending[used..];
            let capacity = self.scratch.len();
            let (Ok(source), Ok(mut sink)) =
                (SequentialSlice::new(chunk, 1, chunk.len()), SequentialSlice::new_mut(&mut self.scratch, 1, capacity))
            else {
                break;
            };
            let Ok((read, written)) = inner.process_into_buffer(&source, &mut sink, None::<&Indexing>) else {
                break;
            };
            if read == 0 {
                break;
            }
            out.extend_from_slice(&self.scratch[..written]);
            used += read;
        }
        self.pending.drain(..used);
    }
}

#[cfg(test)]
mod tests {
    use super::super::level::tone_amplitude;
    use super::*;

    #[test]
    fn a_tone_keeps_its_pitch_from_any_rate() {
        for rate in [8_000u32, 16_000, 22_050, 44_100, 96_000, 48_001] {
            let mut resampler = Resampler::new(rate, 48_000).unwrap();
            let input: Vec<f32> = (0..rate)
                .map(|i| 0.5 * (std::f64::consts::TAU * 1000.0 * f64::from(i) / f64::from(rate)).sin() as f32)
                .collect();
            let mut out = Vec::new();
            for piece in input.chunks(77) {
                resampler.process(piece, &mut out);
            }
            assert!((46_000..=48_100).contains(&out.len()), "{rate}: {}", out.len());
            let amplitude = tone_amplitude(&out[9_600..33_600], 1000.0);
            assert!((amplitude - 0.5).abs() < 0.02, "{rate}: {amplitude}");
        }
    }

    #[test]
    fn equal_rates_pass_through() {
        let mut out = Vec::new();
        Resampler::new(48_000, 48_000).unwrap().process(&[0.1, 0.2], &mut out);
        assert_eq!(out, [0.1, 0.2]);
    }

    #[test]
    fn impossible_rates_are_refused() {
        assert!(Resampler::new(0, 48_000).is_none());
        assert!(Resampler::new(100, 48_000).is_none());
    }
}
