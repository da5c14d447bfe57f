//! Audio: processing, volumes, levels and spectra.

use std::collections::BTreeSet;
use std::time::Duration;

use media::audio::{DeviceKind, EchoControl, EncoderSettings, NoiseControl, ProcessingConfig};
use serde_json::{Map, Value, json};

use super::Actor;
use super::publish_settings::PublishedDevice;
use crate::audio_command::AudioCommand;
use crate::command::Input;
use crate::config::AudioConfig;
use crate::error::code;
use crate::event;

/// Upper bound of a volume, in percent.
const MAX_VOLUME: u32 = 200;
/// Intervals of the monitors, in milliseconds.
const LEVEL_INTERVALS: std::ops::RangeInclusive<u32> = 100..=3000;
const MIN_SPECTRUM_INTERVAL: u32 = 10;
const VAD_INTERVALS: std::ops::RangeInclusive<u32> = 200..=10_000;
/// From this share of frames with a voice on, a period is speech: speakers pause too.
const SPEECH_SHARE: f64 = 0.3;

/// A measurement that is reported at intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Monitor {
    SoundLevel {
        with_voice: bool,
    },
    Spectrum,
    /// Stable voice activity, for one `ZegoAudioVADStableStateMonitorType`.
    Vad {
        source: u32,
    },
}

/// A monitor of stable voice activity.
#[derive(Clone, Copy, Debug)]
struct VadMonitor {
    generation: u64,
    /// Counts of frames with a voice and of all frames at the last report.
    reported: (u64, u64),
}

impl VadMonitor {
    /// The `ZegoAudioVADType` of the time since the last report.
    fn state(&mut self, counts: (u64, u64)) -> i32 {
        let reported = std::mem::replace(&mut self.reported, counts);
        let (voiced, frames) = (counts.0 - reported.0, counts.1 - reported.1);
        i32::from(frames > 0 && voiced as f64 >= SPEECH_SHARE * frames as f64)
    }
}

/// `ZegoAudioCaptureStereoMode`: when the microphone is captured in stereo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum StereoMode {
    #[default]
    Never,
    Always,
    /// While a channel sends stereo.
    Adaptive,
}

/// The application's audio settings.
#[derive(Debug)]
pub(super) struct AudioSettings {
    processing: ProcessingConfig,
    pub(super) capture_enabled: bool,
    configs: [AudioConfig; 4],
    stereo_mode: StereoMode,
    /// Generations of the running monitors.
    sound_level: Option<u64>,
    spectrum: Option<u64>,
    vad: [Option<VadMonitor>; 2],
    /// Devices whose volumes are monitored.
    watched_volumes: BTreeSet<(u32, String)>,
}

/// `ZegoAudioDeviceType`.
fn device_type(kind: DeviceKind) -> u32 {
    match kind {
        DeviceKind::Microphone => 0,
        DeviceKind::Speaker => 1,
    }
}

impl Default for AudioSettings {
    fn default() -> Self {
        Self {
            processing: ProcessingConfig::default(),
            capture_enabled: true,
            configs: [AudioConfig::default(); 4],
            stereo_mode: StereoMode::default(),
            sound_level: None,
            spectrum: None,
            vad: [None; 2],
            watched_volumes: BTreeSet::new(),
        }
    }
}

impl AudioSettings {
    /// How a publish channel's audio is encoded.
    pub(super) fn config(&self, channel: u32) -> AudioConfig {
        self.configs.get(channel as usize).copied().unwrap_or_default()
    }

    /// Whether spectra are reported.
    pub(super) fn wants_spectra(&self) -> bool {
        self.spectrum.is_some()
    }
}

