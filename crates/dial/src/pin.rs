//! Pins: hashes of public keys that are accepted (RFC 7469, section 2.4).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::DialError;

/// How each pin begins.
const PREFIX: &str = "sha256/";

/// The keys that are accepted; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pins(Vec<Vec<u8>>);

impl Pins {
    /// Reads `sha256/BASE64`, several separated by commas.
    pub(crate) fn parse(text: &str) -> Result<Self, DialError> {
        let hashes = text.split(',').map(str::trim).map(|pin| {
            let hash = pin.strip_prefix(PREFIX).and_then(|hash| STANDARD.decode(hash).ok());
            hash.filter(|hash| hash.len() == SHA256.output_len()).ok_or_else(|| {
                DialError::Config(format!(
                    "the pin {pin:?} is not sha256/ and the base64 of the 32 bytes of a public key's hash"
                ))
            })
        });
        hashes.collect::<Result<_, _>>().map(Self)
    }

    /// Whether this public key (DER of its SubjectPublicKeyInfo) is one of them.
    pub(crate) fn accept(&self, key: &[u8]) -> bool {
        let hash = digest(&SHA256, key);
        self.0.iter().any(|pin| pin == hash.as_ref())
    }
}

/// The pin of a public key.
pub(crate) fn pin_of(key: &[u8]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(digest(&SHA256, key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_several_keys_is_accepted_and_no_other() {
        let pins = Pins::parse(&format!("{}, {}", pin_of(b"a"), pin_of(b"b"))).unwrap();
        assert!(pins.accept(b"a") && pins.accept(b"b") && !pins.accept(b"c"));
    }

    #[test]
    fn what_is_no_pin_is_refused() {
        for text in ["", "sha256/", "sha256/AAAA", "sha1/AAAA", "sha256/%%%%", &format!("{},", pin_of(b"a"))] {
            assert!(matches!(Pins::parse(text), Err(DialError::Config(_))), "{text}");
        }
    }
}
