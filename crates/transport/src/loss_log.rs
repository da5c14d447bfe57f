//! Losses in the receiver's transport-wide feedback, so that packets are retransmitted before a NACK asks for them.
//!
//! A receiver sends its NACK at once and repeats it after a round trip; a server between may not know that time and take a
//! long one. The sender knows it, and the feedback covers each retransmission as well. A packet that overtook others is
//! reported lost and is retransmitted in vain, which is rare and costs a packet. Sans-IO.

use std::collections::VecDeque;

/// Upper bound of packets that are remembered: older ones are not retransmitted any more.
const MAX_PACKETS: usize = 2048;

/// The packets whose outcome is still unknown. `K` identifies a packet for its retransmission.
#[derive(Debug)]
pub struct LossLog<K> {
    /// By transport-wide number, without gaps; `None` is reported, or not worth retransmitting.
    sent: VecDeque<Option<K>>,
    newest: u16,
}

impl<K> Default for LossLog<K> {
    fn default() -> Self {
        Self { sent: VecDeque::new(), newest: 0 }
    }
}

impl<K> LossLog<K> {
    /// Adds a packet with its transport-wide number, which goes up by one; `None` if it is not to be retransmitted.
    pub fn on_sent(&mut self, number: u16, key: Option<K>) {
        if number != self.newest.wrapping_add(1) {
            self.sent.clear();
        }
        if self.sent.len() == MAX_PACKETS {
            self.sent.pop_front();
        }
        self.newest = number;
        self.sent.push_back(key);
    }

    /// Takes the numbers in a feedback message, each with whether it arrived; returns the lost packets, each once.
    pub fn on_feedback(&mut self, reported: impl IntoIterator<Item = (u16, bool)>) -> Vec<K> {
        let mut lost = Vec::new();
        for (number, arrived) in reported {
            let behind = usize::from(self.newest.wrapping_sub(number));
            let Some(index) = self.sent.len().checked_sub(behind + 1) else { continue };
            let key = self.sent.get_mut(index).and_then(Option::take);
            lost.extend(key.filter(|_| !arrived));
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(numbers: impl IntoIterator<Item = u16>) -> LossLog<u16> {
        let mut log = LossLog::default();
        numbers.into_iter().for_each(|number| log.on_sent(number, Some(number)));
        log
    }

    #[test]
    fn losses_are_reported_once_across_the_wrap() {
        let mut log = log([65_534, 65_535, 0, 1]);
        assert_eq!(log.on_feedback([(65_534, true), (65_535, false), (0, false), (1, true)]), [65_535, 0]);
        assert!(log.on_feedback([(65_535, false), (0, false)]).is_empty());
    }

    #[test]
    fn a_packet_that_arrived_is_not_lost_later() {
        let mut log = log(0..10);
        assert!(log.on_feedback([(3, true)]).is_empty());
        assert!(log.on_feedback([(3, false)]).is_empty());
    }

    #[test]
    fn packets_that_are_not_retransmitted_are_skipped() {
        let mut log = log(0..10);
        log.on_sent(10, None);
        assert!(log.on_feedback([(10, false)]).is_empty());
    }

    #[test]
    fn numbers_that_were_never_sent_or_long_ago_are_ignored() {
        assert!(LossLog::<u16>::default().on_feedback([(7, false)]).is_empty());
        let mut log = log(0..5000);
        assert!(log.on_feedback([(5000, false), (40_000, false), (2951, false)]).is_empty());
        assert_eq!(log.on_feedback([(2952, false)]), [2952]);
    }
}