impl Actor {
    pub(super) fn audio_command(&mut self, command: AudioCommand) {
        match command {
            AudioCommand::EnableAec(enable) => self.process(|processing| processing.aec = enable),
            AudioCommand::EnableAns(enable) => self.process(|processing| processing.ns = enable),
            AudioCommand::EnableAgc(enable) => self.process(|processing| processing.agc = enable),
            AudioCommand::SetAecMode(mode) => self.set_aec_mode(mode),
            AudioCommand::SetAnsMode(mode) => self.set_ans_mode(mode),
            AudioCommand::SetCaptureVolume(volume) => {
                if self.is_volume(volume, "setCaptureVolume") {
                    self.audio.set_capture_volume(volume);
                }
            }
            AudioCommand::SetConfig { config, channel } => self.set_audio_config(config, channel),
            AudioCommand::SetCaptureStereoMode(mode) => self.set_stereo_mode(mode),
            AudioCommand::EnableCaptureDevice(enable) => self.enable_audio_capture(enable),
            AudioCommand::EnableHeadphoneMonitor(enable) => self.audio.set_monitored(enable),
            AudioCommand::SetHeadphoneMonitorVolume(volume) => {
                if self.is_volume(volume, "setHeadphoneMonitorVolume") {
                    self.audio.set_monitor_volume(volume);
                }
            }
            AudioCommand::StartSoundLevelMonitor { interval_ms, with_voice } => {
                if LEVEL_INTERVALS.contains(&interval_ms) {
                    self.sound.sound_level = Some(self.start_monitor(Monitor::SoundLevel { with_voice }, interval_ms));
                } else {
                    let info = "the interval must be 100 to 3000 ms";
                    self.debug_error(code::ILLEGAL_PARAM, "startSoundLevelMonitor", info);
                }
            }
            AudioCommand::StopSoundLevelMonitor => self.sound.sound_level = None,
            AudioCommand::StartSpectrumMonitor { interval_ms } => {
                if interval_ms >= MIN_SPECTRUM_INTERVAL {
                    self.sound.spectrum = Some(self.start_monitor(Monitor::Spectrum, interval_ms));
                    self.want_spectra(true);
                } else {
                    let info = "the interval must be at least 10 ms";
                    self.debug_error(code::ILLEGAL_PARAM, "startAudioSpectrumMonitor", info);
                }
            }
            AudioCommand::StopSpectrumMonitor => {
                self.sound.spectrum = None;
                self.want_spectra(false);
            }
            AudioCommand::StartVadMonitor { source, interval_ms } => self.start_vad_monitor(source, interval_ms),
            AudioCommand::StopVadMonitor { source } => {
                if let Some(monitor) = self.sound.vad.get_mut(source as usize) {
                    *monitor = None;
                }
            }
            AudioCommand::WatchDeviceVolume { kind, id, watch } => {
                if watch {
                    self.sound.watched_volumes.insert((device_type(kind), id));
                } else {
                    self.sound.watched_volumes.remove(&(device_type(kind), id));
                }
            }
            AudioCommand::DeviceVolumeChanged { kind, id, volume } => {
                let device = (device_type(kind), id);
                if self.sound.watched_volumes.contains(&device) {
                    self.emit(event::audio_device_volume(device.0, &device.1, volume));
                }
            }
            AudioCommand::SetSource { is_microphone, channel } => self.set_audio_source(is_microphone, channel),
            AudioCommand::MutePlayAudio { stream_id, mute } => self.mute_play_audio(&stream_id, mute),
            AudioCommand::MutePlayVideo { stream_id, mute } => self.mute_play_video(&stream_id, mute),
            AudioCommand::MuteAllPlayAudio(mute) => self.mute_all_play_audio(mute),
            AudioCommand::MuteAllPlayVideo(mute) => self.mute_all_play_video(mute),
            AudioCommand::SetAllPlayVolume(volume) => self.set_all_play_volume(volume),
        }
    }

    fn is_volume(&self, volume: u32, function: &str) -> bool {
        if volume > MAX_VOLUME {
            self.debug_error(code::ILLEGAL_PARAM, function, "the volume must be 0 to 200");
        }
        volume <= MAX_VOLUME
    }

    fn process(&mut self, change: impl FnOnce(&mut ProcessingConfig)) {
        change(&mut self.sound.processing);
        self.audio.set_processing(self.sound.processing);
    }

