//! Under which addresses clients reach the sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::interfaces::InterfaceAddress;

/// Upper bound of offered addresses of each kind: each one costs clients checks, and a machine may have a thousand.
const MAX_V4_ADDRESSES: usize = 8;
const MAX_V6_ADDRESSES: usize = 4;
/// Addresses beside loopback that are offered to clients on this machine.
const MAX_LOCAL: usize = 3;

/// What a list of names or networks admits: everything if it is empty; otherwise the contents of `includes`, if any, without
/// those of `excludes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter<T> {
    /// Admits only these, if there are any. Overrides `excludes`.
    pub includes: Vec<T>,
    /// Leaves these out.
    pub excludes: Vec<T>,
}

impl<T> Default for Filter<T> {
    fn default() -> Self {
        Self { includes: Vec::new(), excludes: Vec::new() }
    }
}

impl<T> Filter<T> {
    fn passes(&self, matches: impl Fn(&T) -> bool) -> bool {
        if self.includes.is_empty() { !self.excludes.iter().any(matches) } else { self.includes.iter().any(matches) }
    }
}

/// Which of the machine's addresses are offered to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateRules {
    /// Interfaces by their names.
    pub interfaces: Filter<String>,
    /// Addresses by the networks that they are in.
    pub networks: Filter<IpNet>,
    /// Whether a server that listens on all interfaces offers loopback as well, for clients on its own machine.
    pub loopback: bool,
    /// Whether configured addresses, if there are any, are the only ones offered.
    pub configured_only: bool,
}

impl Default for CandidateRules {
    fn default() -> Self {
        Self { interfaces: Filter::default(), networks: Filter::default(), loopback: true, configured_only: false }
    }
}

impl CandidateRules {
    /// The addresses to offer to clients, best first: the configured ones; then, for sockets that are bound to `bound`, these
    /// addresses themselves, or for one that listens on all interfaces those of `interfaces`. Loopback comes last. A server on
    /// loopback with a configured address is reached through something before it, and then by that address alone.
    pub fn offered(&self, configured: &[IpAddr], bound: &[IpAddr], interfaces: &[InterfaceAddress]) -> Vec<IpAddr> {
        let mut offered: Vec<IpAddr> = Vec::new();
        let only_told = !configured.is_empty() && (self.configured_only || bound.iter().all(IpAddr::is_loopback));
        let mut own: Vec<IpAddr> = Vec::new();
        if !only_told {
            for ip in bound {
                if ip.is_unspecified() {
                    own.extend(self.of_interfaces(ip.is_ipv4(), interfaces));
                } else {
                    own.push(*ip);
                }
            }
        }
        own.sort_by_key(rank);
        let mut room = (MAX_V4_ADDRESSES, MAX_V6_ADDRESSES);
        for ip in configured.iter().chain(&own) {
            let left = if ip.is_ipv4() { &mut room.0 } else { &mut room.1 };
            if offered.contains(ip) || (*left == 0 && !ip.is_loopback()) {
                continue;
            }
            *left = left.saturating_sub(1);
            offered.push(*ip);
        }
        offered
    }

    fn of_interfaces(&self, is_v4: bool, interfaces: &[InterfaceAddress]) -> Vec<IpAddr> {
        let loopback: IpAddr = if is_v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        let has_family = |one: &&InterfaceAddress| one.ip.is_ipv4() == is_v4;
        let passing = interfaces.iter().filter(has_family).filter(|one| self.pass(one)).map(|one| one.ip);
        let is_there = interfaces.iter().any(|one| one.ip == loopback);
        passing.chain((self.loopback && is_there).then_some(loopback)).collect()
    }

    fn pass(&self, one: &InterfaceAddress) -> bool {
        is_usable(&one.ip)
            && self.interfaces.passes(|name| *name == one.interface)
            && self.networks.passes(|network| network.contains(&one.ip))
    }

    /// The addresses to offer to clients on this machine, for a server that is bound to `bound`, which is loopback, while
    /// its UDP socket listens on all interfaces: loopback, and a few of the machine's own for clients that pair none of
    /// theirs with loopback.
    pub fn offered_locally(&self, bound: IpAddr, interfaces: &[InterfaceAddress]) -> Vec<IpAddr> {
        let mut own = self.of_interfaces(bound.is_ipv4(), interfaces);
        own.retain(|ip| !ip.is_loopback());
        own.sort_by_key(rank);
        own.truncate(MAX_LOCAL);
        own.insert(0, bound);
        own
    }
}

/// Whether an address can be offered: not loopback, and not link-local, which the WebRTC engine does not accept either.
fn is_usable(ip: &IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !is_link_local
}

/// Smaller is better.
fn rank(ip: &IpAddr) -> u8 {
    match ip {
        IpAddr::V4(v4) if v4.is_loopback() => 4,
        IpAddr::V6(v6) if v6.is_loopback() => 5,
        IpAddr::V4(v4) if is_private(v4) => 1,
        IpAddr::V4(_) => 0,
        IpAddr::V6(v6) if v6.is_unique_local() => 3,
        IpAddr::V6(_) => 2,
    }
}

