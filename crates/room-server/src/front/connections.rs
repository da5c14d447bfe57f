//! Accepts connections, and passes each to the handler of its protocol.
//!
//! A client that sends nothing, or sends slowly, does not delay others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::arrival::Arrival;
use super::first_bytes::{ENOUGH, Spoken, spoken};
use super::prefixed::Prefixed;
use crate::net::StreamInlet;

/// Timeout of a TLS handshake, and then of the first bytes behind it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Timeout of a request's head, also on a connection that had one before.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Upper bound of connections whose protocol is unknown so far; more are closed at once.
const MAX_UNIDENTIFIED: usize = 2048;
/// How long to wait when the system has no more sockets.
const PAUSE: Duration = Duration::from_millis(100);
/// The answer to plain HTTP on a port that speaks TLS.
const HTTPS_ONLY: &str = "This port speaks TLS: use https:// or wss:// here\n";

/// The services of a port.
#[derive(Clone)]
pub struct Front {
    /// The TLS acceptor, if the port speaks TLS.
    pub tls: Option<TlsAcceptor>,
    /// The HTTP service; `None` where there is TURN alone.
    pub router: Option<Router>,
    /// The TURN service, if there is one.
    pub turn: Option<StreamInlet>,
}

/// Serves these ports until `stop` becomes true or its sender is dropped, and then until the last answer is sent.
pub async fn serve(listeners: Vec<TcpListener>, front: Front, stop: watch::Receiver<bool>) {
    let beginners = Arc::new(Semaphore::new(MAX_UNIDENTIFIED));
    let mut ports = JoinSet::new();
    for listener in listeners {
        ports.spawn(serve_port(listener, front.clone(), Arc::clone(&beginners), stop.clone()));
    }
    while ports.join_next().await.is_some() {}
}

async fn serve_port(listener: TcpListener, front: Front, beginners: Arc<Semaphore>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = stopped(&mut stop) => break,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "no connection accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&beginners).try_acquire_owned() else {
            tracing::debug!(%remote, "too many connections that have said nothing yet");
            continue;
        };
        let (front, mut stop) = (front.clone(), stop.clone());
        connections.spawn(async move {
            let begun = tokio::select! {
                begun = begin(stream, remote, &front) => begun,
                () = stopped(&mut stop) => None,
            };
            drop(place);
            if let Some((router, io)) = begun {
                serve_http(router, io, stop).await;
            }
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Waits for the end of the server. An error means that it was dropped, which is an end as well.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

type Io = Box<dyn Duplex>;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// Detects the protocol, and returns what is to be served with HTTP. `None` when it is served elsewhere, or not at all.
async fn begin(stream: TcpStream, remote: SocketAddr, front: &Front) -> Option<(Router, Io)> {
    let local = stream.local_addr().ok()?;
    // Waiting for more to send would only add delay.
    let _ = stream.set_nodelay(true);
    let (io, bytes, is_tls): (Io, Vec<u8>, bool) = match &front.tls {
        None => {
            let mut io: Io = Box::new(stream);
            let bytes = timeout(PATIENCE, first_bytes(&mut io)).await.ok()??;
            (io, bytes, false)
        }
        Some(acceptor) => {
            let mut stream = stream;
            let bytes = timeout(PATIENCE, first_bytes(&mut stream)).await.ok()??;
            if spoken(&bytes) == Some(Spoken::Http) && front.router.is_some() {
                refuse(stream).await;
                return None;
            }
            let handshake = acceptor.accept(Prefixed::new(bytes, stream));
            match timeout(PATIENCE, handshake).await {
                Ok(Ok(tls)) => {
                    let mut io: Io = Box::new(tls);
                    let bytes = timeout(PATIENCE, first_bytes(&mut io)).await.ok()??;
                    (io, bytes, true)
                }
                Ok(Err(error)) => {
                    tracing::debug!(%remote, %error, "no TLS");
                    return None;
                }
                Err(_) => return None,
            }
        }
    };
    let what = spoken(&bytes)?;
    let io = Prefixed::new(bytes, io);
    match (what, &front.router, &front.turn) {
        (Spoken::Http, Some(router), _) => {
            let router =
                router.clone().layer(Extension(ConnectInfo(remote))).layer(Extension(Arrival { local, is_tls }));
            Some((router, Box::new(io)))
        }
        (Spoken::Turn, _, Some(turn)) => {
            turn.adopt(io, remote, local);
            None
        }
        _ => None,
    }
}

/// Reads until the protocol is clear. `None` when the connection ends before.
async fn first_bytes(io: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(ENOUGH);
    while spoken(&bytes).is_none() {
        let mut byte = [0; ENOUGH];
        let room = ENOUGH - bytes.len();
        let count = io.read(byte.get_mut(..room)?).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(byte.get(..count)?);
    }
    Some(bytes)
}

async fn refuse(mut stream: TcpStream) {
    let told = async {
        let length = HTTPS_ONLY.len();
        let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length:";
        stream.write_all(format!("{head} {length}\r\n\r\n{HTTPS_ONLY}").as_bytes()).await?;
        stream.shutdown().await?;
        // Closing a socket with unread data would reset the connection, and the answer would be lost.
        let mut rest = [0; 512];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(Duration::from_secs(1), told).await;
}

async fn serve_http(router: Router, io: Io, mut stop: watch::Receiver<bool>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let service = TowerToHyperService::new(router);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "connection ended");
    }
}
