//! Bounded queue from the network to a consumer that may stall.

use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// Result of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// The item was queued.
    Done,
    /// The queue was full: the oldest item was dropped, the new one queued.
    DroppedOldest,
    /// The queue is closed.
    Closed,
}

/// A queue with one consumer; the producer never waits.
#[derive(Debug)]
pub(crate) struct MediaQueue<T> {
    state: Mutex<State<T>>,
    arrived: Notify,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> MediaQueue<T> {
    /// Creates a queue for this number of items.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { state: Mutex::new(State { items: VecDeque::new(), closed: false }), arrived: Notify::new(), capacity }
    }

    /// Adds an item; if the queue is full, the oldest one is dropped.
    pub(crate) fn push(&self, item: T) -> Push {
        let mut state = self.state.lock();
        if state.closed {
            return Push::Closed;
        }
        let full = state.items.len() >= self.capacity;
        if full {
            state.items.pop_front();
        }
        state.items.push_back(item);
        drop(state);
        self.arrived.notify_one();
        if full { Push::DroppedOldest } else { Push::Done }
    }

    /// Drops all items.
    pub(crate) fn clear(&self) {
        self.state.lock().items.clear();
    }

    /// Drops all items but the newest.
    pub(crate) fn keep_newest(&self) {
        let mut state = self.state.lock();
        let keep = state.items.len().saturating_sub(1);
        state.items.drain(..keep);
    }

    /// Number of queued items.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Closes the queue; queued items can still be received.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_one();
    }

    /// The next item, or `None` once the queue is closed and empty. Cancel safe.
    pub(crate) async fn recv(&self) -> Option<T> {
        loop {
            {
                let mut state = self.state.lock();
                if let Some(item) = state.items.pop_front() {
                    return Some(item);
                }
                if state.closed {
                    return None;
                }
            }
            // One consumer only, so the permit that `notify_one` stores cannot be missed.
            self.arrived.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stalled_consumer_loses_the_oldest_items_only() {
        let queue = MediaQueue::new(2);
        assert_eq!(queue.push(1), Push::Done);
        assert_eq!(queue.push(2), Push::Done);
        assert_eq!(queue.push(3), Push::DroppedOldest);
        queue.close();
        assert_eq!(queue.push(4), Push::Closed);
        assert_eq!(queue.recv().await, Some(2));
        assert_eq!(queue.recv().await, Some(3));
        assert_eq!(queue.recv().await, None);
    }
}
