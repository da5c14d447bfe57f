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

#[cfg(test)]
mod tests {
    use super::super::FRAME_SAMPLES;
    use super::super::level::rms_dbfs;
    use super::*;

    /// Noise in syllables, as a far talker would sound to the echo canceller.
    fn far_talker(frame: usize, state: &mut u32) -> Frame {
        let loudness = if (frame / 15).is_multiple_of(3) { 0.0 } else { 0.2 };
        std::array::from_fn(|_| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            loudness * ((*state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        })
    }

    /// Level of the last two seconds of an echo 30 ms late and half as loud.
    fn remaining_echo(config: ProcessingConfig) -> f32 {
        let mut processor = Processor::new(config);
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
        let with = remaining_echo(ProcessingConfig { aec: true, ns: false, agc: false });
        let without = remaining_echo(ProcessingConfig::OFF);
        assert!(with < without - 25.0, "{with} dBFS with, {without} dBFS without echo canceller");
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
    fn noise_suppression_lowers_steady_noise() {
        let mut processor = Processor::new(ProcessingConfig { aec: false, ns: true, agc: false });
        let mut state = 3u32;
        let mut last = [0.0; FRAME_SAMPLES];
        for _ in 0..400 {
            last = std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                0.01 * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
            });
            processor.capture(&mut last);
        }
        assert!(rms_dbfs(&last) < -50.0, "{}", rms_dbfs(&last));
    }
}
