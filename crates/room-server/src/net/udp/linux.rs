//! `recvmmsg` and `sendmmsg`.

use std::array::from_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

use mio::net::UdpSocket as MioSocket;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use super::DATAGRAM_MAX;

/// Most datagrams of one call.
const RECEIVE_BATCH: usize = 16;
const SEND_BATCH: usize = 32;

/// The receiving end of a socket. Stays in one thread.
pub struct UdpReceiver {
    socket: MioSocket,
    headers: MultiHeaders<SockaddrStorage>,
    /// One after the other, [`DATAGRAM_MAX`] bytes each.
    buffers: Vec<u8>,
    /// What is in the buffers: from whom, and how many bytes.
    received: Vec<(Option<SocketAddr>, usize)>,
}

impl UdpReceiver {
    /// Receives from this socket, which does not block.
    pub fn new(socket: MioSocket) -> Self {
        Self {
            socket,
            headers: MultiHeaders::preallocate(RECEIVE_BATCH, None),
            buffers: vec![0; RECEIVE_BATCH * DATAGRAM_MAX],
            received: Vec::with_capacity(RECEIVE_BATCH),
        }
    }

    /// Takes in what is there, up to a limit of its own, and hands it over one by one. False when nothing is left.
    pub fn receive(&mut self, mut take: impl FnMut(SocketAddr, &[u8])) -> bool {
        let Self { socket, headers, buffers, received } = self;
        received.clear();
        let mut parts = buffers.chunks_exact_mut(DATAGRAM_MAX);
        let mut slices: [_; RECEIVE_BATCH] = from_fn(|_| [IoSliceMut::new(parts.next().unwrap_or_default())]);
        match recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::empty(), None) {
            Ok(results) => received.extend(results.map(|one| (one.address.and_then(std_address), one.bytes))),
            Err(Errno::EAGAIN) => return false,
            // Some systems report here that an earlier datagram did not arrive. That is no fault of the socket.
            Err(error) => {
                tracing::trace!(%error, "receiving failed");
                return true;
            }
        }
        for ((source, length), buffer) in received.iter().zip(buffers.chunks_exact(DATAGRAM_MAX)) {
            if let Some(source) = source {
                take(*source, buffer.get(..*length).unwrap_or_default());
            }
        }
        // Fewer than there was room for: the socket was empty, and to ask once more would cost another call.
        received.len() == RECEIVE_BATCH
    }
}

fn std_address(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
}

/// What the calls for sending need; stays in one thread.
pub struct SendCalls {
    headers: MultiHeaders<SockaddrStorage>,
}

impl SendCalls {
    /// Ready to send.
    pub fn new() -> Self {
        Self { headers: MultiHeaders::preallocate(SEND_BATCH, None) }
    }

    /// Sends the first of these parts of `bytes`, and gives how many.
    ///
    /// # Errors
    /// What the system says of the very first one.
    pub fn send(
        &mut self,
        socket: &UdpSocket,
        bytes: &[u8],
        parts: &[(SocketAddr, Range<usize>)],
    ) -> io::Result<usize> {
        let part = |at: usize| parts.get(at).and_then(|(_, range)| bytes.get(range.clone())).unwrap_or_default();
        let slices: [_; SEND_BATCH] = from_fn(|at| [IoSlice::new(part(at))]);
        let addresses: [_; SEND_BATCH] = from_fn(|at| parts.get(at).map(|(to, _)| SockaddrStorage::from(*to)));
        let count = parts.len().min(SEND_BATCH);
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter().take(count),
            addresses,
            [],
            MsgFlags::empty(),
        )?;
        Ok(sent.count())
    }
}
