//! Three RGBA slots in memory that V8 owns: a Rust thread converts a frame straight into one of them, the JS thread
//! draws from another, and neither waits for the other.
//!
//! ```text
//! FREE -> WRITING -> READY -> READING -> FREE        writer: FREE, else the oldest READY (latest frame wins)
//!                      \--------------> FREE         reader: the newest READY, older ones are given back
//! ```
//! At worst one slot is READING, one READY and one WRITING, so a writer always finds a slot.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Slots of a ring.
pub const SLOTS: usize = 3;
/// Bytes of a pixel.
pub const BYTES_PER_PIXEL: usize = 4;

const FREE: u8 = 0;
const WRITING: u8 = 1;
const READY: u8 = 2;
const READING: u8 = 3;

/// Address and length of one slot's memory.
#[derive(Clone, Copy)]
pub struct SlotMemory {
    /// First byte.
    pub address: *mut u8,
    /// Bytes.
    pub length: usize,
}

// SAFETY: the address is only dereferenced by `FrameRing`, whose state machine admits one thread at a time.
unsafe impl Send for SlotMemory {}
// SAFETY: as above.
unsafe impl Sync for SlotMemory {}

struct Slot {
    memory: SlotMemory,
    state: AtomicU8,
    sequence: AtomicU64,
    /// Nanoseconds since the ring was made.
    ready_at: AtomicU64,
}

impl Slot {
    fn shift(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// Outcome of writing a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The frame is ready to be drawn.
    Ready {
        /// Whether a frame that had not been drawn was overwritten.
        replaced: bool,
    },
    /// The ring is closed, and its memory must not be used any more.
    Closed,
    /// The caller's conversion failed, or every slot is busy.
    Failed,
}

/// A frame that the JS thread draws; return it with [`FrameRing::give_back`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Index of the slot, 0 to 2.
    pub slot: usize,
    /// Time since the frame became ready.
    pub waited: Duration,
    /// Older frames that were skipped.
    pub skipped: u64,
}

/// A ring of three slots between one writer at a time and the JS thread.
pub struct FrameRing {
    width: u32,
    height: u32,
    slots: [Slot; SLOTS],
    born: Instant,
    /// The next frame's number while the ring is open. Locked while a slot is written, so that closing the ring waits for
    /// the conversion in progress and none starts afterwards.
    gate: Mutex<Option<u64>>,
}

