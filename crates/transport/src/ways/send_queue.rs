//! What waits to be written to a byte stream. The core takes time as an argument; around it a lock and a wake-up.
//!
//! A stream loses nothing, so a way that is too narrow would show itself only in seconds of delay. This queue therefore
//! loses what has no room, as a router's would: congestion control sees it and sends less.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Never more bytes than this wait.
const BYTES_MAX: usize = 128 * 1024;
/// Once the oldest has waited for so long, nothing is added,
const WAIT_MAX: Duration = Duration::from_millis(120);
/// unless there is less than this: a key frame's first packets on a narrow way.
const BYTES_MIN: usize = 8 * 1024;

/// A datagram and, where the way serves several, the address that it is for.
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
    /// False: there is no room, the datagram is lost.
    fn push(&mut self, now: Instant, outgoing: Outgoing) -> bool {
        let length = outgoing.datagram.len();
        let is_late = self.waiting.front().is_some_and(|(since, _)| now.duration_since(*since) > WAIT_MAX);
        if self.is_closed || self.bytes + length > BYTES_MAX || (is_late && self.bytes + length > BYTES_MIN) {
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

/// See the module. Any task may push, one takes.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    core: Mutex<Core>,
    /// For the one that takes,
    changed: Notify,
    /// and for all that wait for the end.
    ended: Notify,
}

impl SendQueue {
    /// Adds a datagram, or loses it.
    pub(super) fn push(&self, peer: SocketAddr, datagram: Bytes) {
        if self.core.lock().push(Instant::now(), Outgoing { peer, datagram }) {
            self.changed.notify_one();
        }
    }

    /// Waits for datagrams and takes them, up to about so many bytes. `None` once the queue is closed.
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

    /// Nothing is taken any more; whoever serves this queue ends.
    pub(super) fn close(&self) {
        let mut core = self.core.lock();
        core.is_closed = true;
        core.take(usize::MAX);
        drop(core);
        self.changed.notify_one();
        self.ended.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.core.lock().is_closed
    }

    /// Waits for the end.
    pub(super) async fn closed(&self) {
        let ended = self.ended.notified();
        tokio::pin!(ended);
        // From here on no end is missed.
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
    fn a_burst_finds_room_and_what_is_too_much_is_lost() {
        let (mut core, now) = (Core::default(), Instant::now());
        let taken = (0..200).filter(|_| core.push(now, outgoing(1200))).count();
        assert_eq!(taken, BYTES_MAX / 1200);
        assert_eq!(core.take(usize::MAX).len(), taken);
        assert!(core.push(now, outgoing(1200)), "there is room again");
    }

    #[test]
    fn what_waits_for_too_long_lets_nothing_more_in() {
        let (mut core, now) = (Core::default(), Instant::now());
        (0..20).for_each(|_| assert!(core.push(now, outgoing(1200))));
        assert!(core.push(now + WAIT_MAX, outgoing(1200)));
        let late = now + WAIT_MAX + Duration::from_millis(1);
        assert!(!core.push(late, outgoing(1200)));
        core.take(20 * 1200);
        assert!(core.push(late, outgoing(1200)), "the oldest is young again");
    }

    #[test]
    fn a_few_packets_may_wait_however_narrow_the_way_is() {
        let (mut core, now) = (Core::default(), Instant::now());
        assert!(core.push(now, outgoing(1200)));
        assert!(core.push(now + Duration::from_secs(1), outgoing(1200)));
    }

    #[tokio::test]
    async fn whoever_waits_for_the_end_takes_no_wake_up_from_the_one_that_takes() {
        let queue = SendQueue::default();
        let taking = async {
            tokio::select! {
                biased;
                () = queue.closed() => panic!("it is not the end"),
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
    async fn whoever_takes_hears_of_the_end() {
        let queue = SendQueue::default();
        queue.push(outgoing(1).peer, outgoing(1).datagram);
        assert_eq!(queue.take(100).await.map(|taken| taken.len()), Some(1));
        let ((), none) = tokio::join!(async { queue.close() }, queue.take(100));
        assert_eq!(none, None);
        queue.push(outgoing(1).peer, outgoing(1).datagram);
        assert_eq!(queue.take(100).await, None);
    }
}
