//! Errors and changes of cameras, microphones and speakers: events for the application, and states for remote users.

use media::DeviceInfo;
use media::audio::{AudioDeviceError, DeviceKind};
use media::video::camera::{CameraFailure, CaptureError};

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
const NO_FRAMES: i32 = 4;
const OCCUPIED: i32 = 5;
const UNPLUGGED: i32 = 6;

/// An event of the audio devices.
#[derive(Debug)]
pub(crate) enum AudioDeviceEvent {
    /// A device failed; `id` is empty if there is no device at all.
    Failed { kind: DeviceKind, id: String, error: AudioDeviceError },
    /// Audio flows again.
    Recovered { kind: DeviceKind },
}

fn camera_exception(failure: CameraFailure) -> i32 {
    match failure {
        CameraFailure::NoDevice => INVALID_ID,
        CameraFailure::Busy => OCCUPIED,
        CameraFailure::NotAllowed => NOT_ALLOWED,
        CameraFailure::Failed => GENERIC,
        CameraFailure::NoFrames => NO_FRAMES,
        CameraFailure::Unplugged => UNPLUGGED,
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

/// The error code of an exception; both are in the same order.
fn error_code(exception: i32) -> i32 {
    code::DEVICE_ERROR + exception - GENERIC
}

/// The state of a channel's enabled camera for remote users.
pub(super) fn camera_state(failure: Option<CameraFailure>) -> i32 {
    failure.map_or(DEVICE_OPEN, camera_exception)
}

impl Actor {
    pub(super) fn camera_failed(&mut self, error: &CaptureError) {
        tracing::warn!(%error, "the camera failed");
        let exception = camera_exception(error.failure);
        self.emit(event::debug_error(error_code(exception), "camera", &error.to_string()));
        self.emit(event::device_exception(exception, DEVICE_CAMERA, &error.device));
    }

    /// The channel's camera delivers no frames for this reason, or delivers them again.
    pub(super) fn on_camera_failure(&mut self, channel: u32, failure: Option<CameraFailure>) {
        let Some(state) = self.channels.get_mut(channel as usize) else { return };
        if std::mem::replace(&mut state.failure, failure) != failure {
            self.update_published_device(channel, PublishedDevice::Camera);
        }
    }

    pub(super) fn audio_device_event(&mut self, news: AudioDeviceEvent) {
        match news {
            AudioDeviceEvent::Failed { kind, id, error } => {
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
            AudioDeviceEvent::Recovered { kind: DeviceKind::Microphone } => self.microphone_state_changed(DEVICE_OPEN),
            AudioDeviceEvent::Recovered { kind: DeviceKind::Speaker } => {}
        }
    }

    fn microphone_state_changed(&mut self, state: i32) {
        if std::mem::replace(&mut self.microphone_state, state) != state {
            (0..CHANNELS).for_each(|channel| self.update_published_device(channel, PublishedDevice::Microphone));
        }
    }

    /// The list of devices has changed.
    pub(super) fn devices_changed(&mut self, change: DeviceChange) {
        let DeviceChange { kind, added, removed } = change;
        let reported = |update: UpdateType, device: &DeviceInfo| match kind {
            WatchedKind::Camera => event::video_device_state(update, device),
            WatchedKind::Audio(kind) => event::audio_device_state(update, kind, device),
        };
        removed.iter().for_each(|device| self.emit(reported(UpdateType::Delete, device)));
        added.iter().for_each(|device| self.emit(reported(UpdateType::Add, device)));
        match kind {
            WatchedKind::Camera => self.cameras.devices_changed(),
            WatchedKind::Audio(kind) => self.audio.devices_changed(kind),
        }
    }
}
