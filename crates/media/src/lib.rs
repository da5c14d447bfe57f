//! Frames, sources, codecs, colour, audio devices and audio processing, playout and lip sync. No network, no JS.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

pub mod audio;
pub mod lip_sync;
pub mod video;

mod devices;
mod fake_file;
pub use devices::{DeviceInfo, FakeDevices};

/// Lets a test forbid its thread to allocate.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