    fn set_aec_mode(&mut self, mode: u32) {
        let echo = match mode {
            0 | 1 | 4 => EchoControl::Full,
            2 | 3 | 5 => EchoControl::Gentle,
            _ => return self.debug_error(code::ILLEGAL_PARAM, "setAECMode", "no such mode"),
        };
        self.process(|processing| processing.echo = echo);
    }

    fn set_ans_mode(&mut self, mode: u32) {
        let noise = match mode {
            0 => NoiseControl::Soft,
            1 | 4 | 5 => NoiseControl::Medium,
            2 | 3 | 6 => NoiseControl::Aggressive,
            _ => return self.debug_error(code::ILLEGAL_PARAM, "setANSMode", "no such mode"),
        };
        self.process(|processing| processing.noise = noise);
    }

    fn set_audio_config(&mut self, config: AudioConfig, channel: u32) {
        if !config.is_valid() {
            return self.debug_error(code::ILLEGAL_PARAM, "setAudioConfig", "the bitrate must be 6 to 510 kbit/s");
        }
        if self.channel(channel, "setAudioConfig").is_none() {
            return;
        }
        if let Some(known) = self.sound.configs.get_mut(channel as usize) {
            *known = config;
        }
        self.apply_stereo_mode();
        self.configure_audio_encoder(channel);
    }

    fn set_stereo_mode(&mut self, mode: u32) {
        self.sound.stereo_mode = match mode {
            0 => StereoMode::Never,
            1 => StereoMode::Always,
            2 => StereoMode::Adaptive,
            _ => return self.debug_error(code::ILLEGAL_PARAM, "setAudioCaptureStereoMode", "no such mode"),
        };
        self.apply_stereo_mode();
    }

    fn apply_stereo_mode(&self) {
        self.audio.set_capture_stereo(match self.sound.stereo_mode {
            StereoMode::Never => false,
            StereoMode::Always => true,
            StereoMode::Adaptive => self.sound.configs.iter().any(|config| config.is_stereo),
        });
    }

    /// Applies the settings and the expected loss to a publishing channel's encoder.
    pub(super) fn configure_audio_encoder(&self, channel: u32) {
        let Some(publisher) = self.publishers.get(&channel) else { return };
        let config = self.sound.config(channel);
        let settings = EncoderSettings {
            bitrate_bps: self.audio_bps(channel, config.bitrate_kbps * 1000),
            expected_loss_percent: publisher.expected_loss.percent(),
            is_stereo: config.is_stereo,
            ..EncoderSettings::default()
        };
        self.audio.configure_encoder(u64::from(channel), settings);
    }

    fn enable_audio_capture(&mut self, enable: bool) {
        self.sound.capture_enabled = enable;
        if enable {
            self.start_audio_capture();
        } else {
            self.audio.stop_capture();
            self.captured_audio = false;
        }
        let channels: Vec<u32> = self.publishers.keys().copied().collect();
        channels.into_iter().for_each(|channel| self.update_published_device(channel, PublishedDevice::Microphone));
    }

    /// Opens the microphone if a preview or a publisher needs it and it is enabled.
    pub(super) fn start_audio_capture(&mut self) {
        if self.sound.capture_enabled && self.needs_audio_capture() {
            self.audio.start_capture();
        }
    }

    // ---- monitors

