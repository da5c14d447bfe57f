//! The server's candidates, from session descriptions and by trickle: which of them the stack gets, and which become
//! routes of our own.

use std::net::{IpAddr, SocketAddr};

use crate::config::IceTransportPolicy;

/// Candidates of one kind that are used: each costs a connection.
pub(super) const MAX_CANDIDATES: usize = 8;

/// An address at which the server accepts media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerCandidate {
    /// UDP.
    Udp(SocketAddr),
    /// TCP connections that we open (RFC 6544, "passive").
    Tcp(SocketAddr),
}

impl ServerCandidate {
    /// Reads a candidate attribute (RFC 8839, section 5.1), with or without `a=` and `candidate:`. `None` for
    /// anything else: host names, TCP of another type, garbage.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let line = line.trim();
        let line = line.strip_prefix("a=").unwrap_or(line);
        let line = line.strip_prefix("candidate:").unwrap_or(line);
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, component, protocol, _, address, port, ..] = fields.as_slice() else { return None };
        let address = SocketAddr::new(address.parse::<IpAddr>().ok()?, port.parse().ok().filter(|port| *port > 0)?);
        let is_usable = *component == "1" && !address.ip().is_unspecified() && !address.ip().is_multicast();
        if !is_usable {
            None
        } else if protocol.eq_ignore_ascii_case("udp") {
            Some(Self::Udp(address))
        } else if protocol.eq_ignore_ascii_case("tcp") && fields.windows(2).any(|pair| pair == ["tcptype", "passive"]) {
            Some(Self::Tcp(address))
        } else {
            None
        }
    }
}

/// Whether this candidate attribute is for the stack, which must not see TCP candidates: it would connect to them itself.
pub(crate) fn is_for_stack(line: &str, policy: IceTransportPolicy) -> bool {
    let is_tcp = line.split_ascii_whitespace().nth(2).is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcp"));
    policy == IceTransportPolicy::All && !is_tcp
}

/// A remote description, split into the part for the stack and the candidates.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The description without the candidates that are not for the stack.
    pub(crate) sdp: String,
    /// The ICE user name fragment; another one means an ICE restart.
    pub(crate) ufrag: String,
    /// In the order of the description, each once.
    pub(crate) candidates: Vec<ServerCandidate>,
}

/// Splits a session description of the server.
pub(crate) fn split_description(sdp: &str, policy: IceTransportPolicy) -> Remote {
    let mut remote = Remote::default();
    for line in sdp.split_inclusive('\n') {
        let text = line.trim_end();
        if let Some(ufrag) = text.strip_prefix("a=ice-ufrag:")
            && remote.ufrag.is_empty()
        {
            ufrag.clone_into(&mut remote.ufrag);
        }
        if text.starts_with("a=candidate:") {
            if let Some(candidate) = ServerCandidate::read(text)
                && !remote.candidates.contains(&candidate)
                && remote.candidates.len() < 2 * MAX_CANDIDATES
            {
                remote.candidates.push(candidate);
            }
            if !is_for_stack(text, policy) {
                continue;
            }
        }
        remote.sdp.push_str(line);
    }
    remote
}

/// A local description without its candidates, for policies under which the server must not try them.
pub(crate) fn without_candidates(sdp: &str) -> String {
    sdp.split_inclusive('\n').filter(|line| !line.starts_with("a=candidate:")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: &str = "candidate:1 1 udp 2130706431 192.0.2.7 7882 typ host generation 0";
    const TCP: &str = "candidate:2 1 tcp 1671430143 192.0.2.7 7881 typ host tcptype passive";

    #[test]
    fn candidates_of_both_kinds_are_read_with_and_without_prefix() {
        let address = |port| SocketAddr::new([192, 0, 2, 7].into(), port);
        assert_eq!(ServerCandidate::read(UDP), Some(ServerCandidate::Udp(address(7882))));
        assert_eq!(ServerCandidate::read(TCP), Some(ServerCandidate::Tcp(address(7881))));
        assert_eq!(ServerCandidate::read(&format!("a={TCP}\r\n")), Some(ServerCandidate::Tcp(address(7881))));
        let shouted = TCP.replace("tcp 1", "TCP 1");
        assert_eq!(ServerCandidate::read(&shouted), Some(ServerCandidate::Tcp(address(7881))));
    }

    #[test]
    fn unusable_candidates_are_ignored() {
        for bad in [
            "",
            "candidate:",
            "candidate:1 1 udp 1 192.0.2.7",
            "candidate:1 1 udp 1 192.0.2.7 70000 typ host",
            "candidate:1 1 udp 1 192.0.2.7 0 typ host",
            "candidate:1 2 udp 1 192.0.2.7 7882 typ host",
            "candidate:1 1 udp 1 name.local 7882 typ host",
            "candidate:1 1 udp 1 0.0.0.0 7882 typ host",
            "candidate:1 1 udp 1 224.0.0.1 7882 typ host",
            "candidate:1 1 tcp 1 192.0.2.7 9 typ host tcptype active",
            "candidate:1 1 sctp 1 192.0.2.7 9 typ host",
        ] {
            assert_eq!(ServerCandidate::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_stack_gets_a_description_without_tcp_candidates() {
        let sdp = format!("v=0\r\na=ice-ufrag:abcd\r\na={UDP}\r\na={TCP}\r\na={TCP}\r\na=ice-ufrag:other\r\n");
        let remote = split_description(&sdp, IceTransportPolicy::All);
        assert_eq!(remote.sdp, format!("v=0\r\na=ice-ufrag:abcd\r\na={UDP}\r\na=ice-ufrag:other\r\n"));
        assert_eq!(remote.ufrag, "abcd");
        assert_eq!(remote.candidates.len(), 2);
    }

    #[test]
    fn without_udp_the_stack_gets_no_candidates() {
        let sdp = format!("v=0\r\na={UDP}\r\na={TCP}\r\n");
        assert_eq!(split_description(&sdp, IceTransportPolicy::Relay).sdp, "v=0\r\n");
        assert_eq!(without_candidates(&sdp), "v=0\r\n");
    }

    #[test]
    fn thousands_of_candidates_open_a_few_connections_only() {
        let many: String =
            (1..10_000).map(|port| format!("a=candidate:1 1 udp 1 192.0.2.7 {port} typ host\n")).collect();
        assert_eq!(split_description(&many, IceTransportPolicy::All).candidates.len(), 2 * MAX_CANDIDATES);
    }
}
