//! Many datagrams with one call, where the system has calls for that (Linux); elsewhere one by one.
//!
//! A socket that listens on all interfaces answers from the address that it was asked at: a client checks that, and the
//! system would choose the address by its routes alone. Only Linux tells and takes that address here; elsewhere the
//! system chooses.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;
pub mod sender;
mod sockets;

#[cfg(target_os = "linux")]
use linux::SendCalls;
#[cfg(target_os = "linux")]
pub use linux::UdpReceiver;
#[cfg(not(target_os = "linux"))]
use portable::SendCalls;
#[cfg(not(target_os = "linux"))]
pub use portable::UdpReceiver;
pub use sockets::UdpSockets;

/// Largest datagram that is read; what clients send is below 1500.
pub const DATAGRAM_MAX: usize = 4096;
