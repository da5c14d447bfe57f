//! Sends datagrams: puts some of them together, encrypts them, and hands them to the system in one go.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::time::Duration;

use super::SendCalls;
use crate::forwarding::datagram::Datagram;

/// Bytes that are put together before they are sent: few enough to stay in the cache closest to the processor.
const TOGETHER: usize = 24 * 1024;
/// How long, and how often, to wait for room in the socket's buffer before a datagram is given up.
const NO_ROOM: Duration = Duration::from_micros(200);
const NO_ROOM_TRIES: usize = 100;

/// See the module's description. Stays in one thread.
pub struct UdpSender {
    calls: SendCalls,
    bytes: Vec<u8>,
    parts: Vec<(SocketAddr, Range<usize>)>,
}

impl UdpSender {
    /// Ready to send.
    pub fn new() -> Self {
        Self { calls: SendCalls::new(), bytes: Vec::new(), parts: Vec::new() }
    }

    /// Sends datagrams on a socket that does not block.
    pub fn send(&mut self, socket: &UdpSocket, datagrams: impl IntoIterator<Item = Datagram>) {
        for datagram in datagrams {
            let begin = self.bytes.len();
            datagram.append_to(&mut self.bytes);
            // What cannot be encrypted is empty.
            if self.bytes.len() > begin {
                self.parts.push((datagram.destination.socket, begin..self.bytes.len()));
            }
            if self.bytes.len() >= TOGETHER {
                self.flush(socket);
            }
        }
        self.flush(socket);
    }

    fn flush(&mut self, socket: &UdpSocket) {
        let (mut done, mut tries) = (0, 0);
        while let Some(rest) = self.parts.get(done..).filter(|rest| !rest.is_empty()) {
            match self.calls.send(socket, &self.bytes, rest) {
                Ok(sent) => {
                    // One that is taken for sent although nothing was would be tried for ever.
                    done += sent.max(1);
                    tries = 0;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < NO_ROOM_TRIES => {
                    tries += 1;
                    std::thread::sleep(NO_ROOM);
                }
                Err(error) => {
                    tracing::trace!(%error, "sending failed");
                    done += 1;
                }
            }
        }
        self.parts.clear();
        self.bytes.clear();
    }
}
