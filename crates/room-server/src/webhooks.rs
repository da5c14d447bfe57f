//! Webhooks, as LiveKit's server sends them: one `POST` of a `WebhookEvent` in JSON for each event of the rooms, signed by an
//! access token with the SHA-256 of the body.
//!
//! Rooms never wait for it: events go into a queue of [`QUEUE_LENGTH`], and more are dropped. Each address has a queue of its
//! own, in which events keep their order.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use protocol::messages::WebhookEvent;
use rand::Rng;
use serde::Serialize;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Events that may wait for one address.
pub const QUEUE_LENGTH: usize = 1000;
/// Attempts to send an event to an address.
const ATTEMPTS: u32 = 5;
/// Wait before the second attempt; doubled before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Life of the signature.
const SIGNATURE_LIFE: Duration = Duration::from_secs(300);
/// The content type of LiveKit's webhooks.
const BODY_TYPE: &str = "application/webhook+json";

/// The addresses, and the key that signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Addresses, `http:` or `https:`.
    pub urls: Vec<String>,
    /// API key whose secret signs. Events of all apps are sent, as with LiveKit's server.
    pub api_key: String,
}

/// Why a configuration of webhooks cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WebhookConfigError {
    /// There is no such key.
    #[error("webhook.api_key \"{0}\" is none of the configured keys")]
    UnknownKey(String),
    /// It is no address of a web server.
    #[error("webhook.urls: \"{0}\" is not an address that begins with http: or https:")]
    BadUrl(String),
}

/// The running senders. Id and time of an event are filled in by them. They end when the queue is closed and empty.
pub struct Webhooks {
    senders: Vec<JoinHandle<()>>,
}

impl Webhooks {
    /// Starts them on the current tokio runtime. `secret_of` returns the secret of an API key.
    ///
    /// # Errors
    /// See [`WebhookConfigError`].
    pub fn start(
        config: &WebhookConfig,
        secret_of: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, mpsc::Sender<WebhookEvent>), WebhookConfigError> {
        let unknown = || WebhookConfigError::UnknownKey(config.api_key.clone());
        let signer =
            Signer { api_key: config.api_key.clone(), secret: secret_of(&config.api_key).ok_or_else(unknown)? };
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(https);
        let (webhook_events, incoming) = mpsc::channel(QUEUE_LENGTH);
        let mut queues = Vec::new();
        let mut senders = Vec::new();
        for url in &config.urls {
            let address = Target { uri: parse_url(url)?, signer: signer.clone(), client: client.clone() };
            let (queue, events) = mpsc::channel(QUEUE_LENGTH);
            queues.push(queue);
            senders.push(tokio::spawn(address.send_all(events)));
        }
        senders.push(tokio::spawn(distribute(incoming, queues)));
        Ok((Self { senders }, webhook_events))
    }

    /// Waits until everything is sent that was in the queues; not for longer than `patience`.
    pub async fn finish(mut self, patience: Duration) {
        let end = async {
            for sender in &mut self.senders {
                // One that panicked has nothing left to send.
                let _ = sender.await;
            }
        };
        if timeout(patience, end).await.is_err() {
            tracing::warn!("some webhooks were not sent");
        }
        for sender in self.senders {
            sender.abort();
        }
    }
}

async fn distribute(mut incoming: mpsc::Receiver<WebhookEvent>, queues: Vec<mpsc::Sender<Bytes>>) {
    while let Some(event) = incoming.recv().await {
        let body = match body_of(event) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "webhook cannot be written");
                continue;
            }
        };
        for queue in &queues {
            if queue.try_send(body.clone()).is_err() {
                tracing::warn!("a server does not take its webhooks fast enough, one is dropped");
            }
        }
    }
}

/// The event as JSON, with an id and the time of now.
fn body_of(mut event: WebhookEvent) -> Result<Bytes, serde_json::Error> {
    event.id = format!("EV_{:032x}", rand::rng().random::<u128>());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    event.created_at = i64::try_from(now.as_secs()).unwrap_or_default();
    serde_json::to_vec(&event).map(Bytes::from)
}

