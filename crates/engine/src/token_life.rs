//! When the application's token ends: a warning ahead, and whether it is over. No clock: the time is an argument.

use std::time::{Duration, Instant};

use protocol::{token, token04};

/// How long ahead the application is warned, in seconds.
const WARNING_S: u64 = 30;

/// What the clocks show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Unix seconds by the server's clock, which decides about tokens, if it is known.
    pub(crate) server_s: Option<u64>,
    /// Unix seconds by this computer's clock, which may be wrong.
    pub(crate) own_s: u64,
    /// The monotonic clock.
    pub(crate) at: Instant,
}

/// Life of the token that the application brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenLife {
    expires_at_s: u64,
    /// Its whole lifetime, if it says when it begins.
    own_life: Option<Duration>,
    taken_at: Instant,
    warned: bool,
}

impl TokenLife {
    /// `None` for a token without a readable expiry; the server decides about it. `taken_at`: when the application provided it.
    pub(crate) fn of(text: &str, taken_at: Instant) -> Option<Self> {
        let (begins_at_s, expires_at_s) = if token04::is_token04(text) {
            (None, token04::peek_expiry(text).ok()?)
        } else {
            let validity = token::peek_validity(text).ok()?;
            (validity.begins_at, validity.ends_at?)
        };
        let own_life = begins_at_s.map(|begin| Duration::from_secs(expires_at_s.saturating_sub(begin)));
        Some(Self { expires_at_s, own_life, taken_at, warned: false })
    }

    /// Seconds that are left: by the server's clock; until that is known by the token's own lifetime, as if it were new; by
    /// this computer's clock at last.
    fn left(&self, now: &Now) -> u64 {
        match (now.server_s, self.own_life) {
            (Some(server_s), _) => self.expires_at_s.saturating_sub(server_s),
            (None, Some(life)) => life.saturating_sub(now.at.saturating_duration_since(self.taken_at)).as_secs(),
            (None, None) => self.expires_at_s.saturating_sub(now.own_s),
        }
    }

    /// Seconds that are left, once, when it is time to say so.
    pub(crate) fn warning(&mut self, now: &Now) -> Option<u64> {
        let left = self.left(now);
        let is_due = !self.warned && left <= WARNING_S;
        self.warned |= is_due;
        is_due.then_some(left)
    }

    /// Whether the token has expired.
    pub(crate) fn is_over(&self, now: &Now) -> bool {
        self.left(now) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(own_life: Option<u64>) -> TokenLife {
        let own_life = own_life.map(Duration::from_secs);
        TokenLife { expires_at_s: 1000, own_life, taken_at: Instant::now(), warned: false }
    }

    fn by_server(server_s: u64) -> Now {
        // This computer's clock is far off, which does not matter.
        Now { server_s: Some(server_s), own_s: 90_000, at: Instant::now() }
    }

    #[test]
    fn the_application_is_warned_once_thirty_seconds_ahead() {
        let mut life = life(Some(600));
        assert_eq!(life.warning(&by_server(969)), None);
        assert_eq!(life.warning(&by_server(970)), Some(30));
        assert_eq!(life.warning(&by_server(971)), None);
    }

    #[test]
    fn the_expiry_warning_follows_a_sleep_past_the_expiry() {
        let mut life = life(None);
        assert_eq!(life.warning(&by_server(5000)), Some(0));
        assert!(life.is_over(&by_server(5000)) && life.is_over(&by_server(1000)) && !life.is_over(&by_server(999)));
    }

    #[test]
    fn a_wrong_local_clock_does_not_matter_before_the_servers_is_known() {
        let mut life = life(Some(600));
        let after = |seconds| Now { server_s: None, own_s: 90_000, at: life.taken_at + Duration::from_secs(seconds) };
        let (early, late, over) = (after(10), after(570), after(600));
        assert_eq!(life.warning(&early), None);
        assert_eq!(life.warning(&late), Some(30));
        assert!(!life.is_over(&late) && life.is_over(&over));
    }

    #[test]
    fn a_token_with_only_an_expiry_counts_by_the_known_clock() {
        let mut life = life(None);
        let at = Instant::now();
        assert_eq!(life.warning(&Now { server_s: None, own_s: 500, at }), None);
        assert_eq!(life.warning(&Now { server_s: None, own_s: 980, at }), Some(20));
    }

    #[test]
    fn an_unreadable_token_has_no_known_expiry() {
        assert_eq!(TokenLife::of("04", Instant::now()), None);
        assert_eq!(TokenLife::of("a.b.c", Instant::now()), None);
    }

    #[test]
    fn both_kinds_of_tokens_have_a_readable_expiry() {
        let vendor = "04AAAAAH3PJAwAEGRrOHVldHY4Ym83a3VncDEAcB0CEszooLaoBT6EuTtB+lsoB02Vk2bGTyMeAqlEstQLHweqeVH6M8UD6a858g5af7wd7kH1EYalQV791ZVQfpIvLe11CbtXo51bc8gTpx8CXQ5G0jNosWZKqpwswXZYX5zgOemNUclounmrZA67WAU=";
        assert!(TokenLife::of(vendor, Instant::now()).is_some());
        let jwt = token::mint("key", "secret", &token::Claims::default()).unwrap();
        assert_eq!(TokenLife::of(&jwt, Instant::now()).unwrap().own_life, Some(Duration::from_secs(6 * 3600)));
    }
}
