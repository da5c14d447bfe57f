//! Conversions between the structs of the binding and those of the engine.

use engine::{
    Area, DeviceInfo, DeviceKind, EngineConfig, EngineProfile, Layering, LogConfig, NetworkTime, RoomConfig, User,
    VideoConfig, VideoSettings,
};

use crate::generated::{
    NativeConfig, NativeDevice, NativeLogConfig, NativeNetworkTime, NativeProfile, NativeRect, NativeRoomConfig,
    NativeSize, NativeUser, NativeVideoConfig,
};

impl From<NativeProfile> for EngineProfile {
    fn from(profile: NativeProfile) -> Self {
        Self { app_id: profile.app_id, app_sign: profile.app_sign, scenario: profile.scenario, server: profile.server }
    }
}

impl From<NativeLogConfig> for LogConfig {
    fn from(log: NativeLogConfig) -> Self {
        let defaults = Self::default();
        Self {
            path: log.log_path.filter(|path| !path.is_empty()).map(Into::into),
            size: log.log_size.map_or(defaults.size, |bytes| bytes as u64),
            count: log.log_count.unwrap_or(defaults.count),
        }
    }
}

impl From<NativeConfig> for EngineConfig {
    fn from(config: NativeConfig) -> Self {
        let advanced = config.advanced_config.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        Self {
            advanced: advanced.collect(),
            log: config.log_config.map(Into::into).unwrap_or_default(),
            multi_room: config.multi_room,
            ..Self::default()
        }
    }
}

impl From<NativeUser> for User {
    fn from(user: NativeUser) -> Self {
        Self { id: user.user_id, name: user.user_name }
    }
}

impl From<NativeRoomConfig> for RoomConfig {
    fn from(config: NativeRoomConfig) -> Self {
        Self {
            max_member_count: config.max_member_count,
            is_user_status_notify: config.is_user_status_notify,
            token: config.token,
        }
    }
}

impl From<NativeVideoConfig> for VideoSettings {
    fn from(config: NativeVideoConfig) -> Self {
        Self {
            preset: config.preset,
            capture_width: config.capture_width,
            capture_height: config.capture_height,
            encode_width: config.encode_width,
            encode_height: config.encode_height,
            fps: config.fps,
            bitrate_kbps: config.bitrate,
            layering: Layering::from_codec(config.codec_id.unwrap_or_default()),
            key_frame_interval_s: config.key_frame_interval,
        }
    }
}

impl From<VideoConfig> for NativeVideoConfig {
    fn from(video: VideoConfig) -> Self {
        Self {
            preset: None,
            capture_width: Some(video.capture_width),
            capture_height: Some(video.capture_height),
            encode_width: Some(video.encode_width),
            encode_height: Some(video.encode_height),
            fps: Some(video.fps),
            bitrate: Some(video.bitrate_kbps),
            key_frame_interval: None,
            codec_id: Some(match video.layering {
                Layering::Single => 0,
                Layering::Full => 1,
                Layering::Dual => 4,
            }),
        }
    }
}

impl From<DeviceInfo> for NativeDevice {
    fn from(device: DeviceInfo) -> Self {
        Self { device_id: device.id, device_name: device.name }
    }
}

impl From<NetworkTime> for NativeNetworkTime {
    fn from(time: NetworkTime) -> Self {
        Self { timestamp: time.timestamp_ms as f64, max_deviation: time.max_deviation_ms }
    }
}

impl From<NativeSize> for (u32, u32) {
    fn from(size: NativeSize) -> Self {
        (size.width, size.height)
    }
}

impl From<NativeRect> for Area {
    fn from(rect: NativeRect) -> Self {
        Self { x: rect.x, y: rect.y, width: rect.width, height: rect.height }
    }
}

impl From<Area> for NativeRect {
    fn from(area: Area) -> Self {
        Self { x: area.x, y: area.y, width: area.width, height: area.height }
    }
}

/// A `ZegoAudioDeviceType`: 0 is input, everything else output.
pub fn device_kind(device_type: u32) -> DeviceKind {
    if device_type == 0 { DeviceKind::Microphone } else { DeviceKind::Speaker }
}
