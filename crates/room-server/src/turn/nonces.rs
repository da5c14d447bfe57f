//! Stateless nonces: the time, and a proof that it is ours.

use aws_lc_rs::hmac;

/// Lifetime in seconds (RFC 8656, section 5: at most an hour).
const GOOD_FOR: u64 = 1800;
/// Bytes of the proof.
const PROOF: usize = 12;

/// Creates and verifies nonces.
pub struct Nonces(hmac::Key);

impl Nonces {
    /// Under a secret of this process.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// One for now (Unix seconds).
    pub fn make(&self, unix_now: u64) -> String {
        let time = format!("{unix_now:x}");
        let proof = hmac::sign(&self.0, time.as_bytes());
        let proof: String = proof.as_ref().iter().take(PROOF).map(|byte| format!("{byte:02x}")).collect();
        format!("{time}-{proof}")
    }

    /// Whether this is one that is good now.
    pub fn is_good(&self, nonce: &str, unix_now: u64) -> bool {
        let time = nonce.split_once('-').and_then(|(time, _)| u64::from_str_radix(time, 16).ok());
        let is_recent = |time: &u64| *time <= unix_now && unix_now - *time <= GOOD_FOR;
        time.filter(is_recent).is_some_and(|time| self.make(time) == nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_half_an_hour_and_cannot_be_made_by_others() {
        let nonces = Nonces::new(b"secret");
        let nonce = nonces.make(10_000);
        assert!(nonces.is_good(&nonce, 10_000) && nonces.is_good(&nonce, 11_800));
        assert!(!nonces.is_good(&nonce, 11_801) && !nonces.is_good(&nonce, 9_999));
        assert!(!nonces.is_good(&Nonces::new(b"other").make(10_000), 10_000));
        for other in ["", "-", "2710", "2710-", "zz-00"] {
            assert!(!nonces.is_good(other, 10_000), "{other}");
        }
    }
}
