//! Recycles frame buffers: a fresh megabyte per frame costs more in page faults than the codec's copy.

use std::sync::Arc;

use parking_lot::Mutex;

use super::frame::I420;

/// Buffers kept for reuse; a preview, an encoder and a queue between them hold fewer.
const MAX_IDLE: usize = 8;

/// Provides frames and takes their buffers back when the last owner drops them. Clones share the buffers.
#[derive(Clone, Debug, Default)]
pub struct FramePool {
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl FramePool {
    /// An empty pool; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A frame of this size in pixels (sides are clamped to 1..=8192) with undefined content.
    pub fn take(&self, width: u32, height: u32) -> I420 {
        I420::with_buffer(width, height, self.clone(), |len| {
            let mut idle = self.idle.lock();
            let index = idle.iter().position(|buffer| buffer.len() == len)?;
            Some(idle.swap_remove(index))
        })
    }

    /// Keeps the buffer; the oldest makes room, so buffers of sizes no longer asked for fade out.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        let evicted = {
            let mut idle = self.idle.lock();
            let evicted = (idle.len() >= MAX_IDLE).then(|| idle.remove(0));
            idle.push(buffer);
            evicted
        };
        drop(evicted); // outside the lock: giving memory back to the system takes a while
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_buffer_is_used_again_after_the_last_clone_is_gone() {
        let pool = FramePool::new();
        let frame = pool.take(64, 64).freeze(Instant::now());
        let address = frame.y().as_ptr();
        let clone = frame.clone();
        drop(frame);
        let other = pool.take(64, 64);
        assert_ne!(other.planes()[0].as_ptr(), address);
        drop(clone);
        assert_eq!(pool.take(64, 64).planes()[0].as_ptr(), address);
    }

    #[test]
    fn a_pool_never_keeps_more_than_its_share() {
        let pool = FramePool::new();
        let pictures: Vec<_> = (0..3 * MAX_IDLE).map(|_| pool.take(16, 16)).collect();
        drop(pictures);
        assert_eq!(pool.idle.lock().len(), MAX_IDLE);
    }
}
