//! Settings of the rooms.

use std::time::Duration;

use protocol::messages::WebhookEvent;
use tokio::sync::mpsc;

use super::ice_servers::IceServers;
use crate::codecs::EnabledCodecs;
use crate::config::ServerConfig;
use crate::limits::Limits;

/// Settings that all rooms share.
#[derive(Debug)]
pub struct HubSettings {
    /// How long a participant is kept whose signalling connection is lost while its media still flow.
    pub reconnect_timeout: Duration,
    /// How long a room created by CreateRoom waits for its first participant, unless the call says otherwise.
    pub empty_timeout: Duration,
    /// How long a room stays when the last participant has left.
    pub departure_timeout: Duration,
    /// Upper bound of a room's participants, unless its creation says otherwise; 0 is no limit.
    pub max_participants: u32,
    /// Servers that help clients find a way to us.
    pub ice_servers: IceServers,
    /// Codecs that clients may publish with.
    pub codecs: EnabledCodecs,
    /// How long texts may be.
    pub limits: Limits,
    /// Receiver of webhook events; `None` without webhooks.
    pub webhook_events: Option<mpsc::Sender<WebhookEvent>>,
}

impl HubSettings {
    /// The part of a server's configuration that concerns the rooms.
    pub fn new(
        config: &ServerConfig,
        ice_servers: IceServers,
        webhook_events: Option<mpsc::Sender<WebhookEvent>>,
    ) -> Self {
        Self {
            reconnect_timeout: config.reconnect_timeout,
            empty_timeout: config.empty_timeout,
            departure_timeout: config.departure_timeout,
            max_participants: config.max_participants,
            ice_servers,
            codecs: config.codecs.clone(),
            limits: config.limits,
            webhook_events,
        }
    }
}
