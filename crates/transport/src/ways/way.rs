//! What a way is called.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;

use super::fallback::Prospects;

/// How media travels to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WayKind {
    /// Plain UDP.
    Udp,
    /// A TCP connection to the server's media port (RFC 6544).
    Tcp,
    /// A TURN relay, reached by UDP,
    TurnUdp,
    /// by TCP,
    TurnTcp,
    /// or by TLS.
    TurnTls,
}

/// The way that media takes to the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct MediaWay {
    /// How it travels.
    pub kind: WayKind,
    /// The server's address for media.
    pub remote: SocketAddr,
    /// The relay's URL, where there is one.
    pub relay: Option<String>,
}

impl fmt::Display for MediaWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.relay, self.kind) {
            (Some(relay), _) => write!(f, "{relay} to {}", self.remote),
            (None, WayKind::Tcp) => write!(f, "TCP to {}", self.remote),
            (None, _) => write!(f, "UDP to {}", self.remote),
        }
    }
}

/// What the connections of one session tell each other: which ways turned out not to be open.
#[derive(Debug, Default)]
pub struct WayMemory(AtomicU8);

impl WayMemory {
    /// A connection came up over this way, though those before it had their chance.
    pub(super) fn learn(&self, kind: WayKind) {
        let worse = match kind {
            WayKind::Udp => 0,
            WayKind::Tcp => 1,
            WayKind::TurnUdp | WayKind::TurnTcp | WayKind::TurnTls => 2,
        };
        self.0.store(worse, Ordering::Relaxed);
    }

    pub(super) fn prospects(&self, has_udp: bool, has_tcp: bool) -> Prospects {
        let worse = self.0.load(Ordering::Relaxed);
        Prospects { has_udp, has_tcp, is_udp_blocked: worse >= 1, is_tcp_blocked: worse >= 2 }
    }
}
