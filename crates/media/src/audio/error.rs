//! Errors of audio devices.

use std::path::PathBuf;

/// Why a microphone or speaker is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AudioDeviceError {
    /// The machine has no such device, or the one it lists cannot be opened.
    #[error("no audio device")]
    NoDevice,
    /// The chosen device is not in the list (any more).
    #[error("audio device {id:?} not found")]
    NotFound {
        /// As given to `select_device`.
        id: String,
    },
    /// Another application holds the device.
    #[error("audio device is busy")]
    Busy,
    /// The operating system does not let this process use the device.
    #[error("no permission to use the audio device")]
    PermissionDenied,
    /// The device went away while it ran, or stalls for seconds.
    #[error("audio device was unplugged")]
    Unplugged,
    /// The device does not answer the request to open it.
    #[error("audio device does not respond")]
    NotResponding,
    /// The device offers no format that can be converted.
    #[error("audio device has no usable format")]
    Unsupported,
    /// A fake device's file cannot be read or written.
    #[error("fake audio device {path:?}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// For people.
        reason: String,
    },
    /// Any other error of the audio system.
    #[error("audio system: {0}")]
    Backend(String),
}

impl From<cpal::Error> for AudioDeviceError {
    fn from(error: cpal::Error) -> Self {
        use cpal::ErrorKind;
        match error.kind() {
            ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable | ErrorKind::UnsupportedOperation => {
                Self::NoDevice
            }
            ErrorKind::DeviceBusy => Self::Busy,
            ErrorKind::PermissionDenied => Self::PermissionDenied,
            ErrorKind::UnsupportedConfig => Self::Unsupported,
            _ => Self::Backend(error.to_string()),
        }
    }
}
