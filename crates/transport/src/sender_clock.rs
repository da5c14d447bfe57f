//! From RTP time to the sender's own clock and back, by the sender reports (RFC 3550 section 6.4.1).
//!
//! Each stream counts from a random start; the reports tie all streams of a sender to one clock.

use std::time::{Duration, Instant};

/// What one received stream's reports say.
#[derive(Debug)]
pub struct SenderClock {
    clock_rate: u32,
    /// Sender's time since 1900, and the RTP time of that moment.
    report: Option<(Duration, u32)>,
}

impl SenderClock {
    /// For a stream whose RTP timestamps count `clock_rate` hertz.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate: clock_rate.max(1), report: None }
    }

    /// Takes a report: NTP time (seconds since 1900 in 32.32 fixed point) and RTP time. Reports that do not know one
    /// of them are ignored.
    pub fn on_report(&mut self, ntp_time: u64, rtp_time: u32) {
        if ntp_time != 0 && rtp_time != 0 {
            let fraction = Duration::from_secs_f64((ntp_time & 0xffff_ffff) as f64 / 4_294_967_296.0);
            self.report = Some((Duration::from_secs(ntp_time >> 32) + fraction, rtp_time));
        }
    }

    /// When the sender captured what carries this RTP time, by the sender's clock; `None` before the first report.
    #[must_use]
    pub fn captured(&self, rtp_time: u32) -> Option<Duration> {
        let (ntp, reported) = self.report?;
        let passed = f64::from(rtp_time.wrapping_sub(reported) as i32) / f64::from(self.clock_rate);
        let distance = Duration::from_secs_f64(passed.abs());
        if passed < 0.0 { ntp.checked_sub(distance) } else { ntp.checked_add(distance) }
    }
}

/// What a sent stream's reports are made of.
#[derive(Debug)]
pub struct CaptureClock {
    clock_rate: u32,
    captured: Option<(u32, Instant)>,
}

impl CaptureClock {
    /// For a stream whose RTP timestamps count `clock_rate` hertz.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate: clock_rate.max(1), captured: None }
    }

    /// What carries this RTP time was captured `at`.
    pub fn on_captured(&mut self, rtp_time: u32, at: Instant) {
        self.captured = Some((rtp_time, at));
    }

    /// RTP time of what is captured `now`; `None` before anything was.
    #[must_use]
    pub fn rtp_time(&self, now: Instant) -> Option<u32> {
        let (rtp_time, at) = self.captured?;
        let passed = now.saturating_duration_since(at).as_secs_f64() * f64::from(self.clock_rate);
        // The RTP clock wraps by design.
        Some(rtp_time.wrapping_add(passed as u64 as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_streams_of_a_sender_meet_on_its_clock() {
        let (mut video, mut audio) = (SenderClock::new(90_000), SenderClock::new(48_000));
        assert_eq!(video.captured(5), None);
        video.on_report(1000 << 32, u32::MAX - 8_999);
        audio.on_report((1000 << 32) + (1 << 31), 96_000);
        assert_eq!(video.captured(0), Some(Duration::from_millis(1_000_100)));
        assert_eq!(audio.captured(96_000 - 19_200), Some(Duration::from_millis(1_000_100)));
    }

    #[test]
    fn a_report_that_knows_nothing_changes_nothing() {
        let mut clock = SenderClock::new(90_000);
        clock.on_report(1000 << 32, 90_000);
        clock.on_report(2000 << 32, 0);
        clock.on_report(0, 7);
        assert_eq!(clock.captured(90_000), Some(Duration::from_secs(1000)));
    }

    #[test]
    fn a_sent_report_counts_from_the_capture_and_not_from_the_sending() {
        let (mut clock, now) = (CaptureClock::new(90_000), Instant::now());
        assert_eq!(clock.rtp_time(now), None);
        clock.on_captured(u32::MAX, now);
        assert_eq!(clock.rtp_time(now + Duration::from_millis(500)), Some(44_999));
    }
}
