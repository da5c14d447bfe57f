//! The audio pipeline as the engine uses it, with fake devices and, where there is PulseAudio, with real ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "audio/fake_devices.rs"]
mod fake_devices;
#[cfg(target_os = "linux")]
#[path = "audio/pulse_audio.rs"]
mod pulse_audio;
