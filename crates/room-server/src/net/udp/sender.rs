//! Sends datagrams: puts some of them together, encrypts them, and hands them to the system in one go.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use super::{SendCalls, UdpSockets};
use crate::forwarding::datagram::Datagram;

/// Bytes that are put together before they are sent: few enough to stay in the cache closest to the processor.
const TOGETHER: usize = 24 * 1024;
/// How long, and how often, to wait for room in the socket's buffer before a datagram is dropped.
const NO_ROOM: Duration = Duration::from_micros(200);
const NO_ROOM_TRIES: usize = 100;

/// A datagram among bytes that are put together.
pub struct Part {
    /// Where to.
    pub to: SocketAddr,
    /// The socket, and the local address if the system has to be configured.
    by: (usize, Option<IpAddr>),
    /// Where its bytes are.
    pub range: Range<usize>,
}

/// Sends datagrams by a set of sockets. Stays in one thread.
pub struct UdpSender {
    calls: SendCalls,
    bytes: Vec<u8>,
    parts: Vec<Part>,
}

impl UdpSender {
    /// Ready to send.
    pub fn new() -> Self {
        Self { calls: SendCalls::new(), bytes: Vec::new(), parts: Vec::new() }
    }

    /// Sends datagrams on sockets that do not block.
    pub fn send(&mut self, sockets: &UdpSockets, datagrams: impl IntoIterator<Item = Datagram>) {
        for datagram in datagrams {
            let to = datagram.destination.socket;
            let Some(by) = sockets.choose(to, datagram.destination.local.map(|local| local.ip())) else { continue };
            let begin = self.bytes.len();
            datagram.append_to(&mut self.bytes);
            // A packet that cannot be encrypted is empty.
            if self.bytes.len() > begin {
                self.parts.push(Part { to, by, range: begin..self.bytes.len() });
            }
            if self.bytes.len() >= TOGETHER {
                self.flush(sockets);
            }
        }
        self.flush(sockets);
    }

    fn flush(&mut self, sockets: &UdpSockets) {
        let (mut done, mut tries) = (0, 0);
        while let Some(first) = self.parts.get(done) {
            let by = first.by;
            let rest = self.parts.get(done..).unwrap_or_default();
            let alike = rest.iter().position(|part| part.by != by).unwrap_or(rest.len());
            let Some(socket) = sockets.get(by.0) else { break };
            match self.calls.send(socket, by.1, &self.bytes, rest.get(..alike).unwrap_or_default()) {
                Ok(sent) => {
                    // Zero would repeat the first one for ever.
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
