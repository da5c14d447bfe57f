//! Which local addresses to bind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Addresses for the UDP sockets. The unspecified address stands for every interface of its family that
/// is up when the sockets are bound, loopback and link-local left out.
pub(crate) fn to_bind(server: Option<IpAddr>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    if server.is_none_or(|server| server.is_loopback()) {
        addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0));
        if server.is_some_and(|server| server.is_ipv6()) {
            addresses.push(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0));
        }
    }
    // Documentation addresses (RFC 5737, RFC 3849): routed like any other, owned by nobody.
    let outside: [IpAddr; 2] =
        [Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()];
    for outside in outside {
        // On a network without a gateway only the server itself is routed.
        let server = server.filter(|server| server.is_ipv4() == outside.is_ipv4());
        if has_route(outside) || server.is_some_and(has_route) {
            addresses.push(SocketAddr::new(unspecified(outside), 0));
        }
    }
    if addresses.is_empty() {
        // Offline: something has to be bound for the connection to exist at all.
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

/// The address from which packets would leave this machine for there; `None` without a route.
pub fn local_address_towards(to: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((unspecified(to), 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_this_machine_is_reached_over_loopback() {
        assert!(to_bind(Some(Ipv4Addr::LOCALHOST.into())).contains(&"127.0.0.1:0".parse().unwrap()));
        assert!(to_bind(None).contains(&"127.0.0.1:0".parse().unwrap()));
    }

    #[test]
    fn a_server_elsewhere_gets_no_loopback_candidate_if_there_is_another_way() {
        let bound = to_bind(Some(Ipv4Addr::new(192, 0, 2, 7).into()));
        assert!(!bound.is_empty());
        if has_route(Ipv4Addr::new(192, 0, 2, 7).into()) {
            assert!(bound.iter().all(|address| !address.ip().is_loopback()));
        }
    }
}
