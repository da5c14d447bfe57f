//! What was sent, until the receiver's transport-wide feedback tells what became of it
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use super::PacketResult;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most packets remembered: several seconds' worth.
const MOST_PACKETS: usize = 8192;

/// What one feedback message says about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Transport-wide sequence number.
    pub sequence: u16,
    /// When it arrived, on the receiver's clock; `None` if it did not.
    pub arrival: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    departure: Instant,
    bytes: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct SentHistory {
    /// Sequence number of the first packet in `sent`; they are without gaps.
    first: u64,
    sent: VecDeque<Option<Sent>>,
}

impl SentHistory {
    /// Enters a packet; gives the transport-wide sequence number it has to carry.
    pub fn on_sent(&mut self, now: Instant, bytes: usize) -> u16 {
        if self.sent.len() == MOST_PACKETS {
            self.sent.pop_front();
            self.first += 1;
        }
        let number = self.first + self.sent.len() as u64;
        self.sent.push_back(Some(Sent { departure: now, bytes }));
        // The lower 16 bits are what travels.
        number as u16
    }

    /// Takes one feedback message; gives the packets whose fate it tells, in the order of departure.
    ///
    /// A packet that no message ever mentions is no result: its message got lost, not the packet.
    pub fn on_feedback(&mut self, acknowledgements: impl IntoIterator<Item = Acknowledgement>) -> Vec<PacketResult> {
        let mut results = Vec::new();
        for Acknowledgement { sequence, arrival } in acknowledgements {
            let Some(index) = self.index(sequence) else { continue };
            let Some(sent) = self.sent.get_mut(index).and_then(Option::take) else { continue };
            results.push(PacketResult { departure: sent.departure, arrival, bytes: sent.bytes });
        }
        results.sort_by_key(|result| result.departure);
        while let Some(None) = self.sent.front() {
            self.sent.pop_front();
            self.first += 1;
        }
        results
    }

    fn index(&mut self, sequence: u16) -> Option<usize> {
        let newest = (self.first + self.sent.len() as u64).checked_sub(1)?;
        // The distance to the newest one sent, which is less than half the number space.
        let behind = (newest as u16).wrapping_sub(sequence);
        let number = newest.checked_sub(u64::from(behind))?;
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn arrived(sequence: u16, at: u64) -> Acknowledgement {
        Acknowledgement { sequence, arrival: Some(ms(at)) }
    }

    /// Sends `count` packets, one a millisecond.
    fn history(count: u64, began: Instant) -> SentHistory {
        let mut history = SentHistory::default();
        for at in 0..count {
            assert_eq!(history.on_sent(began + ms(at), 100), at as u16);
        }
        history
    }

    #[test]
    fn a_report_tells_arrivals_and_losses_once() {
        let began = Instant::now();
        let mut history = history(3, began);
        let report = [arrived(0, 50), Acknowledgement { sequence: 1, arrival: None }];
        let results = history.on_feedback(report);
        let told: Vec<_> = results.iter().map(|result| (result.departure - began, result.arrival)).collect();
        assert_eq!(told, [(ms(0), Some(ms(50))), (ms(1), None)]);
        assert!(history.on_feedback(report).is_empty());
    }

    #[test]
    fn packets_of_a_lost_report_are_not_taken_for_lost() {
        let began = Instant::now();
        let mut history = history(10, began);
        let results = history.on_feedback([arrived(8, 50), arrived(9, 51)]);
        assert_eq!(results.len(), 2);
        assert_eq!(history.on_feedback([arrived(3, 60)]).len(), 1, "a late report still counts");
    }

    #[test]
    fn the_wrap_of_the_number_is_followed() {
        let began = Instant::now();
        let mut history = history(70_000, began);
        let results = history.on_feedback([arrived(69_999u64 as u16, 50)]);
        assert_eq!(results[0].departure, began + ms(69_999));
    }

    #[test]
    fn numbers_that_were_never_sent_are_ignored() {
        assert!(SentHistory::default().on_feedback([arrived(5, 1)]).is_empty());
        let mut history = history(3, Instant::now());
        assert!(history.on_feedback([arrived(3, 1), arrived(40_000, 1), arrived(60_000, 1)]).is_empty());
    }
}
