//! Why there is no connection.

use thiserror::Error;

/// Why there is no connection. Each text is a sentence for people; nothing in it is to be searched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DialError {
    /// The name leads to no address, at least not now.
    #[error("the name {host} is not found: {reason}")]
    Name {
        /// The name.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// No connection to any of its addresses, or one that ended before it was of use.
    #[error("{place} is out of reach: {reason}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// What happened.
        reason: String,
    },
    /// It answered with a certificate that is not accepted.
    #[error("the certificate of {host} is refused: {reason}")]
    Certificate {
        /// Host that was asked for.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The proxy does not let us through, or cannot be reached.
    #[error("the proxy {proxy} {reason}")]
    Proxy {
        /// Its host and port.
        proxy: String,
        /// What it did.
        reason: String,
    },
    /// An option cannot be used: another attempt would not help.
    #[error("{0}")]
    Config(String),
}
