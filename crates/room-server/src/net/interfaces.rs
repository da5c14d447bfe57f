//! The addresses that this machine has now.

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a list is valid: a laptop that changes its network is offered under the new address to clients that join then,
/// and a flood of datagrams does not ask the system for each of them.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Name of the interface, as `eth0`.
    pub interface: String,
    /// The address.
    pub ip: IpAddr,
}

/// A list of all of them that is never older than a second when it is asked for.
#[derive(Debug, Default)]
pub struct Interfaces {
    addresses: Vec<InterfaceAddress>,
    listed_at: Option<Instant>,
}

impl Interfaces {
    /// The addresses of interfaces that are up. If the system returns no new list, the last one stays.
    pub fn addresses(&mut self, now: Instant) -> &[InterfaceAddress] {
        if self.listed_at.is_none_or(|at| now.saturating_duration_since(at) >= GOOD_FOR) {
            self.listed_at = Some(now);
            match list() {
                Ok(addresses) => self.addresses = addresses,
                Err(error) => tracing::warn!(%error, "the machine's addresses cannot be listed"),
            }
        }
        &self.addresses
    }
}

fn list() -> std::io::Result<Vec<InterfaceAddress>> {
    let found = if_addrs::get_if_addrs()?.into_iter().filter(|one| one.is_oper_up() || one.is_loopback());
    Ok(found.map(|one| InterfaceAddress { ip: one.ip(), interface: one.name }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_among_the_addresses() {
        let mut interfaces = Interfaces::default();
        assert!(interfaces.addresses(Instant::now()).iter().any(|one| one.ip.is_loopback()));
    }
}
