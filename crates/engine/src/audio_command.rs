//! The application's calls about audio, on their way to the actor.

use media::audio::DeviceKind;

use crate::config::AudioConfig;

/// One call of the application.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AudioCommand {
    EnableAec(bool),
    /// `ZegoAECMode`.
    SetAecMode(u32),
    EnableAns(bool),
    /// `ZegoANSMode`.
    SetAnsMode(u32),
    EnableAgc(bool),
    /// Percent, 0 to 200.
    SetCaptureVolume(u32),
    SetConfig {
        config: AudioConfig,
        channel: u32,
    },
    /// Whether the channel sends the microphone's audio or none.
    SetSource {
        is_microphone: bool,
        channel: u32,
    },
    /// `ZegoAudioCaptureStereoMode`.
    SetCaptureStereoMode(u32),
    /// Opens or closes the microphone.
    EnableCaptureDevice(bool),
    EnableHeadphoneMonitor(bool),
    /// Percent, 0 to 200.
    SetHeadphoneMonitorVolume(u32),
    StartSoundLevelMonitor {
        interval_ms: u32,
        with_voice: bool,
    },
    StopSoundLevelMonitor,
    StartSpectrumMonitor {
        interval_ms: u32,
    },
    StopSpectrumMonitor,
    StartVadMonitor {
        source: u32,
        interval_ms: u32,
    },
    StopVadMonitor {
        source: u32,
    },
    /// Whether changes of this device's volume are reported.
    WatchDeviceVolume {
        kind: DeviceKind,
        id: String,
        watch: bool,
    },
    /// The volume has changed to this percentage.
    DeviceVolumeChanged {
        kind: DeviceKind,
        id: String,
        volume: u32,
    },
    MutePlayAudio {
        stream_id: String,
        mute: bool,
    },
    MutePlayVideo {
        stream_id: String,
        mute: bool,
    },
    MuteAllPlayAudio(bool),
    MuteAllPlayVideo(bool),
    /// Percent, 0 to 200.
    SetAllPlayVolume(u32),
}
