//! Which frequencies a running signal holds.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use realfft::RealFftPlanner;

use super::{FRAME_SAMPLES, SAMPLE_RATE};

/// Bands of a spectrum, from 0 Hz up, all equally wide.
pub const BANDS: usize = 64;
/// Width of a band, Hz: together they reach 8 kHz, which holds nearly all of a voice.
pub const BAND_HZ: f64 = 125.0;
/// Power of a full-scale sine in its band.
pub const FULL_SCALE: f64 = (1u64 << 30) as f64;
/// Samples that one spectrum is made of: 43 ms.
const WINDOW: usize = 2048;

/// Keeps the newest samples of a signal while anybody wants its spectrum.
#[derive(Debug, Default)]
pub struct SpectrumTap {
    wanted: AtomicBool,
    newest: Mutex<Vec<f32>>,
}

impl SpectrumTap {
    /// Whether samples are kept.
    pub fn want(&self, wanted: bool) {
        if !wanted {
            self.newest.lock().clear();
        }
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Adds 10 ms. Nearly free while nothing needs it. Not for realtime threads.
    pub fn update(&self, frame: &[f32; FRAME_SAMPLES]) {
        if self.wanted.load(Ordering::Relaxed) {
            let mut newest = self.newest.lock();
            newest.extend_from_slice(frame);
            let old = newest.len().saturating_sub(WINDOW);
            newest.drain(..old);
        }
    }

    /// The spectrum of the last 43 ms: power by band, [`FULL_SCALE`] for a sine that fills the range. All zero until there
    /// are enough samples.
    pub fn spectrum(&self) -> [f64; BANDS] {
        let samples = self.newest.lock().clone();
        if samples.len() < WINDOW { [0.0; BANDS] } else { spectrum(&samples) }
    }
}

fn spectrum(samples: &[f32]) -> [f64; BANDS] {
    let mut bands = [0.0; BANDS];
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(WINDOW);
    // Hann's window: a tone between two bins does not smear over the others.
    let step = std::f32::consts::TAU / WINDOW as f32;
    let mut input: Vec<f32> = (0..)
        .zip(samples)
        .take(WINDOW)
        .map(|(index, sample): (u16, &f32)| sample * (0.5 - 0.5 * (step * f32::from(index)).cos()))
        .collect();
    let mut bins = transform.make_output_vec();
    // The lengths are the plan's own, so the only errors cannot occur.
    if transform.process(&mut input, &mut bins).is_err() {
        return bands;
    }
    let bin_hz = f64::from(SAMPLE_RATE) / WINDOW as f64;
    // A sine of amplitude 1 gives power (WINDOW / 4)^2 in its bin, and half as much again beside it.
    let scale = FULL_SCALE / ((WINDOW as f64 / 4.0).powi(2) * 1.5);
    for (index, bin) in bins.iter().enumerate() {
        let band = (index as f64 * bin_hz / BAND_HZ) as usize;
        if let Some(power) = bands.get_mut(band) {
            *power += f64::from(bin.norm_sqr()) * scale;
        }
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tap_of(frequency: f32, amplitude: f32) -> SpectrumTap {
        let tap = SpectrumTap::default();
        tap.want(true);
        for frame in 0..10 {
            tap.update(&std::array::from_fn(|index| {
                let seconds = (frame * FRAME_SAMPLES + index) as f32 / SAMPLE_RATE as f32;
                amplitude * (std::f32::consts::TAU * frequency * seconds).sin()
            }));
        }
        tap
    }

    #[test]
    fn a_tone_is_found_in_its_band_with_its_power() {
        let bands = tap_of(440.0, 1.0).spectrum();
        let loudest = (0..BANDS).max_by(|a, b| bands[*a].total_cmp(&bands[*b])).unwrap();
        assert_eq!(loudest, 3, "375 to 500 Hz");
        assert!((bands[3] / FULL_SCALE - 1.0).abs() < 0.05, "{}", bands[3] / FULL_SCALE);
        assert!(bands[10] < FULL_SCALE / 1e6);
        let quiet = tap_of(440.0, 0.1).spectrum()[3];
        assert!((bands[3] / quiet - 100.0).abs() < 2.0);
    }

    #[test]
    fn nothing_is_kept_that_nobody_wants() {
        let tap = tap_of(440.0, 1.0);
        tap.want(false);
        tap.update(&[0.5; FRAME_SAMPLES]);
        assert_eq!(tap.spectrum(), [0.0; BANDS]);
        assert!(tap.newest.lock().is_empty());
    }
}
