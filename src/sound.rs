//! The class's methods about sound. They convert and pass on.

use engine::AudioConfig;
use napi::Result;
use napi_derive::napi;

use crate::engine::{NativeEngine, device_kind};
use crate::values::JsDeviceInfo;

#[napi]
impl NativeEngine {
    /// `enableAEC`.
    #[napi(js_name = "enableAEC")]
    pub fn enable_aec(&self, enable: bool) -> Result<()> {
        self.run(|engine| engine.enable_aec(enable))
    }

    /// `setAECMode`.
    #[napi(js_name = "setAECMode")]
    pub fn set_aec_mode(&self, mode: u32) -> Result<()> {
        self.run(|engine| engine.set_aec_mode(mode))
    }

    /// `enableANS`.
    #[napi(js_name = "enableANS")]
    pub fn enable_ans(&self, enable: bool) -> Result<()> {
        self.run(|engine| engine.enable_ans(enable))
    }

    /// `setANSMode`.
    #[napi(js_name = "setANSMode")]
    pub fn set_ans_mode(&self, mode: u32) -> Result<()> {
        self.run(|engine| engine.set_ans_mode(mode))
    }

    /// `enableAGC`.
    #[napi(js_name = "enableAGC")]
    pub fn enable_agc(&self, enable: bool) -> Result<()> {
        self.run(|engine| engine.enable_agc(enable))
    }

    /// `setCaptureVolume`.
    #[napi]
    pub fn set_capture_volume(&self, volume: u32) -> Result<()> {
        self.run(|engine| engine.set_capture_volume(volume))
    }

    /// `enableAudioCaptureDevice`.
    #[napi]
    pub fn enable_audio_capture_device(&self, enable: bool) -> Result<()> {
        self.run(|engine| engine.enable_audio_capture_device(enable))
    }

    /// `setAudioConfig`; `bitrate` in kbit/s.
    #[napi]
    pub fn set_audio_config(&self, bitrate: u32, stereo: bool, channel: u32) -> Result<()> {
        let config = AudioConfig { bitrate_kbps: bitrate, is_stereo: stereo };
        self.run(|engine| engine.set_audio_config(config, channel))
    }

    /// `setAudioSource`: the microphone's sound, or none. Gives an error code.
    #[napi]
    pub fn set_audio_source(&self, microphone: bool, channel: u32) -> Result<i32> {
        Ok(self.engine()?.set_audio_source(microphone, channel).err().map_or(0, |error| error.code))
    }

    /// `setAudioCaptureStereoMode`.
    #[napi]
    pub fn set_audio_capture_stereo_mode(&self, mode: u32) -> Result<()> {
        self.run(|engine| engine.set_audio_capture_stereo_mode(mode))
    }

    /// `enableHeadphoneMonitor`.
    #[napi]
    pub fn enable_headphone_monitor(&self, enable: bool) -> Result<()> {
        self.run(|engine| engine.enable_headphone_monitor(enable))
    }

    /// `setHeadphoneMonitorVolume`.
    #[napi]
    pub fn set_headphone_monitor_volume(&self, volume: u32) -> Result<()> {
        self.run(|engine| engine.set_headphone_monitor_volume(volume))
    }

    /// `startSoundLevelMonitor` and `startSoundLevelMonitorWithConfig`.
    #[napi]
    pub fn start_sound_level_monitor(&self, millisecond: u32, with_voice: bool) -> Result<()> {
        self.run(|engine| engine.start_sound_level_monitor(millisecond, with_voice))
    }

    /// `startAudioSpectrumMonitor`.
    #[napi]
    pub fn start_audio_spectrum_monitor(&self, millisecond: u32) -> Result<()> {
        self.run(|engine| engine.start_audio_spectrum_monitor(millisecond))
    }

    /// `stopSoundLevelMonitor`.
    #[napi]
    pub fn stop_sound_level_monitor(&self) -> Result<()> {
        self.run(|engine| engine.stop_sound_level_monitor())
    }

    /// `stopAudioSpectrumMonitor`.
    #[napi]
    pub fn stop_audio_spectrum_monitor(&self) -> Result<()> {
        self.run(|engine| engine.stop_audio_spectrum_monitor())
    }

