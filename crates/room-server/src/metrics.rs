//! Numbers for monitoring, in the text format of OpenMetrics.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The numbers. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Rooms that exist.
    pub rooms: Gauge,
    /// Participants in all rooms.
    pub participants: Gauge,
    /// Tracks that are published.
    pub tracks: Gauge,
    /// Subscriptions to tracks.
    pub subscriptions: Gauge,
    /// Logins that succeeded.
    pub joins: Counter,
    /// Resumed connections.
    pub resumes: Counter,
    /// Key frames that publishers were asked for.
    pub keyframe_requests: Counter,
    /// Received datagrams.
    pub datagrams_received: Counter,
    /// Bytes in them.
    pub bytes_received: Counter,
    /// Datagrams that were sent.
    pub datagrams_sent: Counter,
    /// Bytes in them.
    pub bytes_sent: Counter,
}

impl Metrics {
    /// All numbers as text.
    pub fn encode(&self) -> String {
        let mut registry = Registry::with_prefix("room_server");
        registry.register("rooms", "Rooms that exist", self.rooms.clone());
        registry.register("participants", "Participants in all rooms", self.participants.clone());
        registry.register("tracks", "Tracks that are published", self.tracks.clone());
        registry.register("subscriptions", "Subscriptions to tracks", self.subscriptions.clone());
        registry.register("joins", "Logins that succeeded", self.joins.clone());
        registry.register("resumes", "Connections that were taken up again", self.resumes.clone());
        registry.register("keyframe_requests", "Key frames asked for", self.keyframe_requests.clone());
        registry.register("datagrams_received", "Datagrams that came", self.datagrams_received.clone());
        registry.register("received_bytes", "Bytes in datagrams that came", self.bytes_received.clone());
        registry.register("datagrams_sent", "Datagrams that were sent", self.datagrams_sent.clone());
        registry.register("sent_bytes", "Bytes in datagrams that were sent", self.bytes_sent.clone());
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_their_names() {
        let metrics = Metrics::default();
        let clone = metrics.clone();
        clone.rooms.set(3);
        clone.joins.inc();
        let text = metrics.encode();
        assert!(text.contains("room_server_rooms 3\n"), "{text}");
        assert!(text.contains("room_server_joins_total 1\n"), "{text}");
    }
}
