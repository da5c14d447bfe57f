//! Something that codecs and echo cancellers take for a voice: pulses through three formants, hisses, pauses.
//!
//! Source and filter after Klatt (1980), much simplified; a new audio every 60 to 250 ms.

use netsim::Random;

const RATE: f64 = 48_000.0;
/// Formants of five vowels, Hz.
const VOWELS: [[f64; 3]; 5] = [
    [730.0, 1090.0, 2440.0],
    [270.0, 2290.0, 3010.0],
    [530.0, 1840.0, 2480.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
];
/// Bandwidths of the formants, Hz.
const BANDWIDTHS: [f64; 3] = [80.0, 100.0, 140.0];
/// Loudness of a vowel, about -20 dBFS on average.
const LOUDNESS: f64 = 0.25;
/// Most change of the pitch within a second, as a share of it, and most difference between one period and the next.
const GLIDE: f64 = 1.0;
const WOBBLE: f64 = 0.02;
/// A room is never silent: about -75 dBFS.
const ROOM: f64 = 0.0003;

/// A two-pole resonator.
#[derive(Clone, Copy, Debug, Default)]
struct Resonator {
    a: f64,
    b: f64,
    last: f64,
    before: f64,
}

impl Resonator {
    fn tune(&mut self, frequency: f64, bandwidth: f64) {
        let radius = (-std::f64::consts::PI * bandwidth / RATE).exp();
        self.a = 2.0 * radius * (std::f64::consts::TAU * frequency / RATE).cos();
        self.b = -radius * radius;
    }

    fn next(&mut self, input: f64) -> f64 {
        // Unity gain at 0 Hz, so that the three may follow one another.
        let output = (1.0 - self.a - self.b) * input + self.a * self.last + self.b * self.before;
        (self.before, self.last) = (self.last, output);
        output
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sound {
    Vowel,
    Hiss,
    Pause,
}

/// One talker.
pub struct Speech {
    rng: Random,
    /// Share of the time that is silent, about.
    pauses: f64,
    pitch: f64,
    glide: f64,
    /// Change of the pitch, as a share of it a second.
    slope: f64,
    wobble: f64,
    phase: f64,
    glottis: f64,
    formants: [Resonator; 3],
    sound: Sound,
    left: u32,
    loudness: f64,
    envelope: f64,
    last_noise: f64,
}

impl Speech {
    /// A talker who begins at once; `pitch` in Hz; `pauses` is the chance that a pause of half a second follows a audio.
    pub fn new(seed: u64, pitch: f64, pauses: f64) -> Self {
        let mut speech = Self {
            rng: Random::new(seed),
            pauses,
            pitch,
            glide: 1.0,
            slope: 0.0,
            wobble: 1.0,
            phase: 0.0,
            glottis: 0.0,
            formants: [Resonator::default(); 3],
            sound: Sound::Vowel,
            left: 0,
            loudness: 0.0,
            envelope: 0.0,
            last_noise: 0.0,
        };
        speech.begin(Sound::Vowel);
        speech
    }

    fn begin(&mut self, sound: Sound) {
        let ms = match sound {
            Sound::Vowel => 90.0 + 160.0 * self.rng.unit(),
            Sound::Hiss => 60.0 + 60.0 * self.rng.unit(),
            Sound::Pause => 300.0 + 400.0 * self.rng.unit(),
        };
        self.sound = sound;
        self.left = (ms * RATE / 1000.0) as u32;
        self.loudness = LOUDNESS * (0.5 + self.rng.unit());
        self.glide = 0.85 + 0.3 * self.rng.unit();
        self.slope = GLIDE * self.rng.signed();
        let vowel = VOWELS[(self.rng.unit() * VOWELS.len() as f64) as usize];
        for ((formant, frequency), bandwidth) in self.formants.iter_mut().zip(vowel).zip(BANDWIDTHS) {
            formant.tune(frequency, bandwidth);
        }
    }

    fn next_sound(&mut self) -> Sound {
        match self.sound {
            _ if self.rng.chance(self.pauses) => Sound::Pause,
            Sound::Vowel if self.rng.chance(0.4) => Sound::Hiss,
            _ => Sound::Vowel,
        }
    }

    /// The next sample, -1 to 1.
    pub fn sample(&mut self) -> f32 {
        if self.left == 0 {
            let next = self.next_sound();
            self.begin(next);
        }
        self.left -= 1;
        let noise = self.rng.signed();
        let wanted = if self.sound == Sound::Pause { 0.0 } else { self.loudness };
        // Audio swell and fade within some 10 ms.
        self.envelope += (wanted - self.envelope) / (0.006 * RATE);
        self.pitch_pulse();
        let source = if self.sound == Sound::Hiss { 0.0 } else { self.glottis + 0.01 * noise };
        let voiced = self.formants.iter_mut().fold(source, |signal, formant| formant.next(signal));
        // A hiss has its energy at the top.
        let hiss = if self.sound == Sound::Hiss { 0.12 * (noise - self.last_noise) } else { 0.0 };
        self.last_noise = noise;
        ((self.envelope * (voiced + hiss)).clamp(-0.95, 0.95) + ROOM * noise) as f32
    }

    /// A falling ramp once a period, smoothed: the spectrum of a glottis falls by 12 dB an octave.
    fn pitch_pulse(&mut self) {
        // A voice never holds its pitch: it glides, and no two periods are alike.
        self.glide *= 1.0 + self.slope / RATE;
        self.phase += self.pitch * self.glide * self.wobble / RATE;
        if self.phase >= 1.0 {
            self.phase -= 1.0;
            self.wobble = 1.0 + WOBBLE * self.rng.signed();
        }
        let ramp = 0.5 - self.phase;
        self.glottis += (ramp - self.glottis) * 0.15;
    }

    /// The next `N` samples.
    pub fn samples<const N: usize>(&mut self) -> [f32; N] {
        std::array::from_fn(|_| self.sample())
    }
}
