//! The calls about screens and windows.

use media::video::screen::Area;

use crate::engine::{Engine, Reply};
use crate::error::EngineError;
use crate::screen_list;
use crate::screen_sources;

impl Engine {
    /// `getScreenCaptureSources`: replies `{errorCode, sources}`, or `{errorCode, message}`; thumbnails and icons are at most
    /// as large as requested, in pixels, and keep their aspect.
    pub fn get_screen_capture_sources(
        &self,
        thumbnail: (u32, u32),
        icon: (u32, u32),
        reply: Reply,
    ) -> Result<(), EngineError> {
        screen_list::answer(thumbnail, icon, reply)
    }

    /// `createScreenCaptureSource`: the index of a source that does not capture yet. `id` is one of the list, `kind` a
    /// `ZegoScreenCaptureSourceType`.
    ///
    /// # Errors
    /// [`SCREEN_CAPTURE_NOT_SUPPORT`](crate::code::SCREEN_CAPTURE_NOT_SUPPORT) where screens cannot be captured,
    /// [`SCREEN_CAPTURE_EXCEED_MAX_COUNT`](crate::code::SCREEN_CAPTURE_EXCEED_MAX_COUNT) with ten of them.
    pub fn create_screen_capture_source(&self, id: u32, kind: u32) -> Result<u32, EngineError> {
        self.screens.create(screen_sources::target(id, kind)?)
    }

    /// `destroyScreenCaptureSource`. A channel that publishes it gets no more frames; the call goes on.
    pub fn destroy_screen_capture_source(&self, index: u32) -> Result<(), EngineError> {
        self.screens.destroy(index)
    }

    /// `updateCaptureSource`: another window or screen; it takes effect at once.
    pub fn update_screen_capture_source(&self, index: u32, id: u32, kind: u32) -> Result<(), EngineError> {
        let target = screen_sources::target(id, kind)?;
        self.screens.get(index)?.change(|settings| settings.target = target);
        Ok(())
    }

    /// `startCapture`. Does nothing while it captures.
    pub fn start_screen_capture(&self, index: u32) -> Result<(), EngineError> {
        self.screens.get(index)?.start()
    }

    /// `stopCapture`.
    pub fn stop_screen_capture(&self, index: u32) -> Result<(), EngineError> {
        self.screens.get(index)?.stop();
        Ok(())
    }

    /// `getCaptureSourceRect`: place and size on the desktop, in pixels.
    pub fn get_capture_source_rect(&self, index: u32) -> Result<Area, EngineError> {
        self.screens.get(index)?.area()
    }

    /// `updateCaptureRegion`: the region to capture, in pixels from the source's corner; an empty one is the whole.
    pub fn update_capture_region(&self, index: u32, region: Area) -> Result<(), EngineError> {
        self.screens.get(index)?.change(|settings| settings.region = region);
        Ok(())
    }

    /// `updatePublishRegion`: the part of the captured region to show and send; an empty one is the whole.
    pub fn update_publish_region(&self, index: u32, region: Area) -> Result<(), EngineError> {
        self.screens.get(index)?.change(|settings| settings.publish_region = region);
        Ok(())
    }

    /// `setExcludeWindowList`: windows that are blacked out where a screen is captured.
    pub fn set_exclude_window_list(&self, index: u32, windows: Vec<u32>) -> Result<(), EngineError> {
        self.screens.get(index)?.change(|settings| settings.excluded = windows);
        Ok(())
    }

    /// `enableWindowActivate`: a window is raised when its capture begins. Off by default.
    pub fn enable_window_activate(&self, index: u32, activate: bool) -> Result<(), EngineError> {
        self.screens.get(index)?.change(|settings| settings.activate_window = activate);
        Ok(())
    }

    /// `enableCursorVisible`: the pointer is part of the frame. On by default.
    pub fn enable_cursor_visible(&self, index: u32, visible: bool) -> Result<(), EngineError> {
        self.screens.get(index)?.change(|settings| settings.show_cursor = visible);
        Ok(())
    }
}
