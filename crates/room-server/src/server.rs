//! Start and stop.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::{KeyPolicy, ServerConfig};
use crate::forwarding::str0m_core::Str0mFactory;
use crate::http::{HttpState, router};
use crate::hub::Hub;
use crate::keys::KeyStore;
use crate::metrics::Metrics;
use crate::net::{MediaLoop, bind_udp, candidates};

/// Commands that wait for the media thread before signalling connections have to wait.
const COMMAND_QUEUE: usize = 1024;
/// How far the media port is from the signalling port, as with LiveKit.
const UDP_PORT_OFFSET: u16 = 2;
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
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A running server. Dropping it stops it without waiting.
pub struct RoomServer {
    address: SocketAddr,
    media_address: SocketAddr,
    keys: Arc<KeyStore>,
    stop: watch::Sender<bool>,
    http: JoinHandle<()>,
    media: Option<MediaLoop>,
}

impl RoomServer {
    /// Starts a server on the current tokio runtime (signalling) and in a thread of its own (media).
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: ServerConfig) -> Result<Self, StartError> {
        let keys = match config.keys {
            KeyPolicy::Fixed(keys) if keys.is_empty() && config.server_secrets.is_empty() => {
                return Err(StartError::NoKeys);
            }
            KeyPolicy::Fixed(keys) => keys,
            KeyPolicy::Embedded if !config.bind.is_loopback() => return Err(StartError::NotLoopback),
            KeyPolicy::Embedded => BTreeMap::new(),
        };
        let keys = Arc::new(KeyStore::new(keys, config.server_secrets));
        let wanted = SocketAddr::new(config.bind, config.port);
        let listener = TcpListener::bind(wanted).await.map_err(|error| start_error(wanted, error))?;
        let address = listener.local_addr()?;
        let socket = media_socket(address, config.port, config.udp_port)?;
        let media_address = socket.local_addr()?;

        let metrics = Metrics::default();
        let factory = Box::new(Str0mFactory::new(candidates(media_address, config.node_ip)));
        let hub = Hub::new(factory, keys.clone(), metrics.clone(), config.departure_timeout);
        let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
        let (stop, stopped) = watch::channel(false);
        let media = MediaLoop::start(hub, socket, command_queue, stopped.clone())?;

        let state = Arc::new(HttpState { keys: keys.clone(), hub: commands, connections: AtomicU64::new(1) });
        let http = tokio::spawn(serve_http(
            listener,
            router(state, config.single_peer_connection, config.metrics.then_some(metrics)),
            stopped,
        ));
        tracing::info!(%address, %media_address, "room server listens");
        Ok(Self { address, media_address, keys, stop, http, media: Some(media) })
    }

    /// Where signalling is served.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where media is served.
    pub fn media_addr(&self) -> SocketAddr {
        self.media_address
    }

    /// Lets another app in. False when its API key is there with another secret; that one stays.
    pub fn add_key(&self, api_key: &str, secret: &str) -> bool {
        self.keys.add(api_key, secret)
    }

    /// Tells everybody to leave, and stops. Takes less than a second.
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
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "signalling ended");
    }
}

fn media_socket(address: SocketAddr, wanted_port: u16, udp_port: Option<u16>) -> Result<UdpSocket, StartError> {
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

fn start_error(address: SocketAddr, error: io::Error) -> StartError {
    match error.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Io(error),
    }
}
