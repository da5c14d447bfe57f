//! What happens to cameras, microphones and speakers: told to the application, and to those who play what is published.

use media::DeviceInfo;
use media::audio::{AudioDeviceError, DeviceKind};
use media::video::camera::{CameraTrouble, CaptureError};

use super::publish_settings::PublishedDevice;
use super::{Actor, CHANNELS};
use crate::device_watch::{DeviceChange, WatchedKind};
use crate::error::code;
use crate::event::{self, UpdateType};
use crate::roster::DEVICE_OPEN;

/// `ZegoDeviceType`.
const DEVICE_CAMERA: i32 = 1;
const DEVICE_MICROPHONE: i32 = 2;
const DEVICE_SPEAKER: i32 = 3;

/// `ZegoDeviceExceptionType`, and the same numbers in `ZegoRemoteDeviceState`.
const GENERIC: i32 = 1;
const INVALID_ID: i32 = 2;
const NOT_ALLOWED: i32 = 3;
const NO_PICTURES: i32 = 4;
const OCCUPIED: i32 = 5;
const UNPLUGGED: i32 = 6;

/// What comes from the devices of sound.
#[derive(Debug)]
pub(crate) enum AudioDeviceNews {
    /// `id` is empty if there is no device at all.
    Failed { kind: DeviceKind, id: String, error: AudioDeviceError },
    /// Sound goes through again.
    Recovered { kind: DeviceKind },
}

fn camera_exception(trouble: CameraTrouble) -> i32 {
    match trouble {
        CameraTrouble::NoDevice => INVALID_ID,
        CameraTrouble::Busy => OCCUPIED,
        CameraTrouble::NotAllowed => NOT_ALLOWED,
        CameraTrouble::Failed => GENERIC,
        CameraTrouble::NoPictures => NO_PICTURES,
        CameraTrouble::Unplugged => UNPLUGGED,
    }
}

fn audio_exception(error: &AudioDeviceError) -> i32 {
    match error {
        AudioDeviceError::NoDevice | AudioDeviceError::NotFound { .. } => INVALID_ID,
        AudioDeviceError::Busy => OCCUPIED,
        AudioDeviceError::PermissionDenied => NOT_ALLOWED,
        AudioDeviceError::Unplugged => UNPLUGGED,
        _ => GENERIC,
    }
}

/// The error codes of devices are in the order of the exceptions.
fn error_code(exception: i32) -> i32 {
    code::DEVICE_ERROR + exception - GENERIC
}

/// What the others are told of a channel's camera that is switched on.
pub(super) fn camera_state(trouble: Option<CameraTrouble>) -> i32 {
    trouble.map_or(DEVICE_OPEN, camera_exception)
}

impl Actor {
    pub(super) fn camera_failed(&mut self, error: &CaptureError) {
        tracing::warn!(%error, "the camera failed");
        let exception = camera_exception(error.trouble);
        self.emit(event::debug_error(error_code(exception), "camera", &error.to_string()));
        self.emit(event::device_exception(exception, DEVICE_CAMERA, &error.device));
    }

    /// The channel's camera gives no pictures for this reason, or gives them again.
    pub(super) fn camera_trouble(&mut self, channel: u32, trouble: Option<CameraTrouble>) {
        let Some(state) = self.channels.get_mut(channel as usize) else { return };
        if std::mem::replace(&mut state.trouble, trouble) != trouble {
            self.update_published_device(channel, PublishedDevice::Camera);
        }
    }

    pub(super) fn audio_device_news(&mut self, news: AudioDeviceNews) {
        match news {
            AudioDeviceNews::Failed { kind, id, error } => {
                let (name, device) = match kind {
                    DeviceKind::Microphone => ("microphone", DEVICE_MICROPHONE),
                    DeviceKind::Speaker => ("speaker", DEVICE_SPEAKER),
                };
                tracing::warn!(device = name, id, %error, "an audio device failed");
                let exception = audio_exception(&error);
                self.emit(event::debug_error(error_code(exception), name, &error.to_string()));
                self.emit(event::device_exception(exception, device, &id));
                if kind == DeviceKind::Microphone {
                    self.microphone_state_changed(exception);
                }
            }
            AudioDeviceNews::Recovered { kind: DeviceKind::Microphone } => self.microphone_state_changed(DEVICE_OPEN),
            AudioDeviceNews::Recovered { kind: DeviceKind::Speaker } => {}
        }
    }

    fn microphone_state_changed(&mut self, state: i32) {
        if std::mem::replace(&mut self.microphone_state, state) != state {
            (0..CHANNELS).for_each(|channel| self.update_published_device(channel, PublishedDevice::Microphone));
        }
    }

    /// The machine has other devices than before.
    pub(super) fn devices_changed(&mut self, change: DeviceChange) {
        let DeviceChange { kind, added, removed } = change;
        let told = |update: UpdateType, device: &DeviceInfo| match kind {
            WatchedKind::Camera => event::video_device_state(update, device),
            WatchedKind::Audio(kind) => event::audio_device_state(update, kind, device),
        };
        removed.iter().for_each(|device| self.emit(told(UpdateType::Delete, device)));
        added.iter().for_each(|device| self.emit(told(UpdateType::Add, device)));
        match kind {
            WatchedKind::Camera => self.cameras.devices_changed(),
            WatchedKind::Audio(kind) => self.audio.devices_changed(kind),
        }
    }
}