    /// Starts the timer of a monitor, which sends [`Input::Monitor`] until its generation is replaced.
    fn start_monitor(&mut self, monitor: Monitor, interval_ms: u32) -> u64 {
        let generation = self.next_generation();
        let inbox = self.inbox.downgrade();
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(Duration::from_millis(u64::from(interval_ms)));
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            // The first report comes after one interval.
            interval.tick().await;
            loop {
                interval.tick().await;
                let (reported, goes_on) = tokio::sync::oneshot::channel();
                let Some(inbox) = inbox.upgrade() else { return };
                if inbox.send(Input::Monitor { monitor, generation, goes_on: reported }).is_err() {
                    return;
                }
                drop(inbox);
                if !goes_on.await.unwrap_or(false) {
                    return;
                }
            }
        });
        generation
    }

    fn start_vad_monitor(&mut self, source: u32, interval_ms: u32) {
        let function = "startAudioVADStableStateMonitor";
        if !VAD_INTERVALS.contains(&interval_ms) {
            return self.debug_error(code::ILLEGAL_PARAM, function, "the interval must be 200 to 10000 ms");
        }
        if source as usize >= self.sound.vad.len() {
            return self.debug_error(code::ILLEGAL_PARAM, function, "no such type");
        }
        let generation = self.start_monitor(Monitor::Vad { source }, interval_ms);
        self.sound.vad[source as usize] =
            Some(VadMonitor { generation, reported: self.audio.microphone_voice_counts() });
    }

    /// Reports a measurement; returns whether its timer goes on.
    pub(super) fn monitor(&mut self, monitor: Monitor, generation: u64) -> bool {
        let current = match monitor {
            Monitor::SoundLevel { .. } => self.sound.sound_level,
            Monitor::Spectrum => self.sound.spectrum,
            Monitor::Vad { source } => {
                self.sound.vad.get(source as usize).copied().flatten().map(|monitor| monitor.generation)
            }
        };
        if current != Some(generation) {
            return false;
        }
        match monitor {
            Monitor::SoundLevel { with_voice } => self.emit_sound_levels(with_voice),
            Monitor::Spectrum => self.emit_spectra(),
            Monitor::Vad { source } => {
                let counts = self.audio.microphone_voice_counts();
                if let Some(Some(monitor)) = self.sound.vad.get_mut(source as usize) {
                    let state = monitor.state(counts);
                    self.emit(event::audio_vad_state(source, state));
                }
            }
        }
        true
    }

    fn emit_sound_levels(&self, with_voice: bool) {
        let own = self.audio.microphone_level();
        let info = |stream_id: &str, level: f32, has_voice: bool| {
            let vad = i32::from(with_voice && has_voice);
            json!({"streamID": stream_id, "soundLevel": level, "vad": vad})
        };
        let own_info = info("", own, self.audio.microphone_has_voice());
        self.emit(event::with_field("onCapturedSoundLevelUpdate", "soundLevel", json!(own)));
        self.emit(event::with_field("onCapturedSoundLevelInfoUpdate", "soundLevelInfo", own_info));
        let (mut levels, mut infos) = (Map::new(), Map::new());
        for (stream_id, player) in &self.players {
            let level = player.media.sound_level();
            levels.insert(stream_id.clone(), json!(level));
            infos.insert(stream_id.clone(), info(stream_id, level, player.media.has_voice()));
        }
        self.emit(event::with_field("onRemoteSoundLevelUpdate", "soundLevels", Value::Object(levels)));
        self.emit(event::with_field("onRemoteSoundLevelInfoUpdate", "soundLevelInfos", Value::Object(infos)));
    }

    fn emit_spectra(&self) {
        let own = self.audio.microphone_spectrum().spectrum();
        self.emit(event::with_field("onCapturedAudioSpectrumUpdate", "audioSpectrum", json!(own.to_vec())));
        let of_player = |(stream_id, player): (&String, &super::playing::Player)| {
            (stream_id.clone(), json!(player.media.spectrum().spectrum().to_vec()))
        };
        let spectra: Map<String, Value> = self.players.iter().map(of_player).collect();
        self.emit(event::with_field("onRemoteAudioSpectrumUpdate", "audioSpectrums", Value::Object(spectra)));
    }

    fn want_spectra(&self, wanted: bool) {
        self.audio.microphone_spectrum().want(wanted);
        self.players.values().for_each(|player| player.media.spectrum().want(wanted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_with_pauses_is_voice_and_a_cough_is_noise() {
        let mut monitor = VadMonitor { generation: 1, reported: (10, 100) };
        assert_eq!(monitor.state((60, 200)), 1);
        assert_eq!(monitor.state((70, 300)), 0);
        assert_eq!(monitor.state((70, 300)), 0, "the microphone is closed");
    }
}
