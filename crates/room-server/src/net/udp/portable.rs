//! One call for each datagram.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;

use mio::net::UdpSocket as MioSocket;

use super::DATAGRAM_MAX;

/// Datagrams that are taken in one go before others get their turn.
const RECEIVE_BATCH: usize = 16;

/// The receiving end of a socket. Stays in one thread.
pub struct UdpReceiver {
    socket: MioSocket,
    buffer: Vec<u8>,
}

impl UdpReceiver {
    /// Receives from this socket, which does not block.
    pub fn new(socket: MioSocket) -> Self {
        Self { socket, buffer: vec![0; DATAGRAM_MAX] }
    }

    /// Takes in what is there, up to a limit of its own, and hands it over one by one. False when nothing is left.
    pub fn receive(&mut self, mut take: impl FnMut(SocketAddr, &[u8])) -> bool {
        for _ in 0..RECEIVE_BATCH {
            match self.socket.recv_from(&mut self.buffer) {
                Ok((length, source)) => take(source, self.buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Some systems report here that an earlier datagram did not arrive. That is no fault of the socket.
                Err(error) => tracing::trace!(%error, "receiving failed"),
            }
        }
        true
    }
}

/// What the calls for sending need.
pub struct SendCalls;

impl SendCalls {
    /// Ready to send.
    pub fn new() -> Self {
        Self
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
        let Some((to, range)) = parts.first() else { return Ok(0) };
        socket.send_to(bytes.get(range.clone()).unwrap_or_default(), to).map(|_| 1)
    }
}
