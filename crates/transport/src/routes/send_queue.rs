//! Bounded queue in front of a byte stream: a sans-IO core, with a lock and a wake-up around it.
//!
//! A stream loses nothing, so on a path that is too slow the delay would grow to seconds. This queue therefore drops what
//! has no room, as a router does: congestion control reacts to the loss.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Bytes that may wait.
const MAX_BYTES: usize = 128 * 1024;
/// When the oldest datagram has waited this long, further ones are dropped.
const MAX_WAIT: Duration = Duration::from_millis(120);
/// Up to this size the queue accepts datagrams whatever their wait, for the first packets of a key frame on a slow path.
const MIN_BYTES: usize = 8 * 1024;

/// A datagram and its destination, which matters on a relay with several peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) peer: SocketAddr,
    pub(super) datagram: Bytes,
}

#[derive(Debug, Default)]
struct Core {
    waiting: VecDeque<(Instant, Outgoing)>,
    bytes: usize,
    is_closed: bool,
}

impl Core {
    /// Adds a datagram; false if it was dropped.
    fn push(&mut self, now: Instant, outgoing: Outgoing) -> bool {
        let length = outgoing.datagram.len();
        let is_late = self.waiting.front().is_some_and(|(since, _)| now.duration_since(*since) > MAX_WAIT);
        if self.is_closed || self.bytes + length > MAX_BYTES || (is_late && self.bytes + length > MIN_BYTES) {
            return false;
        }
        self.bytes += length;
        self.waiting.push_back((now, outgoing));
        true
    }

    fn take(&mut self, bytes: usize) -> Vec<Outgoing> {
        let (mut taken, mut total) = (Vec::new(), 0);
        while total < bytes
            && let Some((_, outgoing)) = self.waiting.pop_front()
        {
            total += outgoing.datagram.len();
            taken.push(outgoing);
        }
        self.bytes -= total;
        taken
    }
}

/// Queue of outgoing datagrams. Any task may push; one task takes.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    core: Mutex<Core>,
    /// Wakes the task that takes.
    changed: Notify,
    /// Wakes all tasks that wait for the queue to close.
    ended: Notify,
}

impl SendQueue {
    /// Adds a datagram, or drops it.
    pub(super) fn push(&self, peer: SocketAddr, datagram: Bytes) {
        if self.core.lock().push(Instant::now(), Outgoing { peer, datagram }) {
            self.changed.notify_one();
        }
    }

    /// Waits for datagrams and takes up to about `bytes` of them. `None` once the queue is closed.
    pub(super) async fn take(&self, bytes: usize) -> Option<Vec<Outgoing>> {
        loop {
            {
                let mut core = self.core.lock();
                if core.is_closed {
                    return None;
                }
                let taken = core.take(bytes);
                if !taken.is_empty() {
                    return Some(taken);
                }
            }
            self.changed.notified().await;
        }
    }

    /// Closes the queue; its task ends.
    pub(super) fn close(&self) {
        let mut core = self.core.lock();
        core.is_closed = true;
        core.take(usize::MAX);
        drop(core);
        self.changed.notify_one();
        self.ended.notify_waiters();
    }

    /// Whether the queue is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.core.lock().is_closed
    }

    /// Waits until the queue is closed.
    pub(super) async fn closed(&self) {
        let ended = self.ended.notified();
        tokio::pin!(ended);
        // From here on a close is not missed.
        ended.as_mut().enable();
        if !self.is_closed() {
            ended.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(length: usize) -> Outgoing {
        Outgoing { peer: SocketAddr::new([192, 0, 2, 1].into(), 9), datagram: vec![0; length].into() }
    }

    #[test]
    fn a_burst_fits_and_the_excess_is_dropped() {
        let (mut core, now) = (Core::default(), Instant::now());
        let taken = (0..200).filter(|_| core.push(now, outgoing(1200))).count();
        assert_eq!(taken, MAX_BYTES / 1200);
        assert_eq!(core.take(usize::MAX).len(), taken);
        assert!(core.push(now, outgoing(1200)), "room again");
    }

    #[test]
    fn a_queue_that_does_not_drain_drops_new_datagrams() {
        let (mut core, now) = (Core::default(), Instant::now());
        (0..20).for_each(|_| assert!(core.push(now, outgoing(1200))));
        assert!(core.push(now + MAX_WAIT, outgoing(1200)));
        let late = now + MAX_WAIT + Duration::from_millis(1);
        assert!(!core.push(late, outgoing(1200)));
        core.take(20 * 1200);
        assert!(core.push(late, outgoing(1200)), "the oldest is recent again");
    }

    #[test]
    fn a_few_packets_may_wait_however_slow_the_path_is() {
        let (mut core, now) = (Core::default(), Instant::now());
        assert!(core.push(now, outgoing(1200)));
        assert!(core.push(now + Duration::from_secs(1), outgoing(1200)));
    }

    #[tokio::test]
    async fn waiting_for_the_close_steals_no_wake_up() {
        let queue = SendQueue::default();
        let taking = async {
            tokio::select! {
                biased;
                () = queue.closed() => panic!("not closed yet"),
                taken = queue.take(100) => taken,
            }
        };
        let pushing = async { queue.push(outgoing(1).peer, outgoing(1).datagram) };
        let (taken, ()) = tokio::join!(taking, pushing);
        assert_eq!(taken.map(|taken| taken.len()), Some(1));
        let ((), ()) = tokio::join!(queue.closed(), async { queue.close() });
        queue.closed().await;
    }

    #[tokio::test]
    async fn a_close_ends_the_task_that_takes() {
        let queue = SendQueue::default();
        queue.push(outgoing(1).peer, outgoing(1).datagram);
        assert_eq!(queue.take(100).await.map(|taken| taken.len()), Some(1));
        let ((), none) = tokio::join!(async { queue.close() }, queue.take(100));
        assert_eq!(none, None);
        queue.push(outgoing(1).peer, outgoing(1).datagram);
        assert_eq!(queue.take(100).await, None);
    }
}
