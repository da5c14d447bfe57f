//! The application's settings as plain data. Field names follow the vendor's structs (camelCase in JSON).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use media::video::encoder::{Content, can_encode};
use serde::{Deserialize, Serialize};

use crate::error::code;
use crate::reconnect_policy::ReconnectPolicy;

/// `ZegoEngineProfile`, plus our `server`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct EngineProfile {
    /// 1 to 4 294 967 295; its decimal text is the API key.
    #[serde(rename = "appID")]
    pub app_id: u32,
    /// The API secret. May be empty when every login brings a token.
    #[serde(rename = "appSign", default)]
    pub app_sign: String,
    /// `ZegoScenario`; decides the default video settings.
    #[serde(default)]
    pub scenario: u32,
    /// Address of the room server (`ws://…` or `wss://…`); [`crate::Engine`] says how it is chosen without one.
    #[serde(default)]
    pub server: Option<String>,
}

/// `ZegoEngineConfig`.
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    /// `advancedConfig`: names in lower case, values as text.
    pub advanced: BTreeMap<String, String>,
    /// `logConfig`.
    pub log: LogConfig,
    /// `setRoomMode(MultiRoom)`: several rooms at once.
    pub multi_room: bool,
    /// When to try to get back into a room; `None` is [`DefaultReconnectPolicy`](crate::DefaultReconnectPolicy) with
    /// `advancedConfig.room_retry_time`.
    pub reconnect_policy: Option<Arc<dyn ReconnectPolicy>>,
}

/// `ZegoLogConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Folder of the log files; `None` writes no file.
    pub path: Option<PathBuf>,
    /// Bytes of one file, 1 MiB to 100 MiB; 0 writes no file.
    pub size: u64,
    /// Number of files kept, 3 to 20.
    pub count: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { path: None, size: 5 * 1024 * 1024, count: 3 }
    }
}

/// `ZegoUser`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// 1 to 63 bytes.
    #[serde(rename = "userID", default)]
    pub id: String,
    /// Up to 255 bytes.
    #[serde(rename = "userName", default)]
    pub name: String,
}

/// `ZegoRoomConfig`.
#[derive(Clone, Debug, Default)]
pub struct RoomConfig {
    /// 0 = unlimited.
    pub max_member_count: u32,
    /// Whether `onRoomUserUpdate` is wanted.
    pub is_user_status_notify: bool,
    /// An access token made by the application's backend; empty = sign in with AppSign.
    pub token: String,
}

/// `ZegoPublisherConfig`, as far as it has an effect here.
#[derive(Clone, Debug, Default)]
pub struct PublisherConfig {
    /// The room to publish in; empty or absent = the only room. `None` also stands for an absent config.
    pub room_id: Option<String>,
}

/// `ZegoPlayerConfig`, as far as it has an effect here.
#[derive(Clone, Debug, Default)]
pub struct PlayerConfig {
    /// The room that the stream is in; empty or absent = the only room. `None` also stands for an absent config. A room
    /// that the application is not in is joined as a hidden participant, which needs the appSign.
    pub room_id: Option<String>,
}

/// `ZegoAudioConfig`, as far as it has an effect here: audio is encoded as Opus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioConfig {
    /// kbit/s, 6 to 510.
    pub bitrate_kbps: u32,
    /// Two channels, if `setAudioCaptureStereoMode` lets the microphone have two.
    pub is_stereo: bool,
}

impl Default for AudioConfig {
    fn default() -> Self {
        Self { bitrate_kbps: 48, is_stereo: false }
    }
}

impl AudioConfig {
    /// Whether every field is within its range.
    pub(crate) fn is_valid(&self) -> bool {
        (6..=510).contains(&self.bitrate_kbps)
    }
}

/// `ZegoVideoSourceType`, as far as it is built: where the frames of a publish channel come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VideoSource {
    /// No source: the channel has no video.
    None,
    /// The channel's camera.
    #[default]
    Camera,
    /// The screen capture source of that number.
    Screen(u32),
}

impl VideoSource {
    /// What its frames show.
    pub(crate) fn content(self) -> Content {
        if matches!(self, Self::Screen(_)) { Content::Screen } else { Content::Camera }
    }
}

/// `ZegoVideoConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoConfig {
    /// Pixels, even.
    pub capture_width: u32,
    /// Pixels, even.
    pub capture_height: u32,
    /// Pixels, even.
    pub encode_width: u32,
    /// Pixels, even.
    pub encode_height: u32,
    /// Frames per second, 1 to 60.
    pub fps: u32,
    /// kbit/s, 1 to 50 000; with layers it is the rate of the largest.
    pub bitrate_kbps: u32,
    /// Whether video is sent in several layers. Applies to publishing that starts afterwards.
    pub layering: Layering,
}

/// Whether video is sent in several layers at once, each with half the sides of the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layering {
    /// Once.
    #[default]
    Single,
    /// Twice, if it is large enough.
    Dual,
    /// Up to three times, as far as it is large enough.
    Full,
}

impl Layering {
    /// The layering that a `ZegoVideoCodecID` requests. All of them are encoded as H.264.
    pub fn from_codec(codec_id: u32) -> Self {
        match codec_id {
            1 => Self::Full,
            4 => Self::Dual,
            _ => Self::Single,
        }
    }
}

impl VideoConfig {
    const fn square(width: u32, height: u32, fps: u32, bitrate_kbps: u32) -> Self {
        Self {
            capture_width: width,
            capture_height: height,
            encode_width: width,
            encode_height: height,
            fps,
            bitrate_kbps,
            layering: Layering::Single,
        }
    }

