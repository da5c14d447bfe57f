//! The page at `/` by which people join from a browser, and for `--dev` the tokens that it needs.
//!
//! The page's own files are in the folder `join-page`; the client library is the unmodified `livekit-client`, put in at
//! build time. Load balancers, which do not ask for HTML, get a plain `OK` at `/`.

use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use flate2::read::GzDecoder;
use protocol::limits::MAX_WIRE_NAME;
use protocol::token::{Claims, mint};
use serde::Deserialize;

use crate::http::HttpState;

const INDEX: &str = include_str!("../join-page/index.html");
/// In [`INDEX`]: whether tokens are available.
const DEV_MARK: &str = "data-dev=\"no\"";
const DEV_MARK_ON: &str = "data-dev=\"yes\"";

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// The page's own files below `/join/`: name, type, contents.
const FILES: [(&str, &str, &str); 6] = [
    ("join.css", CSS, include_str!("../join-page/join.css")),
    ("join.js", JAVASCRIPT, include_str!("../join-page/join.js")),
    ("chat.js", JAVASCRIPT, include_str!("../join-page/chat.js")),
    ("entrance.js", JAVASCRIPT, include_str!("../join-page/entrance.js")),
    ("tiles.js", JAVASCRIPT, include_str!("../join-page/tiles.js")),
    ("words.js", JAVASCRIPT, include_str!("../join-page/words.js")),
];

/// Files that are packed with gzip, empty when they were missing at build time: name, type, contents.
const PACKED_FILES: [(&str, &str, &[u8]); 2] = [
    ("livekit-client.js", JAVASCRIPT, include_bytes!(concat!(env!("OUT_DIR"), "/livekit-client.js.gz"))),
    ("livekit-client.LICENSE.txt", TEXT, include_bytes!(concat!(env!("OUT_DIR"), "/livekit-client.LICENSE.txt.gz"))),
];

/// Nothing from elsewhere, nothing inline, in no frame. The client library has a timer in a worker of its own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      media-src 'self' blob: mediastream:; connect-src 'self' ws: wss:; worker-src 'self' blob:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How long browsers keep the files. An update of the server should be seen soon.
const KEEP: &str = "max-age=300";

/// The routes. With `dev` all visitors get a token at `POST /dev/token`.
pub fn routes(dev: bool) -> Router<Arc<HttpState>> {
    let index = if dev { INDEX.replacen(DEV_MARK, DEV_MARK_ON, 1) } else { INDEX.to_owned() };
    let index = Bytes::from(index);
    let mut router = Router::new().route("/", get(move |headers: HeaderMap| async move { front(&headers, index) }));
    for (name, kind, contents) in FILES {
        router = router.route(&format!("/join/{name}"), get(move || async move { file(kind, contents) }));
    }
    for (name, kind, contents) in PACKED_FILES.into_iter().filter(|(_, _, contents)| !contents.is_empty()) {
        let answer = move |headers: HeaderMap| async move { packed_file(&headers, kind, contents) };
        router = router.route(&format!("/join/{name}"), get(answer));
    }
    if dev {
        router = router.route("/dev/token", post(dev_token));
    }
    router
}

fn front(headers: &HeaderMap, index: Bytes) -> Response {
    let wants_html = has(headers, &ACCEPT, "text/html");
    let common = [(VARY, "accept"), (CACHE_CONTROL, "no-cache")];
    if !wants_html {
        return (common, "OK").into_response();
    }
    let special = [
        (CONTENT_TYPE, HTML),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (common, special, index).into_response()
}

fn file(kind: &'static str, contents: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, KEEP), (X_CONTENT_TYPE_OPTIONS, "nosniff")], contents).into_response()
}

fn packed_file(headers: &HeaderMap, kind: &'static str, contents: &'static [u8]) -> Response {
    let common =
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, KEEP), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (VARY, "accept-encoding")];
    if has(headers, &ACCEPT_ENCODING, "gzip") {
        return (common, [(CONTENT_ENCODING, "gzip")], contents).into_response();
    }
    let mut plain = Vec::new();
    match GzDecoder::new(contents).read_to_end(&mut plain) {
        Ok(_) => (common, plain).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn has(headers: &HeaderMap, name: &axum::http::HeaderName, wanted: &str) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|value| value.contains(wanted))
}

/// The request for a token.
#[derive(Debug, Deserialize)]
struct TokenRequest {
    room: String,
    identity: String,
    #[serde(default)]
    name: String,
}

/// Browsers let no page of another origin ask for JSON, so none can get a token behind its user's back.
async fn dev_token(State(state): State<Arc<HttpState>>, headers: HeaderMap, body: Bytes) -> Response {
    if !has(&headers, &CONTENT_TYPE, JSON) {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "the request has to be JSON").into_response();
    }
    let request: TokenRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let is_name = |name: &str| !name.is_empty() && name.len() <= MAX_WIRE_NAME;
    if !is_name(&request.room) || !is_name(&request.identity) || request.name.len() > MAX_WIRE_NAME {
        return (StatusCode::BAD_REQUEST, "room or identity is missing or too long").into_response();
    }
    let Some((key, secret)) = state.keys.first() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no key is configured").into_response();
    };
    let claims = Claims { room: request.room, identity: request.identity, name: request.name, ..Claims::default() };
    match mint(&key, &secret, &claims) {
        Ok(token) => {
            let answer = serde_json::json!({ "token": token }).to_string();
            ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, "no-store")], answer).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking_for(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, axum::http::HeaderValue::from_static(value))])
    }

    #[test]
    fn a_browser_gets_the_page_and_a_load_balancer_a_short_answer() {
        let page = front(&asking_for(ACCEPT, "text/html,application/xhtml+xml;q=0.9"), Bytes::from(INDEX));
        assert_eq!(page.headers()[CONTENT_TYPE], HTML);
        assert!(page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("script-src 'self';"));
        let short = front(&asking_for(ACCEPT, "*/*"), Bytes::from(INDEX));
        assert_eq!(short.headers()[CONTENT_TYPE], TEXT);
    }

    #[test]
    fn the_page_has_nothing_inline_and_the_mark_once() {
        assert_eq!(INDEX.matches(DEV_MARK).count(), 1);
        assert_eq!(INDEX.matches("<script").count(), INDEX.matches("></script>").count());
        assert!(!INDEX.contains("style=") && !INDEX.contains("onclick"));
    }

    #[test]
    fn every_module_that_a_file_imports_is_served() {
        for (_, _, contents) in FILES {
            for import in contents.lines().filter(|line| line.starts_with("import ")) {
                let name = import.rsplit("'./").next().unwrap().trim_end_matches("';");
                assert!(FILES.iter().any(|(served, _, _)| *served == name), "{import}");
            }
        }
    }

    #[test]
    fn who_cannot_unpack_gets_the_library_unpacked() {
        let (_, kind, contents) = PACKED_FILES[0];
        let packed = packed_file(&asking_for(ACCEPT_ENCODING, "gzip, br"), kind, contents);
        assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
        assert!(!packed_file(&HeaderMap::new(), kind, contents).headers().contains_key(CONTENT_ENCODING));
    }
}
