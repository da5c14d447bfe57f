//! `recvmmsg` and `sendmmsg`.

use std::array::from_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket as MioSocket;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, sendmmsg,
    setsockopt, sockopt,
};

use super::MAX_DATAGRAM_BYTES;
use super::sender::Part;

/// Upper bound of datagrams of one call.
const RECEIVE_BATCH: usize = 16;
const SEND_BATCH: usize = 32;

/// The receiving end of a socket. Stays in one thread.
pub struct UdpReceiver {
    socket: MioSocket,
    bound: SocketAddr,
    headers: MultiHeaders<SockaddrStorage>,
    /// One after the other, [`MAX_DATAGRAM_BYTES`] bytes each.
    buffers: Vec<u8>,
    /// The datagrams in the buffers.
    received: Vec<Received>,
}

/// A datagram in the buffers: its source, our address, and its length.
type Received = (Option<SocketAddr>, SocketAddr, usize);

/// Headers with room for the address that a datagram was sent to, if the system is asked for it.
fn headers_for(bound: &SocketAddr, count: usize) -> MultiHeaders<SockaddrStorage> {
    let room = match bound {
        _ if !bound.ip().is_unspecified() => None,
        SocketAddr::V4(_) => Some(cmsg_space!(in_pktinfo)),
        SocketAddr::V6(_) => Some(cmsg_space!(in6_pktinfo)),
    };
    MultiHeaders::preallocate(count, room)
}

impl UdpReceiver {
    /// Receives from this non-blocking socket.
    ///
    /// # Errors
    /// The system does not report where datagrams were sent to.
    pub fn new(socket: MioSocket) -> io::Result<Self> {
        let bound = socket.local_addr()?;
        match bound {
            _ if !bound.ip().is_unspecified() => {}
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(Self {
            headers: headers_for(&bound, RECEIVE_BATCH),
            socket,
            bound,
            buffers: vec![0; RECEIVE_BATCH * MAX_DATAGRAM_BYTES],
            received: Vec::with_capacity(RECEIVE_BATCH),
        })
    }

    /// Receives what is there, up to a limit of its own, and passes it on one by one: the source, our address (unknown if
    /// `None`), and the contents. False when nothing is left.
    pub fn receive(&mut self, mut take: impl FnMut(SocketAddr, Option<SocketAddr>, &[u8])) -> bool {
        let Self { socket, bound, headers, buffers, received } = self;
        received.clear();
        let mut parts = buffers.chunks_exact_mut(MAX_DATAGRAM_BYTES);
        let mut slices: [_; RECEIVE_BATCH] = from_fn(|_| [IoSliceMut::new(parts.next().unwrap_or_default())]);
        match recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::empty(), None) {
            Ok(results) => received
                .extend(results.map(|one| (one.address.and_then(std_address), sent_to(*bound, &one), one.bytes))),
            Err(Errno::EAGAIN) => return false,
            // Some systems report here that an earlier datagram did not arrive. That is no fault of the socket.
            Err(error) => {
                tracing::trace!(%error, "receiving failed");
                return true;
            }
        }
        for ((source, local, length), buffer) in received.iter().zip(buffers.chunks_exact(MAX_DATAGRAM_BYTES)) {
            if let Some(source) = source {
                let local = Some(*local).filter(|local| !local.ip().is_unspecified());
                take(*source, local, buffer.get(..*length).unwrap_or_default());
            }
        }
        // A header that came back without the address has no room for it any more.
        if received.iter().any(|(_, local, _)| local.ip().is_unspecified()) {
            *headers = headers_for(bound, RECEIVE_BATCH);
        }
        // Fewer than there was room for: the socket was empty, and to ask once more would cost another call.
        received.len() == RECEIVE_BATCH
    }
}

/// The address that a datagram was sent to.
fn sent_to<S>(bound: SocketAddr, datagram: &RecvMsg<'_, '_, S>) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let ip = datagram.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(IpAddr::V4(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())))
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr))),
            _ => None,
        })
    });
    SocketAddr::new(ip.unwrap_or(bound.ip()), bound.port())
}

fn std_address(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
}

/// The buffers of the system calls for sending; stays in one thread.
pub struct SendCalls {
    plain: MultiHeaders<SockaddrStorage>,
    from_v4: MultiHeaders<SockaddrStorage>,
    from_v6: MultiHeaders<SockaddrStorage>,
}

impl SendCalls {
    /// Ready to send.
    pub fn new() -> Self {
        Self {
            plain: MultiHeaders::preallocate(SEND_BATCH, None),
            from_v4: MultiHeaders::preallocate(SEND_BATCH, Some(cmsg_space!(in_pktinfo))),
            from_v6: MultiHeaders::preallocate(SEND_BATCH, Some(cmsg_space!(in6_pktinfo))),
        }
    }

    /// Sends the first of these parts of `bytes`, and returns how many; from `local`, or from the address that the system chooses.
    ///
    /// # Errors
    /// The system's error for the very first one.
    pub fn send(
        &mut self,
        socket: &UdpSocket,
        local: Option<IpAddr>,
        bytes: &[u8],
        parts: &[Part],
    ) -> io::Result<usize> {
        let part = |at: usize| parts.get(at).and_then(|part| bytes.get(part.range.clone())).unwrap_or_default();
        let slices: [_; SEND_BATCH] = from_fn(|at| [IoSlice::new(part(at))]);
        let addresses: [_; SEND_BATCH] = from_fn(|at| parts.get(at).map(|part| SockaddrStorage::from(part.to)));
        let slices = slices.iter().take(parts.len().min(SEND_BATCH));
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
        let sent = match local {
            None => sendmmsg(fd, &mut self.plain, slices, addresses, [], flags)?.count(),
            Some(IpAddr::V4(ip)) => {
                let nothing = in_addr { s_addr: 0 };
                let from = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
                let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: nothing };
                sendmmsg(fd, &mut self.from_v4, slices, addresses, [ControlMessage::Ipv4PacketInfo(&info)], flags)?
                    .count()
            }
            Some(IpAddr::V6(ip)) => {
                let info = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
                sendmmsg(fd, &mut self.from_v6, slices, addresses, [ControlMessage::Ipv6PacketInfo(&info)], flags)?
                    .count()
            }
        };
        Ok(sent)
    }
}
