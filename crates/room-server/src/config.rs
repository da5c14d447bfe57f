//! Settings of the server.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

/// Which apps may use the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum KeyPolicy {
    /// These, by API key with secret. More can be added with [`crate::RoomServer::add_key`].
    Fixed(BTreeMap<String, String>),
    /// None to begin with: the server lives inside a client's process and serves the apps of that process, which add
    /// their keys with [`crate::RoomServer::add_key`]. Only for a server that is bound to loopback.
    Embedded,
}

/// Settings of a server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServerConfig {
    /// Address to listen on, for signalling and media.
    pub bind: IpAddr,
    /// TCP port for signalling; 0 is any free one.
    pub port: u16,
    /// UDP port for media; `None` is `port + 2` or, if that is taken, any free one.
    pub udp_port: Option<u16>,
    /// Address that clients are told for media, when they cannot reach `bind` itself.
    pub node_ip: Option<IpAddr>,
    /// Who may use the server.
    pub keys: KeyPolicy,
    /// Server secrets for the vendor's `04` tokens, by app ID.
    pub server_secrets: BTreeMap<String, String>,
    /// How long a participant is kept whose signalling connection is lost while its media still flow.
    pub departure_timeout: Duration,
    /// Whether clients may use one peer connection for both ways (`/rtc/v1`). If not, they fall back to two.
    pub single_peer_connection: bool,
    /// Whether `/metrics` tells numbers about the server to everybody who asks.
    pub metrics: bool,
}

impl Default for ServerConfig {
    /// Embedded, on loopback, port 7880.
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            port: 7880,
            udp_port: None,
            node_ip: None,
            keys: KeyPolicy::Embedded,
            server_secrets: BTreeMap::new(),
            departure_timeout: Duration::from_secs(15),
            single_peer_connection: true,
            metrics: false,
        }
    }
}

/// What is wrong with a configuration file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read the configuration: {0}")]
    Read(#[from] std::io::Error),
    /// It is not YAML, or a known key has a value of the wrong kind.
    #[error("cannot understand the configuration: {0}")]
    Parse(String),
    /// `bind_addresses` has more than one address.
    #[error("only one address to bind is supported")]
    ManyAddresses,
}

/// The keys that are read of a configuration file. They are called as in LiveKit's, so that one file serves both.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigFile {
    port: Option<u16>,
    bind_addresses: Vec<IpAddr>,
    keys: BTreeMap<String, String>,
    rtc: RtcSection,
    room: RoomSection,
    server_secrets: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RtcSection {
    udp_port: Option<u16>,
    node_ip: Option<IpAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RoomSection {
    departure_timeout: Option<u64>,
}

impl ServerConfig {
    /// Takes over what a YAML file says: `port`, `bind_addresses`, `keys`, `rtc.udp_port`, `rtc.node_ip`,
    /// `room.departure_timeout` (seconds), `server_secrets` (by app ID). Other keys are ignored.
    ///
    /// # Errors
    /// [`ConfigError::Parse`], [`ConfigError::ManyAddresses`].
    pub fn apply_yaml(&mut self, yaml: &str) -> Result<(), ConfigError> {
        let file: ConfigFile = serde_saphyr::from_str(yaml).map_err(|error| ConfigError::Parse(error.to_string()))?;
        match file.bind_addresses.as_slice() {
            [] => {}
            [address] => self.bind = *address,
            _ => return Err(ConfigError::ManyAddresses),
        }
        self.port = file.port.unwrap_or(self.port);
        self.udp_port = file.rtc.udp_port.or(self.udp_port);
        self.node_ip = file.rtc.node_ip.or(self.node_ip);
        self.server_secrets.extend(file.server_secrets);
        if let Some(seconds) = file.room.departure_timeout {
            self.departure_timeout = Duration::from_secs(seconds);
        }
        if !file.keys.is_empty() {
            self.keys = KeyPolicy::Fixed(file.keys);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_livekit_file_is_understood() {
        let mut config = ServerConfig::default();
        let yaml = "port: 7000\nbind_addresses:\n  - 0.0.0.0\nkeys:\n  \"123\": abc\nrtc:\n  udp_port: 7002\n  tcp_port: 7001\nlogging:\n  level: info\n";
        config.apply_yaml(yaml).unwrap();
        assert_eq!((config.port, config.udp_port, config.bind), (7000, Some(7002), Ipv4Addr::UNSPECIFIED.into()));
        assert_eq!(config.keys, KeyPolicy::Fixed(BTreeMap::from([("123".into(), "abc".into())])));
    }

    #[test]
    fn keys_that_look_like_numbers_need_no_quotes() {
        let mut config = ServerConfig::default();
        config.apply_yaml("keys:\n  1234567: 0123456789abcdef\n").unwrap();
        assert_eq!(config.keys, KeyPolicy::Fixed(BTreeMap::from([("1234567".into(), "0123456789abcdef".into())])));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(ServerConfig::default().apply_yaml("port: many").is_err());
        assert!(ServerConfig::default().apply_yaml("bind_addresses: [127.0.0.1, 127.0.0.2]").is_err());
        assert!(ServerConfig::default().apply_yaml("{").is_err());
    }
}
