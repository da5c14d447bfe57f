//! Local addresses to bind the sockets to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Addresses for the UDP sockets. The unspecified address stands for every interface of its family that is up when the
/// sockets are bound, except loopback and link-local ones.
pub(crate) fn to_bind(server: Option<IpAddr>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    if server.is_none_or(|server| server.is_loopback()) {
        addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0));
        if server.is_some_and(|server| server.is_ipv6()) {
            addresses.push(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0));
        }
    }
    // Documentation addresses (RFC 5737, RFC 3849): routed like any other, but not in use.
    let outside: [IpAddr; 2] =
        [Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()];
    for outside in outside {
        // On a network without a gateway only the server itself can be reached.
        let server = server.filter(|server| server.is_ipv4() == outside.is_ipv4());
        if has_route(outside) || server.is_some_and(has_route) {
            addresses.push(SocketAddr::new(unspecified(outside), 0));
        }
    }
    if addresses.is_empty() {
        // Offline: without any socket the connection could not be created.
        addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0));
    }
    addresses
}

fn unspecified(family_of: IpAddr) -> IpAddr {
    match family_of {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Whether a packet to this address would leave the machine. Connecting a UDP socket only asks the
/// routing table; nothing is sent. Without this a machine with loopback alone would offer the unspecified
/// address itself as a candidate.
fn has_route(to: IpAddr) -> bool {
    local_address_towards(to).is_some_and(|local| !local.is_loopback() && !local.is_unspecified())
}

/// The local address that packets to this address would be sent from; `None` if it cannot be reached.
pub fn local_address_towards(to: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((unspecified(to), 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_server_is_reached_over_loopback() {
        assert!(to_bind(Some(Ipv4Addr::LOCALHOST.into())).contains(&"127.0.0.1:0".parse().unwrap()));
        assert!(to_bind(None).contains(&"127.0.0.1:0".parse().unwrap()));
    }

    #[test]
    fn a_remote_server_gets_no_loopback_candidate() {
        let bound = to_bind(Some(Ipv4Addr::new(192, 0, 2, 7).into()));
        assert!(!bound.is_empty());
        if has_route(Ipv4Addr::new(192, 0, 2, 7).into()) {
            assert!(bound.iter().all(|address| !address.ip().is_loopback()));
        }
    }
}
