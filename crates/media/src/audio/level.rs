//! How loud a frame is.

use std::sync::atomic::{AtomicU32, Ordering};

/// The level of silence, dBFS.
pub const SILENCE_DBFS: f32 = -127.0;

/// Root mean square of `samples` in dB below a full-scale square wave, at least [`SILENCE_DBFS`].
pub fn rms_dbfs(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return SILENCE_DBFS;
    }
    let power = samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32;
    (10.0 * power.max(1e-20).log10()).max(SILENCE_DBFS)
}

/// Peak-hold level of a running signal that any thread may read.
///
/// Rises at once and falls by 1 dB per frame (100 dB/s), so a reader that looks every 100 ms does not miss a syllable.
#[derive(Debug)]
pub struct LevelMeter(AtomicU32);

impl Default for LevelMeter {
    fn default() -> Self {
        Self(AtomicU32::new(SILENCE_DBFS.to_bits()))
    }
}

impl LevelMeter {
    /// Adds one frame of 10 ms. One thread only.
    pub fn update(&self, samples: &[f32]) {
        let held = self.dbfs() - 1.0;
        self.0.store(rms_dbfs(samples).max(held).to_bits(), Ordering::Relaxed);
    }

    /// Falls back to silence.
    pub fn reset(&self) {
        self.0.store(SILENCE_DBFS.to_bits(), Ordering::Relaxed);
    }

    /// The level, dBFS, [`SILENCE_DBFS`]..=0 or a little more.
    pub fn dbfs(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// The level on the application's scale: 0 is -60 dBFS and below, 100 is full scale.
    pub fn percent(&self) -> f32 {
        ((self.dbfs() + 60.0) / 60.0 * 100.0).clamp(0.0, 100.0)
    }
}

/// Amplitude of the sine of `frequency` Hz in `samples`, by Goertzel's algorithm.
///
/// Exact when `samples` holds whole periods. For tests and self-checks.
pub fn tone_amplitude(samples: &[f32], frequency: f64) -> f32 {
    let step = std::f64::consts::TAU * frequency / f64::from(super::SAMPLE_RATE);
    let coefficient = 2.0 * step.cos();
    let (mut last, mut before) = (0.0f64, 0.0f64);
    for &sample in samples {
        (last, before) = (f64::from(sample) + coefficient * last - before, last);
    }
    let power = last * last + before * before - coefficient * last * before;
    (2.0 * power.max(0.0).sqrt() / samples.len().max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_scale_square_wave_is_zero_dbfs() {
        assert!(rms_dbfs(&[1.0, -1.0, 1.0, -1.0]).abs() < 1e-4);
        assert_eq!(rms_dbfs(&[0.0; 8]), SILENCE_DBFS);
        assert_eq!(rms_dbfs(&[]), SILENCE_DBFS);
    }

    #[test]
    fn the_meter_rises_at_once_and_falls_slowly() {
        let meter = LevelMeter::default();
        meter.update(&[0.1; 480]);
        assert!((meter.dbfs() + 20.0).abs() < 0.01);
        meter.update(&[0.0; 480]);
        assert!((meter.dbfs() + 21.0).abs() < 0.01);
        assert!((meter.percent() - 65.0).abs() < 0.1);
    }
}
