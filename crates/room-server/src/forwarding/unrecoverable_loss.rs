//! Detects packets of a publisher that will not arrive any more.
//!
//! Lost packets are requested again by str0m, which gives up after some attempts or when the stream has moved on too far. A
//! receiver would only notice by a decoder that waits, which takes seconds, so the server requests a key frame as soon as a
//! packet is given up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// str0m requests only the last packets again, this many.
const WINDOW_PACKETS: u64 = 100;
/// After this time a packet would arrive too late to be shown.
const GIVE_UP_AFTER: Duration = Duration::from_millis(600);
/// A jump of the sequence number beyond this is a stream that starts over, not a loss.
const RESTART_JUMP: u64 = 1000;

/// The gaps of one stream.
#[derive(Debug, Default)]
pub struct UnrecoverableLossDetector {
    ssrc: u32,
    highest: Option<u64>,
    missing: BTreeMap<u64, Instant>,
}

impl UnrecoverableLossDetector {
    /// Notes a packet. True when packets were given up since the last call, so a key frame is needed.
    pub fn packet(&mut self, ssrc: u32, sequence: u64, now: Instant) -> bool {
        let restarted = self.ssrc != ssrc;
        let Some(highest) = self.highest.filter(|_| !restarted) else {
            *self = Self { ssrc, highest: Some(sequence), missing: BTreeMap::new() };
            return false;
        };
        if sequence <= highest {
            self.missing.remove(&sequence);
            return false;
        }
        self.highest = Some(sequence);
        if sequence - highest > RESTART_JUMP {
            self.missing.clear();
            return true;
        }
        self.missing.extend((highest + 1..sequence).map(|lost| (lost, now)));
        self.give_up(sequence.saturating_sub(WINDOW_PACKETS), now)
    }

    fn give_up(&mut self, oldest: u64, now: Instant) -> bool {
        let before = self.missing.len();
        while let Some(entry) = self.missing.first_entry() {
            if *entry.key() >= oldest && now.saturating_duration_since(*entry.get()) < GIVE_UP_AFTER {
                break;
            }
            entry.remove();
        }
        self.missing.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(watch: &mut UnrecoverableLossDetector, sequences: impl IntoIterator<Item = u64>, now: Instant) -> bool {
        sequences.into_iter().fold(false, |given_up, sequence| given_up | watch.packet(7, sequence, now))
    }

    #[test]
    fn a_packet_that_comes_again_in_time_needs_no_key_frame() {
        let (mut watch, now) = (UnrecoverableLossDetector::default(), Instant::now());
        assert!(!feed(&mut watch, [1, 2, 4, 5, 3], now));
        assert!(!feed(&mut watch, 6..200, now + GIVE_UP_AFTER));
    }

    #[test]
    fn a_packet_that_the_stream_left_behind_needs_one_key_frame() {
        let (mut watch, now) = (UnrecoverableLossDetector::default(), Instant::now());
        assert!(!feed(&mut watch, [1, 3], now));
        assert!(feed(&mut watch, 4..104, now));
        assert!(!feed(&mut watch, 104..300, now));
    }

    #[test]
    fn a_packet_that_is_late_on_a_slow_stream_needs_a_key_frame() {
        let (mut watch, now) = (UnrecoverableLossDetector::default(), Instant::now());
        assert!(!feed(&mut watch, [1, 3], now));
        assert!(feed(&mut watch, [4], now + GIVE_UP_AFTER));
    }

    #[test]
    fn a_new_source_has_no_holes() {
        let (mut watch, now) = (UnrecoverableLossDetector::default(), Instant::now());
        feed(&mut watch, [1, 3], now);
        assert!(!watch.packet(8, 5000, now + GIVE_UP_AFTER));
        assert!(!watch.packet(8, 5001, now + GIVE_UP_AFTER));
    }
}
