//! The room server's clock, which all users of a room share, from signalling's pings and pongs.
//!
//! A pong says when the server answered: somewhere between ping and pong, so half of the round trip is the greatest error
//! (Cristian, "Probabilistic clock synchronization", 1989). The best sample counts until age makes a newer one better.
//! Sans-IO: time is an argument.

use std::time::{Duration, Instant};

/// The server's milliseconds are cut off, not rounded.
const HALF_A_MILLISECOND: Duration = Duration::from_micros(500);
/// Upper bound of the drift between two machines' clocks, in parts of the time passed.
const DRIFT: f64 = 100e-6;

/// The result of one ping and pong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeSample {
    /// When the ping left.
    pub(crate) sent: Instant,
    /// When the pong arrived.
    pub(crate) received: Instant,
    /// The server's clock in between, in milliseconds since the Unix epoch.
    pub(crate) server_ms: u64,
}

/// `ZegoNetworkTimeInfo`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkTime {
    /// The room server's clock, in milliseconds since the Unix epoch; 0 while it is not known.
    pub timestamp_ms: u64,
    /// By how much that may be wrong, in milliseconds.
    pub max_deviation_ms: u32,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    /// Since the Unix epoch.
    server: Duration,
    deviation: Duration,
}

impl Reading {
    fn deviation(&self, now: Instant) -> Duration {
        self.deviation + now.saturating_duration_since(self.at).mul_f64(DRIFT)
    }
}

/// Keeps the best reading of the server's clock.
#[derive(Debug, Default)]
pub(crate) struct NetworkClock {
    best: Option<Reading>,
}

impl NetworkClock {
    /// Adds a sample; returns whether it is the first.
    pub(crate) fn take(&mut self, sample: TimeSample) -> bool {
        let half = sample.received.saturating_duration_since(sample.sent) / 2;
        let server = Duration::from_millis(sample.server_ms) + HALF_A_MILLISECOND;
        let reading = Reading { at: sample.sent + half, server, deviation: half + HALF_A_MILLISECOND };
        let now = sample.received;
        if self.best.is_none_or(|best| reading.deviation(now) <= best.deviation(now)) {
            return self.best.replace(reading).is_none();
        }
        false
    }

    pub(crate) fn now(&self, now: Instant) -> NetworkTime {
        let Some(best) = self.best else { return NetworkTime::default() };
        let server = best.server + now.saturating_duration_since(best.at);
        let deviation = best.deviation(now).as_secs_f64() * 1000.0;
        NetworkTime {
            timestamp_ms: u64::try_from(server.as_millis()).unwrap_or(u64::MAX),
            // A few minutes at most.
            max_deviation_ms: deviation.ceil().min(f64::from(u32::MAX)) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: u64 = 1_763_971_234_000;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A ping sent at `at` ms with these delays there and back; both clocks run alike.
    fn sample(began: Instant, at: u64, there: u64, back: u64) -> TimeSample {
        let sent = began + ms(at);
        TimeSample { sent, received: sent + ms(there + back), server_ms: SERVER + at + there }
    }

    fn error(clock: &NetworkClock, began: Instant, at: u64) -> u64 {
        clock.now(began + ms(at)).timestamp_ms.abs_diff(SERVER + at)
    }

    #[test]
    fn before_the_first_pong_there_is_no_time() {
        assert_eq!(NetworkClock::default().now(Instant::now()), NetworkTime::default());
    }

    #[test]
    fn the_error_of_an_asymmetric_path_stays_within_the_stated_bound() {
        let began = Instant::now();
        for (there, back) in [(0, 0), (20, 20), (80, 0), (0, 80), (3, 40)] {
            let mut clock = NetworkClock::default();
            assert!(clock.take(sample(began, 0, there, back)));
            let reported = clock.now(began + ms(1000));
            assert!(error(&clock, began, 1000) <= u64::from(reported.max_deviation_ms), "{there} {back}: {reported:?}");
        }
    }

    #[test]
    fn the_fastest_pong_counts_and_only_the_first_is_reported() {
        let (began, mut clock) = (Instant::now(), NetworkClock::default());
        assert!(clock.take(sample(began, 0, 200, 0)));
        assert!(!clock.take(sample(began, 1000, 5, 5)));
        assert!(!clock.take(sample(began, 2000, 0, 300)));
        assert!(error(&clock, began, 3000) <= 1);
        assert!(clock.now(began + ms(3000)).max_deviation_ms <= 7);
    }

    #[test]
    fn an_old_reading_is_trusted_less_and_a_newer_one_takes_its_place() {
        let (began, mut clock) = (Instant::now(), NetworkClock::default());
        clock.take(sample(began, 0, 5, 5));
        assert!(clock.now(began + ms(100_000)).max_deviation_ms >= 15);
        // The server's clock has drifted by 8 ms.
        let mut later = sample(began, 100_000, 6, 6);
        later.server_ms += 8;
        clock.take(later);
        assert!(clock.now(began + ms(100_100)).timestamp_ms.abs_diff(SERVER + 100_108) <= 1);
    }
}
