//! The HTTP service: `/rtc` and `/rtc/v1` (WebSocket), `validate` below each, the join page at `/` (module `join_page`), and
//! `/twirp/livekit.RoomService/` for applications' backends (module `admin`).
//!
//! `/rtc/v1` is for clients with one peer connection. Where it is not served, the 404 on both of its paths makes clients fall
//! back to `/rtc`. Older clients put the same request into the query of `/rtc`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use protocol::limits::{MAX_SIGNAL_MESSAGE, SIGNAL_READ_BUFFER};
use protocol::messages::JoinRequest;
use protocol::proof;
use protocol::refusal::Refusal;
use tokio::sync::mpsc;

use crate::admin::{administer, not_implemented};
use crate::auth::{Admission, AuthError, admit};
use crate::config::ServerConfig;
use crate::hub::command::{Command, Connect};
use crate::hub::ids::ConnectionId;
use crate::join_page;
use crate::join_rate::JoinLimiter;
use crate::join_request::{JoinRequestError, decode};
use crate::keys::KeyStore;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::reached::Reached;
use crate::signalling::{SignalSender, serve};

/// Type of the text format that monitoring reads.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// State that the handlers share.
pub struct HttpState {
    /// The keys of the apps.
    pub keys: Arc<KeyStore>,
    /// The channel to the hub.
    pub hub: mpsc::Sender<Command>,
    /// Counts signalling connections.
    pub connections: AtomicU64,
    /// How often each address asked to join.
    pub joins: Mutex<JoinLimiter>,
    /// How long texts may be.
    pub limits: Limits,
    /// Whether clients may use one peer connection for both directions.
    pub single_peer_connection: bool,
    /// Port of signalling.
    pub port: u16,
}

/// The routes. `metrics` are served only if they are given.
pub fn router(state: Arc<HttpState>, config: &ServerConfig, metrics: Option<Metrics>) -> Router {
    let mut router = join_page::routes(config.dev).route("/rtc", get(rtc)).route("/rtc/validate", get(validate));
    router = router.route(proof::PATH, get(prove));
    if config.single_peer_connection {
        router = router.route("/rtc/v1", get(rtc_v1)).route("/rtc/v1/validate", get(validate));
    } else {
        router = router.route("/rtc/v1/validate", get(not_served));
    }
    router = router.route("/twirp/livekit.RoomService/{method}", post(administer));
    router = router.route("/twirp/{service}/{method}", post(not_implemented));
    let router = router.with_state(state);
    match metrics {
        Some(metrics) => router.merge(metrics_router(metrics)),
        None => router,
    }
}

/// The route to the numbers for monitoring.
pub fn metrics_router(metrics: Metrics) -> Router {
    let answer = move || async move { ([(CONTENT_TYPE, METRICS_TYPE)], metrics.encode()) };
    Router::new().route("/metrics", get(answer))
}

async fn rtc(
    State(state): State<Arc<HttpState>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    reached: Reached,
    Query(query): Query<HashMap<String, String>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if !state.joins().take(Instant::now(), from.ip()) {
        return too_many(from.ip());
    }
    let admission = match check(&state, &headers, &query) {
        Ok(admission) => admission,
        Err(error) => return refusal(&error),
    };
    // Some clients ask so for one peer connection, those that know no `/rtc/v1`.
    if state.single_peer_connection && query.contains_key("join_request") {
        return accept_single(&state, admission, reached, &query, upgrade);
    }
    let is_set = |name: &str| query.get(name).is_some_and(|value| value == "1" || value == "true");
    let wishes = Wishes {
        auto_subscribe: !query.contains_key("auto_subscribe") || is_set("auto_subscribe"),
        resume: is_set("reconnect").then(|| query.get("sid").cloned().unwrap_or_default()),
        single: None,
        reached,
    };
    accept(&state, admission, wishes, upgrade)
}

async fn rtc_v1(
    State(state): State<Arc<HttpState>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    reached: Reached,
    Query(query): Query<HashMap<String, String>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if !state.joins().take(Instant::now(), from.ip()) {
        return too_many(from.ip());
    }
    let admission = match check(&state, &headers, &query) {
        Ok(admission) => admission,
        Err(error) => return refusal(&error),
    };
    accept_single(&state, admission, reached, &query, upgrade)
}

