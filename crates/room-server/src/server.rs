//! Start and stop.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::{KeyPolicy, ServerConfig, TcpPort};
use crate::forwarding::core::{ClientAddress, Transport};
use crate::forwarding::str0m_core::Str0mFactory;
use crate::http::{HttpState, metrics_router, router};
use crate::hub::{Hub, HubSettings};
use crate::join_rate::JoinLimiter;
use crate::keys::KeyStore;
use crate::metrics::Metrics;
use crate::net::{MediaLoop, OwnAddresses, TcpMedia, bind_udp, candidates, default_route_ip, local_candidates};
use crate::webhooks::{WebhookConfigError, Webhooks};

/// Commands that wait for the media thread before signalling connections have to wait.
const COMMAND_QUEUE: usize = 1024;
/// How far the media ports are from the signalling port, as with LiveKit.
const UDP_PORT_OFFSET: u16 = 2;
const TCP_PORT_OFFSET: u16 = 1;
/// Longest wait for connections to end when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(800);

/// Why the server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Something else listens there already.
    #[error("address {0} is in use")]
    AddressInUse(SocketAddr),
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
        if config.dev && !config.bind.is_loopback() {
            return Err(StartError::DevNotLoopback);
        }
        let keys = match config.keys.clone() {
            KeyPolicy::Fixed(keys) if keys.is_empty() && config.server_secrets.is_empty() => {
                return Err(StartError::NoKeys);
            }
            KeyPolicy::Fixed(keys) => keys,
            KeyPolicy::Embedded if !config.bind.is_loopback() => return Err(StartError::NotLoopback),
            KeyPolicy::Embedded => BTreeMap::new(),
        };
        let keys = Arc::new(KeyStore::new(keys, config.server_secrets.clone()));
        let wanted = SocketAddr::new(config.bind, config.port);
        let listener = TcpListener::bind(wanted).await.map_err(|error| start_error(wanted, error))?;
        let address = listener.local_addr()?;
        // Signalling stays on loopback; media are offered to this machine under its own address too (`own_addresses`).
        // Not where somebody says how media come in.
        let is_told = config.node_ip.is_some() || config.advertised_udp_port.is_some();
        let is_local = address.ip().is_loopback() && !is_told && default_route_ip(address).is_some();
        let socket = media_socket(address, is_local, config.port, config.udp_port)?;
        let media_address = SocketAddr::new(address.ip(), socket.local_addr()?.port());
        let tcp_listener = tcp_listener(address, config.tcp_port).await?;
        let tcp_media_address = tcp_listener.as_ref().map(TcpListener::local_addr).transpose()?;

        let metrics_listener = match config.metrics_port {
            Some(port) => {
                let wanted = SocketAddr::new(config.bind, port);
                Some(TcpListener::bind(wanted).await.map_err(|error| start_error(wanted, error))?)
            }
            None => None,
        };
        let (webhooks, notices) = match &config.webhooks {
            Some(config) => {
                let (webhooks, notices) = Webhooks::start(config, |key| keys.secret(key))?;
                (Some(webhooks), Some(notices))
            }
            None => (None, None),
        };

        let metrics = Metrics::default();
        let mut reachable = Vec::new();
        if !config.force_tcp && !is_local {
            reachable.extend(client_addresses(
                Transport::Udp,
                media_address,
                config.node_ip,
                config.advertised_udp_port,
            ));
        }
        if let Some(address) = tcp_media_address {
            reachable.extend(client_addresses(Transport::Tcp, address, config.node_ip, None));
        }
        let has_local_udp = is_local && !config.force_tcp;
        let candidates = move || {
            let udp = if has_local_udp { local_candidates(media_address) } else { Vec::new() };
            let udp = udp.into_iter().map(|socket| ClientAddress { transport: Transport::Udp, socket });
            udp.chain(reachable.iter().copied()).collect()
        };
        let factory = Box::new(Str0mFactory::new(Box::new(candidates), config.codecs.clone()));
        let hub = Hub::new(factory, keys.clone(), metrics.clone(), HubSettings::new(&config, notices));
        let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
        let (stop, stopped) = watch::channel(false);
        let tcp = tcp_listener.map(|listener| TcpMedia::serve(listener, stopped.clone()));
        let only = is_local.then(OwnAddresses::default);
        let media = MediaLoop::start(hub, socket, tcp, only, command_queue, stopped.clone())?;

        let state = Arc::new(HttpState {
            keys: keys.clone(),
            hub: commands,
            connections: AtomicU64::new(1),
            joins: Mutex::new(JoinLimiter::new(config.join_rate)),
            limits: config.limits,
            single_peer_connection: config.single_peer_connection,
            port: address.port(),
        });
        let metrics_address = metrics_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        if let Some(listener) = metrics_listener {
            tokio::spawn(serve_http(listener, metrics_router(metrics.clone()), stopped.clone()));
        }
        let router = router(state, &config, config.metrics.then_some(metrics));
        let http = tokio::spawn(serve_http(listener, router, stopped));
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

async fn serve_http(listener: TcpListener, router: axum::Router, mut stopped: watch::Receiver<bool>) {
    let stop = async move {
        // An error means that the server was dropped, which is a stop as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "signalling ended");
    }
}

/// The socket for media beside signalling at `address`; on all interfaces if so wanted.
fn media_socket(
    address: SocketAddr,
    on_all: bool,
    wanted_port: u16,
    udp_port: Option<u16>,
) -> Result<UdpSocket, StartError> {
    let address = match address.ip() {
        IpAddr::V4(_) if on_all => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()),
        IpAddr::V6(_) if on_all => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port()),
        _ => address,
    };
    if let Some(port) = udp_port {
        let address = SocketAddr::new(address.ip(), port);
        return bind_udp(address).map_err(|error| start_error(address, error));
    }
    let any = SocketAddr::new(address.ip(), 0);
    let usual = wanted_port.checked_add(UDP_PORT_OFFSET).filter(|_| wanted_port != 0);
    let socket = match usual {
        Some(port) => bind_udp(SocketAddr::new(address.ip(), port)).or_else(|_| bind_udp(any)),
        None => bind_udp(any),
    };
    Ok(socket?)
}

async fn tcp_listener(address: SocketAddr, wanted: TcpPort) -> Result<Option<TcpListener>, StartError> {
    match wanted {
        TcpPort::None => Ok(None),
        TcpPort::Fixed(port) => {
            let address = SocketAddr::new(address.ip(), port);
            TcpListener::bind(address).await.map(Some).map_err(|error| start_error(address, error))
        }
        TcpPort::Usual => {
            let Some(port) = address.port().checked_add(TCP_PORT_OFFSET) else { return Ok(None) };
            let bound = TcpListener::bind(SocketAddr::new(address.ip(), port)).await;
            Ok(bound.inspect_err(|error| tracing::warn!(port, %error, "no media over TCP")).ok())
        }
    }
}

/// Where clients reach a socket that is bound to `bound`, best first.
fn client_addresses(
    transport: Transport,
    bound: SocketAddr,
    advertised: Option<IpAddr>,
    advertised_port: Option<u16>,
) -> impl Iterator<Item = ClientAddress> {
    candidates(bound, advertised, advertised_port).into_iter().map(move |socket| ClientAddress { transport, socket })
}

fn start_error(address: SocketAddr, error: io::Error) -> StartError {
    match error.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Io(error),
    }
}
