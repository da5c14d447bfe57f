//! The methods of the class that JS calls for its views.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::Engine;
use napi::bindgen_prelude::Unknown;
use napi::{Env, Error, Result, Status};
use napi_derive::napi;

use crate::engine::NativeEngine;
use crate::frame_ring::FrameRing;
use crate::ring_memory::ring_memory;
use crate::tile::{Tile, ViewMode};
use crate::view::View;

#[napi]
impl NativeEngine {
    /// Creates a view of `width` x `height` device pixels (0 when hidden); `mode` is a `ZegoViewMode`. Returns its number.
    #[napi]
    pub fn create_view(&self, width: u32, height: u32, mode: u32) -> u32 {
        let id = self.next_view.fetch_add(1, Ordering::Relaxed);
        let view = View::new(Arc::downgrade(&self.environment), tile(width, height, mode));
        self.environment.views.lock().insert(id, Arc::new(view));
        id
    }

    /// Sets the size, 0 when hidden, and the mode of a view.
    #[napi]
    pub fn set_view_tile(&self, view: u32, width: u32, height: u32, mode: u32) {
        if let Some(view) = self.environment.view(view) {
            view.set_tile(tile(width, height, mode));
        }
        // Without an engine no layer needs to be requested.
        let _ = self.run(Engine::views_changed);
    }

    /// Gives a view `slots`, three `Uint8ClampedArray`s of `width * height * 4` bytes. They must never be transferred, and
    /// are read only inside `wake`.
    #[napi]
    pub fn set_view_ring(&self, env: Env, view: u32, width: u32, height: u32, slots: Vec<Unknown>) -> Result<()> {
        let Some(target) = self.environment.view(view) else { return Ok(()) };
        let memory = ring_memory(&env, &slots)?;
        // SAFETY: three different arrays that JS created for this ring alone; the references keep them until the ring
        // is closed, and JS reads a slot only inside `wake`, where it is taken.
        let Some(ring) = (unsafe { FrameRing::new(width, height, memory.slots) }) else {
            memory.references.release(&env);
            return Err(Error::new(Status::InvalidArg, "the buffers do not fit the size"));
        };
        target.set_ring(ring);
        if let Some(former) = self.memory.lock().insert(view, memory.references) {
            former.release(&env);
        }
        Ok(())
    }

    /// Closes a view. No memory of its ring is written after this.
    #[napi]
    pub fn close_view(&self, env: Env, view: u32) {
        if let Some(view) = self.environment.views.lock().remove(&view) {
            view.close();
        }
        if let Some(memory) = self.memory.lock().remove(&view) {
            memory.release(&env);
        }
    }

    /// Whether the engine does not draw on a view.
    #[napi]
    pub fn is_view_released(&self, view: u32) -> bool {
        self.environment.view(view).is_none_or(|view| view.leases.is_empty())
    }

    /// Statistics of a view as JSON text, `null` for a closed one.
    #[napi]
    pub fn view_stats(&self, view: u32) -> String {
        let stats = self.environment.view(view).map(|view| view.stats());
        serde_json::to_string(&stats).unwrap_or_else(|_| "null".to_owned())
    }
}

fn tile(width: u32, height: u32, mode: u32) -> Tile {
    Tile { width, height, mode: ViewMode::from_number(mode) }
}
