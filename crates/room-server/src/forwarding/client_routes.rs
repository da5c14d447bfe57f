//! The routes on which a client was heard: an answer leaves on the route of its request.
//!
//! `str0m` identifies a route by one of the addresses that we offered and by the client's. The socket, and the address of
//! this machine, behind that are remembered here.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use super::core::{ClientAddress, Transport};

/// Upper bound of routes that are remembered. A client has a handful; the oldest is dropped.
const MAX_ROUTES: usize = 64;

/// A route as `str0m`, to which everything but TCP is UDP, identifies it: the offered address, the client's, and whether TCP.
type EngineRoute = (SocketAddr, SocketAddr, bool);

/// The routes of one client.
#[derive(Debug)]
pub struct ClientRoutes {
    offered: Vec<ClientAddress>,
    /// The one last heard comes first.
    heard: VecDeque<(EngineRoute, ClientAddress)>,
}

impl ClientRoutes {
    /// No client was heard yet at the addresses that we offered.
    pub fn new(offered: Vec<ClientAddress>) -> Self {
        Self { offered, heard: VecDeque::new() }
    }

    /// The offered address that a datagram of this client was sent to; where the system does not say, or a router changed the
    /// address, one that fits.
    pub fn offered_for(&self, source: ClientAddress) -> Option<SocketAddr> {
        let is_tcp = source.transport == Transport::Tcp;
        let usable = || {
            let carries = |own: &&ClientAddress| (own.transport == Transport::Tcp) == is_tcp;
            self.offered.iter().filter(carries).map(|own| own.socket)
        };
        let has = |ip: IpAddr| usable().find(|own| own.ip() == ip);
        let last_sent = source.local.and_then(|local| usable().find(|own| *own == local).or_else(|| has(local.ip())));
        let client = source.socket.ip();
        let same_scope =
            |own: &SocketAddr| own.ip().is_loopback() == client.is_loopback() && own.is_ipv4() == client.is_ipv4();
        let same_family = |own: &SocketAddr| own.is_ipv4() == client.is_ipv4();
        last_sent
            .or_else(|| usable().find(same_scope))
            .or_else(|| usable().find(same_family))
            .or_else(|| usable().next())
    }

    /// Notes a route on which the client was heard. Returns the offered address.
    pub fn note_route(&mut self, source: ClientAddress) -> Option<SocketAddr> {
        let way = |offered| (offered, source.socket, source.transport == Transport::Tcp);
        if let Some((known, first)) = self.heard.front()
            && *first == source
        {
            return Some(known.0);
        }
        let offered = self.offered_for(source)?;
        self.heard.retain(|(known, _)| *known != way(offered));
        self.heard.truncate(MAX_ROUTES - 1);
        self.heard.push_front((way(offered), source));
        Some(offered)
    }

    /// Where the client is that the engine wants to send to.
    pub fn client(&self, offered: SocketAddr, client: SocketAddr, is_tcp: bool) -> ClientAddress {
        let heard = self.heard.iter().find(|(way, _)| *way == (offered, client, is_tcp)).map(|(_, source)| *source);
        let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
        heard.unwrap_or(ClientAddress { transport, socket: client, local: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn at(transport: Transport, socket: &str, local: Option<&str>) -> ClientAddress {
        ClientAddress { transport, socket: address(socket), local: local.map(address) }
    }

    fn ways() -> ClientRoutes {
        let offered = ["203.0.113.1:7", "10.0.0.1:7", "192.168.7.1:7", "127.0.0.1:7"];
        ClientRoutes::new(offered.iter().map(|own| at(Transport::Udp, own, None)).collect())
    }

    #[test]
    fn an_answer_leaves_by_the_address_that_was_asked() {
        let mut ways = ways();
        let first = at(Transport::Udp, "192.168.7.9:5", Some("192.168.7.1:7"));
        let second = at(Transport::Udp, "192.168.7.9:5", Some("10.0.0.1:7"));
        assert_eq!(ways.note_route(first), Some(address("192.168.7.1:7")));
        assert_eq!(ways.note_route(second), Some(address("10.0.0.1:7")));
        assert_eq!(ways.client(address("192.168.7.1:7"), first.socket, false), first);
        assert_eq!(ways.client(address("10.0.0.1:7"), first.socket, false), second);
    }

    #[test]
    fn behind_a_router_that_changes_addresses_one_that_fits_is_taken() {
        let mut ways = ways();
        let client = at(Transport::Udp, "198.51.100.3:5", Some("10.77.0.1:7"));
        assert_eq!(ways.note_route(client), Some(address("203.0.113.1:7")));
        assert_eq!(ways.client(address("203.0.113.1:7"), client.socket, false), client);
        assert_eq!(ways.offered_for(at(Transport::Udp, "127.0.0.1:9", None)), Some(address("127.0.0.1:7")));
    }

    #[test]
    fn paths_without_end_take_no_memory_without_end() {
        let mut ways = ways();
        for port in 1..5000 {
            let socket = SocketAddr::new([198, 51, 100, 3].into(), port);
            ways.note_route(ClientAddress { transport: Transport::Udp, socket, local: None });
        }
        assert_eq!(ways.heard.len(), MAX_ROUTES);
    }
}
