//! Numbering of the packets that one subscriber gets of one track.
//!
//! The subscriber has to see one continuous stream whatever happens upstream: packets that are not forwarded (padding),
//! pauses, a publisher that starts over with a new SSRC, another simulcast layer. So every packet gets a new sequence
//! number and, after a change of source, a new timestamp.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Sequence number of the first packet: far enough from 0 for packets that overtook it, far enough from 65 536 for
/// the rollover counter of SRTP, which starts at 0 on both ends.
const FIRST_SEQUENCE: u64 = 2048;
/// How many packets that were not forwarded are remembered, for packets that arrive late from between them.
const MAX_SKIPPED: usize = 256;

/// Rewrites sequence numbers and timestamps.
#[derive(Debug)]
pub struct DownTrack {
    clock_rate: u32,
    source: Option<Source>,
    last: Option<Last>,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    /// First sequence number that was forwarded of this source, as received and as sent.
    first_in: u64,
    first_out: u64,
    /// Added to timestamps.
    timestamp_offset: u32,
    /// Received sequence numbers that were left out, rising.
    skipped: VecDeque<u64>,
    skipped_before: u64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    sequence: u64,
    timestamp: u32,
    at: Instant,
}

/// The numbers of a forwarded packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Extended sequence number.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
}

impl DownTrack {
    /// A track whose timestamps count `clock_rate` per second.
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate, source: None, last: None }
    }

    /// Notes a packet that is deliberately not forwarded, so that it leaves no gap.
    pub fn skip(&mut self, ssrc: u32, sequence: u64) {
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc == ssrc && sequence > source.first_in)
        else {
            return;
        };
        // Its successors may have been forwarded already; then the gap stays.
        if self.last.is_some_and(|last| source.out(sequence) <= last.sequence) {
            return;
        }
        let place = source.skipped.partition_point(|skipped| *skipped < sequence);
        if source.skipped.get(place) == Some(&sequence) {
            return;
        }
        source.skipped.insert(place, sequence);
        if source.skipped.len() > MAX_SKIPPED {
            source.skipped.pop_front();
            source.skipped_before += 1;
        }
    }

    /// Forgets the source: the next packet follows the last one that was sent.
    pub fn pause(&mut self) {
        self.source = None;
    }

    /// Numbers a packet, or `None` when it is too old to have a place.
    pub fn forward(&mut self, ssrc: u32, sequence: u64, timestamp: u32, now: Instant) -> Option<Numbers> {
        if self.source.as_ref().is_none_or(|source| source.ssrc != ssrc) {
            self.source = Some(self.begin(ssrc, sequence, timestamp, now));
        }
        let source = self.source.as_ref()?;
        if source.is_skipped(sequence) {
            return None;
        }
        let numbers = Numbers {
            sequence: source.checked_out(sequence)?,
            timestamp: timestamp.wrapping_add(source.timestamp_offset),
        };
        if self.last.is_none_or(|last| numbers.sequence > last.sequence) {
            self.last = Some(Last { sequence: numbers.sequence, timestamp: numbers.timestamp, at: now });
        }
        Some(numbers)
    }

    fn begin(&self, ssrc: u32, sequence: u64, timestamp: u32, now: Instant) -> Source {
        let (first_out, timestamp_offset) = match self.last {
            None => (FIRST_SEQUENCE, 0),
            Some(last) => {
                let passed = now.saturating_duration_since(last.at).max(Duration::from_millis(1));
                // One day fits; a longer pause only makes the jump shorter than the time that passed.
                let ticks = u32::try_from(passed.as_micros() * u128::from(self.clock_rate) / 1_000_000);
                let next = last.timestamp.wrapping_add(ticks.unwrap_or(u32::MAX / 4).max(1));
                (last.sequence + 1, next.wrapping_sub(timestamp))
            }
        };
        Source { ssrc, first_in: sequence, first_out, timestamp_offset, skipped: VecDeque::new(), skipped_before: 0 }
    }
}

