//! What sender reports say about the sources of one downlink (RFC 3550, section 6.4.1): from them a client plays audio and
//! video of one sender in sync.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rtp::clock::{NtpTime, timestamp_at};
use rtp::rtcp::sender_reports::SourceReport;

/// Counters of a source.
#[derive(Clone, Copy, Debug)]
pub struct SentTotals {
    /// The source.
    pub ssrc: u32,
    /// RTP timestamp of the last packet.
    pub timestamp: u32,
    /// When the last packet was captured.
    pub captured_at: Instant,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// Packets since the beginning; wraps.
    pub packets: u32,
    /// Bytes of payload since the beginning; wraps.
    pub octets: u32,
}

impl SentTotals {
    /// The report of `now`, under a canonical name.
    pub fn report<'a>(&self, now: Instant, cname: &'a str) -> SourceReport<'a> {
        SourceReport {
            ssrc: self.ssrc,
            rtp_time: timestamp_at(now, self.timestamp, self.captured_at, self.clock_rate),
            packets: self.packets,
            octets: self.octets,
            cname,
        }
    }
}

/// Converts the server's monotonic time into NTP time.
#[derive(Clone, Copy, Debug)]
pub struct NtpClock {
    zero: Instant,
    ntp_at_zero: NtpTime,
}

impl NtpClock {
    /// A clock that shows the system's time as it is now.
    pub fn new(now: Instant) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { zero: now, ntp_at_zero: NtpTime::from_unix(since) }
    }

    /// The NTP time of `now`.
    pub fn at(&self, now: Instant) -> NtpTime {
        self.ntp_at_zero + now.saturating_duration_since(self.zero)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_report_says_which_timestamp_stands_for_now() {
        let now = Instant::now() + Duration::from_secs(1);
        let totals = |captured_at| SentTotals {
            ssrc: 7,
            timestamp: 1000,
            captured_at,
            clock_rate: 48_000,
            packets: 3,
            octets: 300,
        };
        assert_eq!(totals(now - Duration::from_secs(1)).report(now, "name").rtp_time, 49_000);
        assert_eq!(totals(now + Duration::from_millis(10)).report(now, "name").rtp_time, 520);
        let clock = NtpClock::new(now);
        assert_eq!(clock.at(now + Duration::from_millis(1500)), clock.at(now) + Duration::from_millis(1500));
    }
}
