//! Lost packets that transport-wide feedback does not mention.
//!
//! Some receivers (`str0m` is one) begin each message with a packet that arrived: losses right before it are in no message.
//! Messages are counted, so where none is missing, the packets between two of them were lost
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1). If many are lost in a long silence, the path was down
//! in it. Sans-IO.

use std::time::{Duration, Instant};

/// A longer gap is a jump of the numbers, not a loss.
const MAX_GAP: u16 = 500;
/// Minimum silence of an outage.
const OUTAGE: Duration = Duration::from_millis(400);
/// Minimum number of packets lost in it.
const OUTAGE_PACKETS: u16 = 20;

/// Compares consecutive feedback messages.
#[derive(Debug, Default)]
pub(crate) struct FeedbackGaps {
    /// Number of the last message, and of the first packet after it.
    last: Option<(u8, u16)>,
    /// When it arrived.
    last_at: Option<Instant>,
}

impl FeedbackGaps {
    /// Takes a message by its number, its first packet and the number of packets in it; returns how many were lost before it.
    pub(crate) fn lost_before(&mut self, message: u8, first: u16, packets: u16) -> u16 {
        let before = self.last.replace((message, first.wrapping_add(packets)));
        let Some((last, next)) = before else { return 0 };
        if message != last.wrapping_add(1) {
            return 0;
        }
        let gap = first.wrapping_sub(next);
        if gap <= MAX_GAP { gap } else { 0 }
    }

    /// Takes the arrival of a message before which `lost` packets were lost; returns whether it ends an outage.
    pub(crate) fn ends_outage(&mut self, now: Instant, lost: u16) -> bool {
        let before = self.last_at.replace(now);
        lost >= OUTAGE_PACKETS && before.is_some_and(|before| now.saturating_duration_since(before) >= OUTAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_two_messages_was_lost() {
        let mut gaps = FeedbackGaps::default();
        assert_eq!(gaps.lost_before(7, 100, 10), 0, "nothing is known of before");
        assert_eq!(gaps.lost_before(8, 110, 10), 0);
        assert_eq!(gaps.lost_before(9, 123, 1), 3);
    }

    #[test]
    fn a_long_silence_in_which_much_was_lost_is_an_outage() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut gaps = FeedbackGaps::default();
        assert!(!gaps.ends_outage(start, 100), "nothing is known of before");
        assert!(!gaps.ends_outage(start + ms(1000), 3), "little was sent, or little of it lost");
        assert!(!gaps.ends_outage(start + ms(1300), 100), "it was not long");
        assert!(gaps.ends_outage(start + ms(1700), 100));
    }

    #[test]
    fn numbers_wrap() {
        let mut gaps = FeedbackGaps::default();
        gaps.lost_before(255, 65_530, 4);
        assert_eq!(gaps.lost_before(0, 2, 1), 4);
    }

    #[test]
    fn a_message_that_is_missing_or_late_tells_nothing() {
        let mut gaps = FeedbackGaps::default();
        gaps.lost_before(1, 100, 10);
        assert_eq!(gaps.lost_before(3, 130, 10), 0, "message 2 may have told");
        assert_eq!(gaps.lost_before(2, 110, 10), 0);
    }

    #[test]
    fn overlapping_messages_and_jumps_are_no_losses() {
        let mut gaps = FeedbackGaps::default();
        gaps.lost_before(1, 100, 10);
        assert_eq!(gaps.lost_before(2, 105, 10), 0);
        assert_eq!(gaps.lost_before(3, 30_000, 10), 0);
    }
}
