//! A UDP socket that also reaches synthetic addresses.

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

use super::Ways;
use super::link::{INBOX_LENGTH, Inbox};
use super::synthetic::is_synthetic;

/// See the module.
pub(crate) struct WaySocket {
    inner: Arc<dyn AsyncUdpSocket>,
    ways: Arc<Ways>,
    inbox: Inbox,
    arrivals: Mutex<mpsc::Receiver<(SocketAddr, Bytes)>>,
    /// Whose turn it is, so that neither side can keep the other waiting.
    is_udp_first: AtomicBool,
}

impl fmt::Debug for WaySocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WaySocket").field(&self.inner).finish()
    }
}

impl WaySocket {
    pub(crate) fn new(inner: Arc<dyn AsyncUdpSocket>, ways: Arc<Ways>) -> Arc<Self> {
        let (inbox, arrivals) = mpsc::channel(INBOX_LENGTH);
        if let Ok(address) = inner.local_addr() {
            ways.bound(address, inbox.clone());
        }
        Arc::new(Self { inner, ways, inbox, arrivals: Mutex::new(arrivals), is_udp_first: AtomicBool::new(false) })
    }

    fn poll_ways(
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
        if !self.ways.allows_udp() {
            return Poll::Pending;
        }
        let polled = self.inner.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(1..)) = &polled
            && let (Some(buffer), Some(meta)) = (bufs.first(), meta.first())
            && is_answer(&buffer[..meta.len.min(buffer.len())])
        {
            self.ways.udp_answered();
        }
        polled
    }
}

impl AsyncUdpSocket for WaySocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let to = transmit.destination;
        if is_media(transmit.contents) {
            self.ways.sent_media(to);
        }
        if is_synthetic(&to) {
            let length = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            self.ways.send(to, &self.inbox, transmit.contents.chunks(length));
        } else if self.ways.allows_udp() {
            return self.inner.poll_send(cx, transmit);
        }
        // What has no room is lost, as it would be on any network.
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
                Poll::Pending => self.poll_ways(cx, bufs, meta),
                ready => ready,
            }
        } else {
            match self.poll_ways(cx, bufs, meta) {
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

/// Whether this is DTLS or what it protects (RFC 7983): only the way that was chosen carries it.
fn is_media(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first >= 20)
}

/// Whether this is the answer to a check: a STUN binding success response (RFC 8489).
fn is_answer(datagram: &[u8]) -> bool {
    datagram.starts_with(&[1, 1]) && datagram.get(4..8) == Some(&[0x21, 0x12, 0xa4, 0x42])
}
