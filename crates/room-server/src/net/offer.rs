//! The media addresses that clients are offered, with their ports, at this moment.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::addresses::CandidateRules;
use super::interfaces::Interfaces;
use crate::forwarding::core::{ClientAddress, Transport};

/// The addresses to offer.
#[derive(Debug)]
pub struct Offer {
    /// Which addresses.
    pub rules: CandidateRules,
    /// Addresses that others know us by.
    pub configured: Vec<IpAddr>,
    /// The addresses that the sockets are bound to.
    pub bound: Vec<IpAddr>,
    /// Whether only this machine is served: signalling is bound to loopback, the UDP socket listens on all interfaces.
    pub is_local: bool,
    /// UDP port; `None` if it is not offered.
    pub udp_port: Option<u16>,
    /// UDP port that the addresses that others know us by have (all addresses, where there are none of those).
    pub advertised_udp_port: Option<u16>,
    /// TCP port, if there is one.
    pub tcp_port: Option<u16>,
    /// The machine's addresses.
    pub interfaces: Mutex<Interfaces>,
}

impl Offer {
    /// The addresses, best first.
    pub fn now(&self, now: Instant) -> Vec<ClientAddress> {
        let mut interfaces = self.interfaces.lock().unwrap_or_else(PoisonError::into_inner);
        let interfaces = interfaces.addresses(now);
        let ips = self.rules.offered(&self.configured, &self.bound, interfaces);
        let udp_ips = match self.bound.first() {
            Some(bound) if self.is_local => self.rules.offered_locally(*bound, interfaces),
            _ => ips.clone(),
        };
        let offer = |transport, socket| ClientAddress { transport, socket, local: None };
        let udp = self.udp_port.into_iter().flat_map(|port| {
            udp_ips.iter().map(move |ip| offer(Transport::Udp, SocketAddr::new(*ip, self.udp_port_for(ip, port))))
        });
        let tcp = self
            .tcp_port
            .into_iter()
            .flat_map(|port| ips.iter().map(move |ip| offer(Transport::Tcp, SocketAddr::new(*ip, port))));
        udp.chain(tcp).collect()
    }

    fn udp_port_for(&self, ip: &IpAddr, port: u16) -> u16 {
        let is_mapped = self.configured.is_empty() || self.configured.contains(ip);
        self.advertised_udp_port.filter(|_| is_mapped).unwrap_or(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Offer {
        Offer {
            rules: CandidateRules::default(),
            configured: Vec::new(),
            bound: vec!["10.0.0.1".parse().unwrap()],
            is_local: false,
            udp_port: Some(7),
            advertised_udp_port: None,
            tcp_port: None,
            interfaces: Mutex::default(),
        }
    }

    fn addresses(offer: &Offer) -> Vec<String> {
        offer.now(Instant::now()).iter().map(|own| format!("{:?} {}", own.transport, own.socket)).collect()
    }

    #[test]
    fn media_over_tcp_are_offered_at_the_same_addresses() {
        assert_eq!(addresses(&offer()), ["Udp 10.0.0.1:7"]);
        assert_eq!(addresses(&Offer { tcp_port: Some(6), ..offer() }), ["Udp 10.0.0.1:7", "Tcp 10.0.0.1:6"]);
        assert_eq!(addresses(&Offer { udp_port: None, tcp_port: Some(6), ..offer() }), ["Tcp 10.0.0.1:6"]);
    }

    #[test]
    fn a_router_that_hands_on_another_port_does_so_at_its_own_address() {
        let configured = vec!["203.0.113.5".parse().unwrap()];
        let behind = Offer { configured, advertised_udp_port: Some(9), ..offer() };
        assert_eq!(addresses(&behind), ["Udp 203.0.113.5:9", "Udp 10.0.0.1:7"]);
        assert_eq!(addresses(&Offer { advertised_udp_port: Some(9), ..offer() }), ["Udp 10.0.0.1:9"]);
    }
}
