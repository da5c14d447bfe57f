//! Cleans the microphone's audio: echo canceller (AEC3), noise suppression, automatic gain (AGC2) and a high-pass.

use super::stereo::StereoFrame;
use super::{Frame, SAMPLE_RATE};

/// How the echo is fought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EchoControl {
    /// Slow to believe that a room has no echo.
    #[default]
    Full,
    /// Soon sure that there is none (headphones), and then leaves the voice alone.
    Gentle,
}

/// The strength of noise suppression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoiseControl {
    /// 6 dB.
    Soft,
    /// 12 dB.
    #[default]
    Medium,
    /// 18 dB.
    Aggressive,
}

/// Which parts of the processing run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessingConfig {
    /// Acoustic echo cancellation.
    pub aec: bool,
    /// The echo canceller's mode.
    pub echo: EchoControl,
    /// Noise suppression.
    pub ns: bool,
    /// How strong it is.
    pub noise: NoiseControl,
    /// Automatic gain control.
    pub agc: bool,
}

impl Default for ProcessingConfig {
    fn default() -> Self {
        Self { aec: true, echo: EchoControl::Full, ns: true, noise: NoiseControl::Medium, agc: true }
    }
}

impl ProcessingConfig {
    /// Nothing runs.
    pub const OFF: Self =
        Self { aec: false, echo: EchoControl::Full, ns: false, noise: NoiseControl::Medium, agc: false };

    fn is_off(&self) -> bool {
        !(self.aec || self.ns || self.agc)
    }
}

/// The audio processing of one microphone. Not realtime-safe: it allocates.
pub struct Processor {
    inner: sonora::AudioProcessing,
    config: ProcessingConfig,
    is_stereo: bool,
    /// Frames recorded since the last one that was played.
    unplayed: u32,
}

/// After this many silent frames on the speaker there is no echo: 2 s.
const ECHO_TAIL_FRAMES: u32 = 200;

impl Processor {
    /// Makes a processor of one channel with clean history.
    pub fn new(config: ProcessingConfig) -> Self {
        Self::with_channels(config, false)
    }

    /// Makes a processor of two channels, for [`capture_stereo`](Self::capture_stereo).
    pub fn stereo(config: ProcessingConfig) -> Self {
        Self::with_channels(config, true)
    }

    fn with_channels(config: ProcessingConfig, is_stereo: bool) -> Self {
        let played = sonora::StreamConfig::new(SAMPLE_RATE, 1);
        let recorded = sonora::StreamConfig::new(SAMPLE_RATE, if is_stereo { 2 } else { 1 });
        let inner = sonora::AudioProcessing::builder()
            .config(translate(ProcessingConfig { aec: false, ..config }, is_stereo))
            .capture_config(recorded)
            .render_config(played)
            .build();
        Self { inner, config, is_stereo, unplayed: ECHO_TAIL_FRAMES }
    }

    /// Whether it has two channels.
    pub fn is_stereo(&self) -> bool {
        self.is_stereo
    }

    /// Changes what runs; filters that stay on keep what they have learnt.
    pub fn configure(&mut self, config: ProcessingConfig) {
        if config != self.config {
            self.config = config;
            self.apply();
        }
    }

    /// What runs: the echo canceller, which takes half of the time, only while something is played.
    fn effective(&self) -> ProcessingConfig {
        ProcessingConfig { aec: self.config.aec && self.unplayed < ECHO_TAIL_FRAMES, ..self.config }
    }

    fn apply(&mut self) {
        self.inner.apply_config(translate(self.effective(), self.is_stereo));
    }

    /// Counts a recorded frame; false if nothing is to be done with it.
    fn begin(&mut self) -> bool {
        self.unplayed = self.unplayed.saturating_add(1);
        if self.unplayed == ECHO_TAIL_FRAMES {
            self.apply();
        }
        !self.effective().is_off()
    }

    /// Passes 10 ms of what the speaker will play to the echo canceller.
    pub fn render(&mut self, frame: &Frame) {
        let is_first = std::mem::replace(&mut self.unplayed, 0) >= ECHO_TAIL_FRAMES;
        if self.config.aec {
            if is_first {
                self.apply();
            }
            let mut unused = [0.0; super::FRAME_SAMPLES];
            // The format is fixed, so the only error cannot occur; a missed reference frame would only cost echo.
            let _ = self.inner.process_render_f32(&[frame], &mut [&mut unused]);
        }
    }

    /// Cleans 10 ms of the microphone in place.
    pub fn capture(&mut self, frame: &mut Frame) {
        if !self.begin() {
            return;
        }
        let input = *frame;
        if self.inner.process_capture_f32(&[&input], &mut [frame]).is_err() {
            *frame = input;
        }
    }

    /// Cleans 10 ms of both channels in place, each by itself but with the same gain.
    pub fn capture_stereo(&mut self, frame: &mut StereoFrame) {
        if !self.begin() {
            return;
        }
        let StereoFrame { left, right } = *frame;
        let [to_left, to_right] = frame.sides();
        if self.inner.process_capture_f32(&[&left, &right], &mut [to_left, to_right]).is_err() {
            *frame = StereoFrame { left, right };
        }
    }
}

