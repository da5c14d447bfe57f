//! Puts [`DtlsFlights`] and [`Routes`] between the stack and its UDP sockets.
//!
//! The stack gets its sockets from a runtime. This is tokio's runtime, except for the sockets.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime, TokioRuntime,
    Transmit,
};

use crate::dtls_flights::{Decision, DtlsFlights, is_dtls};
use crate::routes::Routes;
use crate::routes::socket::RouteSocket;

/// Tokio's runtime with our own UDP sockets.
#[derive(Debug)]
pub(crate) struct DtlsRuntime {
    pub(crate) routes: Arc<Routes>,
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for DtlsRuntime {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn(future)
    }

    fn spawn_reactor(&self, pool_size: usize, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn_reactor(pool_size, future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = Arc::new(DtlsSocket {
            inner: RouteSocket::new(TokioRuntime.wrap_udp_socket(socket)?, Arc::clone(&self.routes)),
            flights: Mutex::default(),
            is_over: AtomicBool::new(false),
            changed: Arc::default(),
        });
        tokio::spawn(repeat_flights(Arc::downgrade(&socket), socket.changed.clone()));
        Ok(socket)
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    fn connect_tcp(&self, remote: SocketAddr) -> Boxed<'_, io::Result<Arc<dyn AsyncTcpStream>>> {
        TokioRuntime.connect_tcp(remote)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        TokioRuntime.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        TokioRuntime.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn yield_now(&self) -> Boxed<'static, ()> {
        TokioRuntime.yield_now()
    }

    fn name(&self) -> &'static str {
        "tokio, with repeated DTLS flights"
    }
}

struct DtlsSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    flights: Mutex<DtlsFlights>,
    /// The handshake is over; datagrams pass without a look.
    is_over: AtomicBool,
    /// Wakes the task that repeats flights when its deadline changes or ends.
    changed: Arc<Notify>,
}

impl std::fmt::Debug for DtlsSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DtlsSocket").field(&self.inner).finish()
    }
}

impl Drop for DtlsSocket {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

impl DtlsSocket {
    fn is_for_stack(&self, datagram: &[u8]) -> bool {
        if !is_dtls(datagram) {
            return true;
        }
        let mut flights = self.flights.lock();
        let decision = flights.on_received(Instant::now(), datagram);
        self.is_over.store(flights.is_over(), Ordering::Relaxed);
        self.changed.notify_one();
        decision == Decision::Pass
    }

    /// Removes the datagrams that are not for the stack from a message, which may contain several.
    fn filter(&self, buffer: &mut [u8], meta: &mut RecvMeta) {
        let (length, stride) = (meta.len.min(buffer.len()), meta.stride.max(1));
        let mut kept = 0;
        for start in (0..length).step_by(stride) {
            let end = (start + stride).min(length);
            if buffer.get(start..end).is_some_and(|datagram| self.is_for_stack(datagram)) {
                buffer.copy_within(start..end, kept);
                kept += end - start;
            }
        }
        meta.len = kept;
    }
}

impl AsyncUdpSocket for DtlsSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let sent = self.inner.poll_send(cx, transmit);
        if sent.is_ready() && !self.is_over.load(Ordering::Relaxed) && is_dtls(transmit.contents) {
            let (now, mut flights) = (Instant::now(), self.flights.lock());
            let length = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            for datagram in transmit.contents.chunks(length) {
                flights.on_sent(now, datagram, transmit.destination);
            }
            drop(flights);
            self.changed.notify_one();
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.is_over.load(Ordering::Relaxed) {
            return self.inner.poll_recv(cx, bufs, meta);
        }
        // One message at a time, so that none has to be moved when it is removed.
        let (Some(buffer), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else { return Poll::Ready(Ok(0)) };
        loop {
            let count = ready!(self.inner.poll_recv(cx, slice::from_mut(buffer), slice::from_mut(meta)))?;
            let was_empty = meta.len == 0;
            self.filter(buffer, meta);
            if count == 0 || was_empty || meta.len > 0 {
                return Poll::Ready(Ok(count));
            }
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}

/// Repeats due flights until the handshake is over or the socket is dropped.
async fn repeat_flights(socket: Weak<DtlsSocket>, changed: Arc<Notify>) {
    loop {
        let next = match socket.upgrade() {
            Some(socket) if !socket.is_over.load(Ordering::Relaxed) => socket.flights.lock().next_timeout(),
            _ => return,
        };
        match next {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = changed.notified() => continue,
            },
            None => {
                changed.notified().await;
                continue;
            }
        }
        let Some(socket) = socket.upgrade() else { return };
        let due = socket.flights.lock().poll_due(Instant::now());
        for (datagram, to) in due {
            // A datagram that cannot be sent now is sent with the next repetition.
            let _ = socket.inner.send_to(&datagram, to).await;
        }
    }
}
