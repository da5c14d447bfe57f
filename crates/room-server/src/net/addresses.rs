//! Under which addresses clients reach a socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The addresses to offer to clients for a socket bound to `bound`, best first: the bound address itself, or, for a
/// socket that listens on all interfaces, `advertised` or else the address of the default route, and loopback. All with
/// the advertised port, if a router hands another one on to ours.
pub fn candidates(bound: SocketAddr, advertised: Option<IpAddr>, advertised_port: Option<u16>) -> Vec<SocketAddr> {
    let mut ips: Vec<IpAddr> = advertised.into_iter().collect();
    if !bound.ip().is_unspecified() {
        if ips.is_empty() {
            ips.push(bound.ip());
        }
    } else {
        if ips.is_empty() {
            ips.extend(default_route_ip(bound));
        }
        let loopback: IpAddr = if bound.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        if !ips.contains(&loopback) {
            ips.push(loopback);
        }
    }
    let port = advertised_port.unwrap_or(bound.port());
    ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

/// The addresses to offer to clients on this machine, for a socket on `port` that listens on all interfaces: loopback, and
/// the machine's own address for clients that pair none of theirs with loopback. It may change from call to call, as a
/// laptop goes from network to network.
pub fn local_candidates(bound: SocketAddr) -> Vec<SocketAddr> {
    let loopback: IpAddr = if bound.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let ips = std::iter::once(loopback).chain(default_route_ip(bound));
    ips.map(|ip| SocketAddr::new(ip, bound.port())).collect()
}

/// The address that packets to the outside would leave from. Connecting a UDP socket picks a route and sends nothing;
/// the targets are from the ranges for documentation (RFC 5737, RFC 3849).
pub fn default_route_ip(bound: SocketAddr) -> Option<IpAddr> {
    let target = if bound.is_ipv4() { "192.0.2.1:9" } else { "[2001:db8::1]:9" };
    let any: IpAddr = if bound.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(target).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_bound_address_is_the_only_candidate() {
        assert_eq!(candidates(address("127.0.0.1:7"), None, None), [address("127.0.0.1:7")]);
    }

    #[test]
    fn behind_a_nat_the_advertised_address_counts() {
        let advertised = "203.0.113.5".parse().ok();
        assert_eq!(candidates(address("10.0.0.1:7"), advertised, None), [address("203.0.113.5:7")]);
        let both = [address("203.0.113.5:7"), address("127.0.0.1:7")];
        assert_eq!(candidates(address("0.0.0.0:7"), advertised, None), both);
    }

    #[test]
    fn a_router_may_hand_on_another_port() {
        let advertised = "203.0.113.5".parse().ok();
        assert_eq!(candidates(address("10.0.0.1:7"), advertised, Some(9)), [address("203.0.113.5:9")]);
    }

    #[test]
    fn clients_on_this_machine_find_loopback_first_and_then_its_own_address() {
        let found = local_candidates(address("127.0.0.1:7"));
        assert_eq!(found[0], address("127.0.0.1:7"));
        let own = default_route_ip(address("127.0.0.1:7")).map(|ip| SocketAddr::new(ip, 7));
        assert_eq!(found.get(1), own.as_ref());
    }

    #[test]
    fn on_all_interfaces_loopback_always_works() {
        assert!(candidates(address("0.0.0.0:7"), None, None).contains(&address("127.0.0.1:7")));
    }
}
