//! One way as the sockets see it: a synthetic address, what waits to be sent over it, and who gets what comes.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::send_queue::SendQueue;
use super::way::MediaWay;

/// Datagrams that came over ways and wait for the stack; then TCP has to wait as well.
pub(super) const INBOX_LENGTH: usize = 256;

/// Where a socket takes what came over the ways, each with its synthetic address.
pub(super) type Inbox = mpsc::Sender<(SocketAddr, Bytes)>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Link {
    /// The synthetic address.
    pub(super) address: SocketAddr,
    /// What it stands for.
    pub(super) way: MediaWay,
    /// Shared by all peers of a relay.
    pub(super) queue: Arc<SendQueue>,
    /// Of the socket that uses this way. The stack tries all its sockets, and answers have to come to the one that asked:
    /// the first has it, until it is gone.
    owner: Mutex<Option<Inbox>>,
}

impl Link {
    pub(super) fn new(address: SocketAddr, way: MediaWay, queue: Arc<SendQueue>) -> Self {
        Self { address, way, queue, owner: Mutex::default() }
    }

    /// Sends a datagram for the socket with this inbox; nothing happens if another one has the way.
    pub(super) fn send(&self, inbox: &Inbox, datagram: &[u8]) {
        let mut owner = self.owner.lock();
        if owner.as_ref().is_none_or(Inbox::is_closed) {
            *owner = Some(inbox.clone());
        }
        if owner.as_ref().is_some_and(|owner| owner.same_channel(inbox)) {
            self.queue.push(self.way.remote, Bytes::copy_from_slice(datagram));
        }
    }

    /// Hands on what came, as soon as there is room.
    pub(super) async fn deliver(&self, datagram: Bytes) {
        let owner = self.owner.lock().clone();
        if let Some(owner) = owner {
            // A socket that is gone needs nothing.
            let _ = owner.send((self.address, datagram)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ways::way::WayKind;

    fn link() -> Link {
        let remote = "192.0.2.7:7881".parse().unwrap();
        let way = MediaWay { kind: WayKind::Tcp, remote, relay: None };
        Link::new("240.0.0.1:9".parse().unwrap(), way, Arc::default())
    }

    #[tokio::test]
    async fn the_first_socket_has_the_way_and_the_next_one_after_it() {
        let link = link();
        let (first, mut first_gets) = mpsc::channel(8);
        let (second, mut second_gets) = mpsc::channel(8);
        link.send(&first, b"one");
        link.send(&second, b"two");
        assert_eq!(link.queue.take(100).await.map(|taken| taken.len()), Some(1));
        link.deliver(Bytes::from_static(b"answer")).await;
        assert_eq!(first_gets.recv().await, Some((link.address, Bytes::from_static(b"answer"))));
        drop(first_gets);
        link.send(&second, b"three");
        link.deliver(Bytes::from_static(b"again")).await;
        assert_eq!(second_gets.recv().await, Some((link.address, Bytes::from_static(b"again"))));
    }
}
