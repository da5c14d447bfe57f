//! The port of signalling: TLS, if there is a certificate, and behind it HTTP and TURN, which are distinguished by their first
//! bytes. So one open TCP port is enough for a whole call.

pub mod arrival;
mod certificate;
mod connections;
mod first_bytes;
mod prefixed;
mod renewal;

pub use certificate::CertificateError;
pub use connections::{Front, serve};
pub use renewal::Certificates;
