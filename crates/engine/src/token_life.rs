//! When the application's token ends: a warning ahead, and whether it is over. No clock: Unix seconds are an argument.

use protocol::{token, token04};

/// How long ahead the application is warned, in seconds.
const WARNING_S: u64 = 30;

/// Life of the token that the application brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenLife {
    expires_at_s: u64,
    warned: bool,
}

impl TokenLife {
    /// `None` for a token whose end cannot be read; the server will judge it.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let expires_at_s =
            if token04::is_token04(text) { token04::peek_expiry(text).ok()? } else { token::peek_expiry(text).ok()? };
        Some(Self { expires_at_s, warned: false })
    }

    /// Seconds that are left, once, when it is time to say so.
    pub(crate) fn warning(&mut self, now_s: u64) -> Option<u64> {
        let left = self.expires_at_s.saturating_sub(now_s);
        let is_due = !self.warned && left <= WARNING_S;
        self.warned |= is_due;
        is_due.then_some(left)
    }

    /// Whether the end has come.
    pub(crate) fn is_over(&self, now_s: u64) -> bool {
        now_s >= self.expires_at_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: TokenLife = TokenLife { expires_at_s: 1000, warned: false };

    #[test]
    fn the_application_is_warned_once_thirty_seconds_ahead() {
        let mut life = LIFE;
        assert_eq!(life.warning(969), None);
        assert_eq!(life.warning(970), Some(30));
        assert_eq!(life.warning(971), None);
    }

    #[test]
    fn after_a_sleep_over_the_end_the_warning_still_comes() {
        let mut life = LIFE;
        assert_eq!(life.warning(5000), Some(0));
        assert!(life.is_over(5000) && life.is_over(1000) && !life.is_over(999));
    }

    #[test]
    fn a_token_that_cannot_be_read_has_no_known_end() {
        assert_eq!(TokenLife::of("04"), None);
        assert_eq!(TokenLife::of("a.b.c"), None);
    }

    #[test]
    fn both_kinds_of_tokens_tell_their_end() {
        let vendor = "04AAAAAH3PJAwAEGRrOHVldHY4Ym83a3VncDEAcB0CEszooLaoBT6EuTtB+lsoB02Vk2bGTyMeAqlEstQLHweqeVH6M8UD6a858g5af7wd7kH1EYalQV791ZVQfpIvLe11CbtXo51bc8gTpx8CXQ5G0jNosWZKqpwswXZYX5zgOemNUclounmrZA67WAU=";
        assert!(TokenLife::of(vendor).is_some());
        let jwt = token::mint("key", "secret", &token::Claims::default()).unwrap();
        assert!(!TokenLife::of(&jwt).unwrap().is_over(0));
    }
}
