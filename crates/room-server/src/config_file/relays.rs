//! Relays: those that clients are offered, and the one in this server.

use std::time::Duration;

use super::sections::{TurnSection, TurnServer};
use super::{ConfigError, tls_files};
use crate::config::{IceServerConfig, ServerConfig};

impl TurnServer {
    /// The relay as clients are offered it.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for an unknown protocol.
    pub fn ice_server(self) -> Result<IceServerConfig, ConfigError> {
        let (scheme, transport) = match self.protocol.as_deref().unwrap_or("udp") {
            "" | "udp" => ("turn", "udp"),
            "tcp" => ("turn", "tcp"),
            "tls" => ("turns", "tcp"),
            other => {
                let possible = "udp, tcp and tls";
                return Err(ConfigError::Value { key: "rtc.turn_servers.protocol", value: other.to_owned(), possible });
            }
        };
        let Self { host, port, username, credential, secret, ttl, .. } = self;
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        let urls = vec![format!("{scheme}:{host}:{port}?transport={transport}")];
        let ttl = ttl.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds.into()));
        Ok(IceServerConfig { urls, username, credential, secret, ttl })
    }
}

impl ServerConfig {
    pub(super) fn apply_turn(&mut self, section: TurnSection) -> Result<(), ConfigError> {
        let files = tls_files("turn", section.cert_file, section.key_file)?;
        let turn = &mut self.turn;
        turn.enabled = section.enabled.or(turn.enabled);
        turn.domain = section.domain.filter(|domain| !domain.is_empty()).or(turn.domain.take());
        turn.udp_port = section.udp_port.filter(|port| *port != 0).or(turn.udp_port);
        turn.tls_port = section.tls_port.filter(|port| *port != 0).or(turn.tls_port);
        turn.tls = files.or(turn.tls.take());
        turn.external_tls |= section.external_tls;
        let ttl = section.ttl_seconds.filter(|seconds| *seconds > 0);
        turn.ttl = ttl.map_or(turn.ttl, |seconds| Duration::from_secs(seconds.into()));
        Ok(())
    }
}
