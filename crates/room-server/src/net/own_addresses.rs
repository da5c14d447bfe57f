//! Who may reach the media of a server that is there for this machine alone.
//!
//! Such a server listens on loopback, but Firefox never pairs the addresses that it has with a loopback one. So media are
//! also offered at the machine's own address, and what does not come from the machine itself is not even looked at.

use std::net::{IpAddr, UdpSocket};

/// Most addresses that are remembered. A machine has a handful.
const KNOWN_MAX: usize = 64;

/// Tells datagrams of this machine from those of others.
#[derive(Debug, Default)]
pub struct OwnAddresses {
    known: Vec<IpAddr>,
}

impl OwnAddresses {
    /// Whether this is an address of this machine. Systems themselves throw away what comes from outside under such an
    /// address.
    pub fn contain(&mut self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if ip.is_loopback() || self.known.contains(&ip) {
            return true;
        }
        // A socket can be bound to the machine's own addresses only.
        let is_own = !ip.is_unspecified() && !ip.is_multicast() && UdpSocket::bind((ip, 0)).is_ok();
        if is_own {
            if self.known.len() >= KNOWN_MAX {
                self.known.remove(0);
            }
            self.known.push(ip);
        }
        is_own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::addresses::default_route_ip;

    #[test]
    fn loopback_and_the_interfaces_are_our_own_and_others_are_not() {
        let mut own = OwnAddresses::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(own.contain(address("127.0.0.1")) && own.contain(address("127.9.9.9")));
        assert!(own.contain(address("::ffff:127.0.0.1")));
        for _ in 0..2 {
            if let Some(ip) = default_route_ip("0.0.0.0:0".parse().unwrap()) {
                assert!(own.contain(ip));
            }
        }
        for other in ["192.0.2.7", "203.0.113.5", "0.0.0.0", "224.0.0.1", "2001:db8::7"] {
            assert!(!own.contain(address(other)), "{other}");
        }
    }
}
