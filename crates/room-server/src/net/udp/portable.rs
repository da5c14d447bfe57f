//! One call for each datagram.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use mio::net::UdpSocket as MioSocket;

use super::MAX_DATAGRAM_BYTES;
use super::sender::Part;

/// Datagrams that are received at once before others are served.
const RECEIVE_BATCH: usize = 16;

/// The receiving end of a socket. Stays in one thread.
pub struct UdpReceiver {
    socket: MioSocket,
    /// Our address, if there is only one.
    local: Option<SocketAddr>,
    buffer: Vec<u8>,
}

impl UdpReceiver {
    /// Receives from this non-blocking socket.
    ///
    /// # Errors
    /// The system does not know its own socket.
    pub fn new(socket: MioSocket) -> io::Result<Self> {
        let local = Some(socket.local_addr()?).filter(|local| !local.ip().is_unspecified());
        Ok(Self { socket, local, buffer: vec![0; MAX_DATAGRAM_BYTES] })
    }

    /// Receives what is there, up to a limit of its own, and passes it on one by one: the source, our address (unknown if
    /// `None`), and the contents. False when nothing is left.
    pub fn receive(&mut self, mut take: impl FnMut(SocketAddr, Option<SocketAddr>, &[u8])) -> bool {
        for _ in 0..RECEIVE_BATCH {
            match self.socket.recv_from(&mut self.buffer) {
                Ok((length, source)) => take(source, self.local, self.buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Some systems report here that an earlier datagram did not arrive. That is no fault of the socket.
                Err(error) => tracing::trace!(%error, "receiving failed"),
            }
        }
        true
    }
}

/// The state of the system calls for sending.
pub struct SendCalls;

impl SendCalls {
    /// Ready to send.
    pub fn new() -> Self {
        Self
    }

    /// Sends the first of these parts of `bytes`, and returns how many. The system chooses the address.
    ///
    /// # Errors
    /// The system's error for the very first one.
    pub fn send(
        &mut self,
        socket: &UdpSocket,
        _local: Option<IpAddr>,
        bytes: &[u8],
        parts: &[Part],
    ) -> io::Result<usize> {
        let Some(part) = parts.first() else { return Ok(0) };
        socket.send_to(bytes.get(part.range.clone()).unwrap_or_default(), part.to).map(|_| 1)
    }
}
