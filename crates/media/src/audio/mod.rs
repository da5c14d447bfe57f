//! Audio devices, audio processing, Opus, jitter buffer and mixer.
//!
//! Audio is `f32` in -1..1 at [`SAMPLE_RATE`] in frames of [`FRAME_SAMPLES`] (10 ms), mono or stereo. Capture: device ->
//! ring -> [`processing`] -> [`codec`] -> [`OpusSink`]. Playout: [`AudioPlayer::push`] -> [`jitter_buffer`] -> [`mixer`] ->
//! ring -> device. Realtime callbacks touch only rings and atomics.
#![forbid(unsafe_code)]

pub mod codec;
pub mod jitter_buffer;
pub mod level;
pub mod mixer;
pub mod processing;
pub mod resample;
pub mod spectrum;
pub mod stereo;
pub mod time_stretch;
pub mod tone;
pub mod voice_activity;

mod callback;
mod capture;
mod capture_clock;
mod delay_estimator;
mod device;
mod device_slot;
mod device_volumes;
mod downmix;
mod error;
mod fake_device;
mod frame_ticker;
mod output_buffer_target;
mod pipeline;
mod player;
mod pull_jitter;
mod redundancy_delay;
mod render;
mod stream;
mod stream_decoder;
mod wav;
mod wav_reader;

use std::time::Instant;

use bytes::Bytes;

pub use capture::EncoderSettings;
pub use device::{default_id, fingerprint, list};
pub use device_volumes::DeviceVolumes;
pub use error::AudioDeviceError;
pub use jitter_buffer::DelayRange;
pub use pipeline::AudioPipeline;
pub use player::{AudioPlayer, AudioPlayerStats, AudioPosition};
pub use processing::{EchoControl, NoiseControl, ProcessingConfig};

/// Samples per second everywhere between the devices.
pub const SAMPLE_RATE: u32 = 48_000;

/// Samples of one frame: 10 ms.
pub const FRAME_SAMPLES: usize = 480;

/// One frame of 10 ms, mono.
pub type Frame = [f32; FRAME_SAMPLES];

/// Which end of the audio path a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub enum DeviceKind {
    /// Captures audio.
    Microphone,
    /// Plays audio.
    Speaker,
}

/// Events of the pipeline. Called on its own threads, never on a realtime one; implementations return soon.
pub trait AudioEvents: Send + Sync {
    /// The first frame since capture was started (or restarted) has arrived from the microphone.
    fn captured_first_frame(&self);

    /// A device could not be opened, or was lost while it ran. The pipeline tries again by itself. `id` is that of [`list`],
    /// empty if there is no device at all.
    fn device_error(&self, kind: DeviceKind, id: &str, error: &AudioDeviceError);

    /// After errors audio flows again, by the same device or another; or the device is not wanted any more.
    fn device_recovered(&self, kind: DeviceKind);
}

/// Receives encoded audio on the capture thread (not the realtime one).
pub trait OpusSink: Send + Sync {
    /// One packet of 20 ms. Must not block.
    fn on_packet(&self, packet: &OpusPacket);
}

/// 20 ms of encoded microphone audio.
#[derive(Clone, Debug)]
pub struct OpusPacket {
    /// The Opus packet.
    pub data: Bytes,
    /// RTP time in 48 kHz units of the first sample; continues by the clock across a closed microphone.
    pub timestamp: u32,
    /// When the audio that a decoder returns for `timestamp` was captured.
    pub capture_time: Instant,
}

/// One received RTP packet of an Opus stream.
#[derive(Clone, Debug)]
pub struct AudioPacket {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp, 48 kHz units.
    pub timestamp: u32,
    /// The Opus packet, or such a packet with copies of earlier ones.
    pub payload: Bytes,
    /// Whether there may be copies in front of it ([`red`]).
    pub is_redundant: bool,
    /// When it arrived from the network.
    pub arrival: Instant,
}
