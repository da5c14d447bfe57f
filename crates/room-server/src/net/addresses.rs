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

/// The address that packets to the outside would leave from. Connecting a UDP socket picks a route and sends nothing;
/// the targets are from the ranges for documentation (RFC 5737, RFC 3849).
fn default_route_ip(bound: SocketAddr) -> Option<IpAddr> {
    let target = if bound.is_ipv4() { "192.0.2.1:9" } else { "[2001:db8::1]:9" };
    let socket = UdpSocket::bind(SocketAddr::new(bound.ip(), 0)).ok()?;
    socket.connect(target).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
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
    fn on_all_interfaces_loopback_always_works() {
        assert!(candidates(address("0.0.0.0:7"), None, None).contains(&address("127.0.0.1:7")));
    }
}
