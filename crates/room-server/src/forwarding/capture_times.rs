//! When packets were captured, by the reports of the client that sent them, in our own time. Sans-IO.
//!
//! A client's clock may say anything; only differences count. So the fastest way that any of its packets had through
//! the network is taken as none, for sound and pictures alike, and what belongs together stays together.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A way slower than the fastest by more than this is no way: the client's clock was set.
const MAX_WAY_MICROS: i64 = 10_000_000;

/// A client's sender report for one stream: RTP time at a moment of its clock.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport {
    /// By the client's clock.
    pub at: SystemTime,
    /// Lower 32 bits.
    pub rtp_time: u32,
    /// Hertz.
    pub clock_rate: u32,
}

/// One client's capture times.
#[derive(Debug, Default)]
pub struct CaptureTimes {
    epoch: Option<Instant>,
    /// Our time minus the client's, for the packet with the fastest way, in microseconds.
    fastest: Option<i64>,
}

impl CaptureTimes {
    /// When the packet with this RTP timestamp was captured, never later than it was `received`.
    pub fn captured_at(&mut self, received: Instant, timestamp: u32, report: &SenderReport) -> Instant {
        let Ok(since_epoch) = report.at.duration_since(UNIX_EPOCH) else { return received };
        let Ok(reported) = i64::try_from(since_epoch.as_micros()) else { return received };
        let ticks = i64::from(timestamp.wrapping_sub(report.rtp_time) as i32);
        let sent = reported + ticks * 1_000_000 / i64::from(report.clock_rate.max(1));
        let epoch = *self.epoch.get_or_insert(received);
        let arrived = received.saturating_duration_since(epoch).as_micros() as i64;
        let way = arrived - sent;
        let fastest = self.fastest.filter(|fastest| way - fastest < MAX_WAY_MICROS).map_or(way, |known| known.min(way));
        self.fastest = Some(fastest);
        received.checked_sub(Duration::from_micros((way - fastest).unsigned_abs())).unwrap_or(received)
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
    fn what_was_captured_together_stays_together_however_it_came() {
        let (mut times, start) = (CaptureTimes::default(), Instant::now() + ms(1000));
        let (audio, video) = (report(5_000_000, u32::MAX - 47, 48_000), report(5_000_000, 9_000, 90_000));
        // Both were captured at the moment of the report; the sound is sent 25 ms later, the picture 6 ms.
        times.captured_at(start, 9_000 - 90 * 40, &video);
        let picture = times.captured_at(start + ms(46), 9_000, &video);
        let sound = times.captured_at(start + ms(65), u32::MAX - 47, &audio);
        assert_eq!(picture, sound);
        assert_eq!(picture, start + ms(40));
        // One millisecond of sound further, beyond the wrap.
        assert_eq!(times.captured_at(start + ms(66), 0, &audio), start + ms(41));
    }

    #[test]
    fn nothing_was_captured_after_it_came() {
        let (mut times, start) = (CaptureTimes::default(), Instant::now() + ms(1000));
        let audio = report(5_000_000, 0, 48_000);
        assert_eq!(times.captured_at(start, 0, &audio), start);
        assert_eq!(times.captured_at(start, 48_000, &audio), start);
        assert_eq!(times.captured_at(start, 0, &audio), start - ms(1000));
    }

    #[test]
    fn a_clock_that_was_set_begins_anew() {
        let (mut times, start) = (CaptureTimes::default(), Instant::now() + ms(1000));
        times.captured_at(start, 0, &report(5_000_000, 0, 48_000));
        assert_eq!(times.captured_at(start, 0, &report(1_000_000, 0, 48_000)), start);
    }
}
