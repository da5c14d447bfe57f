//! Many datagrams with one call, where the system has calls for that (Linux); elsewhere one by one.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;
pub mod sender;

#[cfg(target_os = "linux")]
use linux::SendCalls;
#[cfg(target_os = "linux")]
pub use linux::UdpReceiver;
#[cfg(not(target_os = "linux"))]
use portable::SendCalls;
#[cfg(not(target_os = "linux"))]
pub use portable::UdpReceiver;

/// Largest datagram that is read; what clients send is below 1500.
pub const DATAGRAM_MAX: usize = 4096;
