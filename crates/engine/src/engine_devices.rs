//! The calls about microphones and speakers: which one is used, and its volume for this application.

use media::DeviceInfo;
use media::audio::{self, DeviceKind};

use crate::audio_command::AudioCommand;
use crate::command::Command;
use crate::engine::Engine;
use crate::error::{EngineError, code};

/// Upper bound of a device's volume, in percent.
const MAX_VOLUME: u32 = 100;

impl Engine {
    /// `getDefaultAudioDeviceID`: empty if there is no device.
    pub fn get_default_audio_device_id(&self, kind: DeviceKind) -> String {
        audio::default_id(kind, &self.fakes)
    }

    /// `getCurrentAudioDevice`: the one chosen last, else the default; both fields are empty if there is none.
    pub fn get_current_audio_device(&self, kind: DeviceKind) -> DeviceInfo {
        let id = self.current_audio_device(kind);
        let listed = self.get_audio_device_list(kind).into_iter().find(|device| device.id == id);
        listed.unwrap_or_else(|| DeviceInfo { name: id.clone(), id })
    }

    /// `getAudioDeviceVolume`: percent. An empty ID means the device in use.
    pub fn get_audio_device_volume(&self, kind: DeviceKind, device_id: &str) -> u32 {
        self.devices.volume(kind, &self.named(kind, device_id))
    }

    /// `setAudioDeviceVolume`: 0 to 100 percent, for this application alone; the system's mixer is not changed.
    pub fn set_audio_device_volume(&self, kind: DeviceKind, device_id: &str, volume: u32) -> Result<(), EngineError> {
        let function = "setAudioDeviceVolume";
        let Some(id) = self.adjustable(function, kind, device_id, volume)? else { return Ok(()) };
        if self.devices.set_volume(kind, &id, volume) {
            self.send(Command::Audio(AudioCommand::DeviceVolumeChanged { kind, id, volume }))?;
        }
        Ok(())
    }

    /// `getSpeakerVolumeInAPP`: percent.
    pub fn get_speaker_volume_in_app(&self, device_id: &str) -> u32 {
        self.devices.in_app(&self.named(DeviceKind::Speaker, device_id))
    }

    /// `setSpeakerVolumeInAPP`: 0 to 100 percent, on top of the device's volume.
    pub fn set_speaker_volume_in_app(&self, device_id: &str, volume: u32) -> Result<(), EngineError> {
        if let Some(id) = self.adjustable("setSpeakerVolumeInAPP", DeviceKind::Speaker, device_id, volume)? {
            self.devices.set_in_app(&id, volume);
        }
        Ok(())
    }

    /// `muteAudioDevice`: for this application alone.
    pub fn mute_audio_device(&self, kind: DeviceKind, device_id: &str, mute: bool) -> Result<(), EngineError> {
        if let Some(id) = self.adjustable("muteAudioDevice", kind, device_id, 0)? {
            self.devices.set_muted(kind, &id, mute);
        }
        Ok(())
    }

    /// `startAudioDeviceVolumeMonitor`: reports changes of this device's volume.
    pub fn start_audio_device_volume_monitor(&self, kind: DeviceKind, device_id: &str) -> Result<(), EngineError> {
        self.watch_volume(kind, device_id, true)
    }

    /// `stopAudioDeviceVolumeMonitor`.
    pub fn stop_audio_device_volume_monitor(&self, kind: DeviceKind, device_id: &str) -> Result<(), EngineError> {
        self.watch_volume(kind, device_id, false)
    }

    fn watch_volume(&self, kind: DeviceKind, device_id: &str, watch: bool) -> Result<(), EngineError> {
        let id = self.named(kind, device_id);
        self.send(Command::Audio(AudioCommand::WatchDeviceVolume { kind, id, watch }))
    }

    /// The ID of the device in use.
    fn current_audio_device(&self, kind: DeviceKind) -> String {
        self.devices.selected(kind).unwrap_or_else(|| {
            let id = self.get_default_audio_device_id(kind);
            self.devices.select(kind, &id);
            id
        })
    }

    fn named(&self, kind: DeviceKind, device_id: &str) -> String {
        let current = self.current_audio_device(kind);
        if device_id.is_empty() { current } else { device_id.to_owned() }
    }

    /// The full ID of a device whose settings can be changed; otherwise `None`, reported by `onDebugError`.
    fn adjustable(
        &self,
        function: &'static str,
        kind: DeviceKind,
        device_id: &str,
        volume: u32,
    ) -> Result<Option<String>, EngineError> {
        if volume > MAX_VOLUME {
            let info = "the volume must be 0 to 100".to_owned();
            self.send(Command::DebugError { code: code::ILLEGAL_PARAM, function, info })?;
            return Ok(None);
        }
        let id = self.named(kind, device_id);
        let exists = self.devices.knows(kind, &id) || self.get_audio_device_list(kind).iter().any(|it| it.id == id);
        if !exists {
            self.unknown_device(function, &id)?;
        }
        Ok(exists.then_some(id))
    }
}
