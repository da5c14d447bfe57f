//! What the receiver's transport-wide feedback says is lost, so that it is repeated before anybody asks for it.
//!
//! A receiver asks once and again after what it takes for the round trip; a server between may not know that time and
//! take a long one. The sender knows it, and the feedback tells it the fate of each repetition as well. A packet that
//! overtook others is told as lost and is repeated for nothing, which is rare and costs a packet. Sans-IO.

use std::collections::VecDeque;

/// Most packets remembered: what is older is not repeated any more.
const MOST_PACKETS: usize = 2048;

/// See the module. `K` names a packet to the resender.
#[derive(Debug)]
pub struct LossLog<K> {
    /// By transport-wide number, without gaps; `None` is told about, or not worth repeating.
    sent: VecDeque<Option<K>>,
    newest: u16,
}

impl<K> Default for LossLog<K> {
    fn default() -> Self {
        Self { sent: VecDeque::new(), newest: 0 }
    }
}

impl<K> LossLog<K> {
    /// Enters a packet with its transport-wide number, which goes up by one; `None` if it is not to be repeated.
    pub fn on_sent(&mut self, number: u16, key: Option<K>) {
        if number != self.newest.wrapping_add(1) {
            self.sent.clear();
        }
        if self.sent.len() == MOST_PACKETS {
            self.sent.pop_front();
        }
        self.newest = number;
        self.sent.push_back(key);
    }

    /// Takes the numbers that a feedback message tells about, each with whether it arrived; gives what is lost, once.
    pub fn on_told(&mut self, told: impl IntoIterator<Item = (u16, bool)>) -> Vec<K> {
        let mut lost = Vec::new();
        for (number, arrived) in told {
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
    fn what_is_lost_is_reported_once_across_the_wrap() {
        let mut log = log([65_534, 65_535, 0, 1]);
        assert_eq!(log.on_told([(65_534, true), (65_535, false), (0, false), (1, true)]), [65_535, 0]);
        assert!(log.on_told([(65_535, false), (0, false)]).is_empty());
    }

    #[test]
    fn what_arrived_is_not_lost_afterwards() {
        let mut log = log(0..10);
        assert!(log.on_told([(3, true)]).is_empty());
        assert!(log.on_told([(3, false)]).is_empty());
    }

    #[test]
    fn what_nobody_would_miss_is_skipped() {
        let mut log = log(0..10);
        log.on_sent(10, None);
        assert!(log.on_told([(10, false)]).is_empty());
    }

    #[test]
    fn numbers_that_were_never_sent_or_long_ago_are_ignored() {
        assert!(LossLog::<u16>::default().on_told([(7, false)]).is_empty());
        let mut log = log(0..5000);
        assert!(log.on_told([(5000, false), (40_000, false), (2951, false)]).is_empty());
        assert_eq!(log.on_told([(2952, false)]), [2952]);
    }
}
