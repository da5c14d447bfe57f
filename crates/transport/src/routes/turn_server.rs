//! The relays that the signalling server names.

use rtc::ice::url::{ProtoType, SchemeType, Url};

use super::route::RouteKind;
use crate::config::{IceServer, IceTransportPolicy};

/// Number of relays that are tried.
const MAX_SERVERS: usize = 6;

/// A TURN server with its transport (RFC 7065).
#[derive(Clone, PartialEq, Eq)]
pub(super) struct TurnServer {
    /// URL as the signalling server sent it.
    pub(super) url: String,
    pub(super) kind: RouteKind,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) username: String,
    pub(super) credential: String,
}

impl TurnServer {
    fn read(url: &str, server: &IceServer) -> Option<Self> {
        let parsed = Url::parse_url(url).ok()?;
        let kind = match (parsed.scheme, parsed.proto) {
            (SchemeType::Turn, ProtoType::Udp) => RouteKind::TurnUdp,
            (SchemeType::Turn, ProtoType::Tcp) => RouteKind::TurnTcp,
            (SchemeType::Turns, ProtoType::Tcp) => RouteKind::TurnTls,
            _ => return None,
        };
        Some(Self {
            url: url.to_owned(),
            kind,
            host: parsed.host,
            port: parsed.port,
            username: server.username.clone(),
            credential: server.credential.clone(),
        })
    }
}

/// The relays that the policy allows, each once.
pub(super) fn usable(servers: &[IceServer], policy: IceTransportPolicy) -> Vec<TurnServer> {
    let mut usable: Vec<TurnServer> = Vec::new();
    for server in servers {
        for url in server.urls.iter().filter(|url| url.starts_with("turn")) {
            let Some(turn) = TurnServer::read(url, server) else {
                tracing::debug!(url, "relay with an unsupported URL");
                continue;
            };
            let is_allowed = policy != IceTransportPolicy::Tcp || turn.kind != RouteKind::TurnUdp;
            let is_new =
                usable.iter().all(|other| (other.kind, &other.host, other.port) != (turn.kind, &turn.host, turn.port));
            if is_allowed && is_new && usable.len() < MAX_SERVERS {
                usable.push(turn);
            }
        }
    }
    usable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(urls: &[&str], policy: IceTransportPolicy) -> Vec<(RouteKind, String, u16)> {
        let urls = urls.iter().map(|url| (*url).to_owned()).collect();
        let server = IceServer { urls, username: "user".into(), credential: "password".into() };
        usable(&[server], policy).into_iter().map(|server| (server.kind, server.host, server.port)).collect()
    }

    #[test]
    fn urls_of_every_kind_are_read_with_default_ports() {
        let urls = [
            "turn:a",
            "turn:a:80?transport=tcp",
            "turns:a:443?transport=tcp",
            "turns:b",
            "turn:[2001:db8::1]:7?transport=udp",
        ];
        let expected = [
            (RouteKind::TurnUdp, "a", 3478),
            (RouteKind::TurnTcp, "a", 80),
            (RouteKind::TurnTls, "a", 443),
            (RouteKind::TurnTls, "b", 5349),
            (RouteKind::TurnUdp, "2001:db8::1", 7),
        ];
        let expected: Vec<_> = expected.map(|(kind, host, port)| (kind, host.to_owned(), port)).into();
        assert_eq!(read(&urls, IceTransportPolicy::All), expected);
        assert_eq!(read(&urls, IceTransportPolicy::Tcp).len(), 3);
    }

    #[test]
    fn garbage_and_duplicates_are_ignored() {
        let urls = [
            "",
            "turn:",
            "turnip",
            "turn://a",
            "turns:a?transport=udp",
            "turn:a?transport=sctp",
            "stun:a",
            "turn:a",
            "turn:a",
        ];
        assert_eq!(read(&urls, IceTransportPolicy::All).len(), 1);
        let many: Vec<String> = (1..100).map(|port| format!("turn:a:{port}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(read(&many, IceTransportPolicy::All).len(), MAX_SERVERS);
    }
}
