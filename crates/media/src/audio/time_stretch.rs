//! Makes a piece of audio one pitch period shorter or longer without changing its pitch.
//!
//! Waveform similarity overlap-add (Verhelst and Roelands, 1993) on a single packet: find the lag at which the piece is most
//! similar to itself, then remove or repeat that much with a cross-fade.

/// Shortest lag, samples: 2.5 ms (a 400 Hz voice).
const MIN_LAG: usize = 120;
/// Longest lag, samples: 10 ms (a 100 Hz voice).
const MAX_LAG: usize = 480;
/// Samples that are compared and cross-faded: 10 ms.
const OVERLAP: usize = 480;
/// The search looks at every 4th sample (12 kHz) first, then refines.
const COARSE: usize = 4;
/// Minimum similarity: below it a change would be audible.
const MIN_CORRELATION: f32 = 0.8;
/// Mean square below which a seam is inaudible in any case: -60 dBFS.
pub const QUIET_POWER: f32 = 1e-6;

/// Shortest piece that can be stretched, samples: 20 ms.
pub const MIN_SAMPLES: usize = MAX_LAG + OVERLAP;

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// Leave out a period: playing catches up.
    Accelerate,
    /// Repeat a period: playing falls behind.
    Expand,
}

/// Limits of a change.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Upper bound of samples that are removed or repeated.
    pub most: usize,
    /// Mean square below which a seam is inaudible.
    pub quiet: f32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { most: MAX_LAG, quiet: QUIET_POWER }
    }
}

/// Appends `input` to `out`, shorter or longer by one period of 2.5 to 10 ms; returns the change in samples.
///
/// Input that is too short ([`MIN_SAMPLES`]), or neither periodic enough nor quiet ([`Limits`]), is appended unchanged, and
/// the result is 0.
pub fn stretch(input: &[f32], direction: Stretch, limits: Limits, out: &mut Vec<f32>) -> usize {
    let lag = find_lag(input, limits);
    apply(input, lag, direction, out);
    lag.unwrap_or(0)
}

/// The same for two channels of equal length, which keep together.
pub fn stretch_pair(input: [&[f32]; 2], direction: Stretch, limits: Limits, out: [&mut Vec<f32>; 2]) -> usize {
    let both: Vec<f32> = input[0].iter().zip(input[1]).map(|(left, right)| (left + right) / 2.0).collect();
    let lag = find_lag(&both, limits);
    input.into_iter().zip(out).for_each(|(input, out)| apply(input, lag, direction, out));
    lag.unwrap_or(0)
}

fn apply(input: &[f32], lag: Option<usize>, direction: Stretch, out: &mut Vec<f32>) {
    let Some(lag) = lag else {
        out.extend_from_slice(input);
        return;
    };
    let (from, to) = match direction {
        Stretch::Accelerate => (0, lag),
        Stretch::Expand => {
            out.extend_from_slice(&input[..lag]);
            (lag, 0)
        }
    };
    for step in 0..OVERLAP {
        let weight = (step as f32 + 0.5) / OVERLAP as f32;
        out.push(input[from + step] * (1.0 - weight) + input[to + step] * weight);
    }
    out.extend_from_slice(&input[to + OVERLAP..]);
}

/// Mean square.
pub fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32
}

fn find_lag(input: &[f32], limits: Limits) -> Option<usize> {
    let most = limits.most.min(MAX_LAG);
    if input.len() < MIN_SAMPLES || most < MIN_LAG {
        return None;
    }
    if power(input) < limits.quiet {
        return Some(most);
    }
    let best = |candidates: &mut dyn Iterator<Item = usize>, step: usize| {
        candidates.map(|lag| (lag, correlation(input, lag, step))).max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let (coarse, _) = best(&mut (MIN_LAG..=most).step_by(COARSE), COARSE)?;
    let around = coarse.saturating_sub(COARSE - 1).max(MIN_LAG)..=(coarse + COARSE - 1).min(most);
    let (lag, likeness) = best(&mut around.into_iter(), 1)?;
    (likeness >= MIN_CORRELATION).then_some(lag)
}

/// Normalized cross-correlation of the start of `input` with itself `lag` later, over every `step`-th sample.
fn correlation(input: &[f32], lag: usize, step: usize) -> f32 {
    let (mut product, mut early, mut late) = (0.0f32, 0.0f32, 0.0f32);
    for (a, b) in input[..OVERLAP].iter().zip(&input[lag..lag + OVERLAP]).step_by(step) {
        product += a * b;
        early += a * a;
        late += b * b;
    }
    product / (early * late + 1e-12).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::level::tone_amplitude;
    use super::*;

    fn sine(frequency: f32, length: usize) -> Vec<f32> {
        (0..length).map(|i| 0.3 * (std::f32::consts::TAU * frequency * i as f32 / 48_000.0).sin()).collect()
    }

    fn is_smooth(samples: &[f32]) -> bool {
        samples.windows(2).all(|w| (w[1] - w[0]).abs() < 0.03)
    }

    #[test]
    fn acceleration_leaves_out_a_period_and_keeps_the_pitch() {
        let mut out = Vec::new();
        let removed = stretch(&sine(440.0, 960), Stretch::Accelerate, Limits::default(), &mut out);
        assert!((MIN_LAG..=MAX_LAG).contains(&removed));
        assert_eq!(out.len(), 960 - removed);
        assert!(is_smooth(&out));
        let periods = 436; // four periods of 440 Hz
        assert!(tone_amplitude(&out[..periods], 440.0) > 0.28);
    }

    #[test]
    fn expansion_says_a_period_twice_without_a_seam() {
        let mut out = Vec::new();
        let added = stretch(&sine(150.0, 960), Stretch::Expand, Limits::default(), &mut out);
        assert_eq!(out.len(), 960 + added);
        assert!(is_smooth(&out));
    }

    #[test]
    fn noise_is_left_alone() {
        let mut state = 1u32;
        let noise: Vec<f32> = (0..960)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect();
        let mut out = Vec::new();
        assert_eq!(stretch(&noise, Stretch::Accelerate, Limits::default(), &mut out), 0);
        // Unless it is far below the voice.
        assert_eq!(
            stretch(
                &noise,
                Stretch::Accelerate,
                Limits { quiet: 2.0 * power(&noise), ..Limits::default() },
                &mut Vec::new()
            ),
            MAX_LAG
        );
        assert_eq!(out, noise);
    }

    #[test]
    fn silence_gives_path_most() {
        let mut out = Vec::new();
        assert_eq!(stretch(&[0.0; 960], Stretch::Accelerate, Limits::default(), &mut out), MAX_LAG);
    }

    #[test]
    fn a_short_piece_is_left_alone() {
        let mut out = Vec::new();
        assert_eq!(stretch(&sine(440.0, 480), Stretch::Expand, Limits::default(), &mut out), 0);
        assert_eq!(out.len(), 480);
    }
}
