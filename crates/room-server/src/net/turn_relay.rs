//! The TURN server with its transports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::offer::Offer;
use super::streams::{Ends, FromStream, Streams};
use super::udp::UdpSockets;
use super::udp::sender::UdpSender;
use crate::forwarding::core::{ClientAddress, Transport};
use crate::forwarding::datagram::Datagram;
use crate::turn::{Handled, TurnClient, TurnServer, Via};

/// The TURN server of this process.
pub struct TurnRelay {
    server: TurnServer,
    streams: Streams,
    /// Ports of its own.
    sockets: UdpSockets,
    /// Sent by the UDP ports with the next flush.
    pending: Vec<Datagram>,
    offer: Arc<Offer>,
}

impl TurnRelay {
    /// A relay to the media addresses of `offer`, which accepts passwords derived from `secret`.
    pub fn new(secret: &[u8], streams: Streams, sockets: UdpSockets, offer: Arc<Offer>) -> Self {
        Self { server: TurnServer::new(secret), streams, sockets, pending: Vec::new(), offer }
    }

    /// Handles a message from one of the UDP ports; datagrams for the rooms are passed to `take`.
    pub fn receive(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: SocketAddr,
        bytes: &[u8],
        take: impl FnOnce(ClientAddress, &[u8]),
    ) {
        self.handle(now, TurnClient { via: Via::Udp, remote, local }, bytes, take);
    }

    /// Handles the next message from a connection; datagrams for the rooms are passed to `take`. Pending when there is none.
    pub fn poll_streams(
        &mut self,
        now: Instant,
        context: &mut Context<'_>,
        take: impl FnOnce(ClientAddress, &[u8]),
    ) -> Poll<Option<()>> {
        self.streams.poll_receive(context).map(|next| {
            let client = |Ends { remote, local }| TurnClient { via: Via::Stream, remote, local };
            match next? {
                FromStream::Datagram(ends, bytes) => self.handle(now, client(ends), &bytes, take),
                FromStream::Closed(ends) => self.server.closed(client(ends)),
            }
            Some(())
        })
    }

    fn handle(&mut self, now: Instant, client: TurnClient, bytes: &[u8], take: impl FnOnce(ClientAddress, &[u8])) {
        let unix_now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let offer = &self.offer;
        let peers =
            || offer.now(now).into_iter().filter(|own| own.transport == Transport::Udp).map(|own| own.socket).collect();
        match self.server.handle(now, unix_now, client, bytes, &peers) {
            Handled::Reply(reply) => self.reply(client, reply),
            Handled::Relay { relay, peer, data } => {
                take(ClientAddress { transport: Transport::Turn, socket: relay, local: Some(peer) }, data);
            }
            Handled::Nothing => {}
        }
    }

    /// Sends a datagram of the rooms to the client behind a relay address. It is dropped if the client has gone or does not read.
    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        let ClientAddress { socket: relay, local, .. } = datagram.destination;
        let Some(peer) = local else { return };
        let bytes = datagram.into_bytes();
        if let Some((client, message)) = self.server.for_client(now, relay, peer, &bytes) {
            self.reply(client, message);
        }
    }

    fn reply(&mut self, TurnClient { via, remote, local }: TurnClient, message: Vec<u8>) {
        match via {
            Via::Stream => self.streams.send(Ends { remote, local }, message),
            Via::Udp => {
                let destination = ClientAddress { transport: Transport::Udp, socket: remote, local: Some(local) };
                self.pending.push(Datagram::of_bytes(destination, message));
            }
        }
    }

    /// Sends the datagrams of the UDP ports.
    pub fn flush(&mut self, sender: &mut UdpSender) {
        if !self.pending.is_empty() {
            sender.send(&self.sockets, self.pending.drain(..));
        }
    }

    /// Does the work that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.server.handle_timeout(now);
    }

    /// When [`TurnRelay::handle_timeout`] wants to be called, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        self.server.deadline()
    }
}
