//! When samples were captured, from when they were found in a ring. Sans-IO.

use std::time::{Duration, Instant};

/// A later estimate moves the clock by this share only: samples are never found too early, but often late.
const LATE_SHARE: u32 = 256;
/// A gap beyond this means that the device paused or lost samples; the clock starts again.
const GAP: Duration = Duration::from_millis(100);

/// Turns found-at times into even recorded-at times.
#[derive(Debug, Default)]
pub(crate) struct CaptureClock {
    next: Option<Instant>,
}

impl CaptureClock {
    /// The capture time of the first of `waiting` samples found at `now`, of which this call consumes `taken`; `rate` in Hz.
    pub(crate) fn stamp(&mut self, now: Instant, waiting: usize, taken: usize, rate: u32) -> Instant {
        let length = |samples: usize| Duration::from_secs_f64(samples as f64 / f64::from(rate.max(1)));
        let estimate = now.checked_sub(length(waiting)).unwrap_or(now);
        let at = match self.next {
            Some(next) if estimate < next => estimate,
            Some(next) if estimate - next > GAP => estimate,
            Some(next) => next + (estimate - next) / LATE_SHARE,
            None => estimate,
        };
        self.next = Some(at + length(taken));
        at
    }

    /// Forgets, for a device that was opened again.
    pub(crate) fn reset(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_even_although_the_reader_is_late_at_times() {
        let start = Instant::now() + Duration::from_secs(1);
        let mut clock = CaptureClock::default();
        let late_ms = [0u64, 4, 9, 0, 3, 8, 1, 6];
        let mut stamps = Vec::new();
        for (frame, late) in late_ms.iter().enumerate() {
            let found = start + Duration::from_millis(10 * (frame as u64 + 1) + late);
            stamps.push(clock.stamp(found, 480, 480, 48_000));
        }
        for pair in stamps.windows(2) {
            let step = (pair[1] - pair[0]).as_secs_f64() * 1e3;
            assert!((step - 10.0).abs() < 0.2, "{step}");
        }
    }

    #[test]
    fn a_pause_of_the_device_is_followed() {
        let start = Instant::now() + Duration::from_secs(1);
        let mut clock = CaptureClock::default();
        clock.stamp(start, 480, 480, 48_000);
        let late = start + Duration::from_secs(3);
        assert_eq!(clock.stamp(late, 480, 480, 48_000), late - Duration::from_millis(10));
    }
}
