//! One view: takes frames from the engine's threads and brings them into its ring, in the size that its tile needs.

use std::sync::{Arc, Weak};
use std::time::Instant;

use media::video::convert::to_rgba;
use media::video::frame::VideoFrame;
use media::video::scale::{fill, scale};
use media::video::sink::{FrameSink, ViewStats};
use parking_lot::Mutex;

use crate::env::Hub;
use crate::frame_ring::{FrameRing, Written};
use crate::tile::{Tile, ViewMode};
use crate::view_stats::Counters;

/// Shape of a picture that has not been seen yet.
const USUAL_SHAPE: (u32, u32) = (16, 9);

/// See the module's text.
pub struct View {
    hub: Weak<Hub>,
    state: Mutex<State>,
    counters: Mutex<Counters>,
}

#[derive(Default)]
struct State {
    closed: bool,
    tile: Tile,
    ring: Option<Arc<FrameRing>>,
    /// Size of the ring that JS is to make, until it has been asked for.
    wanted: Option<(u32, u32)>,
    /// The latest frame: drawn again when the tile changes, or as soon as the view is shown.
    latest: Option<VideoFrame>,
    /// No ring has taken it yet.
    is_held: bool,
}

/// A frame on its way to the screen.
pub struct Drawing {
    ring: Arc<FrameRing>,
    /// Index of the slot.
    pub slot: usize,
    /// When it became ready.
    ready_at: Instant,
}

impl View {
    /// A view in a tile; it has no ring until its first frame.
    pub fn new(hub: Weak<Hub>, tile: Tile) -> Self {
        let state = State { tile, ..State::default() };
        Self { hub, state: Mutex::new(state), counters: Mutex::default() }
    }

    /// The tile was moved, shown or hidden, or wants its picture once more.
    pub fn set_tile(&self, tile: Tile) {
        {
            let mut state = self.state.lock();
            state.tile = tile;
            if tile.is_hidden() || state.latest.is_none() {
                return;
            }
        }
        self.counters.lock().delivered();
        self.bring();
    }

    /// Takes over a ring that JS made, and returns once no thread writes to the former one.
    pub fn set_ring(&self, ring: FrameRing) {
        let (former, is_held) = {
            let mut state = self.state.lock();
            (state.ring.replace(Arc::new(ring)), state.is_held)
        };
        if let Some(former) = former {
            former.close();
        }
        if is_held {
            self.bring();
        }
    }

    /// No frame is taken and no memory written after this.
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

    /// Size of the ring that is missing, once. JS thread only.
    pub fn take_wanted_size(&self) -> Option<(u32, u32)> {
        self.state.lock().wanted.take()
    }

    /// Whether JS has something to do for this view.
    pub fn has_work(&self) -> bool {
        let state = self.state.lock();
        state.wanted.is_some() || state.ring.as_ref().is_some_and(|ring| ring.is_waiting())
    }

    /// The newest frame to draw. JS thread only.
    pub fn begin_drawing(&self) -> Option<Drawing> {
        let ring = self.state.lock().ring.clone()?;
        let taken = ring.take()?;
        if taken.skipped > 0 {
            self.counters.lock().dropped(taken.skipped);
        }
        let now = Instant::now();
        Some(Drawing { ring, slot: taken.slot, ready_at: now.checked_sub(taken.waited).unwrap_or(now) })
    }

    /// The frame was drawn, or could not be.
    pub fn end_drawing(&self, drawing: &Drawing, drawn: bool) {
        drawing.ring.give_back(drawing.slot);
        let mut counters = self.counters.lock();
        if drawn {
            counters.drawn(drawing.ready_at.elapsed());
        } else {
            counters.dropped(1);
        }
    }

    /// The counters.
    pub fn stats(&self) -> ViewStats {
        self.counters.lock().snapshot()
    }

    /// Brings the latest frame into the ring, or has it wait until there is one that fits.
    fn bring(&self) {
        // JS may put another ring in the place of the one that is to be written; then that one takes the frame.
        while let Some(ring) = self.ring_for_latest() {
            match ring.write(|pixels| self.paint(ring.size(), pixels)) {
                Written::Ready { replaced } => {
                    if replaced {
                        self.counters.lock().dropped(1);
                    }
                    return self.nudge();
                }
                Written::Closed => {}
                Written::Failed => return self.counters.lock().dropped(1),
            }
        }
    }

    /// The latest frame in that size. Inside a ring's gate: of two threads that bring frames the last one brings the newest.
    fn paint(&self, (width, height): (u32, u32), pixels: &mut [u8]) -> bool {
        let (frame, tile) = {
            let state = self.state.lock();
            let Some(frame) = state.latest.clone() else { return false };
            (frame, state.tile)
        };
        // Tile or frame may have become another meanwhile; then another ring is on its way.
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
        self.nudge();
        None
    }

    fn nudge(&self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.nudge();
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
        self.bring();
    }

    fn shown_size(&self) -> Option<(u32, u32)> {
        let state = self.state.lock();
        let shape = state.latest.as_ref().map_or(USUAL_SHAPE, |frame| (frame.width(), frame.height()));
        state.tile.picture_size(shape)
    }

    fn stats(&self) -> Option<ViewStats> {
        Some(View::stats(self))
    }
}
