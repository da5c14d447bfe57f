//! Kinds and names of routes, and the memory of which are blocked.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;

use super::fallback::Prospects;

/// Kind of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// Plain UDP.
    Udp,
    /// A TCP connection to the server's media port (RFC 6544).
    Tcp,
    /// A TURN relay reached by UDP.
    TurnUdp,
    /// A TURN relay reached by TCP.
    TurnTcp,
    /// A TURN relay reached by TLS.
    TurnTls,
}

/// A route that media can take to the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct MediaRoute {
    /// Kind of the route.
    pub kind: RouteKind,
    /// The server's address for media.
    pub remote: SocketAddr,
    /// URL of the relay, if the route has one.
    pub relay: Option<String>,
}

impl fmt::Display for MediaRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.relay, self.kind) {
            (Some(relay), _) => write!(f, "{relay} to {}", self.remote),
            (None, RouteKind::Tcp) => write!(f, "TCP to {}", self.remote),
            (None, _) => write!(f, "UDP to {}", self.remote),
        }
    }
}

/// Memory of blocked kinds of routes, shared by the connections of one session.
#[derive(Debug, Default)]
pub struct RouteMemory(AtomicU8);

impl RouteMemory {
    /// Notes that a connection came up over this kind of route although better ones were tried before.
    pub(super) fn on_connected(&self, kind: RouteKind) {
        let blocked_kinds = match kind {
            RouteKind::Udp => 0,
            RouteKind::Tcp => 1,
            RouteKind::TurnUdp | RouteKind::TurnTcp | RouteKind::TurnTls => 2,
        };
        self.0.store(blocked_kinds, Ordering::Relaxed);
    }

    /// What is known about a connection to a server with candidates of these kinds.
    pub(super) fn prospects(&self, has_udp: bool, has_tcp: bool) -> Prospects {
        let blocked_kinds = self.0.load(Ordering::Relaxed);
        Prospects { has_udp, has_tcp, is_udp_blocked: blocked_kinds >= 1, is_tcp_blocked: blocked_kinds >= 2 }
    }
}
