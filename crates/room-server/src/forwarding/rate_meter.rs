//! How much a stream carries, as a running average.

use std::time::{Duration, Instant};

/// Window of one measurement, long enough for a key frame not to look like a change.
const WINDOW: Duration = Duration::from_secs(1);
/// From this part of the first window on there is a rate.
const FIRST: Duration = Duration::from_millis(300);
/// A stream that was silent for longer starts over.
const SILENCE: Duration = Duration::from_secs(3);

/// Measures the bitrate of one stream.
#[derive(Debug, Default)]
pub struct RateMeter {
    since: Option<Instant>,
    bytes: u64,
    average: Option<u64>,
}

impl RateMeter {
    /// Notes a packet of this size in bytes.
    pub fn packet(&mut self, bytes: usize, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed >= SILENCE {
            *self = Self { since: Some(now), ..Self::default() };
        } else if passed >= WINDOW {
            let rate = rate_of(self.bytes, passed);
            self.average = Some(self.average.map_or(rate, |average| (average + rate) / 2));
            (self.since, self.bytes) = (Some(now), 0);
        }
        self.bytes += bytes as u64;
    }

    /// Bits per second; `None` while too little is known.
    pub fn bps(&self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.since?);
        self.average.or((passed >= FIRST).then(|| rate_of(self.bytes, passed)))
    }
}

fn rate_of(bytes: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(8_000) / millis
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 Mbit/s in packets of 1250 bytes, every 10 ms.
    fn feed(meter: &mut RateMeter, from: Instant, packets: u32) -> Instant {
        (0..packets).for_each(|n| meter.packet(1250, from + n * Duration::from_millis(10)));
        from + packets * Duration::from_millis(10)
    }

    #[test]
    fn a_steady_stream_has_its_rate() {
        let (mut meter, start) = (RateMeter::default(), Instant::now());
        assert_eq!(meter.bps(start), None);
        let now = feed(&mut meter, start, 20);
        assert_eq!(meter.bps(now), None);
        let now = feed(&mut meter, now, 480);
        let rate = meter.bps(now).unwrap();
        assert!((950_000..1_050_000).contains(&rate), "{rate}");
    }

    #[test]
    fn a_stream_that_paused_begins_again() {
        let (mut meter, start) = (RateMeter::default(), Instant::now());
        let now = feed(&mut meter, start, 300) + SILENCE;
        meter.packet(100, now);
        assert_eq!(meter.bps(now), None);
    }
}
