//! Packets sent twice, where a path loses packets for reasons of its own and carries much more than is sent.
//!
//! A repair takes a round trip, and of a picture in ten packets at 5 % loss four in ten wait for one. A second copy a little
//! later arrives without that. It is the plainest forward error correction (as in RFC
//! 2198, for pictures), and any receiver of retransmissions (RFC 4588) takes it. Sans-IO: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long after the packet its copy leaves.
const LATER: Duration = Duration::from_millis(12);
/// Most copies waiting: what is older is not worth it.
const MOST_WAITING: usize = 256;

/// See the module. `K` names a packet to the resender.
#[derive(Debug)]
pub struct Doubling<K> {
    waiting: VecDeque<(Instant, K)>,
}

impl<K> Default for Doubling<K> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

impl<K> Doubling<K> {
    /// A packet left that is to be sent twice.
    pub fn on_sent(&mut self, now: Instant, key: K) {
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((now + LATER, key));
    }

    /// The next packet whose copy is due.
    pub fn poll(&mut self, now: Instant) -> Option<K> {
        self.waiting.front().filter(|(due, _)| *due <= now)?;
        self.waiting.pop_front().map(|(_, key)| key)
    }

    /// When [`poll`](Self::poll) has something next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_a_little_later() {
        let (mut doubling, now) = (Doubling::default(), Instant::now());
        doubling.on_sent(now, 1);
        doubling.on_sent(now + LATER / 2, 2);
        assert_eq!(doubling.next_timeout(), Some(now + LATER));
        assert_eq!(doubling.poll(now + LATER - Duration::from_millis(1)), None);
        assert_eq!((doubling.poll(now + LATER), doubling.poll(now + LATER)), (Some(1), None));
        assert_eq!(doubling.poll(now + 2 * LATER), Some(2));
    }

    #[test]
    fn little_waits() {
        let (mut doubling, now) = (Doubling::default(), Instant::now());
        (0..1000).for_each(|number| doubling.on_sent(now, number));
        assert_eq!(doubling.poll(now + LATER), Some(744));
    }
}
