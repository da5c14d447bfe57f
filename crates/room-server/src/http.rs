//! The HTTP face: `/rtc` (WebSocket), `/rtc/validate`, and a page for people and load balancers at `/`.
//!
//! `/rtc/v1` (one peer connection) is not served; its 404 makes clients fall back to `/rtc` by themselves.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use protocol::limits::SIGNAL_MESSAGE_MAX;
use tokio::sync::mpsc;

use crate::auth::{Admission, AuthError, admit};
use crate::hub::command::{Command, Connect};
use crate::hub::ids::ConnectionId;
use crate::keys::KeyStore;
use crate::signalling::{SignalSender, serve};

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
pub fn router(state: Arc<HttpState>) -> Router {
    Router::new()
        .route("/", get(|| async { "OK" }))
        .route("/rtc", get(rtc))
        .route("/rtc/validate", get(validate))
        .with_state(state)
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
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let is_set = |name: &str| query.get(name).is_some_and(|value| value == "1" || value == "true");
    let (sender, outgoing) = SignalSender::new();
    let connect = Connect {
        connection: ConnectionId(state.connections.fetch_add(1, Ordering::Relaxed)),
        admission,
        auto_subscribe: !query.contains_key("auto_subscribe") || is_set("auto_subscribe"),
        resume: is_set("reconnect").then(|| query.get("sid").cloned().unwrap_or_default()),
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
