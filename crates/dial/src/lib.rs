//! How a TCP or TLS connection to a named server is opened: name resolution, several addresses behind a name (RFC 8305),
//! HTTP and SOCKS proxies, and whose certificates are trusted.
//!
//! What decides is sans-IO: `attempts` (which address when), `proxy` (through whom), `tunnel` (what a proxy's answer
//! means), `certificate` (who is trusted, and what is wrong with a certificate). `dialer` and `race` are the async shell.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs))]

mod attempts;
mod certificate;
mod config;
mod dialer;
mod error;
mod pin;
mod proxy;
mod race;
mod roots;
mod tunnel;

pub use config::{DialConfig, ProxySetting};
pub use dialer::Dialer;
pub use error::DialError;
pub use tokio_rustls::client::TlsStream;
