//! Opens the sockets: one for each address that the server shall listen on, all on the same port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

use socket2::{Domain, Protocol, Socket, Type};

/// Socket buffers in bytes: a key frame of a large room is a burst of some hundred packets.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Upper bound of attempts with other ports when one is taken on a further address.
const TRIES: usize = 16;

/// The addresses without those that another one covers. `::` alone is all addresses of both families.
pub fn distinct(wanted: &[IpAddr]) -> Vec<IpAddr> {
    let any_v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let any_v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let has_v4 = wanted.iter().any(IpAddr::is_ipv4);
    let mut distinct: Vec<IpAddr> = Vec::new();
    if wanted.contains(&any_v6) && !has_v4 {
        distinct.push(any_v4);
    }
    for ip in wanted {
        let any = if ip.is_ipv4() { any_v4 } else { any_v6 };
        let is_covered = *ip != any && wanted.contains(&any);
        if !is_covered && !distinct.contains(ip) {
            distinct.push(*ip);
        }
    }
    distinct
}

/// UDP sockets with large buffers, one for each address, on the first of these ports that is free on all of them; 0 is any.
///
/// # Errors
/// The address that failed with the last port, and the system's error, as [`io::ErrorKind::AddrInUse`].
pub fn udp(ips: &[IpAddr], ports: RangeInclusive<u16>) -> Result<Vec<UdpSocket>, (SocketAddr, io::Error)> {
    on_one_port(ips, ports, udp_socket, UdpSocket::local_addr)
}

/// Listening TCP sockets, as [`udp`].
///
/// # Errors
/// As [`udp`].
pub fn tcp(ips: &[IpAddr], ports: RangeInclusive<u16>) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    on_one_port(ips, ports, tcp_socket, TcpListener::local_addr)
}

fn on_one_port<S>(
    ips: &[IpAddr],
    ports: RangeInclusive<u16>,
    bind: impl Fn(SocketAddr) -> io::Result<S>,
    local: impl Fn(&S) -> io::Result<SocketAddr>,
) -> Result<Vec<S>, (SocketAddr, io::Error)> {
    let nothing = || (SocketAddr::from(([0, 0, 0, 0], *ports.start())), io::Error::from(io::ErrorKind::InvalidInput));
    let mut failed = nothing();
    let tries = if ports == (0..=0) { TRIES } else { 1 };
    for port in std::iter::repeat_n(ports.clone(), tries).flatten() {
        match all_on(ips, port, &bind, &local) {
            Ok(sockets) => return Ok(sockets),
            // Other errors occur with every port.
            Err(error) if error.1.kind() != io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn all_on<S>(
    ips: &[IpAddr],
    mut port: u16,
    bind: impl Fn(SocketAddr) -> io::Result<S>,
    local: impl Fn(&S) -> io::Result<SocketAddr>,
) -> Result<Vec<S>, (SocketAddr, io::Error)> {
    let mut sockets = Vec::new();
    for ip in ips {
        let address = SocketAddr::new(*ip, port);
        match bind(address) {
            Ok(socket) => {
                port = local(&socket).map_err(|error| (address, error))?.port();
                sockets.push(socket);
            }
            // Machines without IPv6 listen on all that they have.
            Err(error) if is_no_family(&error) && ip.is_unspecified() && ip.is_ipv6() && !sockets.is_empty() => {
                tracing::info!(%error, "no IPv6 on this machine");
            }
            Err(error) => return Err((address, error)),
        }
    }
    Ok(sockets)
}

fn is_no_family(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own in the standard library.
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn udp_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // The system may allow less; then less it is.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    bind_to(&socket, address)?;
    Ok(socket.into())
}

fn tcp_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server finds its port although connections of the last one are not quite closed. On Windows this would let
    // others take the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    bind_to(&socket, address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Each family has a socket of its own, so that one never answers with addresses of the other.
fn bind_to(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn all_addresses_of_ipv6_are_those_of_both_families() {
        assert_eq!(distinct(&ips(&["::"])), ips(&["0.0.0.0", "::"]));
        assert_eq!(distinct(&ips(&["0.0.0.0"])), ips(&["0.0.0.0"]));
        assert_eq!(distinct(&ips(&["127.0.0.1", "::"])), ips(&["127.0.0.1", "::"]));
    }

    #[test]
    fn an_address_that_another_covers_is_not_bound_twice() {
        assert_eq!(distinct(&ips(&["127.0.0.1", "0.0.0.0", "10.0.0.1", "0.0.0.0"])), ips(&["0.0.0.0"]));
        assert_eq!(distinct(&ips(&["127.0.0.1", "::1"])), ips(&["127.0.0.1", "::1"]));
    }

    #[test]
    fn all_addresses_share_one_port() {
        let sockets = tcp(&ips(&["127.0.0.1", "127.0.0.2"]), 0..=0).unwrap();
        let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        assert_eq!((ports.len(), ports[0]), (2, ports[1]));
    }

    #[test]
    fn the_first_port_of_a_range_that_is_free_everywhere_is_taken() {
        let taken = UdpSocket::bind("127.0.0.2:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let sockets = udp(&ips(&["127.0.0.1", "127.0.0.2"]), port..=port.saturating_add(40)).unwrap();
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap().port() > port));
        let (address, error) = udp(&ips(&["127.0.0.1", "127.0.0.2"]), port..=port).unwrap_err();
        assert_eq!((address, error.kind()), (taken.local_addr().unwrap(), io::ErrorKind::AddrInUse));
    }

    #[test]
    fn an_address_of_another_machine_is_reported() {
        let (address, error) = udp(&ips(&["203.0.113.7"]), 0..=0).unwrap_err();
        assert_eq!((address.ip(), error.kind()), ("203.0.113.7".parse().unwrap(), io::ErrorKind::AddrNotAvailable));
    }
}
