//! How a request came in.

use std::net::SocketAddr;

/// See the module's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Address of ours that it came to.
    pub local: SocketAddr,
    /// Whether it came over TLS.
    pub is_tls: bool,
}