fn parse_url(url: &str) -> Result<Uri, WebhookConfigError> {
    let bad = || WebhookConfigError::BadUrl(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
    if is_web { Ok(uri) } else { Err(bad()) }
}

#[derive(Clone)]
struct Signer {
    api_key: String,
    secret: String,
}

/// The claims of a signature.
#[derive(Serialize)]
struct Signature {
    iss: String,
    nbf: u64,
    exp: u64,
    /// Base64 of the body's SHA-256.
    sha256: String,
}

impl Signer {
    fn sign(&self, body: &[u8], now: Duration) -> Result<String, jsonwebtoken::errors::Error> {
        let signature = Signature {
            iss: self.api_key.clone(),
            nbf: now.as_secs(),
            exp: (now + SIGNATURE_LIFE).as_secs(),
            sha256: STANDARD.encode(digest(&SHA256, body)),
        };
        jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &signature,
            &EncodingKey::from_secret(self.secret.as_bytes()),
        )
    }
}

/// One address.
struct Target {
    uri: Uri,
    signer: Signer,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Why one attempt failed.
#[derive(Debug, Error)]
enum SendError {
    #[error("no answer in time")]
    Timeout,
    #[error("answered {0}")]
    Status(axum::http::StatusCode),
    #[error(transparent)]
    Client(#[from] hyper_util::client::legacy::Error),
    #[error(transparent)]
    Request(#[from] axum::http::Error),
    #[error(transparent)]
    Signature(#[from] jsonwebtoken::errors::Error),
}

impl Target {
    async fn send_all(self, mut events: mpsc::Receiver<Bytes>) {
        while let Some(body) = events.recv().await {
            self.send_patiently(body).await;
        }
    }

    async fn send_patiently(&self, body: Bytes) {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            match self.send(body.clone()).await {
                Ok(()) => return,
                // The request itself is at fault: the same again would be refused again.
                Err(SendError::Status(status)) if status.is_client_error() && !is_passing(status) => {
                    tracing::warn!(uri = %self.uri, %status, "webhook refused");
                    return;
                }
                Err(error) => tracing::info!(uri = %self.uri, attempt, %error, "webhook not taken"),
            }
            if attempt < ATTEMPTS {
                sleep(pause).await;
                pause *= 2;
            }
        }
        tracing::warn!(uri = %self.uri, "webhook given up");
    }

    async fn send(&self, body: Bytes) -> Result<(), SendError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.uri)
            .header(AUTHORIZATION, self.signer.sign(&body, now)?)
            .header(CONTENT_TYPE, BODY_TYPE)
            .body(Full::new(body))?;
        let response =
            timeout(ANSWER_TIMEOUT, self.client.request(request)).await.map_err(|_| SendError::Timeout)??;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(SendError::Status(status)) }
    }
}

fn is_passing(status: axum::http::StatusCode) -> bool {
    use axum::http::StatusCode;
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> WebhookConfig {
        WebhookConfig { urls: vec![url.to_owned()], api_key: "key".to_owned() }
    }

    fn start(config: &WebhookConfig) -> Result<(), WebhookConfigError> {
        Webhooks::start(config, |key| (key == "key").then(|| "secret".to_owned())).map(|_| ())
    }

    #[tokio::test]
    async fn only_addresses_of_web_servers_are_taken() {
        for url in ["http://127.0.0.1:1/hook?x=1", "https://example.com", "http://[::1]/"] {
            assert_eq!(start(&config(url)), Ok(()), "{url}");
        }
        for url in ["", "example.com/hook", "ftp://example.com/", "http://", "http:/hook", "/hook", "http://a b/"] {
            assert_eq!(start(&config(url)), Err(WebhookConfigError::BadUrl(url.to_owned())));
        }
    }

    #[tokio::test]
    async fn a_key_that_is_not_configured_cannot_sign() {
        let config = WebhookConfig { api_key: "other".to_owned(), ..config("http://127.0.0.1:1/") };
        assert_eq!(start(&config), Err(WebhookConfigError::UnknownKey("other".to_owned())));
    }

    #[test]
    fn a_body_has_an_id_of_its_own_and_the_names_of_the_protocol() {
        let event = WebhookEvent { event: "room_started".into(), ..WebhookEvent::default() };
        let read = |body: Bytes| serde_json::from_slice::<serde_json::Value>(&body).unwrap();
        let (one, other) = (read(body_of(event.clone()).unwrap()), read(body_of(event).unwrap()));
        assert_eq!(one["event"], "room_started");
        assert!(one["createdAt"].as_str().unwrap().parse::<u64>().unwrap() > 1_600_000_000);
        assert_ne!(one["id"], other["id"]);
    }
}
