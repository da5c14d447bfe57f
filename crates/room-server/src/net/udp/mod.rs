//! Many datagrams with one system call, where there are such calls (Linux); elsewhere one by one.
//!
//! A socket that listens on all interfaces answers from the address that was asked: a client checks that, and the system would
//! choose the address by its routes alone. Only Linux reports and accepts that address here; elsewhere the system chooses.

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

/// Upper bound of a datagram that is read; those of clients are below 1500.
pub const MAX_DATAGRAM_BYTES: usize = 4096;
