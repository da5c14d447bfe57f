//! The sockets of a server that listens on several addresses, and which of them a datagram leaves by.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Non-blocking UDP sockets, with the addresses that they are bound to.
pub struct UdpSockets(Vec<(UdpSocket, SocketAddr)>);

impl UdpSockets {
    /// Takes over these non-blocking sockets.
    ///
    /// # Errors
    /// The system does not know its own sockets.
    pub fn new(sockets: Vec<UdpSocket>) -> io::Result<Self> {
        let with_address = |socket: UdpSocket| socket.local_addr().map(|address| (socket, address));
        Ok(Self(sockets.into_iter().map(with_address).collect::<io::Result<_>>()?))
    }

    /// The same sockets for another thread.
    ///
    /// # Errors
    /// The system has no more of them.
    pub fn try_clone(&self) -> io::Result<Self> {
        let clone = |(socket, address): &(UdpSocket, SocketAddr)| Ok((socket.try_clone()?, *address));
        Ok(Self(self.0.iter().map(clone).collect::<io::Result<_>>()?))
    }

    /// The number of the socket for a datagram to `destination` from `local`, if given; and that address if the system has to be
    /// configured.
    pub fn choose(&self, destination: SocketAddr, local: Option<IpAddr>) -> Option<(usize, Option<IpAddr>)> {
        let has_family = |bound: &SocketAddr| bound.is_ipv4() == destination.is_ipv4();
        let local = local.filter(|ip| ip.is_ipv4() == destination.is_ipv4());
        let is_bound = |(_, bound): &&(UdpSocket, SocketAddr)| local == Some(bound.ip());
        let exact = || self.0.iter().position(|socket| is_bound(&socket));
        let any = || self.0.iter().position(|(_, bound)| has_family(bound) && bound.ip().is_unspecified());
        if let Some(at) = exact() {
            return Some((at, None));
        }
        if let Some(at) = any() {
            return Some((at, local));
        }
        self.0.iter().position(|(_, bound)| has_family(bound)).map(|at| (at, None))
    }

    /// A socket by its number.
    pub fn get(&self, at: usize) -> Option<&UdpSocket> {
        self.0.get(at).map(|(socket, _)| socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_leaves_by_the_address_that_was_asked() {
        let bind = |address: &str| UdpSocket::bind(address).unwrap();
        let sockets = UdpSockets::new(vec![bind("127.0.0.2:0"), bind("0.0.0.0:0")]).unwrap();
        let client = "198.51.100.1:5".parse().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(sockets.choose(client, ip("127.0.0.2")), Some((0, None)));
        assert_eq!(sockets.choose(client, ip("127.0.0.3")), Some((1, ip("127.0.0.3"))));
        assert_eq!(sockets.choose(client, None), Some((1, None)));
        assert_eq!(sockets.choose("[2001:db8::1]:5".parse().unwrap(), None), None);
    }
}
