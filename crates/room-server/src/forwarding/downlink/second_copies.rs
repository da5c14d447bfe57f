//! Second copies of packets, where the way loses packets for reasons of its own and carries much more than is sent.
//!
//! A repair takes a round trip; a copy a little later, under a number of its own (RFC 4588), arrives without that. The
//! client's transport does the same on the way to the server. Sans-IO: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::forwarding::core::LineId;

/// How long after the packet its copy leaves.
const LATER: Duration = Duration::from_millis(12);
/// Most copies waiting: what is older is not worth it.
const MOST_WAITING: usize = 256;

/// See the module's description.
#[derive(Debug, Default)]
pub struct SecondCopies {
    waiting: VecDeque<(Instant, LineId, u16)>,
}

impl SecondCopies {
    /// A packet left that is to be sent twice.
    pub fn on_sent(&mut self, now: Instant, line: LineId, sequence: u16) {
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((now + LATER, line, sequence));
    }

    /// The next packet whose copy is due.
    pub fn poll(&mut self, now: Instant) -> Option<(LineId, u16)> {
        self.waiting.front().filter(|(due, ..)| *due <= now)?;
        self.waiting.pop_front().map(|(_, line, sequence)| (line, sequence))
    }

    /// When [`SecondCopies::poll`] has something next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, ..)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_a_little_later_and_little_waits() {
        let (mut copies, now, line) = (SecondCopies::default(), Instant::now(), LineId::new("a").unwrap());
        (0..300).for_each(|sequence| copies.on_sent(now, line, sequence));
        assert_eq!(copies.next_timeout(), Some(now + LATER));
        assert_eq!(copies.poll(now + LATER - Duration::from_millis(1)), None);
        assert_eq!(copies.poll(now + LATER), Some((line, 44)));
    }
}
