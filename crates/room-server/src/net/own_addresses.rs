//! Restricts the media of a server for this machine alone.
//!
//! Such a server listens on loopback, but Firefox never pairs its addresses with a loopback one. So media are also offered at
//! the machine's own addresses, and datagrams from other machines are dropped unread.

use std::net::IpAddr;
use std::time::Instant;

use super::interfaces::Interfaces;

/// Recognises datagrams of this machine.
#[derive(Debug, Default)]
pub struct OwnAddresses(Interfaces);

impl OwnAddresses {
    /// Whether this is an address of this machine. Systems themselves drop packets that arrive from outside under such an address.
    pub fn contain(&mut self, now: Instant, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_loopback() || self.0.addresses(now).iter().any(|own| own.ip == ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_the_interfaces_are_our_own_and_others_are_not() {
        let mut own = OwnAddresses::default();
        let now = Instant::now();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(own.contain(now, address("127.0.0.1")) && own.contain(now, address("127.9.9.9")));
        assert!(own.contain(now, address("::ffff:127.0.0.1")));
        let listed = Interfaces::default().addresses(now).to_vec();
        assert!(listed.into_iter().all(|one| own.contain(now, one.ip)));
        for other in ["198.51.100.7", "203.0.113.5", "0.0.0.0", "224.0.0.1", "2001:db8::7"] {
            assert!(!own.contain(now, address(other)), "{other}");
        }
    }
}
