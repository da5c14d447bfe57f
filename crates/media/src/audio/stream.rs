//! An open device as the pipeline sees it: a ring, a rate and a few atomics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::{AudioDeviceError, DeviceKind};

/// Channels in a ring, interleaved.
pub(crate) const CHANNELS: usize = 2;
/// How much a ring holds, milliseconds.
pub(crate) const RING_MS: u32 = 500;

/// What the device's own thread reports. Only atomics: it may be a realtime one.
#[derive(Debug, Default)]
pub(crate) struct StreamStatus {
    failure: AtomicU8,
    /// Frames that the last callback asked for or brought.
    pub(crate) callback_frames: AtomicU32,
    /// Callbacks so far.
    pub(crate) callbacks: AtomicU64,
    /// Frames that were asked for and not there, or were brought and found no room.
    pub(crate) missed_frames: AtomicU64,
    /// Xruns that the audio system reported; the stream continues.
    pub(crate) xruns: AtomicU64,
}

impl StreamStatus {
    const UNPLUGGED: u8 = 1;
    const BROKEN: u8 = 2;

    /// Classifies an error of the running stream: most do not end it.
    pub(crate) fn on_error(&self, error: &cpal::Error) {
        use cpal::ErrorKind;
        match error.kind() {
            ErrorKind::Xrun => {
                self.xruns.fetch_add(1, Ordering::Relaxed);
            }
            ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable => {
                self.failure.store(Self::UNPLUGGED, Ordering::Release);
            }
            ErrorKind::StreamInvalidated => self.failure.store(Self::BROKEN, Ordering::Release),
            // Rerouted, no realtime priority, or something that the audio system gets over by itself.
            _ => {}
        }
    }

    /// The device was unplugged.
    pub(crate) fn unplug(&self) {
        self.failure.store(Self::UNPLUGGED, Ordering::Release);
    }

    /// Why the stream has ended, if it has.
    pub(crate) fn failure(&self) -> Option<AudioDeviceError> {
        match self.failure.load(Ordering::Acquire) {
            0 => None,
            Self::UNPLUGGED => Some(AudioDeviceError::Unplugged),
            _ => Some(AudioDeviceError::Backend("the stream has become invalid".to_owned())),
        }
    }

    pub(crate) fn on_callback(&self, frames: usize, missed: usize) {
        self.callback_frames.store(u32::try_from(frames).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.callbacks.fetch_add(1, Ordering::Relaxed);
        if missed > 0 {
            self.missed_frames.fetch_add(missed as u64, Ordering::Relaxed);
        }
    }
}

/// An open microphone.
pub(crate) struct InputStream {
    /// Interleaved at `sample_rate`; both channels are the same for a mono microphone.
    pub(crate) samples: rtrb::Consumer<f32>,
    /// Hz.
    pub(crate) sample_rate: u32,
    /// A signal that others measure: it must not be cleaned.
    pub(crate) is_measuring_signal: bool,
    pub(crate) status: Arc<StreamStatus>,
    /// Dropping it closes the device.
    pub(crate) _device: Box<dyn Send>,
}

/// An open speaker.
pub(crate) struct OutputStream {
    /// Interleaved at `sample_rate`.
    pub(crate) samples: rtrb::Producer<f32>,
    /// Hz.
    pub(crate) sample_rate: u32,
    /// The samples of one callback are played only when the next one comes.
    pub(crate) holds_callback: bool,
    pub(crate) status: Arc<StreamStatus>,
    /// Dropping it closes the device.
    pub(crate) _device: Box<dyn Send>,
}

/// What a [`super::device_slot::DeviceSlot`] needs to know of a stream.
pub(crate) trait DeviceStream: Send + Sized + 'static {
    const KIND: DeviceKind;
    fn failure(&self) -> Option<AudioDeviceError>;
    /// Counts up while the device runs.
    fn callbacks(&self) -> u64;
}

impl DeviceStream for InputStream {
    const KIND: DeviceKind = DeviceKind::Microphone;

    fn failure(&self) -> Option<AudioDeviceError> {
        self.status.failure()
    }

    fn callbacks(&self) -> u64 {
        self.status.callbacks.load(Ordering::Relaxed)
    }
}

impl DeviceStream for OutputStream {
    const KIND: DeviceKind = DeviceKind::Speaker;

    fn failure(&self) -> Option<AudioDeviceError> {
        self.status.failure()
    }

    fn callbacks(&self) -> u64 {
        self.status.callbacks.load(Ordering::Relaxed)
    }
}

/// Samples of one channel that a ring at `sample_rate` holds.
pub(crate) fn ring_capacity(sample_rate: u32) -> usize {
    (u64::from(sample_rate) * u64::from(RING_MS) / 1000) as usize
}

/// The same for a ring of both channels.
pub(crate) fn stereo_ring_capacity(sample_rate: u32) -> usize {
    ring_capacity(sample_rate) * CHANNELS
}
