//! When to try again after the room connection is lost: full jitter back-off with limits on count and time.

use std::time::Duration;

/// First ceiling of the wait; doubles with each attempt.
const BASE: Duration = Duration::from_millis(300);
/// No wait is longer.
const CEILING: Duration = Duration::from_secs(7);
/// How long to go on by default (the vendor's figure).
const GIVE_UP_AFTER: Duration = Duration::from_secs(20 * 60);
/// Upper bound of resume attempts; after that only a new login is worth trying.
const RESUMES: u32 = 10;

/// Decides about attempts to get back into a room. Pure: elapsed time and jitter are arguments.
///
/// An outage begins with resumes, which keep the session and its media. When the room server does not know the session
/// any more, or when [`next_resume`](Self::next_resume) returns `None`, new logins follow.
pub trait ReconnectPolicy: std::fmt::Debug + Send + Sync {
    /// The wait before resume number `attempt` (0 = first), or `None` to go on with new logins.
    ///
    /// `elapsed`: since the loss. `jitter` in `0.0..=1.0` spreads clients that lost the same server.
    fn next_resume(&self, attempt: u32, elapsed: Duration, jitter: f64) -> Option<Duration>;

    /// The wait before new login number `attempt` (0 = first) of the same outage, or `None` to give up.
    fn next_login(&self, attempt: u32, elapsed: Duration, jitter: f64) -> Option<Duration>;
}

/// The policy that holds unless the application brings its own: ten resumes, then logins, 20 minutes in total.
#[derive(Clone, Debug)]
pub struct DefaultReconnectPolicy {
    give_up_after: Duration,
}

impl Default for DefaultReconnectPolicy {
    fn default() -> Self {
        Self { give_up_after: GIVE_UP_AFTER }
    }
}

impl DefaultReconnectPolicy {
    /// `seconds` is the text of `advancedConfig.room_retry_time`; anything that is no number leaves the default.
    pub(crate) fn from_seconds(seconds: Option<&str>) -> Self {
        match seconds.and_then(|text| text.parse().ok()) {
            Some(seconds) => Self { give_up_after: Duration::from_secs(seconds) },
            None => Self::default(),
        }
    }

    /// The first attempt follows within 150 ms so that a restarted server is found at once.
    fn delay(&self, attempt: u32, elapsed: Duration, jitter: f64) -> Option<Duration> {
        if elapsed >= self.give_up_after {
            return None;
        }
        let ceiling = match attempt {
            0 => BASE / 2,
            _ => (BASE * 2u32.saturating_pow((attempt - 1).min(8))).min(CEILING),
        };
        // At least a fifth of the ceiling, so that a refusing server is not hammered.
        let delay = ceiling.mul_f64(0.2 + 0.8 * jitter.clamp(0.0, 1.0));
        Some(delay.min(self.give_up_after - elapsed))
    }
}

impl ReconnectPolicy for DefaultReconnectPolicy {
    fn next_resume(&self, attempt: u32, elapsed: Duration, jitter: f64) -> Option<Duration> {
        self.delay(attempt, elapsed, jitter).filter(|_| attempt < RESUMES)
    }

    fn next_login(&self, attempt: u32, elapsed: Duration, jitter: f64) -> Option<Duration> {
        self.delay(attempt, elapsed, jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_follows_at_once_and_later_ones_back_off() {
        let policy = DefaultReconnectPolicy::default();
        assert_eq!(policy.next_login(0, Duration::ZERO, 1.0), Some(Duration::from_millis(150)));
        assert_eq!(policy.next_login(2, Duration::ZERO, 1.0), Some(Duration::from_millis(600)));
        assert_eq!(policy.next_login(40, Duration::ZERO, 1.0), Some(CEILING));
    }

    #[test]
    fn after_ten_resumes_only_logins_are_tried() {
        let policy = DefaultReconnectPolicy::default();
        assert!(policy.next_resume(9, Duration::from_secs(30), 0.5).is_some());
        assert_eq!(policy.next_resume(10, Duration::from_secs(30), 0.5), None);
        assert!(policy.next_login(10, Duration::from_secs(30), 0.5).is_some());
    }

    #[test]
    fn it_gives_up_after_the_configured_time() {
        let policy = DefaultReconnectPolicy::from_seconds(Some("5"));
        assert!(policy.next_login(3, Duration::from_secs(4), 0.5).is_some());
        assert_eq!(policy.next_login(3, Duration::from_secs(5), 0.5), None);
        assert_eq!(policy.next_resume(3, Duration::from_secs(5), 0.5), None);
    }

    #[test]
    fn an_invalid_number_leaves_the_default() {
        let policy = DefaultReconnectPolicy::from_seconds(Some("soon"));
        assert!(policy.next_login(9, Duration::from_secs(19 * 60), 0.5).is_some());
        assert_eq!(policy.next_login(9, Duration::from_secs(20 * 60), 0.5), None);
    }
}
