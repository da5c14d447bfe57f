//! The configuration file. Its keys are those of LiveKit's `livekit.yaml` where they mean the same, so that one file
//! serves both servers.
//!
//! A file that starts livekit-server has to start this server as well. So a key that has no effect here is never an error; it
//! is named in a warning, and a second warning says if LiveKit's server does not know it either.

mod reading;
mod relays;
mod sections;
mod values;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use self::reading::parse;
pub use self::reading::{UnusedKey, read_text};
use self::sections::{ConfigFile, LimitSection, RoomSection, RtcSection};
pub use self::values::{Ports, bind_addresses};
use crate::codecs::EnabledCodecs;
use crate::config::{IceServerConfig, KeyPolicy, ServerConfig, TcpPort, TlsFiles};
use crate::join_rate::JoinRate;
use crate::net::Filter;
use crate::webhooks::WebhookConfig;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// It is longer than a configuration can be.
    #[error("the configuration is longer than 1 MiB")]
    TooLong,
    /// It is not YAML, or has a value of the wrong kind.
    #[error("cannot understand the configuration: {0}")]
    Parse(String),
    /// `bind_addresses` has more addresses than a server listens on.
    #[error("bind_addresses: more than 64 addresses")]
    TooManyAddresses,
    /// A name in `bind_addresses` is none of a host.
    #[error("bind_addresses: \"{name}\" is no address of this machine: {error}")]
    NoAddress {
        /// The name.
        name: String,
        /// The system's error.
        error: std::io::Error,
    },
    /// A value is not one of those that are possible.
    #[error("{key}: \"{value}\" is not possible, only {possible}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// The possible values.
        possible: &'static str,
    },
    /// `webhook` has addresses and no key that signs.
    #[error("webhook: urls need an api_key")]
    HalfWebhook,
    /// A certificate without its private key, or the other way round.
    #[error("{0}: cert_file and key_file belong together")]
    HalfCertificate(&'static str),
    /// Others on the machine could read the secrets.
    #[error("{0} can be read by everybody: take the rights of others away (chmod o-rwx)")]
    OpenKeyFile(PathBuf),
}

impl ServerConfig {
    /// Applies a YAML file. Returns the keys that have no effect here.
    ///
    /// # Errors
    /// See [`ConfigError`]; then nothing was applied.
    pub fn apply_yaml(&mut self, yaml: &str) -> Result<Vec<UnusedKey>, ConfigError> {
        let (file, mut unused) = parse::<ConfigFile>(yaml)?;
        if file.rtc.use_external_ip {
            // It is named in any case, since without it no client outside would get media.
            let key = "rtc.use_external_ip (give the address as rtc.node_ip)".to_owned();
            unused.push(UnusedKey { key, is_livekits: true });
        }
        let mut config = self.clone();
        config.apply_file(file)?;
        *self = config;
        Ok(unused)
    }

    fn apply_file(&mut self, file: ConfigFile) -> Result<(), ConfigError> {
        let binds = file.bind_addresses.iter().map(|text| text.as_deref().unwrap_or_default());
        self.listen_on(&bind_addresses(binds)?);
        self.port = file.port.unwrap_or(self.port);
        self.metrics_port = file.prometheus_port.filter(|port| *port != 0).or(self.metrics_port);
        self.dev |= file.development;
        self.server_secrets.extend(file.server_secrets);
        if let Some(path) = file.key_file.filter(|path| !path.as_os_str().is_empty()) {
            self.add_keys(read_key_file(&path)?);
        }
        self.add_keys(file.keys);
        self.tls = tls_files("tls", file.tls.cert_file, file.tls.key_file)?.or(self.tls.take());
        self.apply_turn(file.turn)?;
        self.apply_rtc(file.rtc)?;
        self.apply_room(&file.room);
        self.apply_limit(&file.limit);
        let api_key = file.webhook.api_key.filter(|key| !key.is_empty());
        match (file.webhook.urls, api_key) {
            (urls, _) if urls.is_empty() => {}
            (urls, Some(api_key)) => self.webhooks = Some(WebhookConfig { urls, api_key }),
            (_, None) => return Err(ConfigError::HalfWebhook),
        }
        self.log.json |= file.logging.json;
        let level = file.logging.level.or(file.log_level).filter(|level| !level.is_empty());
        if let Some(level) = level {
            self.log.level = Some(log_level(&level)?.to_owned());
        }
        Ok(())
    }

    /// Listens on these addresses, if there are any.
    pub(crate) fn listen_on(&mut self, ips: &[IpAddr]) {
        if let [first, further @ ..] = ips {
            self.bind = *first;
            self.further_binds = further.to_vec();
        }
    }

    /// Adds keys to those that are there.
    pub(crate) fn add_keys(&mut self, more: BTreeMap<String, String>) {
        if more.is_empty() {
            return;
        }
        match &mut self.keys {
            KeyPolicy::Fixed(keys) => keys.extend(more),
            KeyPolicy::Embedded => self.keys = KeyPolicy::Fixed(more),
        }
    }