    /// `startAudioVADStableStateMonitor`.
    #[napi(js_name = "startAudioVADStableStateMonitor")]
    pub fn start_audio_vad_stable_state_monitor(&self, source: u32, millisecond: u32) -> Result<()> {
        self.run(|engine| engine.start_audio_vad_stable_state_monitor(source, millisecond))
    }

    /// `stopAudioVADStableStateMonitor`.
    #[napi(js_name = "stopAudioVADStableStateMonitor")]
    pub fn stop_audio_vad_stable_state_monitor(&self, source: u32) -> Result<()> {
        self.run(|engine| engine.stop_audio_vad_stable_state_monitor(source))
    }

    /// `getDefaultAudioDeviceID`; 0 = input, 1 = output.
    #[napi(js_name = "getDefaultAudioDeviceID")]
    pub fn get_default_audio_device_id(&self, device_type: u32) -> Result<String> {
        Ok(self.engine()?.get_default_audio_device_id(device_kind(device_type)))
    }

    /// `getCurrentAudioDevice`.
    #[napi]
    pub fn get_current_audio_device(&self, device_type: u32) -> Result<JsDeviceInfo> {
        Ok(self.engine()?.get_current_audio_device(device_kind(device_type)).into())
    }

    /// `getAudioDeviceVolume`.
    #[napi]
    pub fn get_audio_device_volume(&self, device_type: u32, device_id: String) -> Result<u32> {
        Ok(self.engine()?.get_audio_device_volume(device_kind(device_type), &device_id))
    }

    /// `setAudioDeviceVolume`.
    #[napi]
    pub fn set_audio_device_volume(&self, device_type: u32, device_id: String, volume: u32) -> Result<()> {
        self.run(|engine| engine.set_audio_device_volume(device_kind(device_type), &device_id, volume))
    }

    /// `getSpeakerVolumeInAPP`.
    #[napi(js_name = "getSpeakerVolumeInAPP")]
    pub fn get_speaker_volume_in_app(&self, device_id: String) -> Result<u32> {
        Ok(self.engine()?.get_speaker_volume_in_app(&device_id))
    }

    /// `setSpeakerVolumeInAPP`.
    #[napi(js_name = "setSpeakerVolumeInAPP")]
    pub fn set_speaker_volume_in_app(&self, device_id: String, volume: u32) -> Result<()> {
        self.run(|engine| engine.set_speaker_volume_in_app(&device_id, volume))
    }

    /// `muteAudioDevice`.
    #[napi]
    pub fn mute_audio_device(&self, device_type: u32, device_id: String, mute: bool) -> Result<()> {
        self.run(|engine| engine.mute_audio_device(device_kind(device_type), &device_id, mute))
    }

    /// `startAudioDeviceVolumeMonitor`.
    #[napi]
    pub fn start_audio_device_volume_monitor(&self, device_type: u32, device_id: String) -> Result<()> {
        self.run(|engine| engine.start_audio_device_volume_monitor(device_kind(device_type), &device_id))
    }

    /// `stopAudioDeviceVolumeMonitor`.
    #[napi]
    pub fn stop_audio_device_volume_monitor(&self, device_type: u32, device_id: String) -> Result<()> {
        self.run(|engine| engine.stop_audio_device_volume_monitor(device_kind(device_type), &device_id))
    }

    /// `mutePlayStreamAudio`.
    #[napi]
    pub fn mute_play_stream_audio(&self, stream_id: String, mute: bool) -> Result<()> {
        self.run(|engine| engine.mute_play_stream_audio(&stream_id, mute))
    }

    /// `mutePlayStreamVideo`.
    #[napi]
    pub fn mute_play_stream_video(&self, stream_id: String, mute: bool) -> Result<()> {
        self.run(|engine| engine.mute_play_stream_video(&stream_id, mute))
    }

    /// `muteAllPlayStreamAudio`.
    #[napi]
    pub fn mute_all_play_stream_audio(&self, mute: bool) -> Result<()> {
        self.run(|engine| engine.mute_all_play_stream_audio(mute))
    }

    /// `muteAllPlayStreamVideo`.
    #[napi]
    pub fn mute_all_play_stream_video(&self, mute: bool) -> Result<()> {
        self.run(|engine| engine.mute_all_play_stream_video(mute))
    }

    /// `setAllPlayStreamVolume`.
    #[napi]
    pub fn set_all_play_stream_volume(&self, volume: u32) -> Result<()> {
        self.run(|engine| engine.set_all_play_stream_volume(volume))
    }
}