fn translate(config: ProcessingConfig, is_stereo: bool) -> sonora::Config {
    use sonora::config::{
        AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, MaxProcessingRate, NoiseSuppression,
        NoiseSuppressionLevel, Pipeline, TransparentModeType,
    };
    let transparent_mode = match config.echo {
        EchoControl::Full => TransparentModeType::Legacy,
        EchoControl::Gentle => TransparentModeType::Hmm,
    };
    let level = match config.noise {
        NoiseControl::Soft => NoiseSuppressionLevel::Low,
        NoiseControl::Medium => NoiseSuppressionLevel::Moderate,
        NoiseControl::Aggressive => NoiseSuppressionLevel::High,
    };
    // Nothing is amplified before there was a voice: by default the residual echo would be, by 15 dB.
    let adaptive = || AdaptiveDigital { initial_gain_db: 0.0, ..AdaptiveDigital::default() };
    let gain = || GainController2 { adaptive_digital: Some(adaptive()), ..GainController2::default() };
    sonora::Config {
        // 48 kHz inside, so that the band over 16 kHz is kept.
        pipeline: Pipeline {
            maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
            // Otherwise both channels would become one.
            multi_channel_capture: is_stereo,
            ..Pipeline::default()
        },
        high_pass_filter: (!config.is_off()).then(HighPassFilter::default),
        echo_canceller: config.aec.then(|| EchoCanceller { transparent_mode, ..EchoCanceller::default() }),
        noise_suppression: config.ns.then(|| NoiseSuppression { level, ..NoiseSuppression::default() }),
        gain_controller2: config.agc.then(gain),
        ..sonora::Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::FRAME_SAMPLES;
    use super::super::level::rms_dbfs;
    use super::*;

    /// Noise in syllables, as a far talker would audio to the echo canceller.
    fn far_talker(frame: usize, state: &mut u32) -> Frame {
        let loudness = if (frame / 15).is_multiple_of(3) { 0.0 } else { 0.2 };
        std::array::from_fn(|_| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            loudness * ((*state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        })
    }

    /// Level of the last two seconds of an echo 30 ms late and half as loud.
    fn remaining_echo(config: ProcessingConfig) -> f32 {
        remaining_echo_of(&mut Processor::new(config))
    }

    fn remaining_echo_of(processor: &mut Processor) -> f32 {
        let (mut state, mut past, mut kept) = (7, vec![[0.0; FRAME_SAMPLES]; 3], Vec::new());
        for frame in 0..800 {
            let played = far_talker(frame, &mut state);
            past.push(played);
            processor.render(&played);
            let mut recorded = past[frame].map(|sample| sample * 0.5);
            processor.capture(&mut recorded);
            if frame >= 600 {
                kept.extend_from_slice(&recorded);
            }
        }
        rms_dbfs(&kept)
    }

    #[test]
    fn the_room_does_not_hear_itself() {
        let with = remaining_echo(ProcessingConfig { aec: true, ..ProcessingConfig::OFF });
        let without = remaining_echo(ProcessingConfig::OFF);
        assert!(with < without - 25.0, "{with} dBFS with, {without} dBFS without echo canceller");
    }

    #[test]
    fn an_echo_that_begins_after_a_long_silence_is_fought_as_well() {
        let mut processor = Processor::new(ProcessingConfig { aec: true, ..ProcessingConfig::OFF });
        let first = remaining_echo_of(&mut processor);
        // Meanwhile the canceller rests: nothing is done to the voice.
        for _ in 0..2 * ECHO_TAIL_FRAMES {
            processor.capture(&mut [0.1; FRAME_SAMPLES]);
        }
        let mut voice = [0.1; FRAME_SAMPLES];
        processor.capture(&mut voice);
        assert_eq!(voice, [0.1; FRAME_SAMPLES]);
        let second = remaining_echo_of(&mut processor);
        assert!(second < first + 6.0, "{first} dBFS first, {second} dBFS later");
    }

    #[test]
    fn switched_off_it_leaves_the_audio_alone() {
        let mut processor = Processor::new(ProcessingConfig::default());
        processor.configure(ProcessingConfig::OFF);
        let mut frame: Frame = std::array::from_fn(|index| index as f32 / 1000.0);
        let before = frame;
        processor.capture(&mut frame);
        assert_eq!(frame, before);
    }

    #[test]
    fn both_sides_are_cleaned_and_stay_apart() {
        let mut processor =
            Processor::stereo(ProcessingConfig { ns: true, agc: false, aec: true, ..ProcessingConfig::OFF });
        let mut state = 5;
        let mut loud = Vec::new();
        for frame in 0..300 {
            // A talker on the left, a little noise on the right.
            let talker = far_talker(frame, &mut state);
            let mut last = StereoFrame { left: talker, right: talker.map(|sample| sample * 0.01) };
            processor.capture_stereo(&mut last);
            if frame >= 200 {
                loud.push((rms_dbfs(&last.left), rms_dbfs(&last.right)));
            }
        }
        let loudest =
            loud.iter().copied().fold((-200.0f32, -200.0f32), |most, now| (most.0.max(now.0), most.1.max(now.1)));
        assert!(loudest.0 > -30.0 && loudest.1 < loudest.0 - 30.0, "{loudest:?}");
    }

    /// Level of steady noise after four seconds.
    fn remaining_noise(noise: NoiseControl) -> f32 {
        let mut processor = Processor::new(ProcessingConfig { ns: true, noise, ..ProcessingConfig::OFF });
        let mut state = 3u32;
        let mut last = [0.0; FRAME_SAMPLES];
        for _ in 0..400 {
            last = std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                0.01 * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
            });
            processor.capture(&mut last);
        }
        rms_dbfs(&last)
    }

    #[test]
    fn noise_suppression_lowers_steady_noise_by_its_strength() {
        let levels = [NoiseControl::Soft, NoiseControl::Medium, NoiseControl::Aggressive].map(remaining_noise);
        assert!(levels[1] < -50.0, "{levels:?}");
        assert!(levels[0] > levels[1] + 3.0 && levels[1] > levels[2] + 3.0, "{levels:?}");
    }
}
