//! The meaning of an HTTP answer in place of a WebSocket: our own server's refusal, a stock LiveKit server's, or the answer
//! of something else on the path, such as an ingress while the server behind it starts.

use std::time::UNIX_EPOCH;

use protocol::refusal::{HEADER, Refusal};
use tokio_tungstenite::tungstenite::http::header::{CONTENT_TYPE, DATE, HeaderMap, WWW_AUTHENTICATE};

use super::ConnectError;

/// Upper bound of an answer's text that is reported, in characters.
const MAX_TEXT_CHARS: usize = 200;

/// Classifies an answer by its status, its headers and the beginning of its body.
pub(super) fn classify(status: u16, head: &HeaderMap, body: &[u8]) -> ConnectError {
    let text = text_of(head, body);
    let server_ms = date_ms(head);
    if let Some(code) = head.get(HEADER) {
        let refusal = Refusal::of_code(code.to_str().unwrap_or_default());
        return ConnectError::Refused { refusal, text, server_ms };
    }
    // A server that wants an HTTP login has to say so (RFC 9110, section 11.6.1); LiveKit's server does not.
    if status == 401 && !head.contains_key(WWW_AUTHENTICATE) {
        return ConnectError::Unauthorized { text, server_ms };
    }
    ConnectError::Foreign { status, text }
}

/// The sender's clock, in milliseconds since the Unix epoch, right to half a second.
fn date_ms(head: &HeaderMap) -> Option<u64> {
    let date = httpdate::parse_http_date(head.get(DATE)?.to_str().ok()?).ok()?;
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()?.checked_add(500)
}

/// The first line of a text; of a page only that it is one.
fn text_of(head: &HeaderMap, body: &[u8]) -> String {
    let kind = head.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.contains("html") {
        return "a web page".to_owned();
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT_CHARS * 4)]).into_owned();
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    if line.starts_with('<') {
        return "a web page".to_owned();
    }
    line.chars().filter(|char| !char.is_control()).take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

    use super::*;

    fn head(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn our_servers_refusal_is_classified_by_its_code() {
        let head = head(&[(HEADER, "token-key"), ("date", "Thu, 01 Jan 1970 00:01:40 GMT")]);
        let ConnectError::Refused { refusal, server_ms, .. } = classify(403, &head, b"token expired") else { panic!() };
        assert_eq!((refusal, server_ms), (Refusal::TokenKey, Some(100_500)));
    }

    #[test]
    fn a_stock_servers_401_differs_from_an_http_login() {
        assert!(matches!(classify(401, &head(&[]), b"invalid token"), ConnectError::Unauthorized { .. }));
        let door = head(&[("www-authenticate", "Basic realm=x")]);
        assert!(matches!(classify(401, &door, b""), ConnectError::Foreign { status: 401, .. }));
    }

    #[test]
    fn anything_else_is_not_from_a_room_server() {
        for status in [200, 301, 302, 400, 403, 404, 408, 502, 999] {
            assert!(matches!(classify(status, &head(&[]), b"expired key"), ConnectError::Foreign { .. }), "{status}");
        }
    }

    #[test]
    fn a_web_page_is_named_and_a_long_text_shortened() {
        let ConnectError::Foreign { text, .. } = classify(200, &head(&[("content-type", "text/html")]), b"hi") else {
            panic!()
        };
        assert_eq!(text, "a web page");
        let ConnectError::Foreign { text, .. } = classify(404, &head(&[]), "ä\u{7}".repeat(100_000).as_bytes()) else {
            panic!()
        };
        assert_eq!(text, "ä".repeat(MAX_TEXT_CHARS));
        let ConnectError::Foreign { text, .. } = classify(404, &head(&[]), &[0xff; 3]) else { panic!() };
        assert!(!text.is_empty());
    }

    #[test]
    fn an_invalid_date_is_ignored() {
        for date in ["", "yesterday", "Thu, 01 Jan 0001 00:00:00 GMT"] {
            assert_eq!(date_ms(&head(&[("date", date)])), None, "{date}");
        }
    }
}
