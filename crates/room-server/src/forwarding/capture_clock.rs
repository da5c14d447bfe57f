//! When packets were captured, in our own time, by the sender reports of their publisher. Sans-IO.
//!
//! A client's clock may show anything, so only differences count: the fastest packet is taken to have had no delay on the
//! uplink, for audio and video alike, so frames that were captured together stay together.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A packet that seems slower than the fastest by more than this was not: the client's clock was set.
const MAX_UPLINK_MICROS: i64 = 10_000_000;

/// A client's sender report for one stream: an RTP timestamp and the moment of the client's clock that it stands for.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport {
    /// By the client's clock.
    pub at: SystemTime,
    /// RTP timestamp, lower 32 bits.
    pub rtp_time: u32,
    /// RTP clock in hertz.
    pub clock_rate: u32,
}

/// Capture times of one client's packets.
#[derive(Debug, Default)]
pub struct CaptureClock {
    epoch: Option<Instant>,
    /// Our time minus the client's, for the packet with the fastest uplink, in microseconds.
    fastest: Option<i64>,
}

impl CaptureClock {
    /// When the packet with this RTP timestamp was captured, never later than it was `received`.
    pub fn captured_at(&mut self, received: Instant, timestamp: u32, report: &SenderReport) -> Instant {
        let Ok(since_epoch) = report.at.duration_since(UNIX_EPOCH) else { return received };
        let Ok(reported) = i64::try_from(since_epoch.as_micros()) else { return received };
        let sent = reported + rtp::clock::micros_between(report.rtp_time, timestamp, report.clock_rate);
        let epoch = *self.epoch.get_or_insert(received);
        let arrived = received.saturating_duration_since(epoch).as_micros() as i64;
        let uplink = arrived - sent;
        let is_plausible = |fastest: &i64| uplink - fastest < MAX_UPLINK_MICROS;
        let fastest = self.fastest.filter(is_plausible).map_or(uplink, |known| known.min(uplink));
        self.fastest = Some(fastest);
        received.checked_sub(Duration::from_micros((uplink - fastest).unsigned_abs())).unwrap_or(received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn report(at_ms: u64, rtp_time: u32, clock_rate: u32) -> SenderReport {
        SenderReport { at: UNIX_EPOCH + ms(at_ms), rtp_time, clock_rate }
    }

    #[test]
    fn frames_captured_together_stay_together() {
        let (mut times, start) = (CaptureClock::default(), Instant::now() + ms(1000));
        let (audio, video) = (report(5_000_000, u32::MAX - 47, 48_000), report(5_000_000, 9_000, 90_000));
        // Both were captured at the moment of the report; audio is sent 25 ms later, video 6 ms.
        times.captured_at(start, 9_000 - 90 * 40, &video);
        let video_time = times.captured_at(start + ms(46), 9_000, &video);
        let audio_time = times.captured_at(start + ms(65), u32::MAX - 47, &audio);
        assert_eq!(video_time, audio_time);
        assert_eq!(video_time, start + ms(40));
        // One millisecond of audio later, beyond the wrap.
        assert_eq!(times.captured_at(start + ms(66), 0, &audio), start + ms(41));
    }

    #[test]
    fn nothing_is_captured_after_its_arrival() {
        let (mut times, start) = (CaptureClock::default(), Instant::now() + ms(1000));
        let audio = report(5_000_000, 0, 48_000);
        assert_eq!(times.captured_at(start, 0, &audio), start);
        assert_eq!(times.captured_at(start, 48_000, &audio), start);
        assert_eq!(times.captured_at(start, 0, &audio), start - ms(1000));
    }

    #[test]
    fn a_clock_that_was_set_starts_over() {
        let (mut times, start) = (CaptureClock::default(), Instant::now() + ms(1000));
        times.captured_at(start, 0, &report(5_000_000, 0, 48_000));
        assert_eq!(times.captured_at(start, 0, &report(1_000_000, 0, 48_000)), start);
    }
}
