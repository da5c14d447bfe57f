//! A socket that tells when a datagram arrived: what a busy client needs until it reads it is not the server's doing.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A UDP socket with the system's arrival times.
pub struct StampedSocket(UdpSocket);

/// What was received.
pub struct Arrival {
    pub length: usize,
    pub source: SocketAddr,
    /// By the system's clock, microseconds since the Unix epoch.
    pub at_us: u64,
}

impl StampedSocket {
    pub async fn bind(address: &str) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        Ok(Self(socket))
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.0.send_to(bytes, to).await
    }

    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        self.0.async_io(Interest::READABLE, || receive(self.0.as_raw_fd(), buffer)).await
    }
}

fn receive(socket: i32, buffer: &mut [u8]) -> io::Result<Arrival> {
    let mut space = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut buffers = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket, &mut buffers, Some(&mut space), MsgFlags::MSG_DONTWAIT)?;
    let at_us = message.cmsgs()?.find_map(|about| match about {
        ControlMessageOwned::ScmTimestampns(time) => {
            u64::try_from(time.tv_sec() * 1_000_000 + time.tv_nsec() / 1000).ok()
        }
        _ => None,
    });
    let source = message.address.as_ref().and_then(address).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Arrival { length: message.bytes, source, at_us: at_us.unwrap_or_else(now_us) })
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| SocketAddr::from((address.ip(), address.port())));
    v4.or_else(|| storage.as_sockaddr_in6().map(|address| SocketAddr::from((address.ip(), address.port()))))
}

/// The same clock.
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}
