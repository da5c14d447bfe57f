//! Consumers of video frames: a view, an encoder, a recorder.

use super::frame::VideoFrame;

/// Takes frames on the thread that made them, so it must be quick: convert, encode or pass on, never wait.
pub trait FrameSink: Send + Sync {
    /// A new frame. To keep it, clone it (cheap).
    fn on_frame(&self, frame: &VideoFrame);

    /// Pixels in which frames are shown, for a sink that shows them; (0, 0) while it is hidden. More are of no use to it.
    fn shown_size(&self) -> Option<(u32, u32)> {
        None
    }

    /// Counters, for a sink that shows its frames.
    fn stats(&self) -> Option<ViewStats> {
        None
    }
}

impl<F: Fn(&VideoFrame) + Send + Sync> FrameSink for F {
    fn on_frame(&self, frame: &VideoFrame) {
        self(frame);
    }
}

/// Counters of a view.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewStats {
    /// Frames handed to the view.
    pub delivered: u64,
    /// Frames that reached the canvas.
    pub drawn: u64,
    /// Frames replaced by a newer one before they were drawn.
    pub dropped: u64,
    /// Median time from converted to drawn, in milliseconds.
    pub ready_to_drawn_ms_p50: f64,
    /// 95th percentile of the same.
    pub ready_to_drawn_ms_p95: f64,
}
