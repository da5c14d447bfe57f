//! Detects a protocol by its first bytes.

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP: its requests begin with the name of a method, in letters.
    Http,
    /// TURN or STUN: two zero bits, and the magic cookie (RFC 8489, section 5).
    Turn,
    /// A TLS handshake (RFC 8446, section 5.1).
    Tls,
    /// Any other protocol.
    Unknown,
}

/// How many bytes [`spoken`] wants to see before it is sure.
pub const ENOUGH: usize = 8;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// The protocol of a connection that begins with these bytes; `None` when more of them are needed.
pub fn spoken(bytes: &[u8]) -> Option<Spoken> {
    let first = *bytes.first()?;
    if first.is_ascii_uppercase() {
        return Some(Spoken::Http);
    }
    if first == 22 {
        return Some(Spoken::Tls);
    }
    if first >= 0x40 {
        return Some(Spoken::Unknown);
    }
    let cookie = bytes.get(4..).unwrap_or_default();
    let seen = cookie.len().min(MAGIC_COOKIE.len());
    match cookie.get(..seen) == MAGIC_COOKIE.get(..seen) {
        false => Some(Spoken::Unknown),
        true => (bytes.len() >= ENOUGH).then_some(Spoken::Turn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_reported_apart_as_soon_as_that_is_possible() {
        assert_eq!(spoken(b""), None);
        assert_eq!(spoken(b"G"), Some(Spoken::Http));
        assert_eq!(spoken(&[22, 3, 1]), Some(Spoken::Tls));
        assert_eq!(spoken(&[0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42]), Some(Spoken::Turn));
        assert_eq!(spoken(&[0, 3, 0, 8, 0x21, 0x12]), None);
        assert_eq!(spoken(&[0, 3, 0, 8, 0x21, 0x13]), Some(Spoken::Unknown));
        assert_eq!(spoken(&[0x40, 0, 0, 8]), Some(Spoken::Unknown));
        assert_eq!(spoken(&[0x80]), Some(Spoken::Unknown));
    }
}
