//! JS values: the arguments of the TypeScript face, already checked and with defaults filled in.

use std::collections::HashMap;
use std::ptr;

use engine::{
    EngineConfig, EngineError, EngineProfile, Layering, LogConfig, RoomConfig, User, VideoConfig, VideoSettings,
};
use napi::bindgen_prelude::Unknown;
use napi::{Env, Error, JsValue, Result, Status, sys};
use napi_derive::napi;

use crate::frame_ring::{SLOTS, SlotMemory};

/// `ZegoEngineProfile` and our `server`.
#[napi(object)]
pub struct Profile {
    /// 1 to 4 294 967 295.
    #[napi(js_name = "appID")]
    pub app_id: u32,
    /// May be empty.
    pub app_sign: String,
    /// `ZegoScenario`.
    pub scenario: u32,
    /// Address of the room server.
    pub server: Option<String>,
}

impl From<Profile> for EngineProfile {
    fn from(profile: Profile) -> Self {
        Self { app_id: profile.app_id, app_sign: profile.app_sign, scenario: profile.scenario, server: profile.server }
    }
}

/// `ZegoLogConfig`.
#[napi(object)]
pub struct Log {
    /// Folder of the log files.
    pub log_path: Option<String>,
    /// Bytes of one file; 0 = no log.
    pub log_size: Option<f64>,
    /// Files kept.
    pub log_count: Option<u32>,
}

impl From<Log> for LogConfig {
    fn from(log: Log) -> Self {
        let defaults = Self::default();
        Self {
            path: log.log_path.filter(|path| !path.is_empty()).map(Into::into),
            size: log.log_size.map_or(defaults.size, |bytes| bytes as u64),
            count: log.log_count.unwrap_or(defaults.count),
        }
    }
}

/// `ZegoEngineConfig`, values of `advancedConfig` as text.
#[napi(object)]
pub struct Config {
    /// Names to values.
    pub advanced_config: HashMap<String, String>,
    /// `logConfig`.
    pub log_config: Option<Log>,
    /// `setRoomMode(MultiRoom)`.
    pub multi_room: bool,
}

impl From<Config> for EngineConfig {
    fn from(config: Config) -> Self {
        let advanced = config.advanced_config.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        Self {
            advanced: advanced.collect(),
            log: config.log_config.map(Into::into).unwrap_or_default(),
            multi_room: config.multi_room,
            ..Self::default()
        }
    }
}

/// `ZegoUser`.
#[napi(object)]
pub struct JsUser {
    /// 1 to 63 bytes.
    #[napi(js_name = "userID")]
    pub user_id: String,
    /// Up to 255 bytes.
    pub user_name: String,
}

impl From<JsUser> for User {
    fn from(user: JsUser) -> Self {
        Self { id: user.user_id, name: user.user_name }
    }
}

/// `ZegoRoomConfig`.
#[napi(object)]
pub struct JsRoomConfig {
    /// 0 = unlimited.
    pub max_member_count: u32,
    /// Whether `onRoomUserUpdate` is emitted.
    pub is_user_status_notify: bool,
    /// Empty = sign in with AppSign.
    pub token: String,
}

impl From<JsRoomConfig> for RoomConfig {
    fn from(config: JsRoomConfig) -> Self {
        Self {
            max_member_count: config.max_member_count,
            is_user_status_notify: config.is_user_status_notify,
            token: config.token,
        }
    }
}

/// `ZegoVideoConfig`; missing fields come from the preset, or without one from the scenario.
#[napi(object)]
pub struct JsVideoConfig {
    /// `ZegoVideoConfigPreset` that the other fields start from.
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
    pub bitrate: Option<u32>,
    /// `ZegoVideoCodecID`.
    #[napi(js_name = "codecID")]
    pub codec_id: Option<u32>,
    /// Seconds.
    pub key_frame_interval: Option<u32>,
}