impl FrameRing {
    /// Creates a ring over three buffers of `width` x `height` RGBA pixels, or `None` if one has another size.
    ///
    /// # Safety
    /// Each buffer is valid for reads and writes of its length until [`FrameRing::close`] has returned, no two overlap,
    /// and nothing else writes to them. They are read only between [`FrameRing::take`] and [`FrameRing::give_back`].
    pub unsafe fn new(width: u32, height: u32, memory: [SlotMemory; SLOTS]) -> Option<Self> {
        let bytes = (width as usize).checked_mul(height as usize)?.checked_mul(BYTES_PER_PIXEL)?;
        if bytes == 0 || memory.iter().any(|slot| slot.address.is_null() || slot.length != bytes) {
            return None;
        }
        let slots = memory.map(|memory| Slot {
            memory,
            state: AtomicU8::new(FREE),
            sequence: AtomicU64::new(0),
            ready_at: AtomicU64::new(0),
        });
        Some(Self { width, height, slots, born: Instant::now(), gate: Mutex::new(Some(0)) })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Writes one frame with `fill`. Any thread; blocks only while another thread writes to the same ring.
    pub fn write(&self, fill: impl FnOnce(&mut [u8]) -> bool) -> Written {
        let mut gate = self.gate.lock();
        let Some(sequence) = *gate else { return Written::Closed };
        let Some((slot, replaced)) = self.claim() else { return Written::Failed };
        let SlotMemory { address, length } = slot.memory;
        // SAFETY: the gate is open, so the memory is valid for `length` bytes (contract of `new`), and the slot is
        // WRITING, so neither the reader nor another writer touches it.
        let pixels = unsafe { std::slice::from_raw_parts_mut(address, length) };
        if !fill(pixels) {
            slot.state.store(FREE, Ordering::Release);
            return Written::Failed;
        }
        *gate = Some(sequence + 1);
        slot.sequence.store(sequence, Ordering::Relaxed);
        slot.ready_at.store(self.nanoseconds(), Ordering::Relaxed);
        slot.state.store(READY, Ordering::Release);
        Written::Ready { replaced }
    }

    /// Whether a frame is ready to be drawn.
    pub fn is_waiting(&self) -> bool {
        self.slots.iter().any(|slot| slot.state.load(Ordering::Acquire) == READY)
    }

    /// Takes the newest ready frame. JS thread only.
    pub fn take(&self) -> Option<Taken> {
        let waiting = || self.slots.iter().enumerate().filter(|(_, slot)| slot.state.load(Ordering::Acquire) == READY);
        let (index, newest) = waiting().max_by_key(|(_, slot)| slot.sequence.load(Ordering::Relaxed))?;
        if !newest.shift(READY, READING) {
            return None;
        }
        let sequence = newest.sequence.load(Ordering::Relaxed);
        let older = waiting().filter(|(_, slot)| slot.sequence.load(Ordering::Relaxed) < sequence);
        let skipped = older.filter(|(_, slot)| slot.shift(READY, FREE)).count() as u64;
        let waited = self.nanoseconds().saturating_sub(newest.ready_at.load(Ordering::Relaxed));
        Some(Taken { slot: index, waited: Duration::from_nanos(waited), skipped })
    }

    /// Returns a taken slot after drawing. JS thread only.
    pub fn give_back(&self, slot: usize) {
        if let Some(slot) = self.slots.get(slot) {
            slot.shift(READING, FREE);
        }
    }

    /// Closes the ring: no thread writes after this. Waits for at most one conversion.
    pub fn close(&self) {
        *self.gate.lock() = None;
    }

    fn claim(&self) -> Option<(&Slot, bool)> {
        if let Some(slot) = self.slots.iter().find(|slot| slot.shift(FREE, WRITING)) {
            return Some((slot, false));
        }
        // The reader may take a ready slot between the search and the claim; then there is another one.
        for _ in 0..SLOTS {
            let waiting = self.slots.iter().filter(|slot| slot.state.load(Ordering::Relaxed) == READY);
            let oldest = waiting.min_by_key(|slot| slot.sequence.load(Ordering::Relaxed))?;
            if oldest.shift(READY, WRITING) {
                return Some((oldest, true));
            }
        }
        None
    }

    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(memory: &mut [Vec<u8>; SLOTS]) -> FrameRing {
        let slots = memory.each_mut().map(|slot| SlotMemory { address: slot.as_mut_ptr(), length: slot.len() });
        // SAFETY: the vectors outlive the ring in every test, and are read only while a slot is taken.
        unsafe { FrameRing::new(2, 2, slots) }.unwrap()
    }

    fn memory() -> [Vec<u8>; SLOTS] {
        [vec![0; 16], vec![0; 16], vec![0; 16]]
    }

    fn fill(value: u8) -> impl FnOnce(&mut [u8]) -> bool {
        move |pixels| {
            pixels.fill(value);
            true
        }
    }

    #[test]
    fn a_written_frame_is_drawn_once() {
        let mut memory = memory();
        let ring = ring(&mut memory);
        assert_eq!(ring.write(fill(7)), Written::Ready { replaced: false });
        let taken = ring.take().unwrap();
        ring.give_back(taken.slot);
        assert_eq!(ring.take(), None);
        assert_eq!(memory[taken.slot], vec![7; 16]);
    }

    #[test]
    fn the_newest_ready_frame_is_drawn() {
        let mut memory = memory();
        let ring = ring(&mut memory);
        for value in 1..=3 {
            ring.write(fill(value));
        }
        let taken = ring.take().unwrap();
        assert_eq!(taken.skipped, 2);
        ring.give_back(taken.slot);
        assert_eq!(memory[taken.slot], vec![3; 16]);
    }

    #[test]
    fn a_writer_never_touches_a_slot_being_drawn() {
        let mut memory = memory();
        let ring = ring(&mut memory);
        ring.write(fill(1));
        let taken = ring.take().unwrap();
        assert_eq!(ring.write(fill(2)), Written::Ready { replaced: false });
        assert_eq!(ring.write(fill(3)), Written::Ready { replaced: false });
        assert_eq!(ring.write(fill(4)), Written::Ready { replaced: true });
        ring.close();
        assert_eq!(memory[taken.slot], vec![1; 16]);
    }

    #[test]
    fn a_closed_ring_writes_nothing() {
        let mut memory = memory();
        let ring = ring(&mut memory);
        ring.close();
        assert_eq!(ring.write(fill(9)), Written::Closed);
        assert!(memory.iter().all(|slot| slot.iter().all(|byte| *byte == 0)));
    }

    #[test]
    fn a_failed_conversion_shows_nothing() {
        let mut memory = memory();
        let ring = ring(&mut memory);
        assert_eq!(ring.write(|_| false), Written::Failed);
        assert_eq!(ring.take(), None);
    }

    #[test]
    fn buffers_of_another_size_are_refused() {
        let mut small = [vec![0; 16], vec![0; 12], vec![0; 16]];
        let slots = small.each_mut().map(|slot| SlotMemory { address: slot.as_mut_ptr(), length: slot.len() });
        // SAFETY: nothing is written, the ring is refused.
        assert!(unsafe { FrameRing::new(2, 2, slots) }.is_none());
    }

    #[test]
    fn no_frame_is_torn_by_concurrent_writing_and_drawing() {
        let mut memory = memory();
        let addresses = memory.each_ref().map(|slot| slot.as_ptr() as usize);
        let ring = ring(&mut memory);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for value in 0..20_000_u32 {
                    ring.write(fill((value % 251) as u8));
                }
            });
            while !writer.is_finished() {
                let Some(taken) = ring.take() else { continue };
                // SAFETY: the slot is READING, so no thread writes to it, and the vector is alive.
                let pixels = unsafe { std::slice::from_raw_parts(addresses[taken.slot] as *const u8, 16) };
                assert!(pixels.iter().all(|byte| *byte == pixels[0]), "torn: {pixels:?}");
                ring.give_back(taken.slot);
            }
        });
    }
}
