//! A room with a loudspeaker and a microphone: what is played comes back late, reverberated and by another clock, and
//! somebody may speak into it.

use super::cost::Cost;
use super::speech::Speech;
use super::stoi::stoi;
use media::audio::processing::{ProcessingConfig, Processor};
use media::audio::{FRAME_SAMPLES, Frame};
use netsim::Random;
use realfft::RealFftPlanner;

/// Length of the room's answer, samples: 60 ms.
const ANSWER: usize = 2880;
/// It is 60 dB down after this time, s.
const REVERBERATION: f64 = 0.15;
/// Loudness of the echo against what is played: -10 dB.
const COUPLING: f64 = 0.32;
/// What a quiet room and a microphone add: about -80 dBFS.
const NOISE: f32 = 0.000_17;
/// Threads wake up by so much too late, samples: 4 ms.
const WAKE: f64 = 192.0;
/// Length of a spectrum for the coherence.
const WINDOW: usize = 2048;
/// The band of a voice, in lines of such a spectrum: 200 Hz to 4 kHz.
const VOICE_LINES: std::ops::Range<usize> = 9..171;

/// One call in a room.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// From the mixer through the speaker, the air and the microphone, ms.
    pub delay_ms: f64,
    /// How much faster the speaker's clock runs than the microphone's, parts per million.
    pub drift_ppm: f64,
    /// When somebody begins to speak into the microphone, s.
    pub near_from: Option<f64>,
    pub processing: ProcessingConfig,
}

/// What there was, sample by sample of the microphone.
pub struct Recorded {
    pub echo: Vec<f32>,
    pub near: Vec<f32>,
    pub microphone: Vec<f32>,
    pub sent: Vec<f32>,
    /// Time to process 10 ms, microseconds.
    pub cpu_us: f64,
}

/// What the room answers to a click: the direct audio, then a dying noise. Its energy is that of the coupling.
fn answer(rng: &mut Random) -> Vec<f32> {
    let mut answer: Vec<f64> = (0..ANSWER)
        .map(|at| if at == 0 { 1.0 } else { 0.25 * rng.signed() * (-6.9 * at as f64 / 48_000.0 / REVERBERATION).exp() })
        .collect();
    let energy = answer.iter().map(|tap| tap * tap).sum::<f64>().sqrt();
    answer.iter_mut().for_each(|tap| *tap *= COUPLING / energy);
    answer.into_iter().rev().map(|tap| tap as f32).collect()
}

/// `signal` at a place between samples, by a cubic through the four around it (Catmull and Rom).
fn between(signal: &[f32], at: f64) -> f32 {
    let (whole, part) = (at.floor(), (at - at.floor()) as f32);
    let value = |offset: i64| {
        usize::try_from(whole as i64 + offset).ok().and_then(|index| signal.get(index)).copied().unwrap_or(0.0)
    };
    let (before, this, next, after) = (value(-1), value(0), value(1), value(2));
    let slope = 0.5 * (next - before);
    let (bend, twist) = (before - 2.5 * this + 2.0 * next - 0.5 * after, 1.5 * (this - next) + 0.5 * (after - before));
    this + part * (slope + part * (bend + part * twist))
}

impl Room {
    /// Runs the capture chain as its thread does: each 10 ms of the microphone, after all references that have come.
    pub fn record(&self, seconds: usize, seed: u64) -> Recorded {
        let mut rng = Random::new(seed);
        let mut far = Speech::new(seed + 100, 120.0, 0.12);
        let played: Vec<f32> = (0..(seconds + 1) * 48_000).map(|_| far.sample()).collect();
        let answer = answer(&mut rng);
        let echo_by_speaker: Vec<f32> = (0..played.len())
            .map(|at| {
                let heard = &played[(at + 1).saturating_sub(ANSWER)..=at];
                dot(heard, &answer[ANSWER - heard.len()..])
            })
            .collect();
        let rate = 1.0 + self.drift_ppm * 1e-6;
        let delay = self.delay_ms * 48.0;
        let near_from = self.near_from.map_or(usize::MAX, |from| (from * 48_000.0) as usize);
        let mut talker = Speech::new(seed + 200, 190.0, 0.08);
        let mut processor = Processor::new(self.processing);
        let (mut shown, mut cost) = (0, Cost::default());
        let mut recorded =
            Recorded { echo: Vec::new(), near: Vec::new(), microphone: Vec::new(), sent: Vec::new(), cpu_us: 0.0 };
        for beat in 0..seconds * 100 {
            let begin = beat * FRAME_SAMPLES;
            let echo: Frame =
                std::array::from_fn(|index| between(&echo_by_speaker, ((begin + index) as f64 - delay) * rate));
            let near: Frame =
                std::array::from_fn(|index| if begin + index >= near_from { talker.sample() } else { 0.0 });
            let microphone: Frame =
                std::array::from_fn(|index| echo[index] + near[index] + NOISE * rng.signed() as f32);
            // The mixer has made a frame when the speaker's clock came to it.
            let now = ((begin + FRAME_SAMPLES) as f64 + WAKE * rng.unit()) * rate;
            let mut sent = microphone;
            cost.of(|| {
                while ((shown + 1) * FRAME_SAMPLES) as f64 <= now {
                    let mut frame = [0.0; FRAME_SAMPLES];
                    frame.copy_from_slice(&played[shown * FRAME_SAMPLES..(shown + 1) * FRAME_SAMPLES]);
                    processor.render(&frame);
                    shown += 1;
                }
                processor.capture(&mut sent);
            });
            recorded.echo.extend_from_slice(&echo);
            recorded.near.extend_from_slice(&near);
            recorded.microphone.extend_from_slice(&microphone);
            recorded.sent.extend_from_slice(&sent);
        }
        recorded.cpu_us = cost.median_us();
        recorded
    }
}

