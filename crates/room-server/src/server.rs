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
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::{KeyPolicy, ServerConfig};
use crate::forwarding::str0m_core::Str0mFactory;
use crate::front::{CertificateError, Certificates, Front, serve};
use crate::http::{HttpState, metrics_router, router};
use crate::hub::{Hub, HubSettings, IceServers};
use crate::join_rate::JoinLimiter;
use crate::keys::KeyStore;
use crate::metrics::Metrics;
use crate::net::{Framing, MediaLoop, Offer, OwnAddresses, Streams, TurnRelay, UdpSockets};
use crate::sockets::{Sockets, first_address};
use crate::turn::announcement::Announcement;
use crate::webhooks::{WebhookConfigError, Webhooks};

/// Commands that wait for the media thread before signalling connections have to wait.
const COMMAND_QUEUE: usize = 1024;
/// Longest wait for connections to end when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(800);

/// Why the server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process listens there already.
    #[error("address {0} is in use")]
    AddressInUse(SocketAddr),
    /// The system does not let us listen there.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// [`KeyPolicy::Fixed`] has no keys, so no client could join.
    #[error("no keys are configured")]
    NoKeys,
    /// [`KeyPolicy::Embedded`] with an address that others can reach.
    #[error("a server without configured keys may only listen on loopback")]
    NotLoopback,
    /// [`ServerConfig::dev`] with an address that others can reach.
    #[error("a server that gives everybody a token may only listen on loopback")]
    DevNotLoopback,
    /// The TLS library's error.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The certificate or its private key cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
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
    is_secure: bool,
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
        let certificates = config.tls.clone().map(Certificates::load).transpose()?;
        let turn_certificates = config.turn.tls.clone().map(Certificates::load).transpose()?;
        let sockets = Sockets::open(&config)?;
        let Sockets { signalling, media, tcp_media, metrics: metrics_listeners, turn_udp, turn_tls, is_local } =
            sockets;
        let address = first_address(&signalling)?;
        let media_port = media.first().map(UdpSocket::local_addr).transpose()?.map_or(0, |bound| bound.port());
        let media_address = SocketAddr::new(address.ip(), media_port);
        let tcp_media_address = tcp_media.first().map(TcpListener::local_addr).transpose()?;
        let metrics_address = metrics_listeners.first().map(TcpListener::local_addr).transpose()?;

        let (webhooks, webhook_events) = match &config.webhooks {
            Some(config) => {
                let (webhooks, webhook_events) = Webhooks::start(config, |key| keys.secret(key))?;
                (Some(webhooks), Some(webhook_events))
            }
            None => (None, None),
        };

        let metrics = Metrics::default();
        let offer = Arc::new(Offer {
            rules: config.candidates.clone(),
            configured: config.node_ips(),
            bound: signalling.iter().map(|one| one.local_addr().map(|bound| bound.ip())).collect::<Result<_, _>>()?,
            is_local,
            udp_port: (!config.force_tcp).then_some(media_port),
            advertised_udp_port: config.advertised_udp_port,
            tcp_port: tcp_media_address.map(|bound| bound.port()),
            interfaces: Mutex::default(),
        });
        let offered = Arc::clone(&offer);
        let candidates = Box::new(move || offered.now(Instant::now()));
        let announcement = Announcement { config: config.turn.clone(), is_loopback: config.is_loopback() };
        let own = announcement.is_on() && !config.force_tcp;
        let secret: [u8; 32] = rand::random();
        let ice_servers = IceServers::new(config.ice_servers.clone(), own.then(|| (announcement, secret.to_vec())));
        let (turn, turn_inlet) = match own {
            true => {
                let (streams, inlet) = Streams::new(Framing::Turn);
                let clones = turn_udp.iter().map(UdpSocket::try_clone).collect::<io::Result<_>>()?;
                let relay = TurnRelay::new(&secret, streams, UdpSockets::new(clones)?, Arc::clone(&offer));
                (Some((relay, turn_udp)), Some(inlet))
            }
            false => (None, None),
        };
        let factory = Box::new(Str0mFactory::new(candidates, config.codecs.clone()));
        let hub =
            Hub::new(factory, keys.clone(), metrics.clone(), HubSettings::new(&config, ice_servers, webhook_events));
        let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
        let (stop, stopped) = watch::channel(false);
        let tcp = (!tcp_media.is_empty()).then(|| {
            let (streams, inlet) = Streams::new(Framing::Media);
            tcp_media.into_iter().for_each(|listener| inlet.listen(listener, stopped.clone()));
            streams
        });
        let only = is_local.then(OwnAddresses::default);
        let media = MediaLoop::start(hub, media, tcp, turn, only, command_queue, stopped.clone())?;

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
            let front = Front { tls: None, router: Some(metrics_router(metrics.clone())), turn: None };
            tokio::spawn(serve(vec![listener], front, stopped.clone()));
        }
        let router = router(state, &config, config.metrics.then_some(metrics));
        let is_secure = certificates.is_some();
        let tls = certificates.as_ref().map(Certificates::acceptor).transpose()?;
        let turn_tls_acceptor = match (&turn_certificates, config.turn.external_tls) {
            (_, true) => None,
            (Some(certificates), false) => Some(certificates.acceptor()?),
            (None, false) => tls.clone(),
        };
        for certificates in certificates.into_iter().chain(turn_certificates) {
            tokio::spawn(certificates.look_after(stopped.clone()));
        }
        if !turn_tls.is_empty() {
            let front = Front { tls: turn_tls_acceptor, router: None, turn: turn_inlet.clone() };
            tokio::spawn(serve(turn_tls, front, stopped.clone()));
        }
        warn_of_plain(&config);
        let front = Front { tls, router: Some(router), turn: turn_inlet };
        let http = tokio::spawn(serve(signalling, front, stopped));
        tracing::info!(%address, %media_address, ?tcp_media_address, "room server listens");
        let media = Some(media);
        Ok(Self {
            address,
            media_address,
            tcp_media_address,
            metrics_address,
            is_secure,
            keys,
            stop,
            http,
            media,
            webhooks,
        })
    }

    /// Where signalling is served.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Whether signalling is served over TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
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

    /// Asks all participants to leave, and stops. Takes less than a second, and up to one more when webhooks are to be sent.
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
        // The media thread, which has ended, held the senders of their queues.
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

/// Warns once about signalling without TLS.
fn warn_of_plain(config: &ServerConfig) {
    if config.tls.is_none() && !config.is_loopback() {
        tracing::warn!(
            "no TLS: whoever is on the way hears tokens and can get into calls. Give a certificate (--tls-cert, --tls-key), \
             unless a proxy before this port speaks TLS"
        );
    }
    let has_certificate = config.tls.is_some() || config.turn.tls.is_some() || config.turn.external_tls;
    if config.turn.tls_port.is_some() && !has_certificate {
        tracing::warn!("turn.tls_port has no certificate and no turn.external_tls: it serves TURN without TLS");
    }
}
