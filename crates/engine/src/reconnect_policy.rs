//! When to try again after the room connection is lost: full jitter back-off with a limit on the whole.

use std::time::Duration;

/// First ceiling of the wait; doubles with each attempt.
const BASE: Duration = Duration::from_millis(300);
/// No wait is longer.
const CEILING: Duration = Duration::from_secs(7);
/// How long to go on by default (the vendor's figure).
const GIVE_UP_AFTER: Duration = Duration::from_secs(20 * 60);

/// Decides the wait before each attempt. Holds no clock: the elapsed time is an argument.
#[derive(Clone, Debug)]
pub(crate) struct ReconnectPolicy {
    give_up_after: Duration,
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self { give_up_after: GIVE_UP_AFTER }
    }
}

impl ReconnectPolicy {
    /// `seconds` is the text of `advancedConfig.room_retry_time`; anything that is no number leaves the default.
    pub(crate) fn from_seconds(seconds: Option<&str>) -> Self {
        match seconds.and_then(|text| text.parse().ok()) {
            Some(seconds) => Self { give_up_after: Duration::from_secs(seconds) },
            None => Self::default(),
        }
    }

    /// The wait before attempt number `attempt` (0 = first), or `None` to give up.
    ///
    /// `jitter` in `0.0..=1.0` spreads clients that lost the same server; the first attempt comes within 150 ms so
    /// that a restarted or taken-over server is found at once.
    pub(crate) fn next_delay(&self, attempt: u32, elapsed: Duration, jitter: f64) -> Option<Duration> {
        if elapsed >= self.give_up_after {
            return None;
        }
        let ceiling = match attempt {
            0 => BASE / 2,
            _ => (BASE * 2u32.saturating_pow((attempt - 1).min(8))).min(CEILING),
        };
        // At least a fifth of the ceiling, so that a refused connection is not hammered.
        let delay = ceiling.mul_f64(0.2 + 0.8 * jitter.clamp(0.0, 1.0));
        Some(delay.min(self.give_up_after - elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_comes_at_once_and_later_ones_back_off_to_seven_seconds() {
        let policy = ReconnectPolicy::default();
        assert_eq!(policy.next_delay(0, Duration::ZERO, 1.0), Some(Duration::from_millis(150)));
        assert_eq!(policy.next_delay(2, Duration::ZERO, 1.0), Some(Duration::from_millis(600)));
        assert_eq!(policy.next_delay(40, Duration::ZERO, 1.0), Some(CEILING));
    }

    #[test]
    fn it_gives_up_after_the_configured_time() {
        let policy = ReconnectPolicy::from_seconds(Some("5"));
        assert!(policy.next_delay(3, Duration::from_secs(4), 0.5).is_some());
        assert_eq!(policy.next_delay(3, Duration::from_secs(5), 0.5), None);
    }

    #[test]
    fn a_text_that_is_no_number_leaves_the_default() {
        let policy = ReconnectPolicy::from_seconds(Some("soon"));
        assert!(policy.next_delay(9, Duration::from_secs(19 * 60), 0.5).is_some());
        assert_eq!(policy.next_delay(9, Duration::from_secs(20 * 60), 0.5), None);
    }
}
