//! Sent packets that await transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use super::PacketResult;
use rtp::DataSize;
use rtp::rtcp::arrivals::PacketStatus;
use std::collections::VecDeque;
use std::time::Instant;

/// Packets that are remembered: several seconds' worth.
const MAX_PACKETS: usize = 8192;

#[derive(Clone, Copy, Debug)]
struct SentPacket {
    departure: Instant,
    size: DataSize,
}

/// Numbers sent packets and matches the receiver's feedback with them.
#[derive(Debug, Default)]
pub struct SentHistory {
    /// Sequence number of the first entry of `packets`, which has one entry for each number.
    first: u64,
    packets: VecDeque<Option<SentPacket>>,
}

impl SentHistory {
    /// Adds a sent packet and returns the transport-wide sequence number that it has to carry.
    pub fn on_sent(&mut self, now: Instant, size: DataSize) -> u16 {
        if self.packets.len() == MAX_PACKETS {
            self.packets.pop_front();
            self.first += 1;
        }
        let number = self.first + self.packets.len() as u64;
        self.packets.push_back(Some(SentPacket { departure: now, size }));
        // The lower 16 bits travel.
        number as u16
    }

    /// Reads one feedback message and returns the packets that it reports for the first time, in the order of departure.
    ///
    /// A packet that no message mentions gives no result: its feedback was lost, not the packet.
    pub fn on_feedback(&mut self, statuses: impl IntoIterator<Item = PacketStatus>) -> Vec<PacketResult> {
        let mut results = Vec::new();
        for PacketStatus { sequence, arrival } in statuses {
            let Some(index) = self.index(sequence) else { continue };
            let Some(sent) = self.packets.get_mut(index).and_then(Option::take) else { continue };
            results.push(PacketResult { departure: sent.departure, arrival, size: sent.size });
        }
        results.sort_by_key(|result| result.departure);
        while let Some(None) = self.packets.front() {
            self.packets.pop_front();
            self.first += 1;
        }
        results
    }

    fn index(&mut self, sequence: u16) -> Option<usize> {
        let newest = (self.first + self.packets.len() as u64).checked_sub(1)?;
        // The distance to the newest number, which is less than half the number space.
        let behind = (newest as u16).wrapping_sub(sequence);
        let number = newest.checked_sub(u64::from(behind))?;
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn received(sequence: u16, at: u64) -> PacketStatus {
        PacketStatus { sequence, arrival: Some(ms(at)) }
    }

    /// Sends `count` packets, one a millisecond.
    fn history(count: u64, began: Instant) -> SentHistory {
        let mut history = SentHistory::default();
        for at in 0..count {
            assert_eq!(history.on_sent(began + ms(at), DataSize::bytes(100)), at as u16);
        }
        history
    }

    #[test]
    fn each_packet_is_reported_once() {
        let began = Instant::now();
        let mut history = history(3, began);
        let feedback = [received(0, 50), PacketStatus { sequence: 1, arrival: None }];
        let results = history.on_feedback(feedback);
        let reported: Vec<_> = results.iter().map(|result| (result.departure - began, result.arrival)).collect();
        assert_eq!(reported, [(ms(0), Some(ms(50))), (ms(1), None)]);
        assert!(history.on_feedback(feedback).is_empty());
    }

    #[test]
    fn packets_of_lost_feedback_do_not_count_as_lost() {
        let began = Instant::now();
        let mut history = history(10, began);
        let results = history.on_feedback([received(8, 50), received(9, 51)]);
        assert_eq!(results.len(), 2);
        assert_eq!(history.on_feedback([received(3, 60)]).len(), 1, "late feedback still counts");
    }

    #[test]
    fn numbers_wrap() {
        let began = Instant::now();
        let mut history = history(70_000, began);
        let results = history.on_feedback([received(69_999u64 as u16, 50)]);
        assert_eq!(results[0].departure, began + ms(69_999));
    }

    #[test]
    fn numbers_that_were_never_sent_are_ignored() {
        assert!(SentHistory::default().on_feedback([received(5, 1)]).is_empty());
        let mut history = history(3, Instant::now());
        assert!(history.on_feedback([received(3, 1), received(40_000, 1), received(60_000, 1)]).is_empty());
    }
}