    /// `ZegoVideoConfigPreset` 0 to 5; anything else is the default, 360p.
    pub fn preset(preset: u32) -> Self {
        match preset {
            0 => Self::square(320, 180, 15, 300),
            1 => Self::square(480, 270, 15, 400),
            3 => Self::square(960, 540, 15, 1200),
            4 => Self::square(1280, 720, 15, 1500),
            5 => Self::square(1920, 1080, 15, 3000),
            _ => Self::square(640, 360, 15, 600),
        }
    }

    /// The start values of a `ZegoScenario`: Broadcast (8) and HighQualityVideoCall (5) 540p at 24 fps, all others 360p.
    pub fn for_scenario(scenario: u32) -> Self {
        match scenario {
            5 | 8 => Self::square(960, 540, 24, 1200),
            _ => Self::preset(2),
        }
    }

    /// The code and the reason that refuse a configuration which cannot be encoded; `None` accepts it.
    pub(crate) fn refusal(&self) -> Option<(i32, &'static str)> {
        let side = |pixels: u32| (16..=4096).contains(&pixels);
        match self {
            _ if !side(self.capture_width) || !side(self.capture_height) => {
                Some((code::ILLEGAL_PARAM, "captured pictures have sides of 16 to 4096 pixels"))
            }
            _ if !can_encode(self.encode_width, self.encode_height) => Some((
                code::ILLEGAL_PARAM,
                "encoded pictures have sides of at least 16 pixels and fit into 3840 x 2160, lying or upright",
            )),
            _ if !(1..=60).contains(&self.fps) => Some((code::ILLEGAL_PARAM, "fps must be 1 to 60")),
            _ if !(1..=50_000).contains(&self.bitrate_kbps) => {
                Some((code::PUBLISHER_BITRATE_INVALID, "the bitrate must be 1 to 50000 kbit/s"))
            }
            _ => None,
        }
    }

    /// The configuration for frames of another aspect that must not be cropped, such as windows: as large as fits, upright
    /// for upright frames, never larger than the frame.
    pub(crate) fn fitted(mut self, width: u32, height: u32) -> Self {
        /// Minimum of the shorter side that encoders accept; frames that are longer and thinner are cropped.
        const MIN_SIDE: u32 = 64;
        let is_upright = |width: u32, height: u32| height > width;
        if is_upright(width, height) != is_upright(self.encode_width, self.encode_height) {
            std::mem::swap(&mut self.encode_width, &mut self.encode_height);
        }
        let (most_width, most_height) = (f64::from(self.encode_width), f64::from(self.encode_height));
        let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
        let scale = (most_width / width).min(most_height / height).min(1.0);
        let side = |pixels: f64, most: u32| ((pixels * scale).round() as u32 & !1).max(MIN_SIDE.min(most));
        self.encode_width = side(width, self.encode_width);
        self.encode_height = side(height, self.encode_height);
        self
    }

    /// The configuration with even sides, as 4:2:0 needs them.
    pub(crate) fn even(mut self) -> Self {
        for side in [&mut self.capture_width, &mut self.capture_height, &mut self.encode_width, &mut self.encode_height]
        {
            *side &= !1;
        }
        self
    }
}

/// Scenarios that start with the camera off: chat rooms, karaoke and voice calls.
pub(crate) fn starts_with_camera(scenario: u32) -> bool {
    !matches!(scenario, 6 | 7 | 9 | 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_cannot_be_encoded_is_refused() {
        let refusal = |change: fn(&mut VideoConfig)| {
            let mut config = VideoConfig::preset(2);
            change(&mut config);
            config.refusal().map(|(code, _)| code)
        };
        let bad = Some(code::ILLEGAL_PARAM);
        assert_eq!(refusal(|_| ()), None);
        assert_eq!(refusal(|config| (config.encode_width, config.encode_height) = (3840, 2160)), None);
        assert_eq!(refusal(|config| (config.encode_width, config.encode_height) = (2160, 3840)), None);
        assert_eq!(refusal(|config| (config.encode_width, config.encode_height) = (4096, 2304)), bad);
        assert_eq!(refusal(|config| (config.encode_width, config.encode_height) = (16, 16)), None);
        assert_eq!(refusal(|config| (config.encode_width, config.encode_height) = (2400, 2400)), bad);
        assert_eq!(refusal(|config| config.encode_width = 15), bad);
        assert_eq!(refusal(|config| config.encode_width = u32::MAX), bad);
        assert_eq!(refusal(|config| config.capture_height = 0), bad);
        assert_eq!(refusal(|config| config.fps = 0), bad);
        assert_eq!(refusal(|config| config.fps = 61), bad);
        assert_eq!(refusal(|config| config.bitrate_kbps = 0), Some(code::PUBLISHER_BITRATE_INVALID));
        assert_eq!(refusal(|config| config.bitrate_kbps = 50_001), Some(code::PUBLISHER_BITRATE_INVALID));
    }

    #[test]
    fn a_shared_window_keeps_its_shape() {
        let size = |width, height| {
            let config = VideoConfig::preset(4).fitted(width, height);
            (config.encode_width, config.encode_height)
        };
        assert_eq!(size(1920, 1080), (1280, 720));
        assert_eq!(size(1600, 1200), (960, 720));
        assert_eq!(size(1080, 1920), (720, 1280), "upright");
        assert_eq!(size(401, 301), (400, 300), "never larger than it is");
        assert_eq!(size(3840, 20), (1280, 64));
        assert_eq!(size(0, 0), (64, 64));
        assert_eq!(
            VideoConfig { encode_width: 16, encode_height: 16, ..VideoConfig::preset(0) }
                .fitted(800, 600)
                .encode_height,
            16
        );
    }
}
