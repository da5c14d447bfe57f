//! The measuring signal of the fake microphone: a pure function of wall-clock time.
//!
//! 440 Hz at -20 dBFS, and in the first 100 ms of every wall-clock second 1 kHz at -6 dBFS instead. Both frequencies
//! make whole periods in a second, so the phase is simply the time since the second began. The right side of the stereo tone
//! hums at 660 Hz and has no pip.

use std::time::Duration;

use super::SAMPLE_RATE;

/// Frequency between the pips, Hz.
pub const HUM_HZ: f64 = 440.0;
/// Frequency of the right side, Hz.
pub const RIGHT_HZ: f64 = 660.0;
/// Frequency of the pip, Hz.
pub const PIP_HZ: f64 = 1000.0;
/// Amplitude between the pips: -20 dBFS.
pub const HUM_AMPLITUDE: f32 = 0.1;
/// Amplitude of the pip: -6 dBFS.
pub const PIP_AMPLITUDE: f32 = 0.501_187_2;
/// How long the pip is, from the start of every second.
pub const PIP: Duration = Duration::from_millis(100);

/// Fills `out` with the tone at 48 kHz; the first sample is at `since_epoch` after the Unix epoch.
pub fn fill(since_epoch: Duration, out: &mut [f32]) {
    let pip = PIP.as_secs_f64();
    render(since_epoch, out, |second| if second < pip { (PIP_HZ, PIP_AMPLITUDE) } else { (HUM_HZ, HUM_AMPLITUDE) });
}

/// The same for the right side of the stereo tone.
pub fn fill_right(since_epoch: Duration, out: &mut [f32]) {
    render(since_epoch, out, |_| (RIGHT_HZ, HUM_AMPLITUDE));
}

fn render(since_epoch: Duration, out: &mut [f32], wave: impl Fn(f64) -> (f64, f32)) {
    let rate = f64::from(SAMPLE_RATE);
    // Rounded to the sample grid of the second, so the frames of one second fit together without a seam.
    let first = (f64::from(since_epoch.subsec_nanos()) * 1e-9 * rate).round() as u64;
    for (index, sample) in (first..).zip(out) {
        let second = (index % u64::from(SAMPLE_RATE)) as f64 / rate;
        let (frequency, amplitude) = wave(second);
        *sample = amplitude * (std::f64::consts::TAU * frequency * second).sin() as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::super::level::tone_amplitude;
    use super::*;

    #[test]
    fn the_pip_is_1_khz_at_minus_6_dbfs() {
        let mut pip = [0.0; 4800];
        fill(Duration::from_secs(1_700_000_000), &mut pip);
        assert!((tone_amplitude(&pip, PIP_HZ) - 0.501).abs() < 1e-3);
        assert!(tone_amplitude(&pip, HUM_HZ) < 1e-2);
    }

    #[test]
    fn the_rest_of_the_second_is_440_hz_at_minus_20_dbfs() {
        let mut hum = [0.0; 4800];
        fill(Duration::from_millis(1_700_000_000_500), &mut hum);
        assert!((tone_amplitude(&hum, HUM_HZ) - 0.1).abs() < 1e-3);
        assert!(tone_amplitude(&hum, PIP_HZ) < 1e-3);
    }

    #[test]
    fn frames_of_10_ms_fit_together_across_the_second() {
        let mut whole = [0.0; 960];
        let mut parts = [0.0; 960];
        fill(Duration::from_millis(5_990), &mut whole);
        fill(Duration::from_millis(5_990), &mut parts[..480]);
        fill(Duration::from_millis(6_000), &mut parts[480..]);
        assert_eq!(whole, parts);
    }
}
