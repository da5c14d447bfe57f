//! The addresses at which the relay of this server is offered.
//!
//! A client reached signalling in a way that works for it, so the relay is offered by the same name and port. If there is
//! something between (an HTTP proxy, a port forwarding), nothing is known about other paths, and only what is configured is
//! offered.

use crate::config::TurnConfig;
use crate::reached::Reached;

/// The fixed part of the announcement.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The configuration.
    pub config: TurnConfig,
    /// Whether only clients on this machine are served. They need no relay.
    pub is_loopback: bool,
}

impl Announcement {
    /// Whether the relay is there at all.
    pub fn is_on(&self) -> bool {
        self.config.enabled != Some(false) && !self.is_loopback
    }

    /// The URLs for a client that reached signalling in this way; none if the relay is not offered.
    pub fn urls(&self, reached: &Reached) -> Vec<String> {
        let TurnConfig { enabled, domain, udp_port, tls_port, .. } = &self.config;
        let is_direct = reached.is_direct();
        if !self.is_on() || (*enabled != Some(true) && !is_direct) {
            return Vec::new();
        }
        let mut urls = Vec::new();
        let host = reached.host.as_deref().filter(|host| !is_loopback(host));
        if let (Some(host), true) = (host, is_direct) {
            let scheme = if reached.is_tls { "turns" } else { "turn" };
            urls.push(format!("{scheme}:{host}:{}?transport=tcp", reached.port));
        }
        if let Some(host) = domain.as_deref().or(host) {
            urls.extend(udp_port.map(|port| format!("turn:{host}:{port}?transport=udp")));
            urls.extend(tls_port.map(|port| format!("turns:{host}:{port}?transport=tcp")));
        }
        urls
    }
}

fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(host: &str, is_tls: bool) -> Reached {
        Reached { host: Some(host.to_owned()), port: 7880, local_port: 7880, is_tls, is_proxied: false }
    }

    fn urls(config: TurnConfig, reached: &Reached) -> Vec<String> {
        Announcement { config, is_loopback: false }.urls(reached)
    }

    #[test]
    fn the_relay_is_where_the_client_found_signalling() {
        let config = TurnConfig::default;
        assert_eq!(urls(config(), &reached("room.example.com", true)), ["turns:room.example.com:7880?transport=tcp"]);
        assert_eq!(urls(config(), &reached("[2001:db8::1]", false)), ["turn:[2001:db8::1]:7880?transport=tcp"]);
    }

    #[test]
    fn behind_a_proxy_only_what_is_configured_is_reported() {
        let proxied = Reached { is_proxied: true, ..reached("room.example.com", false) };
        let other_port = Reached { port: 443, ..reached("room.example.com", true) };
        let nothing = Vec::<String>::new();
        assert_eq!(urls(TurnConfig::default(), &proxied), nothing);
        assert_eq!(urls(TurnConfig::default(), &other_port), nothing);
        let config =
            TurnConfig { enabled: Some(true), tls_port: Some(443), udp_port: Some(3478), ..Default::default() };
        let expected = ["turn:room.example.com:3478?transport=udp", "turns:room.example.com:443?transport=tcp"];
        assert_eq!(urls(config.clone(), &proxied), expected);
        let config = TurnConfig { domain: Some("turn.example.com".to_owned()), udp_port: None, ..config };
        assert_eq!(urls(config, &proxied), ["turns:turn.example.com:443?transport=tcp"]);
    }

    #[test]
    fn who_is_on_this_machine_or_switched_it_off_hears_nothing_of_it() {
        let off = TurnConfig { enabled: Some(false), udp_port: Some(3478), ..TurnConfig::default() };
        let nothing = Vec::<String>::new();
        assert_eq!(urls(off, &reached("room.example.com", true)), nothing);
        assert_eq!(urls(TurnConfig::default(), &reached("localhost", true)), nothing);
        assert_eq!(urls(TurnConfig::default(), &reached("127.0.0.1", true)), nothing);
        let local = Announcement { config: TurnConfig::default(), is_loopback: true };
        assert_eq!(local.urls(&reached("room.example.com", true)), nothing);
    }
}
