//! The configuration file. Its keys are those of LiveKit's `livekit.yaml` where they mean the same, so that one file
//! serves both servers.
//!
//! A key that neither server knows is an error: it is a mistake in the spelling, or a wish that would not be heard. A
//! key that only LiveKit's server understands is named in a warning.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, de::DeserializeOwned};
use thiserror::Error;

use crate::codecs::EnabledCodecs;
use crate::config::{IceServerConfig, KeyPolicy, ServerConfig, TcpPort};
use crate::join_rate::JoinRate;
use crate::webhooks::WebhookConfig;

/// What is wrong with a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is not YAML, or has a key that is not known or a value of the wrong kind.
    #[error("cannot understand the configuration: {0}")]
    Parse(String),
    /// `bind_addresses` has more than one address.
    #[error("bind_addresses: only one address is supported")]
    ManyAddresses,
    /// A value is not one of those that are possible.
    #[error("{key}: \"{value}\" is not possible, only {possible}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it has.
        value: String,
        /// What it could have.
        possible: &'static str,
    },
    /// `webhook` has addresses but no key, or the other way round.
    #[error("webhook: urls and api_key belong together")]
    HalfWebhook,
    /// Others on the machine could read the secrets.
    #[error("{0} can be read by everybody: take the rights of others away (chmod o-rwx)")]
    OpenKeyFile(PathBuf),
}

/// Takes note of a key that is there, and of nothing in it.
#[derive(Debug, Default)]
struct Unused(bool);

impl<'de> Deserialize<'de> for Unused {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Ok(Self(true))
    }
}

