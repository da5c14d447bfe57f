//! How a request arrived.

use std::net::SocketAddr;

/// The connection that a request arrived on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Our address.
    pub local: SocketAddr,
    /// Whether it speaks TLS.
    pub is_tls: bool,
}