impl From<JsVideoConfig> for VideoSettings {
    fn from(config: JsVideoConfig) -> Self {
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

impl From<VideoConfig> for JsVideoConfig {
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

/// A device of a list.
#[napi(object)]
pub struct JsDeviceInfo {
    /// ID for `useVideoDevice` and `useAudioDevice`.
    #[napi(js_name = "deviceID")]
    pub device_id: String,
    /// Name to display.
    pub device_name: String,
}

impl From<engine::DeviceInfo> for JsDeviceInfo {
    fn from(device: engine::DeviceInfo) -> Self {
        Self { device_id: device.id, device_name: device.name }
    }
}

/// An engine's error as a JS error whose message starts with the documented number.
pub fn engine_error(error: EngineError) -> Error {
    Error::new(Status::GenericFailure, format!("{}: {}", error.code, error.message))
}

/// Three buffers of a ring, and the references that keep them alive.
pub struct RingMemory {
    /// Address and length of each.
    pub slots: [SlotMemory; SLOTS],
    /// Strong references to the buffers.
    pub references: BufferReferences,
}

/// Strong references to array buffers of one environment, released on its thread with [`BufferReferences::release`];
/// an environment that ends releases them itself.
pub struct BufferReferences(Vec<sys::napi_ref>);

// SAFETY: the references are only created and released in functions that JS calls, on the environment's thread.
unsafe impl Send for BufferReferences {}

impl BufferReferences {
    /// Releases the buffers. Only after the ring over them was closed.
    pub fn release(self, env: &Env) {
        for reference in self.0 {
            // SAFETY: created by `ring_memory` in this environment, and released once.
            unsafe { sys::napi_delete_reference(env.raw(), reference) };
        }
    }
}

/// Memory of three `Uint8ClampedArray`s, with references that keep it alive.
pub fn ring_memory(env: &Env, arrays: &[Unknown]) -> Result<RingMemory> {
    if arrays.len() != SLOTS {
        return Err(Error::new(Status::InvalidArg, format!("a ring has {SLOTS} buffers")));
    }
    let mut references = BufferReferences(Vec::with_capacity(SLOTS));
    let mut slots = [SlotMemory { address: ptr::null_mut(), length: 0 }; SLOTS];
    for (slot, array) in slots.iter_mut().zip(arrays) {
        match keep_array(env, array) {
            Ok((memory, reference)) => {
                *slot = memory;
                references.0.push(reference);
            }
            Err(error) => {
                references.release(env);
                return Err(error);
            }
        }
    }
    Ok(RingMemory { slots, references })
}

fn keep_array(env: &Env, array: &Unknown) -> Result<(SlotMemory, sys::napi_ref)> {
    let refused = |what: &str| Error::new(Status::InvalidArg, format!("not a buffer for frames: {what}"));
    let (mut kind, mut length, mut address) = (0, 0, ptr::null_mut());
    let (mut buffer, mut offset) = (ptr::null_mut(), 0);
    // SAFETY: the value is of this environment, and Node answers a value of another type with a status.
    let status = unsafe {
        sys::napi_get_typedarray_info(
            env.raw(),
            array.raw(),
            &mut kind,
            &mut length,
            &mut address,
            &mut buffer,
            &mut offset,
        )
    };
    if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint8_clamped_array {
        return Err(refused("it is no Uint8ClampedArray"));
    }
    let (mut start, mut room) = (ptr::null_mut(), 0);
    // SAFETY: the array's own buffer, from the call above.
    let status = unsafe { sys::napi_get_arraybuffer_info(env.raw(), buffer, &mut start, &mut room) };
    // Arrays of up to 64 bytes may lie in V8's moving heap; a part of a larger buffer never does.
    if status != sys::Status::napi_ok || address.is_null() || room <= 64 {
        return Err(refused("it is detached or too small"));
    }
    let mut reference = ptr::null_mut();
    // SAFETY: `buffer` is the array's own buffer, given by Node above.
    let status = unsafe { sys::napi_create_reference(env.raw(), buffer, 1, &mut reference) };
    if status != sys::Status::napi_ok {
        return Err(refused("it cannot be kept"));
    }
    Ok((SlotMemory { address: address.cast(), length }, reference))
}
