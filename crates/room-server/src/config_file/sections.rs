//! The keys of the file that this server uses. A section or a value that is `null` is as good as absent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::values::{NodeIps, Ports};

/// `null` is the same as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

macro_rules! section {
    ($(#[$about:meta])* $name:ident { $($(#[$meta:meta])* $key:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$meta])* #[serde(deserialize_with = "or_default")] pub $key: $kind,)*
        }
    };
}

section!(
    /// The file.
    ConfigFile {
        port: Option<u16>,
        bind_addresses: Vec<Option<String>>,
        prometheus_port: Option<u16>,
        keys: BTreeMap<String, String>,
        key_file: Option<PathBuf>,
        server_secrets: BTreeMap<String, String>,
        tls: TlsSection,
        turn: TurnSection,
        rtc: RtcSection,
        room: RoomSection,
        limit: LimitSection,
        webhook: WebhookSection,
        logging: LoggingSection,
        log_level: Option<String>,
        development: bool,
    }
);

section!(
    /// Certificate of the signalling port.
    TlsSection {
        cert_file: Option<PathBuf>,
        key_file: Option<PathBuf>,
    }
);

section!(
    /// The relay in this server.
    TurnSection {
        enabled: Option<bool>,
        domain: Option<String>,
        udp_port: Option<u16>,
        tls_port: Option<u16>,
        cert_file: Option<PathBuf>,
        key_file: Option<PathBuf>,
        external_tls: bool,
        ttl_seconds: Option<u32>,
    }
);

section!(
    /// Media.
    RtcSection {
        udp_port: Option<Ports>,
        port_range_start: Option<u16>,
        port_range_end: Option<u16>,
        tcp_port: Option<u16>,
        force_tcp: bool,
        node_ip: NodeIps,
        use_external_ip: bool,
        external_ip_only: bool,
        enable_loopback_candidate: Option<bool>,
        advertised_udp_port: Option<u16>,
        interfaces: FilterSection<String>,
        ips: FilterSection<IpNetwork>,
        turn_servers: Vec<TurnServer>,
        stun_servers: Vec<String>,
    }
);

section!(
    /// Rooms.
    RoomSection {
        max_participants: Option<u32>,
        empty_timeout: Option<u64>,
        departure_timeout: Option<u64>,
        max_metadata_size: Option<usize>,
        reconnect_timeout: Option<u64>,
        enabled_codecs: Vec<CodecSpec>,
    }
);

section!(
    /// How much and how often.
    LimitSection {
        max_metadata_size: Option<usize>,
        max_attributes_size: Option<usize>,
        max_room_name_length: Option<usize>,
        max_participant_identity_length: Option<usize>,
        max_participant_name_length: Option<usize>,
        joins_per_second: Option<u32>,
        join_burst: Option<u32>,
    }
);

section!(
    /// Receivers of webhooks.
    WebhookSection {
        urls: Vec<String>,
        api_key: Option<String>,
    }
);

section!(
    /// The log.
    LoggingSection {
        level: Option<String>,
        json: bool,
    }
);

/// Included and excluded names.
#[derive(Debug, Deserialize)]
#[serde(default, bound(deserialize = "T: Deserialize<'de>"))]
pub struct FilterSection<T> {
    #[serde(deserialize_with = "or_default")]
    pub includes: Vec<T>,
    #[serde(deserialize_with = "or_default")]
    pub excludes: Vec<T>,
}

impl<T> Default for FilterSection<T> {
    fn default() -> Self {
        Self { includes: Vec::new(), excludes: Vec::new() }
    }
}

/// A network as `10.0.0.0/8`; an address alone is a network of its own.
#[derive(Debug)]
pub struct IpNetwork(pub IpNet);

impl<'de> Deserialize<'de> for IpNetwork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let network = text.parse().or_else(|_| text.parse().map(|ip: std::net::IpAddr| IpNet::from(ip)));
        let network =
            network.map_err(|_| serde::de::Error::custom(format!("\"{text}\" is no network, as 10.0.0.0/8")))?;
        Ok(Self(network))
    }
}

/// A codec, as in LiveKit's file. Its format parameters are set by this server.
#[derive(Debug, Deserialize)]
pub struct CodecSpec {
    pub mime: String,
    #[serde(default, rename = "fmtp_line")]
    pub _fmtp_line: Option<String>,
}

/// A relay server, as LiveKit's file describes it.
#[derive(Debug, Deserialize)]
pub struct TurnServer {
    pub host: String,
    pub port: u16,
    #[serde(default)]
    pub protocol: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub username: String,
    #[serde(default, deserialize_with = "or_default")]
    pub credential: String,
    #[serde(default, deserialize_with = "or_default")]
    pub secret: String,
    #[serde(default)]
    pub ttl: Option<u32>,
}
