//! Sender reports (RFC 3550, section 6.4.1): by them a client plays sound and picture of one sender together.
//!
//! They are sent in one packet for all sources, in front of it a receiver report of a source that sends nothing. SRTCP
//! counts its packets by the first source in them, and clients drop what they take for a repetition. What the library
//! below sends about received media has another source there.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rtp::clock::{self, NtpTime};

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const CNAME: u8 = 1;
/// Longest name that is sent, in bytes.
const NAME_MAX: usize = 64;

/// What was sent of a source.
#[derive(Clone, Copy, Debug)]
pub struct SentTotals {
    /// The source.
    pub ssrc: u32,
    /// Timestamp of the last packet, and the time that it stands for.
    pub timestamp: u32,
    /// See `timestamp`.
    pub wallclock: Instant,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// Packets and bytes of payload since the beginning; they wrap.
    pub packets: u32,
    /// See `packets`.
    pub octets: u32,
}

/// Converts between the clocks.
#[derive(Clone, Copy, Debug)]
pub struct NtpClock {
    zero: Instant,
    /// The moment `zero`.
    ntp: NtpTime,
}

impl NtpClock {
    /// A clock that tells the time of the system as it is now.
    pub fn new(now: Instant) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { zero: now, ntp: NtpTime::from_unix(since) }
    }

    fn at(&self, now: Instant) -> u64 {
        (self.ntp + now.saturating_duration_since(self.zero)).to_bits()
    }
}

impl SentTotals {
    /// The timestamp that stands for `now`.
    fn timestamp_at(&self, now: Instant) -> u32 {
        clock::timestamp_at(now, self.timestamp, self.wallclock, self.clock_rate)
    }
}

/// The packet, not encrypted. `reporter` is the source that sends nothing; each of the others has its name (RFC 3550,
/// section 6.5.1).
pub fn write(now: Instant, clock: &NtpClock, reporter: u32, sources: &[(SentTotals, &str)]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(64 + sources.len() * 64);
    packet.extend_from_slice(&[0x80, RECEIVER_REPORT, 0, 1]);
    packet.extend_from_slice(&reporter.to_be_bytes());
    for (sent, _) in sources {
        packet.extend_from_slice(&[0x80, SENDER_REPORT, 0, 6]);
        packet.extend_from_slice(&sent.ssrc.to_be_bytes());
        packet.extend_from_slice(&clock.at(now).to_be_bytes());
        for number in [sent.timestamp_at(now), sent.packets, sent.octets] {
            packet.extend_from_slice(&number.to_be_bytes());
        }
    }
    for (sent, name) in sources {
        let name = name.as_bytes().get(..NAME_MAX).unwrap_or(name.as_bytes());
        // An item ends with at least one zero, and with a whole word.
        let words = 1 + (2 + name.len() + 1).div_ceil(4);
        let end = packet.len() + 4 + words * 4;
        packet.extend_from_slice(&[0x81, DESCRIPTION, 0, words as u8]);
        packet.extend_from_slice(&sent.ssrc.to_be_bytes());
        packet.extend_from_slice(&[CNAME, name.len() as u8]);
        packet.extend_from_slice(name);
        packet.resize(end, 0);
    }
    packet
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::forwarding::downlink::feedback;

    fn totals(now: Instant) -> SentTotals {
        SentTotals { ssrc: 7, timestamp: 1000, wallclock: now, clock_rate: 48_000, packets: 3, octets: 300 }
    }

    fn word(packet: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(packet[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn a_report_says_which_timestamp_stands_for_now() {
        let began = Instant::now();
        let clock = NtpClock::new(began);
        let later = began + Duration::from_millis(1500);
        let packet = write(later, &clock, 1, &[(totals(began + Duration::from_millis(500)), "name")]);
        assert_eq!(packet[8..12], [0x80, SENDER_REPORT, 0, 6]);
        assert_eq!([word(&packet, 4), word(&packet, 12)], [1, 7]);
        assert_eq!([word(&packet, 24), word(&packet, 28), word(&packet, 32)], [49_000, 3, 300]);
        let ntp = |packet: &[u8]| (u64::from(word(packet, 16)) << 32) | u64::from(word(packet, 20));
        let earlier = write(began, &clock, 1, &[(totals(began), "name")]);
        assert_eq!(ntp(&packet) - ntp(&earlier), 3 << 31);
        assert_eq!(packet[36..], [0x81, DESCRIPTION, 0, 3, 0, 0, 0, 7, CNAME, 4, b'n', b'a', b'm', b'e', 0, 0]);
    }

    #[test]
    fn a_picture_that_is_captured_in_the_future_has_its_place_too() {
        let now = Instant::now();
        let packet = write(now, &NtpClock::new(now), 1, &[(totals(now + Duration::from_millis(10)), "")]);
        assert_eq!(word(&packet, 24), 1000 - 480);
    }

    #[test]
    fn several_sources_fit_one_well_formed_packet() {
        let now = Instant::now();
        let name = "a".repeat(80);
        let packet = write(now, &NtpClock::new(now), 1, &[(totals(now), &name), (totals(now), "b")]);
        assert_eq!(packet.len() % 4, 0);
        assert!(feedback::read(&packet).is_empty());
        let mut rest = &packet[..];
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            kinds.push(rest[1]);
            rest = &rest[4 + 4 * usize::from(rest[3])..];
        }
        assert_eq!(kinds, [RECEIVER_REPORT, SENDER_REPORT, SENDER_REPORT, DESCRIPTION, DESCRIPTION]);
    }
}
