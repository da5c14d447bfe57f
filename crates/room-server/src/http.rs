//! The HTTP face: `/rtc` and `/rtc/v1` (WebSocket), `validate` below each, and a page for people and load balancers at
//! `/`.
//!
//! `/twirp/livekit.RoomService/` is for the servers of applications (module `admin`).
//!
//! `/rtc/v1` is for clients with one peer connection. Where it is not served, the 404 on both of its paths makes clients
//! fall back to `/rtc` by themselves.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use protocol::limits::SIGNAL_MESSAGE_MAX;
use protocol::messages::JoinRequest;
use tokio::sync::mpsc;

use crate::admin::administer;
use crate::auth::{Admission, AuthError, admit};
use crate::hub::command::{Command, Connect};
use crate::hub::ids::ConnectionId;
use crate::join_request::{JoinRequestError, decode};
use crate::keys::KeyStore;
use crate::metrics::Metrics;
use crate::signalling::{SignalSender, serve};

/// Type of the text format that monitoring reads.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the handlers share.
pub struct HttpState {
    /// Who may enter.
    pub keys: Arc<KeyStore>,
    /// Where signalling goes.
    pub hub: mpsc::Sender<Command>,
    /// Counts signalling connections.
    pub connections: AtomicU64,
}

/// The routes.
pub fn router(state: Arc<HttpState>, single_peer_connection: bool, metrics: Option<Metrics>) -> Router {
    let mut router =
        Router::new().route("/", get(|| async { "OK" })).route("/rtc", get(rtc)).route("/rtc/validate", get(validate));
    if single_peer_connection {
        router = router.route("/rtc/v1", get(rtc_v1)).route("/rtc/v1/validate", get(validate));
    }
    if let Some(metrics) = metrics {
        router =
            router.route("/metrics", get(move || async move { ([(CONTENT_TYPE, METRICS_TYPE)], metrics.encode()) }));
    }
    router.route("/twirp/livekit.RoomService/{method}", post(administer)).with_state(state)
}

async fn rtc(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let admission = match check(&state, &headers, &query) {
        Ok(admission) => admission,
        Err(error) => return refusal(&error),
    };
    let is_set = |name: &str| query.get(name).is_some_and(|value| value == "1" || value == "true");
    let wishes = Wishes {
        auto_subscribe: !query.contains_key("auto_subscribe") || is_set("auto_subscribe"),
        resume: is_set("reconnect").then(|| query.get("sid").cloned().unwrap_or_default()),
        single: None,
    };
    accept(&state, admission, wishes, upgrade)
}

async fn rtc_v1(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let admission = match check(&state, &headers, &query) {
        Ok(admission) => admission,
        Err(error) => return refusal(&error),
    };
    let decoded = query.get("join_request").ok_or(JoinRequestError::Missing).and_then(|text| decode(text));
    let request = match decoded {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let wishes = Wishes {
        auto_subscribe: request.connection_settings.as_ref().is_none_or(|settings| settings.auto_subscribe),
        resume: request.reconnect.then(|| request.participant_sid.clone()),
        single: Some(Box::new(request)),
    };
    accept(&state, admission, wishes, upgrade)
}

/// What a client wants of its connection.
struct Wishes {
    auto_subscribe: bool,
    resume: Option<String>,
    single: Option<Box<JoinRequest>>,
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
        sender,
    };
    let hub = state.hub.clone();
    upgrade
        .max_message_size(SIGNAL_MESSAGE_MAX)
        .max_frame_size(SIGNAL_MESSAGE_MAX)
        .on_upgrade(move |socket| serve(socket, hub, connect, outgoing))
}

/// Browsers do not tell a page why an upgrade failed, so clients ask here without the upgrade.
async fn validate(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut response = match check(&state, &headers, &query) {
        Ok(_) => "success".into_response(),
        Err(error) => refusal(&error),
    };
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, axum::http::HeaderValue::from_static("*"));
    response
}

fn check(state: &HttpState, headers: &HeaderMap, query: &HashMap<String, String>) -> Result<Admission, AuthError> {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    admit(&state.keys, authorization, query).inspect_err(|error| tracing::info!(%error, "not admitted"))
}

fn refusal(error: &AuthError) -> Response {
    let status = match error {
        AuthError::NotAllowed => StatusCode::FORBIDDEN,
        AuthError::BadName => StatusCode::BAD_REQUEST,
        AuthError::NoToken | AuthError::Token(_) | AuthError::Token04(_) => StatusCode::UNAUTHORIZED,
    };
    (status, error.to_string()).into_response()
}
