//! A view: scales frames from the engine's threads to its tile and writes them into its ring.

use std::sync::{Arc, Weak};
use std::time::Instant;

use media::video::convert::to_rgba;
use media::video::frame::VideoFrame;
use media::video::scale::{fill, scale};
use media::video::sink::{FrameSink, ViewStats};
use parking_lot::Mutex;

use crate::environment::JsEnvironment;
use crate::frame_ring::{FrameRing, Written};
use crate::tile::{Tile, ViewMode};
use crate::view_lease::Leases;
use crate::view_stats::Counters;

/// Assumed size of a frame before the first one.
const DEFAULT_SHAPE: (u32, u32) = (16, 9);

/// A sink of video frames that JS draws on a canvas.
pub struct View {
    environment: Weak<JsEnvironment>,
    state: Mutex<State>,
    counters: Mutex<Counters>,
    /// Sinks of this view that the engine holds.
    pub leases: Leases,
}

#[derive(Default)]
struct State {
    closed: bool,
    tile: Tile,
    ring: Option<Arc<FrameRing>>,
    /// Size of the ring that JS has to create, until it was requested.
    wanted: Option<(u32, u32)>,
    /// The latest frame, drawn again when the tile changes or becomes visible.
    latest: Option<VideoFrame>,
    /// Whether the latest frame has not been written to a ring yet.
    is_held: bool,
}

/// A frame that is being drawn.
pub struct Drawing {
    ring: Arc<FrameRing>,
    /// Index of the slot.
    pub slot: usize,
    /// When it became ready.
    ready_at: Instant,
}

impl View {
    /// Creates a view for a tile; it has no ring until its first frame.
    pub fn new(environment: Weak<JsEnvironment>, tile: Tile) -> Self {
        let state = State { tile, ..State::default() };
        Self { environment, state: Mutex::new(state), counters: Mutex::default(), leases: Leases::default() }
    }

    /// Sets the tile after a change of size or visibility, and draws the latest frame again.
    pub fn set_tile(&self, tile: Tile) {
        {
            let mut state = self.state.lock();
            state.tile = tile;
            if tile.is_hidden() || state.latest.is_none() {
                return;
            }
        }
        self.counters.lock().delivered();
        self.deliver_latest();
    }

    /// Replaces the ring, and returns once no thread writes to the former one.
    pub fn set_ring(&self, ring: FrameRing) {
        let (former, is_held) = {
            let mut state = self.state.lock();
            (state.ring.replace(Arc::new(ring)), state.is_held)
        };
        if let Some(former) = former {
            former.close();
        }
        if is_held {
            self.deliver_latest();
        }
    }

    /// Closes the view: no frame is accepted and no memory written after this.
    pub fn close(&self) {
        let ring = {
            let mut state = self.state.lock();
            state.closed = true;
            state.latest = None;
            state.is_held = false;
            state.wanted = None;
            state.ring.take()
        };
        if let Some(ring) = ring {
            ring.close();
        }
    }

    /// Size of the ring that JS has to create, returned once. JS thread only.
    pub fn take_wanted_size(&self) -> Option<(u32, u32)> {
        self.state.lock().wanted.take()
    }

    /// Whether there is work for JS: a ring to create or a frame to draw.
    pub fn has_work(&self) -> bool {
        let state = self.state.lock();
        state.wanted.is_some() || state.ring.as_ref().is_some_and(|ring| ring.is_waiting())
    }

    /// Takes the newest frame to draw. JS thread only.
    pub fn begin_drawing(&self) -> Option<Drawing> {
        let ring = self.state.lock().ring.clone()?;
        let taken = ring.take()?;
        if taken.skipped > 0 {
            self.counters.lock().dropped(taken.skipped);
        }
        let now = Instant::now();
        Some(Drawing { ring, slot: taken.slot, ready_at: now.checked_sub(taken.waited).unwrap_or(now) })
    }

    /// Finishes drawing; `drawn` is false if it failed.
    pub fn end_drawing(&self, drawing: &Drawing, drawn: bool) {
        drawing.ring.give_back(drawing.slot);
        let mut counters = self.counters.lock();
        if drawn {
            counters.drawn(drawing.ready_at.elapsed());
        } else {
            counters.dropped(1);
        }
    }

    /// Statistics of the view.
    pub fn stats(&self) -> ViewStats {
        self.counters.lock().snapshot()
    }

    /// Writes the latest frame into the ring, or keeps it until there is a ring that fits.
    fn deliver_latest(&self) {
        // JS may replace the ring in the meantime; then the new ring gets the frame.
        while let Some(ring) = self.ring_for_latest() {
            match ring.write(|pixels| self.paint(ring.size(), pixels)) {
                Written::Ready { replaced } => {
                    if replaced {
                        self.counters.lock().dropped(1);
                    }
                    return self.request_wake_up();
                }
                Written::Closed => {}
                Written::Failed => return self.counters.lock().dropped(1),
            }
        }
    }

    /// Converts the latest frame at that size. Runs inside the ring's gate, so that the last of two writers has the newest frame.
    fn paint(&self, (width, height): (u32, u32), pixels: &mut [u8]) -> bool {
        let (frame, tile) = {
            let state = self.state.lock();
            let Some(frame) = state.latest.clone() else { return false };
            (frame, state.tile)
        };
        // Tile or frame may have changed size in the meantime; then another ring has been requested.
        if tile.frame_size(frame.width(), frame.height()) != (width, height) {
            return false;
        }
        let sized = match tile.mode {
            ViewMode::AspectFill => fill(&frame, width, height),
            _ => scale(&frame, width, height),
        };
        to_rgba(&sized, pixels).is_ok()
    }

    fn ring_for_latest(&self) -> Option<Arc<FrameRing>> {
        let mut state = self.state.lock();
        if state.closed || state.tile.is_hidden() {
            return None;
        }
        let frame = state.latest.as_ref()?;
        let size = state.tile.frame_size(frame.width(), frame.height());
        if let Some(ring) = state.ring.clone().filter(|ring| ring.size() == size) {
            state.wanted = None;
            state.is_held = false;
            return Some(ring);
        }
        let replaced = std::mem::replace(&mut state.is_held, true);
        state.wanted = Some(size);
        drop(state);
        if replaced {
            self.counters.lock().dropped(1);
        }
        self.request_wake_up();
        None
    }

    fn request_wake_up(&self) {
        if let Some(environment) = self.environment.upgrade() {
            environment.request_wake_up();
        }
    }
}

impl FrameSink for View {
    fn on_frame(&self, frame: &VideoFrame) {
        {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            state.latest = Some(frame.clone());
            if state.tile.is_hidden() {
                return;
            }
        }
        self.counters.lock().delivered();
        self.deliver_latest();
    }

    fn shown_size(&self) -> Option<(u32, u32)> {
        let state = self.state.lock();
        let shape = state.latest.as_ref().map_or(DEFAULT_SHAPE, |frame| (frame.width(), frame.height()));
        state.tile.covered_size(shape)
    }

    fn stats(&self) -> Option<ViewStats> {
        Some(View::stats(self))
    }
}