    fn apply_rtc(&mut self, rtc: RtcSection) -> Result<(), ConfigError> {
        let range = rtc.port_range_start.filter(|first| *first != 0);
        let range = range.map(|first| Ports { first, last: rtc.port_range_end.unwrap_or(first).max(first) });
        if let Some(Ports { first, last }) = rtc.udp_port.filter(|ports| ports.first != 0).or(range) {
            self.udp_port = Some(first);
            self.udp_port_last = Some(last);
        }
        self.tcp_port = rtc.tcp_port.map_or(self.tcp_port, TcpPort::from_setting);
        self.force_tcp |= rtc.force_tcp;
        if let [first, further @ ..] = rtc.node_ip.0.as_slice() {
            self.node_ip = Some(*first);
            self.further_node_ips = further.to_vec();
        }
        self.candidates.configured_only |= rtc.external_ip_only;
        self.candidates.loopback = rtc.enable_loopback_candidate.unwrap_or(self.candidates.loopback);
        let is_filtered = !rtc.interfaces.includes.is_empty() || !rtc.interfaces.excludes.is_empty();
        if is_filtered {
            self.candidates.interfaces =
                Filter { includes: rtc.interfaces.includes, excludes: rtc.interfaces.excludes };
        }
        if !rtc.ips.includes.is_empty() || !rtc.ips.excludes.is_empty() {
            let networks = |list: Vec<sections::IpNetwork>| list.into_iter().map(|network| network.0).collect();
            self.candidates.networks =
                Filter { includes: networks(rtc.ips.includes), excludes: networks(rtc.ips.excludes) };
        }
        self.advertised_udp_port = rtc.advertised_udp_port.or(self.advertised_udp_port);
        let stun = rtc.stun_servers.into_iter().filter(|host| !host.is_empty()).map(|host| IceServerConfig {
            urls: vec![format!("stun:{}", host.trim_start_matches("stun:"))],
            ..IceServerConfig::default()
        });
        self.ice_servers.extend(stun);
        for server in rtc.turn_servers {
            self.ice_servers.push(server.ice_server()?);
        }
        Ok(())
    }

    fn apply_room(&mut self, room: &RoomSection) {
        let seconds = |value: Option<u64>, present| value.map_or(present, Duration::from_secs);
        self.max_participants = room.max_participants.unwrap_or(self.max_participants);
        self.empty_timeout = seconds(room.empty_timeout, self.empty_timeout);
        self.departure_timeout = seconds(room.departure_timeout, self.departure_timeout);
        self.reconnect_timeout = seconds(room.reconnect_timeout, self.reconnect_timeout);
        self.limits.metadata = room.max_metadata_size.unwrap_or(self.limits.metadata);
        if !room.enabled_codecs.is_empty() {
            self.codecs = EnabledCodecs::of_mime_types(room.enabled_codecs.iter().map(|codec| codec.mime.as_str()));
        }
    }

    fn apply_limit(&mut self, limit: &LimitSection) {
        let limits = &mut self.limits;
        limits.metadata = limit.max_metadata_size.unwrap_or(limits.metadata);
        limits.attributes = limit.max_attributes_size.unwrap_or(limits.attributes);
        limits.room_name = limit.max_room_name_length.unwrap_or(limits.room_name);
        limits.identity = limit.max_participant_identity_length.unwrap_or(limits.identity);
        limits.participant_name = limit.max_participant_name_length.unwrap_or(limits.participant_name);
        if limit.joins_per_second.is_some() || limit.join_burst.is_some() {
            let present = self.join_rate.unwrap_or(JoinRate::DEFAULT);
            self.join_rate = Some(JoinRate {
                per_second: limit.joins_per_second.unwrap_or(present.per_second),
                burst: limit.join_burst.unwrap_or(present.burst),
            });
        }
    }
}

/// A certificate with its private key, if both are named.
pub(crate) fn tls_files(
    section: &'static str,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    let is_named = |path: &PathBuf| !path.as_os_str().is_empty();
    match (cert.filter(is_named), key.filter(is_named)) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        _ => Err(ConfigError::HalfCertificate(section)),
    }
}

/// Keys with their secrets as YAML: `key: secret`, one a line.
///
/// # Errors
/// [`ConfigError::Parse`], [`ConfigError::TooLong`].
pub fn parse_keys(yaml: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    parse(yaml).map(|(keys, _)| keys)
}

/// [`parse_keys`] of a file that only its owner and group may read.
///
/// # Errors
/// [`ConfigError::Read`], [`ConfigError::OpenKeyFile`], and those of [`parse_keys`].
pub fn read_key_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let failed = |error| ConfigError::Read { path: path.to_owned(), error };
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(ConfigError::OpenKeyFile(path.to_owned()));
        }
    }
    parse_keys(&read_text(path)?)
}

/// The level by the name that the log itself has for it.
pub fn log_level(name: &str) -> Result<&'static str, ConfigError> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "trace" => "trace",
        "debug" => "debug",
        "info" => "info",
        "warn" | "warning" => "warn",
        "error" => "error",
        _ => {
            let possible = "debug, info, warn and error";
            return Err(ConfigError::Value { key: "logging.level", value: name.to_owned(), possible });
        }
    })
}

#[cfg(test)]
mod tests;
