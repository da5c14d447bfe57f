//! From YAML to values, with the keys that were not used.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::de::{Deserialize, DeserializeOwned};
use serde_ignored::Path as KeyPath;

use super::ConfigError;

/// Longest configuration, in bytes. Those that people write have a few thousand.
const MAX_SIZE: u64 = 1024 * 1024;
/// Upper bound of keys that are named.
const MAX_UNUSED_KEYS: usize = 100;

/// A key of a configuration that has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusedKey {
    /// Its full name, as `rtc.pli_throttle`.
    pub key: String,
    /// Whether LiveKit's server has a key of that name. If not, it may be misspelt.
    pub is_livekits: bool,
}

impl fmt::Display for UnusedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

/// The text of a file that is not longer than a configuration can be.
///
/// # Errors
/// [`ConfigError::Read`], [`ConfigError::TooLong`].
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    let failed = |error| ConfigError::Read { path: path.to_owned(), error };
    let mut text = String::new();
    std::fs::File::open(path).map_err(failed)?.take(MAX_SIZE + 1).read_to_string(&mut text).map_err(failed)?;
    check_length(&text)?;
    Ok(text)
}

fn check_length(yaml: &str) -> Result<(), ConfigError> {
    let length = u64::try_from(yaml.len()).unwrap_or(u64::MAX);
    if length > MAX_SIZE { Err(ConfigError::TooLong) } else { Ok(()) }
}

/// Parses YAML. The parser bounds nesting, aliases and their expansion. Returns the keys that were not used.
///
/// # Errors
/// [`ConfigError::Parse`], with the key and the line; [`ConfigError::TooLong`].
pub fn parse<T: DeserializeOwned + Default>(yaml: &str) -> Result<(T, Vec<UnusedKey>), ConfigError> {
    check_length(yaml)?;
    let mut unused = Vec::new();
    let mut take_note = |path: KeyPath<'_>| {
        if unused.len() < MAX_UNUSED_KEYS {
            unused.push(name_of(&path));
        }
    };
    let mut track = serde_path_to_error::Track::new();
    let parsed = serde_saphyr::with_deserializer_from_str(yaml, |deserializer| {
        let noticing = serde_ignored::Deserializer::new(deserializer, &mut take_note);
        Option::<T>::deserialize(serde_path_to_error::Deserializer::new(noticing, &mut track))
    });
    let value = parsed.map_err(|error| {
        let path = track.path().to_string();
        let key = if path == "." { String::new() } else { format!("{path}: ") };
        ConfigError::Parse(format!("{key}{error}"))
    })?;
    let unused = unused.into_iter().map(|key| UnusedKey { is_livekits: is_livekits(&key), key }).collect();
    Ok((value.unwrap_or_default(), unused))
}

/// The full name of a key, with the sections before it.
fn name_of(path: &KeyPath<'_>) -> String {
    let joined = |parent: &KeyPath<'_>, own: &str| {
        let parent = name_of(parent);
        if parent.is_empty() { own.to_owned() } else { format!("{parent}.{own}") }
    };
    match path {
        KeyPath::Root => String::new(),
        KeyPath::Seq { parent, index } => format!("{}[{index}]", name_of(parent)),
        KeyPath::Map { parent, key } => joined(parent, key),
        KeyPath::Some { parent } | KeyPath::NewtypeStruct { parent } | KeyPath::NewtypeVariant { parent } => {
            name_of(parent)
        }
    }
}

/// Keys of LiveKit's server that have no effect here. A section stands for all of its keys.
const LIVEKITS: &[&str] = &[
    "agents",
    "api",
    "audio",
    "debug_handler",
    "egress",
    "enable_data_tracks",
    "enable_participant_data_blob",
    "environment",
    "ingress",
    "metric",
    "node_selector",
    "node_stats",
    "prometheus",
    "psrpc",
    "redis",
    "region",
    "signal_relay",
    "sip",
    "trace",
    "video",
    "limit.bytes_per_sec",
    "limit.max_data_blob_key_length",
    "limit.max_data_blobs_size",
    "limit.max_data_track_custom_encoding_length",
    "limit.num_tracks",
    "limit.subscription_limit_audio",
    "limit.subscription_limit_video",
    "logging.component_levels",
    "logging.item_sample_initial",
    "logging.item_sample_interval",
    "logging.item_sample_seconds",
    "logging.pion_level",
    "logging.sample",
    "logging.sample_initial",
    "logging.sample_interval",
    "room.auto_create",
    "room.create_room_attempts",
    "room.create_room_enabled",
    "room.create_room_timeout",
    "room.enable_remote_unmute",
    "room.max_participant_identity_length",
    "room.max_room_name_length",
    "room.participant_disconnect_timeout",
    "room.playout_delay",
    "room.room_configurations",
    "room.sync_streams",
    "room.update_batch_target_size",
    "room.update_room_metadata_batch_size",
    "room.user_data_statistics",
    "rtc.advertise_internal_ip",
    "rtc.allow_tcp_fallback",
    "rtc.allow_udp_unstable_fallback",
    "rtc.batch_io",
    "rtc.congestion_control",
    "rtc.data_channel_max_buffered_amount",
    "rtc.datachannel_data_track_target_latency",
    "rtc.datachannel_lossy_target_latency",
    "rtc.datachannel_max_buffered_amount",
    "rtc.datachannel_slow_threshold",
    "rtc.enable_rtp_stream_restart_detection",
    "rtc.forward_stats",
    "rtc.host_acceptance_min_wait",
    "rtc.packet_buffer_size",
    "rtc.packet_buffer_size_audio",
    "rtc.packet_buffer_size_video",
    "rtc.pli_throttle",
    "rtc.prflx_acceptance_min_wait",
    "rtc.reconnect_on_data_channel_error",
    "rtc.reconnect_on_publication_error",
    "rtc.reconnect_on_subscription_error",
    "rtc.relay_acceptance_min_wait",
    "rtc.sctp_cwnd_ca_step",
    "rtc.sctp_fast_rtx_wnd",
    "rtc.sctp_min_cwnd",
    "rtc.skip_external_ip_validation",
    "rtc.srflx_acceptance_min_wait",
    "rtc.strict_acks",
    "rtc.tcp_fallback_rtt_threshold",
    "rtc.use_ice_lite",
    "rtc.use_mdns",
    "rtc.use_stun_port_as_ice",
    "turn.relay_range_end",
    "turn.relay_range_start",
    "webhook.filter_params",
    "webhook.resource_url_notifier",
    "webhook.url_notifier",
];

fn is_livekits(key: &str) -> bool {
    let is_part_of =
        |section: &&str| key.strip_prefix(*section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    LIVEKITS.iter().any(is_part_of)
}
