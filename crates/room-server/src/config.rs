//! Settings of the server.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::codecs::EnabledCodecs;
use crate::join_rate::JoinRate;
use crate::limits::Limits;
use crate::net::{CandidateRules, distinct};
use crate::webhooks::WebhookConfig;

/// Which apps may use the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPolicy {
    /// These, by API key with secret. More can be added with [`crate::RoomServer::add_key`].
    Fixed(BTreeMap<String, String>),
    /// None to begin with: the server lives inside a client's process and serves the apps of that process, which add
    /// their keys with [`crate::RoomServer::add_key`]. Only for a server that is bound to loopback.
    Embedded,
}

/// Which TCP port serves media to clients whose network lets no UDP through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpPort {
    /// None.
    None,
    /// The one above that of signalling, as with LiveKit; none if that is in use.
    Default,
    /// This one; 0 is any free one.
    Fixed(u16),
}

impl TcpPort {
    /// As the command and the file have it: 0 is none.
    pub(crate) fn from_setting(port: u16) -> Self {
        if port == 0 { Self::None } else { Self::Fixed(port) }
    }
}

/// A STUN or TURN server for clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceServerConfig {
    /// Addresses as in RFC 7064 and RFC 7065: `stun:host:port`, `turn:host:port?transport=udp`.
    pub urls: Vec<String>,
    /// User name, empty for STUN.
    pub username: String,
    /// Password, empty for STUN.
    pub credential: String,
    /// The relay's shared secret (coturn's `static-auth-secret`): then every participant gets temporary credentials of its own.
    /// Empty if the relay has fixed ones.
    pub secret: String,
    /// How long those live; `None` is 5 minutes.
    pub ttl: Option<Duration>,
}

/// A certificate with its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate of the server first, then those that lead from it to a root.
    pub cert: PathBuf,
    /// PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// The relay in this server (TURN, RFC 8656): for clients whose network lets nothing out but connections to well-known
/// ports. It reaches nothing but the media of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnConfig {
    /// `None`: on the port of signalling, offered to clients without a proxy between. `Some(true)`: offered to all but clients on
    /// this machine.
    pub enabled: Option<bool>,
    /// Name by which clients reach it; `None` is the one by which they reached signalling.
    pub domain: Option<String>,
    /// UDP port of its own.
    pub udp_port: Option<u16>,
    /// TCP port of its own, with TLS.
    pub tls_port: Option<u16>,
    /// Certificate of that port; `None` is that of signalling.
    pub tls: Option<TlsFiles>,
    /// Whether TLS ends before `tls_port`, so that plain connections arrive.
    pub external_tls: bool,
    /// How long the user names and passwords live that participants get.
    pub ttl: Duration,
}

impl Default for TurnConfig {
    fn default() -> Self {
        let ttl = Duration::from_secs(300);
        Self { enabled: None, domain: None, udp_port: None, tls_port: None, tls: None, external_tls: false, ttl }
    }
}

/// How the program writes its log. The library writes none by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// `trace`, `debug`, `info`, `warn` or `error`; `None` is `info`. `RUST_LOG` overrides it.
    pub level: Option<String>,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// Settings of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Address to listen on, for signalling and media. `0.0.0.0` is all addresses of IPv4, `::` is all that there are.
    pub bind: IpAddr,
    /// Further addresses to listen on, on the same ports.
    pub further_binds: Vec<IpAddr>,
    /// TCP port for signalling; 0 is any free one.
    pub port: u16,
    /// UDP port for media; `None` is `port + 2` or, if that is in use, any free one.
    pub udp_port: Option<u16>,
    /// Last port of a range that begins with `udp_port`: the first free one is used.
    pub udp_port_last: Option<u16>,
    /// TCP port for media.
    pub tcp_port: TcpPort,
    /// Whether the TCP port is the only candidate, to test it.
    pub force_tcp: bool,
    /// Address that others know this machine by, as that of a router before it. Offered to clients first.
    pub node_ip: Option<IpAddr>,
    /// Further such addresses, as that of the other family.
    pub further_node_ips: Vec<IpAddr>,
    /// Which of the machine's addresses are offered to clients.
    pub candidates: CandidateRules,
    /// UDP port offered to clients for media, when a router forwards another port to ours.
    pub advertised_udp_port: Option<u16>,
    /// Certificate of signalling (`wss://`); `None` is without TLS.
    pub tls: Option<TlsFiles>,
    /// The relay in this server.
    pub turn: TurnConfig,
    /// Servers that help clients find a way to us.
    pub ice_servers: Vec<IceServerConfig>,
    /// The keys of the apps.
    pub keys: KeyPolicy,
    /// Server secrets for the vendor's `04` tokens, by app ID.
    pub server_secrets: BTreeMap<String, String>,
    /// How long a participant is kept whose signalling connection is lost while its media still flow.
    pub reconnect_timeout: Duration,
    /// How long a room created by CreateRoom waits for its first participant, unless the call says otherwise.
    pub empty_timeout: Duration,
    /// How long a room stays when the last participant has left.
    pub departure_timeout: Duration,
    /// Upper bound of a room's participants, unless its creation says otherwise; 0 is no limit.
    pub max_participants: u32,
    /// Codecs that clients may publish with.
    pub codecs: EnabledCodecs,
    /// How long texts may be.
    pub limits: Limits,
    /// Join rate of one address; `None` is [`JoinRate::DEFAULT`] for all but loopback.
    pub join_rate: Option<JoinRate>,
    /// Webhooks for events of rooms.
    pub webhooks: Option<WebhookConfig>,
    /// Whether clients may use one peer connection for both directions (`/rtc/v1`). If not, they fall back to two.
    pub single_peer_connection: bool,
    /// Whether `/metrics` is served on the port of signalling.
    pub metrics: bool,
    /// TCP port with nothing but `/metrics`; 0 is any free one.
    pub metrics_port: Option<u16>,
    /// Whether `POST /dev/token` gives all visitors an access token. Only for a server that is bound to loopback.
    pub dev: bool,
    /// How the program writes its log.
    pub log: LogConfig,
}

impl ServerConfig {
    /// All addresses to listen on, without those that another one covers.
    pub fn binds(&self) -> Vec<IpAddr> {
        let all: Vec<IpAddr> = std::iter::once(self.bind).chain(self.further_binds.iter().copied()).collect();
        distinct(&all)
    }

    /// Whether only this machine itself can reach the server.
    pub fn is_loopback(&self) -> bool {
        self.binds().iter().all(IpAddr::is_loopback)
    }

    /// All addresses that others know this machine by.
    pub fn node_ips(&self) -> Vec<IpAddr> {
        self.node_ip.into_iter().chain(self.further_node_ips.iter().copied()).collect()
    }
}

impl Default for ServerConfig {
    /// Embedded, on loopback, port 7880.
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            further_binds: Vec::new(),
            port: 7880,
            udp_port: None,
            udp_port_last: None,
            tcp_port: TcpPort::None,
            force_tcp: false,
            node_ip: None,
            further_node_ips: Vec::new(),
            candidates: CandidateRules::default(),
            advertised_udp_port: None,
            tls: None,
            turn: TurnConfig::default(),
            ice_servers: Vec::new(),
            keys: KeyPolicy::Embedded,
            server_secrets: BTreeMap::new(),
            reconnect_timeout: Duration::from_secs(15),
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::ZERO,
            max_participants: 0,
            codecs: EnabledCodecs::default(),
            limits: Limits::default(),
            join_rate: None,
            webhooks: None,
            single_peer_connection: true,
            metrics: false,
            metrics_port: None,
            dev: false,
            log: LogConfig::default(),
        }
    }
}
