//! The room server's address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use aws_lc_rs::digest::{SHA256, digest};
use dial::{DialConfig, ProxySetting};
use tokio_tungstenite::tungstenite::http::Uri;

/// The first port of the app's server on this machine.
const DEFAULT_PORT: u16 = 7880;
/// Number of further ports for when another app has the first one, and their range.
const FURTHER_PORTS: usize = 4;
const FURTHER_RANGE: std::ops::Range<u16> = 20_000..49_000;

/// The ports on this machine where an app's server is looked for and started if none is named, best first. The further
/// ports follow from the app, so that all its processes use the same ones.
pub(crate) fn default_ports(app: &str, secret: &str) -> Vec<u16> {
    let digest = digest(&SHA256, format!("zego-ports {app} {secret}").as_bytes());
    let mut ports = vec![DEFAULT_PORT];
    for pair in digest.as_ref().chunks_exact(2) {
        let number = u16::from_be_bytes([pair[0], pair[1]]);
        // An even step leaves room for the media ports beside each.
        let port = FURTHER_RANGE.start + number % (FURTHER_RANGE.len() as u16) / 4 * 4;
        if ports.len() <= FURTHER_PORTS && !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

/// The server at a port of this machine.
pub(crate) fn local_url(port: u16) -> String {
    format!("ws://{}:{port}", Ipv4Addr::LOCALHOST)
}

/// Host, port and scheme of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}

impl Place {
    /// Parses `ws://…`, `wss://…`, `http://…` or `https://…`.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let is_tls = match uri.scheme_str()? {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return None,
        };
        let written = uri.host()?;
        // An invalid port is not the same as none.
        let names_port = uri.authority()?.as_str().rsplit('@').next()? != written;
        let port = if names_port {
            uri.port_u16()?
        } else if is_tls {
            443
        } else {
            80
        };
        let host = written.trim_matches(['[', ']']).to_owned();
        (!host.is_empty()).then_some(Self { host, port, is_tls })
    }
}

/// The room server of one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    /// `ws://host:port` or `wss://host:port`, without a trailing slash.
    pub(crate) url: String,
    /// No server was named: the engine looks for the app's server on this machine, and starts one if there is none.
    pub(crate) may_embed: bool,
}

/// Whether tokens and keys would go over a network in the clear: without TLS to another machine.
pub(crate) fn is_in_the_clear(url: &str) -> bool {
    let is_loopback = |host: &str| host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    Place::of(url).is_some_and(|place| !place.is_tls && !is_loopback(&place.host))
}

/// How connections are opened: `advancedConfig.{server_ca, server_pin, proxy}`.
pub(crate) fn dial_config(advanced: &BTreeMap<String, String>) -> DialConfig {
    let option = |name: &str| advanced.get(name).cloned();
    DialConfig {
        ca: option("server_ca"),
        pin: option("server_pin"),
        proxy: ProxySetting::of(&option("proxy").unwrap_or_default()),
    }
}

impl ServerAddress {
    /// Order: profile, `advancedConfig.server_url`, `ZEGO_SERVER_URL`, else the loopback default.
    /// `ZEGO_EMBEDDED_SERVER=off` forbids the embedded server.
    pub(crate) fn resolve(
        profile: Option<&str>,
        advanced: &BTreeMap<String, String>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let named = profile
            .map(str::to_owned)
            .or_else(|| advanced.get("server_url").cloned())
            .or_else(|| env("ZEGO_SERVER_URL"))
            .filter(|url| !url.is_empty());
        match named {
            Some(url) => Self { url: websocket_url(&url), may_embed: false },
            None => Self {
                url: local_url(DEFAULT_PORT),
                may_embed: env("ZEGO_EMBEDDED_SERVER").is_none_or(|value| !value.eq_ignore_ascii_case("off")),
            },
        }
    }
}

/// Adds or replaces the scheme: people write `http://` or nothing, and signalling is a WebSocket.
fn websocket_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
    let scheme = match scheme {
        "http" => "ws",
        "https" => "wss",
        scheme => scheme,
    };
    format!("{scheme}://{}", rest.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_wins_over_the_configuration_and_that_over_the_environment() {
        let advanced = BTreeMap::from([("server_url".to_owned(), "ws://b:1".to_owned())]);
        let env = |name: &str| (name == "ZEGO_SERVER_URL").then(|| "ws://c:1".to_owned());
        assert_eq!(ServerAddress::resolve(Some("ws://a:1/"), &advanced, env).url, "ws://a:1");
        assert_eq!(ServerAddress::resolve(None, &advanced, env).url, "ws://b:1");
        assert_eq!(ServerAddress::resolve(None, &BTreeMap::new(), env).url, "ws://c:1");
    }

    #[test]
    fn only_the_default_address_may_be_served_by_this_process() {
        let none = |_: &str| None;
        assert!(ServerAddress::resolve(None, &BTreeMap::new(), none).may_embed);
        assert!(!ServerAddress::resolve(Some("ws://127.0.0.1:7880"), &BTreeMap::new(), none).may_embed);
        let off = |name: &str| (name == "ZEGO_EMBEDDED_SERVER").then(|| "off".to_owned());
        assert!(!ServerAddress::resolve(None, &BTreeMap::new(), off).may_embed);
    }

    #[test]
    fn http_addresses_and_bare_hosts_are_understood() {
        assert_eq!(websocket_url("https://rooms.example/"), "wss://rooms.example");
        assert_eq!(websocket_url("10.0.0.5:7880"), "ws://10.0.0.5:7880");
    }

    #[test]
    fn a_place_has_the_schemes_port_unless_it_names_one() {
        let place = |url: &str| Place::of(url).map(|place| (place.host, place.port, place.is_tls));
        assert_eq!(place("wss://rooms.example/sub"), Some(("rooms.example".into(), 443, true)));
        assert_eq!(place("ws://[fd::1]:7880"), Some(("fd::1".into(), 7880, false)));
        assert_eq!(place("ws://a"), Some(("a".into(), 80, false)));
        for url in ["", "ws://", "ftp://a", "ws://a:99999", "ws://a b", "a:1"] {
            assert_eq!(place(url), None, "{url}");
        }
    }

    #[test]
    fn only_another_machine_without_tls_is_worth_a_warning() {
        for (url, is_worth_it) in [
            ("ws://rooms.example:7880", true),
            ("ws://10.0.0.5", true),
            ("wss://rooms.example", false),
            ("ws://127.0.0.1:7880", false),
            ("ws://[::1]:7880", false),
            ("ws://localhost", false),
        ] {
            assert_eq!(is_in_the_clear(url), is_worth_it, "{url}");
        }
    }

    #[test]
    fn each_app_has_further_ports_of_its_own() {
        let (one, other) = (default_ports("1", "secret"), default_ports("2", "secret"));
        assert_eq!((one.len(), one[0], other[0]), (5, 7880, 7880));
        assert_eq!(one, default_ports("1", "secret"));
        assert!(one[1..].iter().all(|port| FURTHER_RANGE.contains(port) && !other.contains(port)), "{one:?} {other:?}");
    }
}