/// Lets in a client with one peer connection.
fn accept_single(
    state: &HttpState,
    admission: Admission,
    reached: Reached,
    query: &HashMap<String, String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let decoded = query.get("join_request").ok_or(JoinRequestError::Missing).and_then(|text| decode(text));
    let request = match decoded {
        Ok(request) => request,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, Refusal::JoinRequest, &error),
    };
    let wishes = Wishes {
        auto_subscribe: request.connection_settings.as_ref().is_none_or(|settings| settings.auto_subscribe),
        resume: request.reconnect.then(|| request.participant_sid.clone()),
        single: Some(Box::new(request)),
        reached,
    };
    accept(state, admission, wishes, upgrade)
}

/// The answer that makes clients fall back to `/rtc`. Those in pages can only read it if every page may.
async fn not_served() -> Response {
    let anybody = HeaderValue::from_static("*");
    (StatusCode::NOT_FOUND, [(ACCESS_CONTROL_ALLOW_ORIGIN, anybody)]).into_response()
}

/// The parameters of a client's connection.
struct Wishes {
    auto_subscribe: bool,
    resume: Option<String>,
    single: Option<Box<JoinRequest>>,
    reached: Reached,
}

fn accept(
    state: &HttpState,
    admission: Admission,
    wishes: Wishes,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let (sender, outgoing) = SignalSender::new();
    let connect = Connect {
        connection: ConnectionId(state.connections.fetch_add(1, Ordering::Relaxed)),
        admission,
        auto_subscribe: wishes.auto_subscribe,
        resume: wishes.resume,
        single: wishes.single,
        reached: wishes.reached,
        sender,
    };
    let hub = state.hub.clone();
    upgrade
        .max_message_size(MAX_SIGNAL_MESSAGE)
        .max_frame_size(MAX_SIGNAL_MESSAGE)
        .read_buffer_size(SIGNAL_READ_BUFFER)
        .on_upgrade(move |socket| serve(socket, hub, connect, outgoing))
}

/// Browsers do not report why an upgrade failed, so clients ask here without the upgrade.
async fn validate(
    State(state): State<Arc<HttpState>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    // It asks about the request before, so it does not count.
    let may_join = state.joins().may(Instant::now(), from.ip());
    let mut response = match check(&state, &headers, &query) {
        _ if !may_join => too_many(from.ip()),
        Ok(_) => "success".into_response(),
        Err(error) => refusal(&error),
    };
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn check(state: &HttpState, headers: &HeaderMap, query: &HashMap<String, String>) -> Result<Admission, AuthError> {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    admit(&state.keys, &state.limits, authorization, query).inspect_err(|error| tracing::info!(%error, "not admitted"))
}

impl HttpState {
    fn joins(&self) -> std::sync::MutexGuard<'_, JoinLimiter> {
        self.joins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(address: IpAddr) -> Response {
    tracing::info!(%address, "asks to join too often");
    let text = "too many joins from this address";
    let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, Refusal::TooManyJoins, &text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn refusal(error: &AuthError) -> Response {
    let status = match error {
        AuthError::NotAllowed => StatusCode::FORBIDDEN,
        AuthError::NoName | AuthError::TooLong(_) => StatusCode::BAD_REQUEST,
        AuthError::NoToken | AuthError::Token(_) | AuthError::Token04(_) => StatusCode::UNAUTHORIZED,
    };
    refuse(status, error.refusal(), error)
}

/// A refusal: its code in a header, by which clients go, and a text for people.
fn refuse(status: StatusCode, refusal: Refusal, text: &dyn std::fmt::Display) -> Response {
    let code = refusal.code();
    let header = (HeaderName::from_static(protocol::refusal::HEADER), HeaderValue::from_static(code));
    (status, [header], format!("{text} ({code})")).into_response()
}

/// Shows that we know the secret of an app, before anybody sends us a token of it.
async fn prove(State(state): State<Arc<HttpState>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let nonce = query.get("nonce").and_then(|nonce| proof::read_nonce(nonce));
    let Some(nonce) = nonce else { return StatusCode::BAD_REQUEST.into_response() };
    match query.get("app").and_then(|app| state.keys.secret(app)) {
        Some(secret) => proof::answer(&secret, state.port, &nonce).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
