//! The class's methods about what is in pictures. They convert and pass on.

use std::sync::Arc;

use napi::Result;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::engine::NativeEngine;
use crate::events::reply;
use crate::values::{JsVideoConfig, engine_error};

#[napi]
impl NativeEngine {
    /// `getVideoConfig`, with every field but the preset.
    #[napi]
    pub fn get_video_config(&self, channel: u32) -> Result<JsVideoConfig> {
        self.engine()?.get_video_config(channel).map(Into::into).map_err(engine_error)
    }

    /// `setSEIConfig`.
    #[napi(js_name = "setSEIConfig")]
    pub fn set_sei_config(&self, kind: u32) -> Result<()> {
        self.run(|engine| engine.set_sei_config(kind))
    }

    /// `sendSEI`; the bytes are copied.
    #[napi(js_name = "sendSEI")]
    pub fn send_sei(&self, data: Uint8Array, channel: u32) -> Result<()> {
        self.run(|engine| engine.send_sei(data.to_vec(), channel))
    }

    /// `takePublishStreamSnapshot`; the answer comes through the events under `request`.
    #[napi]
    pub fn take_publish_stream_snapshot(&self, channel: u32, request: u32) -> Result<()> {
        let reply = reply(Arc::downgrade(&self.environment), request);
        self.run(|engine| engine.take_publish_stream_snapshot(channel, reply))
    }

    /// `takePlayStreamSnapshot`; the answer comes through the events under `request`.
    #[napi]
    pub fn take_play_stream_snapshot(&self, stream_id: String, request: u32) -> Result<()> {
        let reply = reply(Arc::downgrade(&self.environment), request);
        self.run(|engine| engine.take_play_stream_snapshot(&stream_id, reply))
    }

    /// `sendBarrageMessage`; the answer comes through the events under `request`.
    #[napi]
    pub fn send_barrage_message(&self, room_id: String, message: String, request: u32) -> Result<()> {
        let reply = reply(Arc::downgrade(&self.environment), request);
        self.run(|engine| engine.send_barrage_message(&room_id, &message, reply))
    }
}