impl Source {
    fn skipped_up_to(&self, sequence: u64) -> u64 {
        self.skipped_before + self.skipped.partition_point(|skipped| *skipped < sequence) as u64
    }

    fn is_skipped(&self, sequence: u64) -> bool {
        self.skipped.binary_search(&sequence).is_ok()
    }

    fn out(&self, sequence: u64) -> u64 {
        (self.first_out + sequence.saturating_sub(self.first_in)).saturating_sub(self.skipped_up_to(sequence))
    }

    /// `None` for a packet from before the source's first one that would reuse a number.
    fn checked_out(&self, sequence: u64) -> Option<u64> {
        if sequence >= self.first_in {
            return Some(self.out(sequence));
        }
        let before = self.first_in - sequence;
        (self.first_out == FIRST_SEQUENCE && before < FIRST_SEQUENCE).then(|| self.first_out - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track() -> (DownTrack, Instant) {
        (DownTrack::new(90_000), Instant::now())
    }

    fn sequences(track: &mut DownTrack, ssrc: u32, input: &[u64], now: Instant) -> Vec<Option<u64>> {
        input.iter().map(|s| track.forward(ssrc, *s, 0, now).map(|n| n.sequence)).collect()
    }

    #[test]
    fn a_stream_keeps_its_order_and_its_holes() {
        let (mut track, now) = track();
        let out = sequences(&mut track, 1, &[70_000, 70_001, 70_003, 70_002], now);
        assert_eq!(out, [2048, 2049, 2051, 2050].map(Some));
    }

    #[test]
    fn padding_that_is_skipped_opens_no_hole() {
        let (mut track, now) = track();
        sequences(&mut track, 1, &[10, 11], now);
        track.skip(1, 12);
        track.skip(1, 13);
        assert_eq!(sequences(&mut track, 1, &[14, 15], now), [2050, 2051].map(Some));
    }

    #[test]
    fn a_packet_that_was_skipped_is_not_forwarded_later() {
        let (mut track, now) = track();
        sequences(&mut track, 1, &[10], now);
        track.skip(1, 12);
        assert_eq!(sequences(&mut track, 1, &[11, 13, 12], now), [Some(2049), Some(2050), None]);
    }

    #[test]
    fn a_late_packet_finds_its_place_between_packets_that_were_skipped() {
        let (mut track, now) = track();
        sequences(&mut track, 1, &[10], now);
        track.skip(1, 11);
        track.skip(1, 13);
        assert_eq!(sequences(&mut track, 1, &[14, 12], now), [2050, 2049].map(Some));
    }

    #[test]
    fn many_packets_skipped_are_still_counted() {
        let (mut track, now) = track();
        sequences(&mut track, 1, &[10], now);
        for sequence in 11..2011 {
            track.skip(1, sequence);
        }
        assert_eq!(sequences(&mut track, 1, &[2011], now), [Some(2049)]);
    }

    #[test]
    fn a_new_source_follows_the_old_one_in_number_and_time() {
        let (mut track, now) = track();
        track.forward(1, 500, 9_000, now);
        let later = now + Duration::from_millis(100);
        let numbers = track.forward(2, 7, 123, later).unwrap();
        assert_eq!(numbers, Numbers { sequence: 2049, timestamp: 18_000 });
        assert_eq!(track.forward(2, 8, 123 + 3000, later).unwrap().timestamp, 21_000);
    }

    #[test]
    fn after_a_pause_the_numbers_go_on() {
        let (mut track, now) = track();
        sequences(&mut track, 1, &[10, 11], now);
        track.pause();
        assert_eq!(sequences(&mut track, 1, &[500, 499], now), [Some(2050), None]);
    }

    #[test]
    fn packets_that_the_first_one_overtook_come_before_it() {
        let (mut track, now) = track();
        assert_eq!(sequences(&mut track, 1, &[3000, 2999, 900], now), [Some(2048), Some(2047), None]);
    }
}
