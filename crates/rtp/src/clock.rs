//! RTP time and the clock of the sender, tied together by sender reports (RFC 3550, section 6.4.1).
//!
//! Each stream counts from a random start; the reports relate all streams of a sender to one clock.

use std::time::{Duration, Instant};

/// Seconds from the beginning of 1900 to that of 1970.
const NTP_TO_UNIX_SECS: u64 = 2_208_988_800;

/// A moment of a sender's clock: seconds since 1900, in 32.32 fixed point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NtpTime(u64);

impl NtpTime {
    /// A moment as it stands in a report.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The moment this long after the Unix epoch.
    #[must_use]
    pub fn from_unix(since_epoch: Duration) -> Self {
        Self(NTP_TO_UNIX_SECS << 32) + since_epoch
    }

    /// The moment as it stands in a report.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Time since the beginning of 1900.
    #[must_use]
    pub fn since_1900(self) -> Duration {
        let fraction = (self.0 & 0xffff_ffff) as f64 / 4_294_967_296.0;
        Duration::from_secs(self.0 >> 32) + Duration::from_secs_f64(fraction)
    }
}

/// The clock wraps in 2036, by design.
impl std::ops::Add<Duration> for NtpTime {
    type Output = Self;
    fn add(self, time: Duration) -> Self {
        let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
        Self(self.0.wrapping_add((time.as_secs() << 32) | fraction))
    }
}

/// Microseconds from one RTP timestamp to another, negative if the second one is earlier, for a clock of `clock_rate` hertz.
#[must_use]
pub fn micros_between(from: u32, to: u32, clock_rate: u32) -> i64 {
    i64::from(to.wrapping_sub(from).cast_signed()) * 1_000_000 / i64::from(clock_rate.max(1))
}

/// The RTP timestamp of `now`, if `timestamp` is that of `at`, for a clock of `clock_rate` hertz. The RTP clock wraps by
/// design.
#[must_use]
pub fn timestamp_at(now: Instant, timestamp: u32, at: Instant, clock_rate: u32) -> u32 {
    let ticks = |time: Duration| (time.as_micros() * u128::from(clock_rate) / 1_000_000) as u32;
    match now.checked_duration_since(at) {
        Some(passed) => timestamp.wrapping_add(ticks(passed)),
        None => timestamp.wrapping_sub(ticks(at.saturating_duration_since(now))),
    }
}

/// The sender's clock as the reports of one received stream tell it.
#[derive(Debug)]
pub struct SenderClock {
    clock_rate: u32,
    /// Sender's time since 1900, and the RTP timestamp of that moment.
    report: Option<(Duration, u32)>,
}

impl SenderClock {
    /// The clock of a stream whose RTP timestamps count `clock_rate` hertz.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate: clock_rate.max(1), report: None }
    }

    /// Takes a report. Reports that leave one of the two times out (zero) are ignored.
    pub fn on_report(&mut self, ntp_time: NtpTime, rtp_time: u32) {
        if ntp_time != NtpTime::default() && rtp_time != 0 {
            self.report = Some((ntp_time.since_1900(), rtp_time));
        }
    }

    /// When the sender captured the frame with this RTP timestamp, by the sender's clock; `None` before the first report.
    #[must_use]
    pub fn captured_at(&self, rtp_time: u32) -> Option<Duration> {
        let (ntp, reported) = self.report?;
        let passed = f64::from(rtp_time.wrapping_sub(reported).cast_signed()) / f64::from(self.clock_rate);
        let distance = Duration::from_secs_f64(passed.abs());
        if passed < 0.0 { ntp.checked_sub(distance) } else { ntp.checked_add(distance) }
    }
}

/// The capture time of a sent stream, from which its reports are made.
#[derive(Debug)]
pub struct CaptureClock {
    clock_rate: u32,
    captured: Option<(u32, Instant)>,
}

impl CaptureClock {
    /// The clock of a stream whose RTP timestamps count `clock_rate` hertz.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate: clock_rate.max(1), captured: None }
    }

    /// Notes that the frame with this RTP timestamp was captured `at`.
    pub fn on_captured(&mut self, rtp_time: u32, at: Instant) {
        self.captured = Some((rtp_time, at));
    }

    /// RTP timestamp of a frame captured `now`; `None` before the first frame.
    #[must_use]
    pub fn rtp_time(&self, now: Instant) -> Option<u32> {
        let (rtp_time, at) = self.captured?;
        Some(timestamp_at(now, rtp_time, at, self.clock_rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_streams_of_a_sender_meet_on_its_clock() {
        let (mut video, mut audio) = (SenderClock::new(90_000), SenderClock::new(48_000));
        assert_eq!(video.captured_at(5), None);
        video.on_report(NtpTime::from_bits(1000 << 32), u32::MAX - 8_999);
        audio.on_report(NtpTime::from_bits((1000 << 32) + (1 << 31)), 96_000);
        assert_eq!(video.captured_at(0), Some(Duration::from_millis(1_000_100)));
        assert_eq!(audio.captured_at(96_000 - 19_200), Some(Duration::from_millis(1_000_100)));
    }

    #[test]
    fn a_report_without_a_time_changes_nothing() {
        let mut clock = SenderClock::new(90_000);
        clock.on_report(NtpTime::from_bits(1000 << 32), 90_000);
        clock.on_report(NtpTime::from_bits(2000 << 32), 0);
        clock.on_report(NtpTime::default(), 7);
        assert_eq!(clock.captured_at(90_000), Some(Duration::from_secs(1000)));
    }

    #[test]
    fn reports_count_from_the_capture_not_from_the_sending() {
        let (mut clock, now) = (CaptureClock::new(90_000), Instant::now());
        assert_eq!(clock.rtp_time(now), None);
        clock.on_captured(u32::MAX, now);
        assert_eq!(clock.rtp_time(now + Duration::from_millis(500)), Some(44_999));
    }

    #[test]
    fn unix_time_becomes_ntp_time() {
        let time = NtpTime::from_unix(Duration::from_millis(1500));
        assert_eq!(time.to_bits(), (2_208_988_801 << 32) | (1 << 31));
        assert_eq!(time.since_1900(), Duration::from_millis(2_208_988_801_500));
    }

    #[test]
    fn distances_are_signed_and_cross_the_wrap() {
        assert_eq!(micros_between(u32::MAX - 47, 0, 48_000), 1000);
        assert_eq!(micros_between(0, u32::MAX - 89, 90_000), -1000);
        let now = Instant::now() + Duration::from_secs(1);
        assert_eq!(timestamp_at(now, 1000, now + Duration::from_millis(10), 48_000), 520);
    }
}
