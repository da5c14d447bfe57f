//! Statistics of a peer connection. All counters start at the creation of the peer.

use crate::routes::route::RouteKind;
use serde::Serialize;
use std::net::SocketAddr;

/// Statistics of a whole connection.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStats {
    /// Smoothed round-trip time in milliseconds, where measured.
    pub rtt_ms: Option<f64>,
    /// Bandwidth estimate of the path to the server, in bits per second of whole datagrams. Capped at what is worth
    /// knowing.
    pub send_estimate_bps: u64,
    /// Time in milliseconds until everything in the pacer has left.
    pub send_backlog_ms: f64,
    /// RTP payload bytes sent, retransmissions included.
    pub bytes_sent: u64,
    /// RTP payload bytes received.
    pub bytes_received: u64,
    /// RTP packets sent, retransmissions included.
    pub packets_sent: u64,
    /// RTP packets received.
    pub packets_received: u64,
    /// Packets lost on the downlink.
    pub packets_lost: u64,
    /// Lost packets that a retransmission has recovered.
    pub packets_recovered: u64,
    /// Sent packets that transport-wide feedback has reported on, retransmissions and padding included.
    pub path_packets: u64,
    /// Sent packets that transport-wide feedback has reported lost.
    pub path_packets_lost: u64,
    /// Packets lost on the uplink by the receiver reports.
    pub remote_packets_lost: u64,
    /// Highest loss ratio of all sent tracks in the last receiver reports, 0 to 1.
    pub remote_loss_rate: f64,
    /// Packets that were retransmitted.
    pub packets_retransmitted: u64,
    /// Kind of the route that media takes, once there is one.
    #[serde(rename = "way")]
    pub route: Option<RouteKind>,
    /// The server's address for media on that route.
    pub media_address: Option<SocketAddr>,
}
