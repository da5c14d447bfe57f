//! A UDP socket that also carries datagrams for synthetic addresses.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use super::Routes;
use super::link::{INBOX_CAPACITY, Inbox};
use super::synthetic::is_synthetic;

/// A UDP socket of the stack that also sends and receives over routes.
pub(crate) struct RouteSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    routes: Arc<Routes>,
    inbox: Inbox,
    arrivals: Mutex<mpsc::Receiver<(SocketAddr, Bytes)>>,
    /// Alternates, so that neither UDP nor the routes can starve the other.
    is_udp_first: AtomicBool,
}

impl fmt::Debug for RouteSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RouteSocket").field(&self.inner).finish()
    }
}

impl RouteSocket {
    /// Wraps a socket of the stack and registers it with the routes.
    pub(crate) fn new(inner: Arc<dyn AsyncUdpSocket>, routes: Arc<Routes>) -> Arc<Self> {
        let (inbox, arrivals) = mpsc::channel(INBOX_CAPACITY);
        if let Ok(address) = inner.local_addr() {
            routes.on_bound(address, inbox.clone());
        }
        Arc::new(Self { inner, routes, inbox, arrivals: Mutex::new(arrivals), is_udp_first: AtomicBool::new(false) })
    }

    fn poll_routes(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else { return Poll::Ready(Ok(0)) };
        let mut arrivals = self.arrivals.lock();
        while let Poll::Ready(Some((from, datagram))) = arrivals.poll_recv(cx) {
            if let Some(place) = buffer.get_mut(..datagram.len()) {
                place.copy_from_slice(&datagram);
                *meta = RecvMeta::default();
                (meta.addr, meta.len, meta.stride) = (from, datagram.len(), datagram.len());
                return Poll::Ready(Ok(1));
            }
        }
        Poll::Pending
    }

    fn poll_udp(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if !self.routes.allows_udp() {
            return Poll::Pending;
        }
        let polled = self.inner.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(1..)) = &polled
            && let (Some(buffer), Some(meta)) = (bufs.first(), meta.first())
            && buffer.get(..meta.len).is_some_and(is_answer)
        {
            self.routes.on_udp_answer();
        }
        polled
    }
}

impl AsyncUdpSocket for RouteSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let to = transmit.destination;
        if is_media(transmit.contents) {
            self.routes.on_media_sent(to);
        }
        if is_synthetic(&to) {
            let length = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            self.routes.send(to, &self.inbox, transmit.contents.chunks(length));
        } else if self.routes.allows_udp() {
            return self.inner.poll_send(cx, transmit);
        }
        // Datagrams without room in the queue are lost, as on any network.
        Poll::Ready(Ok(transmit.contents.len()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.is_udp_first.fetch_xor(true, Ordering::Relaxed) {
            match self.poll_udp(cx, bufs, meta) {
                Poll::Pending => self.poll_routes(cx, bufs, meta),
                ready => ready,
            }
        } else {
            match self.poll_routes(cx, bufs, meta) {
                Poll::Pending => self.poll_udp(cx, bufs, meta),
                ready => ready,
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

/// Whether this is DTLS, SRTP or SRTCP (RFC 7983), which only the selected route carries.
fn is_media(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first >= 20)
}

/// Whether this is the answer to a connectivity check: a STUN binding success response (RFC 8489).
fn is_answer(datagram: &[u8]) -> bool {
    datagram.starts_with(&[1, 1]) && datagram.get(4..8) == Some(&[0x21, 0x12, 0xa4, 0x42])
}