/// Eight sums side by side, which the compiler makes vectors of.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn power(signal: &[f32]) -> f64 {
    signal.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / signal.len().max(1) as f64
}

fn decibels(ratio: f64) -> f64 {
    10.0 * ratio.max(1e-12).log10()
}

impl Recorded {
    /// How far what is sent lies below the echo, dB, between two times in s (ITU-T G.168's ERLE, nobody speaking).
    pub fn echo_loss_db(&self, from: f64, to: f64) -> f64 {
        let range = (from * 48_000.0) as usize..(to * 48_000.0) as usize;
        decibels(power(&self.echo[range.clone()]) / power(&self.sent[range]))
    }

    /// How loud the near voice is in what is sent against itself, dB, between two times: its coherent part alone.
    pub fn voice_kept_db(&self, from: f64, to: f64) -> f64 {
        let range = (from * 48_000.0) as usize..(to * 48_000.0) as usize;
        let spectra = Spectra::of(&self.near[range.clone()], &self.sent[range]);
        decibels(spectra.coherent_power() / spectra.reference_power())
    }

    /// The near voice against everything else, dB, in the microphone's signal and in what is sent, between two times.
    pub fn voice_to_rest_db(&self, from: f64, to: f64) -> (f64, f64) {
        let range = (from * 48_000.0) as usize..(to * 48_000.0) as usize;
        let ratio = |signal: &[f32]| Spectra::of(&self.near[range.clone()], signal).signal_to_rest_db();
        (ratio(&self.microphone[range.clone()]), ratio(&self.sent[range.clone()]))
    }
}

impl Recorded {
    /// How well the near voice is understood (STOI, 0 to 1) in the microphone's signal and in what is sent, between two times.
    pub fn understood(&self, from: f64, to: f64) -> (f64, f64) {
        let range = (from * 48_000.0) as usize..(to * 48_000.0) as usize;
        let near = &self.near[range.clone()];
        let of = |signal: &[f32]| {
            let late = lag(near, signal);
            stoi(&near[..near.len() - late], &signal[late..])
        };
        (of(&self.microphone[range.clone()]), of(&self.sent[range]))
    }
}

/// Averaged power and cross spectra of a reference and a signal (Welch's method), within the band of a voice.
struct Spectra {
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Default)]
struct Line {
    reference: f64,
    signal: f64,
    cross: (f64, f64),
}

impl Line {
    /// Power of the signal that is the reference, filtered.
    fn coherent(&self) -> f64 {
        (self.cross.0.powi(2) + self.cross.1.powi(2)) / self.reference.max(1e-30)
    }
}

/// Longest delay of the processing, samples: 20 ms.
const MOST_LAG: usize = 960;

/// By how many samples `signal` is later than `reference`.
fn lag(reference: &[f32], signal: &[f32]) -> usize {
    let length = reference.len().min(4 * 48_000) - MOST_LAG;
    let likeness = |lag: &usize| dot(&reference[..length], &signal[*lag..*lag + length]).abs();
    (0..MOST_LAG).max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or(0)
}

impl Spectra {
    fn of(reference: &[f32], signal: &[f32]) -> Self {
        let signal = &signal[lag(reference, signal)..];
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(WINDOW);
        let spectrum = |piece: &[f32]| {
            let mut input: Vec<f32> = piece
                .iter()
                .enumerate()
                .map(|(at, sample)| sample * (0.5 - 0.5 * (std::f32::consts::TAU * at as f32 / WINDOW as f32).cos()))
                .collect();
            let mut output = fft.make_output_vec();
            fft.process(&mut input, &mut output).expect("lengths that fit");
            output
        };
        let mut lines = vec![Line::default(); VOICE_LINES.len()];
        let pieces = reference.windows(WINDOW).step_by(WINDOW / 2).zip(signal.windows(WINDOW).step_by(WINDOW / 2));
        for (reference, signal) in pieces {
            let (x, y) = (spectrum(reference), spectrum(signal));
            for (line, (x, y)) in lines.iter_mut().zip(x[VOICE_LINES].iter().zip(&y[VOICE_LINES])) {
                line.reference += f64::from(x.norm_sqr());
                line.signal += f64::from(y.norm_sqr());
                let cross = x.conj() * y;
                line.cross.0 += f64::from(cross.re);
                line.cross.1 += f64::from(cross.im);
            }
        }
        Self { lines }
    }

    fn coherent_power(&self) -> f64 {
        self.lines.iter().map(Line::coherent).sum()
    }

    fn reference_power(&self) -> f64 {
        self.lines.iter().map(|line| line.reference).sum()
    }

    fn signal_to_rest_db(&self) -> f64 {
        let coherent = self.coherent_power();
        let all: f64 = self.lines.iter().map(|line| line.signal).sum();
        decibels(coherent / (all - coherent).max(1e-30))
    }
}
