//! The arguments of `setVideoConfig`: some fields, and for the rest a preset or the scenario.

use crate::config::{Layering, VideoConfig};

/// `ZegoVideoConfig` or a `ZegoVideoConfigPreset`. Absent fields come from the preset, or without one from the scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VideoSettings {
    /// `ZegoVideoConfigPreset`.
    pub preset: Option<u32>,
    /// Pixels.
    pub capture_width: Option<u32>,
    /// Pixels.
    pub capture_height: Option<u32>,
    /// Pixels.
    pub encode_width: Option<u32>,
    /// Pixels.
    pub encode_height: Option<u32>,
    /// Frames per second.
    pub fps: Option<u32>,
    /// kbit/s.
    pub bitrate_kbps: Option<u32>,
    /// Whether video is sent in several layers.
    pub layering: Layering,
    /// Maximum of seconds between key frames; documented as 2 to 5. Absent: on request only.
    pub key_frame_interval_s: Option<u32>,
}

impl VideoSettings {
    /// The configuration in a `ZegoScenario`.
    pub(crate) fn resolve(&self, scenario: u32) -> VideoConfig {
        let base = self.preset.map_or_else(|| VideoConfig::for_scenario(scenario), VideoConfig::preset);
        VideoConfig {
            capture_width: self.capture_width.unwrap_or(base.capture_width),
            capture_height: self.capture_height.unwrap_or(base.capture_height),
            encode_width: self.encode_width.unwrap_or(base.encode_width),
            encode_height: self.encode_height.unwrap_or(base.encode_height),
            fps: self.fps.unwrap_or(base.fps),
            bitrate_kbps: self.bitrate_kbps.unwrap_or(base.bitrate_kbps),
            layering: self.layering,
        }
    }
}

impl From<VideoConfig> for VideoSettings {
    fn from(config: VideoConfig) -> Self {
        Self {
            preset: None,
            capture_width: Some(config.capture_width),
            capture_height: Some(config.capture_height),
            encode_width: Some(config.encode_width),
            encode_height: Some(config.encode_height),
            fps: Some(config.fps),
            bitrate_kbps: Some(config.bitrate_kbps),
            layering: config.layering,
            key_frame_interval_s: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_fields_come_from_the_preset_or_the_scenario() {
        const BROADCAST: u32 = 8;
        let settings = VideoSettings { bitrate_kbps: Some(900), ..VideoSettings::default() };
        let config = settings.resolve(BROADCAST);
        assert_eq!((config.encode_width, config.encode_height, config.fps, config.bitrate_kbps), (960, 540, 24, 900));
        let preset = VideoSettings { preset: Some(4), ..settings };
        assert_eq!((preset.resolve(BROADCAST).encode_width, preset.resolve(BROADCAST).fps), (1280, 15));
        let whole = VideoConfig::preset(1);
        assert_eq!(VideoSettings::from(whole.clone()).resolve(BROADCAST), whole);
    }
}
