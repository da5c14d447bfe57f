//! Addresses that stand for routes other than plain UDP. Sans-IO.
//!
//! The stack supports UDP only. Any other route appears to it as one more UDP address of the server, from a block that no
//! network routes: 240.0.0.0/4 is reserved (RFC 1112), and 100::/64 is the discard prefix (RFC 6666).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The discard port (RFC 863); the stack treats some other ports specially.
const PORT: u16 = 9;
/// Each route has a new number, so that late packets of a closed one match none. Beyond this bound they repeat.
const MAX_NUMBER: u32 = 1 << 24;

/// Whether this address stands for a route.
pub(super) fn is_synthetic(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets()[0] >= 240 && !ip.is_broadcast(),
        IpAddr::V6(ip) => ip.segments()[..4] == [0x100, 0, 0, 0],
    }
}

/// The entries behind the addresses in use.
#[derive(Debug)]
pub(super) struct Table<T> {
    entries: HashMap<SocketAddr, T>,
    number: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), number: 0 }
    }
}

impl<T> Table<T> {
    /// Allocates an unused address, of the family of the socket that will use it.
    pub(super) fn allocate(&mut self, is_ipv6: bool) -> SocketAddr {
        self.number = (self.number + 1) % MAX_NUMBER;
        let [_, a, b, c] = self.number.to_be_bytes();
        let ip: IpAddr = if is_ipv6 {
            Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, a.into(), u16::from_be_bytes([b, c])).into()
        } else {
            Ipv4Addr::new(240, a, b, c).into()
        };
        SocketAddr::new(ip, PORT)
    }

    /// Sets the entry of an allocated address.
    pub(super) fn insert(&mut self, address: SocketAddr, entry: T) {
        self.entries.insert(address, entry);
    }

    /// The entry of an address.
    pub(super) fn get(&self, address: &SocketAddr) -> Option<&T> {
        self.entries.get(address)
    }

    /// Removes all entries. Their addresses are not used again soon.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_its_own_address_in_both_families() {
        let mut table = Table::default();
        for is_ipv6 in [false, true] {
            let addresses: Vec<_> = (0..1000).map(|_| table.allocate(is_ipv6)).collect();
            let distinct: std::collections::HashSet<_> = addresses.iter().collect();
            assert_eq!(distinct.len(), addresses.len());
            assert!(addresses.iter().all(|address| is_synthetic(address) && address.is_ipv6() == is_ipv6));
            table.insert(addresses[7], 7);
            assert_eq!(table.get(&addresses[7]), Some(&7));
        }
        table.clear();
        assert_eq!(table.get(&"240.0.0.8:9".parse().unwrap()), None);
    }

    #[test]
    fn real_addresses_are_not_synthetic() {
        for real in
            ["127.0.0.1:1", "192.168.0.1:7882", "239.255.255.255:1", "255.255.255.255:1", "[::1]:1", "[100:1::]:1"]
        {
            assert!(!is_synthetic(&real.parse().unwrap()), "{real}");
        }
    }
}
