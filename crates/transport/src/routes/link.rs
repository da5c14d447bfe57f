//! One route as the sockets see it: a synthetic address, a send queue, and the inbox of the socket that uses it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::route::MediaRoute;
use super::send_queue::SendQueue;

/// Datagrams that wait for the stack; beyond that, reading from TCP pauses.
pub(super) const INBOX_CAPACITY: usize = 256;

/// Takes the datagrams that arrive over routes for a socket, each with its synthetic address.
pub(super) type Inbox = mpsc::Sender<(SocketAddr, Bytes)>;

/// A route with its synthetic address.
#[derive(Debug)]
pub(crate) struct Link {
    /// The synthetic address.
    pub(super) address: SocketAddr,
    /// The route that the address stands for.
    pub(super) route: MediaRoute,
    /// Shared by all peers of a relay.
    pub(super) queue: Arc<SendQueue>,
    /// Inbox of the socket that uses this route. The stack tries all its sockets, and answers have to reach the one that
    /// asked: the first socket owns the route until it is closed.
    owner: Mutex<Option<Inbox>>,
}

impl Link {
    /// Creates the link of a route.
    pub(super) fn new(address: SocketAddr, route: MediaRoute, queue: Arc<SendQueue>) -> Self {
        Self { address, route, queue, owner: Mutex::default() }
    }

    /// Sends a datagram for the socket with this inbox; it is dropped if another socket owns the route.
    pub(super) fn send(&self, inbox: &Inbox, datagram: &[u8]) {
        let mut owner = self.owner.lock();
        if owner.as_ref().is_none_or(Inbox::is_closed) {
            *owner = Some(inbox.clone());
        }
        if owner.as_ref().is_some_and(|owner| owner.same_channel(inbox)) {
            self.queue.push(self.route.remote, Bytes::copy_from_slice(datagram));
        }
    }

    /// Passes a received datagram to the owner as soon as its inbox has room.
    pub(super) async fn deliver(&self, datagram: Bytes) {
        let owner = self.owner.lock().clone();
        if let Some(owner) = owner {
            // A closed socket needs nothing.
            let _ = owner.send((self.address, datagram)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::route::RouteKind;

    fn link() -> Link {
        let remote = "192.0.2.7:7881".parse().unwrap();
        let route = MediaRoute { kind: RouteKind::Tcp, remote, relay: None };
        Link::new("240.0.0.1:9".parse().unwrap(), route, Arc::default())
    }

    #[tokio::test]
    async fn the_first_socket_owns_the_route_until_it_is_closed() {
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
