//! Start and stop.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::config::{KeyPolicy, ServerConfig};
use crate::forwarding::str0m_core::Str0mFactory;
use crate::http::{HttpState, metrics_router, router};
use crate::hub::{Hub, HubSettings};
use crate::join_rate::JoinLimiter;
use crate::keys::KeyStore;
use crate::metrics::Metrics;
use crate::net::{MediaLoop, Offer, OwnAddresses, TcpMedia};
use crate::sockets::{Sockets, first_address};
use crate::webhooks::{WebhookConfigError, Webhooks};

/// Commands that wait for the media thread before signalling connections have to wait.
const COMMAND_QUEUE: usize = 1024;
/// Longest wait for connections to end when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(800);

/// Why the server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Something else listens there already.
    #[error("address {0} is in use")]
    AddressInUse(SocketAddr),
    /// The system does not let us listen there.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What it says.
        error: io::Error,
    },
    /// [`KeyPolicy::Fixed`] has no keys, so nobody could enter.
    #[error("no keys are configured")]
    NoKeys,
    /// [`KeyPolicy::Embedded`] with an address that others can reach.
    #[error("a server without configured keys may only listen on loopback")]
    NotLoopback,
    /// [`ServerConfig::dev`] with an address that others can reach.
    #[error("a server that gives everybody a token may only listen on loopback")]
    DevNotLoopback,
    /// Webhooks are configured wrongly.
    #[error(transparent)]
    Webhooks(#[from] WebhookConfigError),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A running server. Dropping it stops it without waiting.
pub struct RoomServer {
    address: SocketAddr,
    media_address: SocketAddr,
    tcp_media_address: Option<SocketAddr>,
    metrics_address: Option<SocketAddr>,
    keys: Arc<KeyStore>,
    stop: watch::Sender<bool>,
    http: JoinHandle<()>,
    media: Option<MediaLoop>,
    webhooks: Option<Webhooks>,
}

impl RoomServer {
    /// Starts a server on the current tokio runtime (signalling) and in a thread of its own (media).
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: ServerConfig) -> Result<Self, StartError> {
        if config.dev && !config.is_loopback() {
            return Err(StartError::DevNotLoopback);
        }
        let keys = match config.keys.clone() {
            KeyPolicy::Fixed(keys) if keys.is_empty() && config.server_secrets.is_empty() => {
                return Err(StartError::NoKeys);
            }
            KeyPolicy::Fixed(keys) => keys,
            KeyPolicy::Embedded if !config.is_loopback() => return Err(StartError::NotLoopback),
            KeyPolicy::Embedded => BTreeMap::new(),
        };
        let keys = Arc::new(KeyStore::new(keys, config.server_secrets.clone()));
        let Sockets { signalling, media, tcp_media, metrics: metrics_listeners, is_local } = Sockets::open(&config)?;
        let address = first_address(&signalling)?;
        let media_port = media.first().map(UdpSocket::local_addr).transpose()?.map_or(0, |bound| bound.port());
        let media_address = SocketAddr::new(address.ip(), media_port);
        let tcp_media_address = tcp_media.first().map(TcpListener::local_addr).transpose()?;
        let metrics_address = metrics_listeners.first().map(TcpListener::local_addr).transpose()?;

        let (webhooks, notices) = match &config.webhooks {
            Some(config) => {
                let (webhooks, notices) = Webhooks::start(config, |key| keys.secret(key))?;
                (Some(webhooks), Some(notices))
            }
            None => (None, None),
        };

        let metrics = Metrics::default();
        let offer = Arc::new(Offer {
            rules: config.candidates.clone(),
            told: config.node_ips(),
            bound: signalling.iter().map(|one| one.local_addr().map(|bound| bound.ip())).collect::<Result<_, _>>()?,
            is_local,
            udp_port: (!config.force_tcp).then_some(media_port),
            advertised_udp_port: config.advertised_udp_port,
            tcp_port: tcp_media_address.map(|bound| bound.port()),
            interfaces: Mutex::default(),
        });
        let candidates = Box::new(move || offer.now(Instant::now()));
        let factory = Box::new(Str0mFactory::new(candidates, config.codecs.clone()));
        let hub = Hub::new(factory, keys.clone(), metrics.clone(), HubSettings::new(&config, notices));
        let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
        let (stop, stopped) = watch::channel(false);
        let tcp = (!tcp_media.is_empty()).then(|| TcpMedia::serve(tcp_media, &stopped));
        let only = is_local.then(OwnAddresses::default);
        let media = MediaLoop::start(hub, media, tcp, only, command_queue, stopped.clone())?;

        let state = Arc::new(HttpState {
            keys: keys.clone(),
            hub: commands,
            connections: AtomicU64::new(1),
            joins: Mutex::new(JoinLimiter::new(config.join_rate)),
            limits: config.limits,
            single_peer_connection: config.single_peer_connection,
            port: address.port(),
        });
        for listener in metrics_listeners {
            tokio::spawn(serve_http(vec![listener], metrics_router(metrics.clone()), stopped.clone()));
        }
        let router = router(state, &config, config.metrics.then_some(metrics));
        let http = tokio::spawn(serve_http(signalling, router, stopped));
        tracing::info!(%address, %media_address, ?tcp_media_address, "room server listens");
        let media = Some(media);
        Ok(Self { address, media_address, tcp_media_address, metrics_address, keys, stop, http, media, webhooks })
    }

    /// Where signalling is served.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where media is served.
    pub fn media_addr(&self) -> SocketAddr {
        self.media_address
    }

    /// Where media is served over TCP, if it is.
    pub fn tcp_media_addr(&self) -> Option<SocketAddr> {
        self.tcp_media_address
    }

    /// Where numbers for monitoring are served, if they have a port of their own.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Lets another app in. False when its API key is there with another secret; that one stays.
    pub fn add_key(&self, api_key: &str, secret: &str) -> bool {
        self.keys.add(api_key, secret)
    }

    /// Tells everybody to leave, and stops. Takes less than a second, and up to one more when webhooks are to be sent.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(media) = self.media.take() {
            let joined = tokio::task::spawn_blocking(move || media.join());
            if timeout(STOP_TIMEOUT, joined).await.is_err() {
                tracing::warn!("media thread does not end");
            }
        }
        // Signalling connections end when their queues are empty, which the media thread has closed.
        if timeout(STOP_TIMEOUT, &mut self.http).await.is_err() {
            self.http.abort();
        }
        // The media thread, which has ended, held the way into their queues.
        if let Some(webhooks) = self.webhooks.take() {
            webhooks.finish(STOP_TIMEOUT).await;
        }
    }
}

impl Drop for RoomServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.http.abort();
    }
}

async fn serve_http(listeners: Vec<TcpListener>, router: axum::Router, stopped: watch::Receiver<bool>) {
    let mut serving = JoinSet::new();
    for listener in listeners {
        let (router, mut stopped) = (router.clone(), stopped.clone());
        serving.spawn(async move {
            let stop = async move {
                // An error means that the server was dropped, which is a stop as well.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stop).await {
                tracing::error!(%error, "signalling ended");
            }
        });
    }
    while serving.join_next().await.is_some() {}
}
