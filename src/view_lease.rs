//! The engine's use of a view: when the engine drops the sink, JS is told that the view has been released.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use media::video::frame::VideoFrame;
use media::video::sink::{FrameSink, ViewStats};
use serde_json::json;

use crate::environment::{JsEnvironment, ViewId};
use crate::view::View;

/// Name of the event that a view has been released.
const VIEW_RELEASED: &str = "__viewReleased";

/// Number of leases of a view. They begin on the JS thread and end on any thread.
#[derive(Default)]
pub struct Leases(AtomicUsize);

impl Leases {
    fn begin(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends a lease; returns whether it was the last one.
    fn end(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether the engine does not draw on the view.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// A sink that the engine holds while a stream or a preview is drawn on the view.
pub struct ViewLease {
    id: ViewId,
    view: Arc<View>,
    environment: Weak<JsEnvironment>,
}

impl ViewLease {
    /// Leases a view. JS thread only.
    pub fn new(id: ViewId, view: Arc<View>, environment: Weak<JsEnvironment>) -> Self {
        view.leases.begin();
        Self { id, view, environment }
    }
}

impl FrameSink for ViewLease {
    fn on_frame(&self, frame: &VideoFrame) {
        self.view.on_frame(frame);
    }

    fn shown_size(&self) -> Option<(u32, u32)> {
        self.view.shown_size()
    }

    fn stats(&self) -> Option<ViewStats> {
        FrameSink::stats(&*self.view)
    }
}

impl Drop for ViewLease {
    fn drop(&mut self) {
        if !self.view.leases.end() {
            return;
        }
        if let Some(environment) = self.environment.upgrade() {
            environment.events.push(VIEW_RELEASED, json!({ "view": self.id }));
            environment.request_wake_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_released_with_its_last_lease() {
        let leases = Leases::default();
        assert!(leases.is_empty());
        leases.begin();
        leases.begin();
        assert!(!leases.end());
        assert!(!leases.is_empty());
        assert!(leases.end());
        assert!(leases.is_empty());
    }
}
