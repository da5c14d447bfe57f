//! Cleans the microphone's audio: echo canceller (AEC3), noise suppression, automatic gain (AGC2) and a high-pass.

use super::{Frame, SAMPLE_RATE};

/// Which parts of the processing run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessingConfig {
    /// Acoustic echo cancellation.
    pub aec: bool,
    /// Noise suppression.
    pub ns: bool,
    /// Automatic gain control.
    pub agc: bool,
}

impl Default for ProcessingConfig {
    fn default() -> Self {
        Self { aec: true, ns: true, agc: true }
    }
}

impl ProcessingConfig {
    /// Nothing runs.
    pub const OFF: Self = Self { aec: false, ns: false, agc: false };
}

/// The audio processing of one microphone. Not realtime-safe: it allocates.
pub struct Processor {
    inner: sonora::AudioProcessing,
    config: ProcessingConfig,
}

impl Processor {
    /// Makes a processor with clean history.
    pub fn new(config: ProcessingConfig) -> Self {
        let stream = sonora::StreamConfig::new(SAMPLE_RATE, 1);
        let inner = sonora::AudioProcessing::builder()
            .config(translate(config))
            .capture_config(stream)
            .render_config(stream)
            .build();
        Self { inner, config }
    }

    /// Changes what runs; filters that stay on keep what they have learnt.
    pub fn configure(&mut self, config: ProcessingConfig) {
        if config != self.config {
            self.config = config;
            self.inner.apply_config(translate(config));
        }
    }

    /// Shows the echo canceller 10 ms of what the speaker will play.
    pub fn render(&mut self, frame: &Frame) {
        if self.config.aec {
            let mut unused = [0.0; super::FRAME_SAMPLES];
            // The format is fixed, so the only error cannot occur; a missed reference frame would only cost echo.
            let _ = self.inner.process_render_f32(&[frame], &mut [&mut unused]);
        }
    }

    /// Cleans 10 ms of the microphone in place.
    pub fn capture(&mut self, frame: &mut Frame) {
        if self.config == ProcessingConfig::OFF {
            return;
        }
        let input = *frame;
        if self.inner.process_capture_f32(&[&input], &mut [frame]).is_err() {
            *frame = input;
        }
    }
}

fn translate(config: ProcessingConfig) -> sonora::Config {
    use sonora::config::{
        AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, MaxProcessingRate, NoiseSuppression, Pipeline,
    };
    let gain = || GainController2 { adaptive_digital: Some(AdaptiveDigital::default()), ..GainController2::default() };
    sonora::Config {
        // 48 kHz inside, so that the band over 16 kHz is kept.
        pipeline: Pipeline { maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz, ..Pipeline::default() },
        high_pass_filter: (config != ProcessingConfig::OFF).then(HighPassFilter::default),
        echo_canceller: config.aec.then(EchoCanceller::default),
        noise_suppression: config.ns.then(NoiseSuppression::default),
        gain_controller2: config.agc.then(gain),
        ..sonora::Config::default()
    }
}
