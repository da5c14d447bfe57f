//! The class's methods about screens and windows that are captured. They convert and pass on.

use std::sync::Arc;

use engine::{Area, VideoSource};
use napi::Result;
use napi_derive::napi;

use crate::engine::NativeEngine;
use crate::events::reply;
use crate::values::engine_error;

/// Kinds of [`NativeEngine::set_video_source`].
const SOURCE_CAMERA: u32 = 1;
const SOURCE_SCREEN: u32 = 2;

#[napi]
impl NativeEngine {
    /// `setVideoSource`: 1 = the channel's camera, 2 = the screen capture source of that number, else nothing. Gives an
    /// error code.
    #[napi]
    pub fn set_video_source(&self, kind: u32, instance: u32, channel: u32) -> Result<i32> {
        let source = match kind {
            SOURCE_CAMERA => VideoSource::Camera,
            SOURCE_SCREEN => VideoSource::Screen(instance),
            _ => VideoSource::None,
        };
        Ok(self.engine()?.set_video_source(source, channel).err().map_or(0, |error| error.code))
    }

    /// `getScreenCaptureSources`; the answer comes through the events under `request`.
    #[napi]
    pub fn get_screen_capture_sources(&self, thumbnail: JsSize, icon: JsSize, request: u32) -> Result<()> {
        let reply = reply(Arc::downgrade(&self.environment), request);
        self.run(|engine| engine.get_screen_capture_sources(thumbnail.into(), icon.into(), reply))
    }

    /// `createScreenCaptureSource`: the source's number.
    #[napi]
    pub fn create_screen_capture_source(&self, id: u32, kind: u32) -> Result<u32> {
        self.engine()?.create_screen_capture_source(id, kind).map_err(engine_error)
    }

    /// `destroyScreenCaptureSource`.
    #[napi]
    pub fn destroy_screen_capture_source(&self, index: u32) -> Result<()> {
        self.run(|engine| engine.destroy_screen_capture_source(index))
    }

    /// `updateCaptureSource`.
    #[napi]
    pub fn update_screen_capture_source(&self, index: u32, id: u32, kind: u32) -> Result<()> {
        self.run(|engine| engine.update_screen_capture_source(index, id, kind))
    }

    /// `startCapture`.
    #[napi]
    pub fn start_screen_capture(&self, index: u32) -> Result<()> {
        self.run(|engine| engine.start_screen_capture(index))
    }

    /// `stopCapture`.
    #[napi]
    pub fn stop_screen_capture(&self, index: u32) -> Result<()> {
        self.run(|engine| engine.stop_screen_capture(index))
    }

    /// `getCaptureSourceRect`.
    #[napi]
    pub fn get_capture_source_rect(&self, index: u32) -> Result<JsRect> {
        self.engine()?.get_capture_source_rect(index).map(Into::into).map_err(engine_error)
    }

    /// `updateCaptureRegion`.
    #[napi]
    pub fn update_capture_region(&self, index: u32, region: JsRect) -> Result<()> {
        self.run(|engine| engine.update_capture_region(index, region.into()))
    }

    /// `updatePublishRegion`.
    #[napi]
    pub fn update_publish_region(&self, index: u32, region: JsRect) -> Result<()> {
        self.run(|engine| engine.update_publish_region(index, region.into()))
    }

    /// `setExcludeWindowList`.
    #[napi]
    pub fn set_exclude_window_list(&self, index: u32, windows: Vec<u32>) -> Result<()> {
        self.run(|engine| engine.set_exclude_window_list(index, windows))
    }

    /// `enableWindowActivate`.
    #[napi]
    pub fn enable_window_activate(&self, index: u32, activate: bool) -> Result<()> {
        self.run(|engine| engine.enable_window_activate(index, activate))
    }

    /// `enableCursorVisible`.
    #[napi]
    pub fn enable_cursor_visible(&self, index: u32, visible: bool) -> Result<()> {
        self.run(|engine| engine.enable_cursor_visible(index, visible))
    }
}

/// Pixels.
#[napi(object)]
pub struct JsSize {
    pub width: u32,
    pub height: u32,
}

impl From<JsSize> for (u32, u32) {
    fn from(size: JsSize) -> Self {
        (size.width, size.height)
    }
}

/// `ZegoRect`, in pixels.
#[napi(object)]
pub struct JsRect {
    pub x: i32,
    pub y: i32,
    pub width: u32,
    pub height: u32,
}

impl From<JsRect> for Area {
    fn from(rect: JsRect) -> Self {
        Self { x: rect.x, y: rect.y, width: rect.width, height: rect.height }
    }
}

impl From<Area> for JsRect {
    fn from(area: Area) -> Self {
        Self { x: area.x, y: area.y, width: area.width, height: area.height }
    }
}
