//! All sockets of a server, opened together before anything else of it exists.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use tokio::net::TcpListener;

use crate::config::{ServerConfig, TcpPort};
use crate::net::{bind_tcp, bind_udp};
use crate::server::StartError;

/// How far the media ports are from the signalling port, as with LiveKit.
const UDP_PORT_OFFSET: u16 = 2;
const TCP_PORT_OFFSET: u16 = 1;
/// LiveKit's port for signalling, from which media ports are counted where signalling has a well-known one.
const COUNTED_FROM: u16 = 7880;
/// Browsers accept no candidate at a port below this but 80 and 443, which could be another service's (libwebrtc,
/// `P2PTransportChannel`).
const MIN_BROWSER_PORT: u16 = 1024;

/// The sockets of a server.
pub struct Sockets {
    /// For signalling, at least one.
    pub signalling: Vec<TcpListener>,
    /// For media over UDP, at least one.
    pub media: Vec<UdpSocket>,
    /// For media over TCP.
    pub tcp_media: Vec<TcpListener>,
    /// For numbers, if they have a port of their own.
    pub metrics: Vec<TcpListener>,
    /// For the relay, if it has ports of its own.
    pub turn_udp: Vec<UdpSocket>,
    /// The same, over TLS.
    pub turn_tls: Vec<TcpListener>,
    /// Whether only this machine is served, but at all its addresses: `own_addresses` says why.
    pub is_local: bool,
}

impl Sockets {
    /// Opens the sockets of a configuration.
    ///
    /// # Errors
    /// [`StartError::AddressInUse`], [`StartError::Bind`].
    pub fn open(config: &ServerConfig) -> Result<Self, StartError> {
        warn_of_refused_ports(config);
        let binds = config.binds();
        let signalling = listeners(&binds, config.port)?;
        let address = first_address(&signalling)?;
        // Not where the configuration says how media arrive.
        let is_told = config.node_ip.is_some() || config.advertised_udp_port.is_some();
        let is_local = config.is_loopback() && !is_told;
        let media_ips = if is_local { everywhere(&binds) } else { binds.clone() };
        let media = media_sockets(&media_ips, config)?;
        let tcp_media = match config.tcp_port {
            TcpPort::None => Vec::new(),
            TcpPort::Fixed(port) => listeners(&binds, port)?,
            TcpPort::Default => match media_port(address.port(), TCP_PORT_OFFSET) {
                Some(port) => listeners(&binds, port)
                    .inspect_err(|error| tracing::warn!(port, %error, "no media over TCP"))
                    .unwrap_or_default(),
                None => Vec::new(),
            },
        };
        let metrics = match config.metrics_port {
            Some(port) => listeners(&binds, port)?,
            None => Vec::new(),
        };
        let has_turn = config.turn.enabled != Some(false) && !config.is_loopback();
        let turn_udp = match config.turn.udp_port.filter(|_| has_turn) {
            Some(port) => bind_udp(&binds, port..=port).map_err(start_error)?,
            None => Vec::new(),
        };
        let turn_tls = match config.turn.tls_port.filter(|port| has_turn && *port != config.port) {
            Some(port) => listeners(&binds, port)?,
            None => Vec::new(),
        };
        Ok(Self { signalling, media, tcp_media, metrics, turn_udp, turn_tls, is_local })
    }
}

/// The address of the first listener.
///
/// # Errors
/// The system's error; that there is none.
pub fn first_address(listeners: &[TcpListener]) -> io::Result<SocketAddr> {
    listeners.first().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?.local_addr()
}

/// All interfaces, in the families of these addresses.
fn everywhere(ips: &[IpAddr]) -> Vec<IpAddr> {
    let v4 = ips.iter().any(IpAddr::is_ipv4).then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let v6 = ips.iter().any(IpAddr::is_ipv6).then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    v4.into_iter().chain(v6).collect()
}

fn listeners(ips: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, StartError> {
    let listeners = bind_tcp(ips, port..=port).map_err(start_error)?;
    Ok(listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<_>>()?)
}

fn media_sockets(ips: &[IpAddr], config: &ServerConfig) -> Result<Vec<UdpSocket>, StartError> {
    if let Some(first) = config.udp_port {
        return bind_udp(ips, first..=config.udp_port_last.unwrap_or(first)).map_err(start_error);
    }
    let usual = media_port(config.port, UDP_PORT_OFFSET).filter(|_| config.port != 0);
    let at_usual = usual.and_then(|port| bind_udp(ips, port..=port).ok());
    at_usual.map_or_else(|| bind_udp(ips, 0..=0), Ok).map_err(start_error)
}

/// The default port for media beside that port for signalling.
fn media_port(signalling: u16, offset: u16) -> Option<u16> {
    let counted_from = if is_refused(signalling.saturating_add(offset)) { COUNTED_FROM } else { signalling };
    counted_from.checked_add(offset)
}

/// Whether browsers would not send media to that port.
fn is_refused(port: u16) -> bool {
    port < MIN_BROWSER_PORT && port != 80 && port != 443
}

fn warn_of_refused_ports(config: &ServerConfig) {
    let tcp = if let TcpPort::Fixed(port) = config.tcp_port { Some(port) } else { None };
    for port in
        [config.advertised_udp_port.or(config.udp_port), tcp].into_iter().flatten().filter(|port| is_refused(*port))
    {
        tracing::warn!(port, "browsers send no media to ports below 1024 other than 80 and 443");
    }
}

fn start_error((address, error): (SocketAddr, io::Error)) -> StartError {
    match error.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Bind { address, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_ports_stand_beside_the_port_for_signalling_but_where_browsers_would_refuse_them() {
        let ports = |signalling| (media_port(signalling, TCP_PORT_OFFSET), media_port(signalling, UDP_PORT_OFFSET));
        assert_eq!(ports(7880), (Some(7881), Some(7882)));
        assert_eq!(ports(443), (Some(7881), Some(7882)));
        assert_eq!(ports(80), (Some(7881), Some(7882)));
        assert_eq!(ports(1022), (Some(7881), Some(1024)));
        assert_eq!(ports(u16::MAX), (None, None));
    }
}