/// A section: keys that are used here, and after `unused` those that only LiveKit's server understands.
macro_rules! section {
    ($name:ident, $path:literal { $($(#[$meta:meta])* $key:ident: $kind:ty,)* } unused { $($other:ident,)* }) => {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct $name {
            $($(#[$meta])* $key: $kind,)*
            $($other: Unused,)*
        }

        impl $name {
            fn unused(&self) -> Vec<&'static str> {
                let mut found = Vec::new();
                $(if self.$other.0 { found.push(concat!($path, stringify!($other))); })*
                found
            }
        }
    };
}

section!(ConfigFile, "" {
    port: Option<u16>,
    bind_addresses: Vec<IpAddr>,
    prometheus_port: Option<u16>,
    keys: BTreeMap<String, String>,
    key_file: Option<PathBuf>,
    server_secrets: BTreeMap<String, String>,
    rtc: RtcSection,
    room: RoomSection,
    limit: LimitSection,
    webhook: WebhookSection,
    logging: LoggingSection,
    log_level: Option<String>,
    development: Option<bool>,
} unused {
    agents, api, audio, egress, enable_data_tracks, environment, ingress, metric, node_selector, node_stats, prometheus,
    psrpc, redis, region, signal_relay, sip, trace, turn, video,
});

section!(RtcSection, "rtc." {
    udp_port: Option<u16>,
    tcp_port: Option<u16>,
    force_tcp: bool,
    node_ip: Option<IpAddr>,
    advertised_udp_port: Option<u16>,
    turn_servers: Vec<TurnServer>,
    stun_servers: Vec<String>,
} unused {
    allow_tcp_fallback, allow_udp_unstable_fallback, batch_io, congestion_control, datachannel_lossy_target_latency,
    datachannel_max_buffered_amount, datachannel_slow_threshold, enable_loopback_candidate, external_ip_only,
    forward_stats, interfaces, ips, packet_buffer_size, packet_buffer_size_audio, packet_buffer_size_video,
    pli_throttle, port_range_end, port_range_start, reconnect_on_data_channel_error, reconnect_on_publication_error,
    reconnect_on_subscription_error, strict_acks, use_external_ip, use_ice_lite, use_mdns,
});

section!(RoomSection, "room." {
    max_participants: Option<u32>,
    empty_timeout: Option<u64>,
    departure_timeout: Option<u64>,
    max_metadata_size: Option<usize>,
    reconnect_timeout: Option<u64>,
    enabled_codecs: Vec<CodecSpec>,
} unused {
    auto_create, create_room_attempts, create_room_enabled, create_room_timeout, enable_remote_unmute, max_participant_identity_length, max_room_name_length, participant_disconnect_timeout, playout_delay,
    room_configurations, sync_streams, update_batch_target_size, update_room_metadata_batch_size,
    user_data_statistics,
});

section!(LimitSection, "limit." {
    max_metadata_size: Option<usize>,
    max_attributes_size: Option<usize>,
    max_room_name_length: Option<usize>,
    max_participant_identity_length: Option<usize>,
    max_participant_name_length: Option<usize>,
    joins_per_second: Option<u32>,
    join_burst: Option<u32>,
} unused { bytes_per_sec, num_tracks, subscription_limit_audio, subscription_limit_video, });

section!(WebhookSection, "webhook." {
    urls: Vec<String>,
    api_key: Option<String>,
} unused { filter_params, resource_url_notifier, url_notifier, });

section!(LoggingSection, "logging." {
    level: Option<String>,
    json: bool,
} unused { component_levels, item_sample_initial, item_sample_interval, item_sample_seconds, pion_level, sample, });

/// A codec, as LiveKit's file describes it. Its format parameters are what this server makes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodecSpec {
    mime: String,
    #[serde(default, rename = "fmtp_line")]
    _fmtp_line: Option<String>,
}

/// A relay server, as LiveKit's file describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnServer {
    host: String,
    port: u16,
    #[serde(default)]
    protocol: Option<String>,
    #[serde(default)]
    username: String,
    #[serde(default)]
    credential: String,
}

impl TurnServer {
    fn ice_server(self) -> Result<IceServerConfig, ConfigError> {
        let (scheme, transport) = match self.protocol.as_deref().unwrap_or("udp") {
            "udp" => ("turn", "udp"),
            "tcp" => ("turn", "tcp"),
            "tls" => ("turns", "tcp"),
            other => {
                let possible = "udp, tcp and tls";
                return Err(ConfigError::Value { key: "rtc.turn_servers.protocol", value: other.to_owned(), possible });
            }
        };
        let Self { host, port, username, credential, .. } = self;
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        let urls = vec![format!("{scheme}:{host}:{port}?transport={transport}")];
        Ok(IceServerConfig { urls, username, credential })
    }
}

impl ServerConfig {
    /// Takes over what a YAML file says. Gives the keys that only LiveKit's server understands.
    ///
    /// # Errors
    /// See [`ConfigError`]; then nothing was taken over.
    pub fn apply_yaml(&mut self, yaml: &str) -> Result<Vec<&'static str>, ConfigError> {
        let file: ConfigFile = if yaml.trim().is_empty() { ConfigFile::default() } else { parse(yaml)? };
        let mut unused = file.unused();
        unused.extend(file.rtc.unused());
        unused.extend(file.room.unused());
        unused.extend(file.limit.unused());
        unused.extend(file.webhook.unused());
        unused.extend(file.logging.unused());
        let mut config = self.clone();
        config.apply_file(file)?;
        *self = config;
        Ok(unused)
    }

    fn apply_file(&mut self, file: ConfigFile) -> Result<(), ConfigError> {
        match file.bind_addresses.as_slice() {
            [] => {}
            [address] => self.bind = *address,
            _ => return Err(ConfigError::ManyAddresses),
        }
        self.port = file.port.unwrap_or(self.port);
        self.metrics_port = file.prometheus_port.or(self.metrics_port);
        self.dev |= file.development.unwrap_or(false);
        self.server_secrets.extend(file.server_secrets);
        if let Some(path) = &file.key_file {
            self.add_keys(read_key_file(path)?);
        }
        self.add_keys(file.keys);
        self.apply_rtc(file.rtc)?;
        self.apply_room(&file.room);
        self.apply_limit(&file.limit);
        self.webhooks = match (file.webhook.urls, file.webhook.api_key) {
            (urls, None) if urls.is_empty() => self.webhooks.take(),
            (urls, Some(api_key)) if !urls.is_empty() => Some(WebhookConfig { urls, api_key }),
            _ => return Err(ConfigError::HalfWebhook),
        };
        self.log.json |= file.logging.json;
        if let Some(level) = file.logging.level.or(file.log_level) {
            self.log.level = Some(log_level(&level)?.to_owned());
        }
        Ok(())
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
        self.udp_port = rtc.udp_port.or(self.udp_port);
        self.tcp_port = rtc.tcp_port.map_or(self.tcp_port, TcpPort::from_setting);
        self.force_tcp |= rtc.force_tcp;
        self.node_ip = rtc.node_ip.or(self.node_ip);
        self.advertised_udp_port = rtc.advertised_udp_port.or(self.advertised_udp_port);
        let stun = rtc.stun_servers.into_iter().map(|host| IceServerConfig {
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
            let present = self.join_rate.unwrap_or(JoinRate::USUAL);
            self.join_rate = Some(JoinRate {
                per_second: limit.joins_per_second.unwrap_or(present.per_second),
                burst: limit.join_burst.unwrap_or(present.burst),
            });
        }
    }
}

/// Keys with their secrets as YAML: `key: secret`, one a line.
///
/// # Errors
/// [`ConfigError::Parse`].
pub fn parse_keys(yaml: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    parse(yaml)
}

/// [`parse_keys`] of a file that only its owner and group may read.
///
/// # Errors
/// [`ConfigError::Read`], [`ConfigError::OpenKeyFile`], [`ConfigError::Parse`].
pub fn read_key_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let failed = |error| ConfigError::Read { path: path.to_owned(), error };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(ConfigError::OpenKeyFile(path.to_owned()));
        }
    }
    parse_keys(&std::fs::read_to_string(path).map_err(failed)?)
}

fn parse<T: DeserializeOwned>(yaml: &str) -> Result<T, ConfigError> {
    serde_saphyr::from_str(yaml).map_err(|error| ConfigError::Parse(error.to_string()))
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
