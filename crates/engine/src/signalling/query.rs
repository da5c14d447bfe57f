//! What the vendor's `04` tokens leave open and the address has to name.

use std::fmt::Write as _;

use protocol::token04;

/// Room, name and size of the room, for a token that does not name them; empty for an access token, which does.
pub(crate) fn vendor_query(token: &str, room: &str, name: &str, max_participants: u32) -> String {
    if !token04::is_token04(token) {
        return String::new();
    }
    format!("&room={}&name={}&max_participants={max_participants}", escape(room), escape(name))
}

/// Percent-encoding (RFC 3986): everything but unreserved characters.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_that_the_vendor_allows_survives_the_address() {
        let query = vendor_query("04x", "a&b=#%+", "’", 2);
        assert_eq!(query, "&room=a%26b%3D%23%25%2B&name=%E2%80%99&max_participants=2");
    }

    #[test]
    fn an_access_token_says_it_all() {
        assert_eq!(vendor_query("a.b.c", "room", "name", 2), "");
    }
}
