//! The relays that the signalling server names.

use rtc::ice::url::{ProtoType, SchemeType, Url};

use super::way::WayKind;
use crate::config::{IceServer, IceTransportPolicy};

/// More are not asked.
const SERVERS_MAX: usize = 6;

/// One way to one relay (RFC 7065).
#[derive(Clone, PartialEq, Eq)]
pub(super) struct TurnServer {
    /// As the signalling server has it.
    pub(super) url: String,
    pub(super) kind: WayKind,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) username: String,
    pub(super) credential: String,
}

impl TurnServer {
    fn read(url: &str, server: &IceServer) -> Option<Self> {
        let parsed = Url::parse_url(url).ok()?;
        let kind = match (parsed.scheme, parsed.proto) {
            (SchemeType::Turn, ProtoType::Udp) => WayKind::TurnUdp,
            (SchemeType::Turn, ProtoType::Tcp) => WayKind::TurnTcp,
            (SchemeType::Turns, ProtoType::Tcp) => WayKind::TurnTls,
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

/// All that are of use, each once.
pub(super) fn usable(servers: &[IceServer], policy: IceTransportPolicy) -> Vec<TurnServer> {
    let mut usable: Vec<TurnServer> = Vec::new();
    for server in servers {
        for url in server.urls.iter().filter(|url| url.starts_with("turn")) {
            let Some(turn) = TurnServer::read(url, server) else {
                tracing::debug!(url, "a relay that is reached in no way we know");
                continue;
            };
            let is_allowed = policy != IceTransportPolicy::Tcp || turn.kind != WayKind::TurnUdp;
            let is_new =
                usable.iter().all(|other| (other.kind, &other.host, other.port) != (turn.kind, &turn.host, turn.port));
            if is_allowed && is_new && usable.len() < SERVERS_MAX {
                usable.push(turn);
            }
        }
    }
    usable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(urls: &[&str], policy: IceTransportPolicy) -> Vec<(WayKind, String, u16)> {
        let urls = urls.iter().map(|url| (*url).to_owned()).collect();
        let server = IceServer { urls, username: "user".into(), credential: "password".into() };
        usable(&[server], policy).into_iter().map(|server| (server.kind, server.host, server.port)).collect()
    }

    #[test]
    fn urls_of_every_kind_are_read_with_their_usual_ports() {
        let urls = [
            "turn:a",
            "turn:a:80?transport=tcp",
            "turns:a:443?transport=tcp",
            "turns:b",
            "turn:[2001:db8::1]:7?transport=udp",
        ];
        let expected = [
            (WayKind::TurnUdp, "a", 3478),
            (WayKind::TurnTcp, "a", 80),
            (WayKind::TurnTls, "a", 443),
            (WayKind::TurnTls, "b", 5349),
            (WayKind::TurnUdp, "2001:db8::1", 7),
        ];
        let expected: Vec<_> = expected.map(|(kind, host, port)| (kind, host.to_owned(), port)).into();
        assert_eq!(read(&urls, IceTransportPolicy::All), expected);
        assert_eq!(read(&urls, IceTransportPolicy::Tcp).len(), 3);
    }

    #[test]
    fn garbage_and_repetitions_are_passed_over() {
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
        assert_eq!(read(&many, IceTransportPolicy::All).len(), SERVERS_MAX);
    }
}
