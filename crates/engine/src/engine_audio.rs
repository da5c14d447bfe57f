//! The calls about audio.

use crate::actor::CHANNELS;
use crate::audio_command::AudioCommand;
use crate::command::Command;
use crate::config::AudioConfig;
use crate::engine::Engine;
use crate::error::{EngineError, code};

impl Engine {
    fn send_audio(&self, command: AudioCommand) -> Result<(), EngineError> {
        self.send(Command::Audio(command))
    }

    /// `enableAEC`: echo cancellation, on at first.
    pub fn enable_aec(&self, enable: bool) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::EnableAec(enable))
    }

    /// `setAECMode`: a `ZegoAECMode`. The AI modes (3 and up) select the nearest classic one.
    pub fn set_aec_mode(&self, mode: u32) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::SetAecMode(mode))
    }

    /// `enableANS`: noise suppression, on at first.
    pub fn enable_ans(&self, enable: bool) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::EnableAns(enable))
    }

    /// `setANSMode`: a `ZegoANSMode`. The AI modes (3 and up) select the nearest classic one.
    pub fn set_ans_mode(&self, mode: u32) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::SetAnsMode(mode))
    }

    /// `enableAGC`: automatic gain, on at first.
    pub fn enable_agc(&self, enable: bool) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::EnableAgc(enable))
    }

    /// `setCaptureVolume`: 0 to 200 percent.
    pub fn set_capture_volume(&self, volume: u32) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::SetCaptureVolume(volume))
    }

    /// `setAudioConfig` and `setAudioConfigWithChannel`.
    pub fn set_audio_config(&self, config: AudioConfig, channel: u32) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::SetConfig { config, channel })
    }

    /// `setAudioSource` and `setAudioSourceWithConfig`, as far as they are built: the microphone, or no audio.
    ///
    /// # Errors
    /// [`code::ILLEGAL_PARAM`] for a channel that does not exist.
    pub fn set_audio_source(&self, is_microphone: bool, channel: u32) -> Result<(), EngineError> {
        if channel >= CHANNELS {
            return Err(EngineError::new(code::ILLEGAL_PARAM, "the publish channel must be 0, 1, 2 or 3"));
        }
        self.send_audio(AudioCommand::SetSource { is_microphone, channel })
    }

    /// `setAudioCaptureStereoMode`: a `ZegoAudioCaptureStereoMode`.
    pub fn set_audio_capture_stereo_mode(&self, mode: u32) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::SetCaptureStereoMode(mode))
    }

    /// `enableAudioCaptureDevice`: really closes the microphone.
    pub fn enable_audio_capture_device(&self, enable: bool) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::EnableCaptureDevice(enable))
    }

    /// `enableHeadphoneMonitor`: the own microphone in the headphones.
    pub fn enable_headphone_monitor(&self, enable: bool) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::EnableHeadphoneMonitor(enable))
    }

    /// `setHeadphoneMonitorVolume`: 0 to 200 percent, 60 at first.
    pub fn set_headphone_monitor_volume(&self, volume: u32) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::SetHeadphoneMonitorVolume(volume))
    }

    /// `startSoundLevelMonitor`: levels every `interval_ms` (100 to 3000), with voice activity if requested.
    pub fn start_sound_level_monitor(&self, interval_ms: u32, with_voice: bool) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::StartSoundLevelMonitor { interval_ms, with_voice })
    }

    /// `stopSoundLevelMonitor`.
    pub fn stop_sound_level_monitor(&self) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::StopSoundLevelMonitor)
    }

    /// `startAudioSpectrumMonitor`: spectra every `interval_ms` (10 and up): 64 bands of 125 Hz from 0 Hz, power from 0 to
    /// 2^30.
    pub fn start_audio_spectrum_monitor(&self, interval_ms: u32) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::StartSpectrumMonitor { interval_ms })
    }

    /// `stopAudioSpectrumMonitor`.
    pub fn stop_audio_spectrum_monitor(&self) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::StopSpectrumMonitor)
    }

    /// `startAudioVADStableStateMonitor`: whether there was mostly voice or noise, every `interval_ms` (200 to 10 000).
    /// `source` is a `ZegoAudioVADStableStateMonitorType`; both measure the same, as no application processes the audio yet.
    pub fn start_audio_vad_stable_state_monitor(&self, source: u32, interval_ms: u32) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::StartVadMonitor { source, interval_ms })
    }

    /// `stopAudioVADStableStateMonitor`.
    pub fn stop_audio_vad_stable_state_monitor(&self, source: u32) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::StopVadMonitor { source })
    }

    /// `mutePlayStreamAudio`: the stream's audio is not received.
    pub fn mute_play_stream_audio(&self, stream_id: &str, mute: bool) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::MutePlayAudio { stream_id: stream_id.to_owned(), mute })
    }

    /// `mutePlayStreamVideo`: the stream's video is not received.
    pub fn mute_play_stream_video(&self, stream_id: &str, mute: bool) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::MutePlayVideo { stream_id: stream_id.to_owned(), mute })
    }

    /// `muteAllPlayStreamAudio`: also for streams that are played later.
    pub fn mute_all_play_stream_audio(&self, mute: bool) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::MuteAllPlayAudio(mute))
    }

    /// `muteAllPlayStreamVideo`: also for streams that are played later.
    pub fn mute_all_play_stream_video(&self, mute: bool) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::MuteAllPlayVideo(mute))
    }

    /// `setAllPlayStreamVolume`: 0 to 200 percent, for all streams that are played now.
    pub fn set_all_play_stream_volume(&self, volume: u32) -> Result<(), EngineError> {
        self.send_audio(AudioCommand::SetAllPlayVolume(volume))
    }
}
