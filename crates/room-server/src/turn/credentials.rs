//! User names with an expiry, and passwords derived from them, as in coturn (`use-auth-secret`), so that no list is needed. The
//! user name is `EXPIRY:NAME`, in Unix seconds; the password is the Base64 of its HMAC-SHA1 under a secret that both servers
//! know.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A user name with its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl Credentials {
    /// For `name`, good from `unix_now` (seconds) for `ttl`.
    pub fn mint(secret: &[u8], name: &str, unix_now: u64, ttl: Duration) -> Self {
        let username = format!("{}:{name}", unix_now.saturating_add(ttl.as_secs()));
        Self { password: password(secret, &username), username }
    }
}

/// The password of a user name.
pub fn password(secret: &[u8], username: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    STANDARD.encode(hmac::sign(&key, username.as_bytes()))
}

/// When a user name expires, in Unix seconds; `None` for a foreign one.
pub fn end_of(username: &str) -> Option<u64> {
    username.split_once(':')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_one_that_other_servers_expect() {
        // printf 1700000300:anna | openssl dgst -sha1 -hmac north -binary | base64
        let credentials = Credentials::mint(b"north", "anna", 1_700_000_000, Duration::from_secs(300));
        assert_eq!(credentials.username, "1700000300:anna");
        assert_eq!(credentials.password, "OfNaUwmdfpx48Erj7cT6jWyp1WU=");
        assert_eq!(end_of(&credentials.username), Some(1_700_000_300));
    }

    #[test]
    fn other_user_names_have_no_end() {
        for username in ["", "anna", "x:anna", ":anna", "-1:anna"] {
            assert_eq!(end_of(username), None, "{username}");
        }
    }
}