/// RFC 1918, and RFC 6598 for providers' networks.
fn is_private(ip: &Ipv4Addr) -> bool {
    ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn interfaces(pairs: &[(&str, &str)]) -> Vec<InterfaceAddress> {
        let one = |(interface, ip): &(&str, &str)| InterfaceAddress {
            interface: (*interface).to_owned(),
            ip: ip.parse().unwrap(),
        };
        pairs.iter().map(one).collect()
    }

    fn machine() -> Vec<InterfaceAddress> {
        interfaces(&[
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("eth1", "fd00::2"),
            ("eth0", "10.0.0.2"),
            ("eth0", "fe80::1"),
            ("eth1", "192.168.7.2"),
            ("eth2", "169.254.3.4"),
            ("eth3", "203.0.113.9"),
            ("eth3", "2001:db8::9"),
        ])
    }

    fn offered(configured: &[&str], bound: &[&str]) -> Vec<IpAddr> {
        CandidateRules::default().offered(&ips(configured), &ips(bound), &machine())
    }

    #[test]
    fn a_bound_address_is_the_only_one() {
        assert_eq!(offered(&[], &["10.0.0.2"]), ips(&["10.0.0.2"]));
        assert_eq!(offered(&[], &["127.0.0.1"]), ips(&["127.0.0.1"]));
        assert_eq!(offered(&[], &["10.0.0.2", "fd00::2"]), ips(&["10.0.0.2", "fd00::2"]));
    }

    #[test]
    fn every_network_of_the_machine_is_offered_public_ones_first_and_loopback_last() {
        assert_eq!(offered(&[], &["0.0.0.0"]), ips(&["203.0.113.9", "10.0.0.2", "192.168.7.2", "127.0.0.1"]));
        let both = ["203.0.113.9", "10.0.0.2", "192.168.7.2", "2001:db8::9", "fd00::2", "127.0.0.1", "::1"];
        assert_eq!(offered(&[], &["0.0.0.0", "::"]), ips(&both));
    }

    #[test]
    fn the_address_that_others_know_comes_first_and_the_own_ones_stay() {
        assert_eq!(offered(&["198.51.100.1"], &["10.0.0.2"]), ips(&["198.51.100.1", "10.0.0.2"]));
        let all = offered(&["198.51.100.1"], &["0.0.0.0"]);
        assert_eq!((all[0], all.len()), ("198.51.100.1".parse().unwrap(), 5));
        let rules = CandidateRules { configured_only: true, ..CandidateRules::default() };
        assert_eq!(rules.offered(&ips(&["198.51.100.1"]), &ips(&["0.0.0.0"]), &machine()), ips(&["198.51.100.1"]));
    }

    #[test]
    fn a_server_on_loopback_that_others_reach_by_another_address_is_offered_there_alone() {
        assert_eq!(offered(&["198.51.100.1"], &["127.0.0.1"]), ips(&["198.51.100.1"]));
    }

    #[test]
    fn interfaces_and_networks_can_be_chosen_and_skipped() {
        let with = |includes: &[&str], excludes: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let interfaces = Filter { includes: names(includes), excludes: names(excludes) };
            let rules = CandidateRules { interfaces, ..CandidateRules::default() };
            rules.offered(&[], &ips(&["0.0.0.0"]), &machine())
        };
        assert_eq!(with(&["eth1"], &[]), ips(&["192.168.7.2", "127.0.0.1"]));
        assert_eq!(with(&[], &["eth0", "eth3"]), ips(&["192.168.7.2", "127.0.0.1"]));
        assert_eq!(with(&["eth1"], &["eth1"]), ips(&["192.168.7.2", "127.0.0.1"]));
        let networks = Filter { includes: vec!["10.0.0.0/8".parse().unwrap()], excludes: Vec::new() };
        let rules = CandidateRules { networks, loopback: false, ..CandidateRules::default() };
        assert_eq!(rules.offered(&[], &ips(&["0.0.0.0", "::"]), &machine()), ips(&["10.0.0.2"]));
    }

    #[test]
    fn a_machine_with_a_thousand_addresses_offers_a_few() {
        let mut many = machine();
        for at in 0..1000u16 {
            let [high, low] = at.to_be_bytes();
            many.push(InterfaceAddress { interface: "eth9".to_owned(), ip: Ipv4Addr::new(10, 9, high, low).into() });
        }
        let offered = CandidateRules::default().offered(&[], &ips(&["0.0.0.0", "::"]), &many);
        assert!(offered.len() <= MAX_V4_ADDRESSES + MAX_V6_ADDRESSES + 2, "{offered:?}");
        assert!(offered.contains(&"203.0.113.9".parse().unwrap()) && offered.contains(&"2001:db8::9".parse().unwrap()));
        assert!(offered.contains(&"127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn clients_on_this_machine_find_loopback_first_and_then_its_own_addresses() {
        let offered = CandidateRules::default().offered_locally("127.0.0.1".parse().unwrap(), &machine());
        assert_eq!(offered, ips(&["127.0.0.1", "203.0.113.9", "10.0.0.2", "192.168.7.2"]));
        let alone = interfaces(&[("lo", "127.0.0.1")]);
        let offered = CandidateRules::default().offered_locally("127.0.0.1".parse().unwrap(), &alone);
        assert_eq!(offered, ips(&["127.0.0.1"]));
    }
}
