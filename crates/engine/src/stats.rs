//! The statistics of `getStats`: of every publisher, player and view, readable at any moment from any thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;
use serde_json::{Value, json};
use transport::PeerStats;

use crate::capture::ChannelFeed;
use crate::network_time::NetworkClock;
use crate::player::PlayerMedia;
use crate::publisher::PublisherCounters;
use crate::quality;
use crate::room::RoomKey;

/// Readings of the two peer connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) publisher: PeerStats,
    pub(crate) subscriber: PeerStats,
}

impl Network {
    /// Round trip to the room server in milliseconds; 0 while unknown.
    pub(crate) fn rtt_ms(&self) -> f64 {
        self.publisher.rtt_ms.or(self.subscriber.rtt_ms).unwrap_or(0.0)
    }

    /// Share of the sent packets that the path lost since an earlier reading, 0 to 1, before any repair. Without transport-wide
    /// feedback it is the share in the last receiver reports.
    pub(crate) fn upstream_loss_since(&self, before: &Self) -> f64 {
        let (now, before) = (&self.publisher, &before.publisher);
        let lost = now.path_packets_lost.saturating_sub(before.path_packets_lost);
        let reported = now.path_packets.saturating_sub(before.path_packets);
        quality::share(lost, reported).unwrap_or(now.remote_loss_rate)
    }

    /// The same for received packets; `None` below this many packets.
    pub(crate) fn downstream_loss_since(&self, before: &Self, min_packets: u64) -> Option<f64> {
        let (now, before) = (&self.subscriber, &before.subscriber);
        let missing = now.packets_lost.saturating_sub(before.packets_lost);
        let lost =
            (now.packets_lost + now.packets_recovered).saturating_sub(before.packets_lost + before.packets_recovered);
        let expected = now.packets_received.saturating_sub(before.packets_received) + missing;
        quality::share(lost, expected).filter(|_| expected >= min_packets)
    }
}

pub(crate) struct PublisherEntry {
    pub(crate) stream_id: String,
    pub(crate) counters: Arc<PublisherCounters>,
}

/// Everything that has numbers. The actor enters and removes; anyone reads.
#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) feeds: Mutex<Vec<Arc<ChannelFeed>>>,
    pub(crate) publishers: Mutex<BTreeMap<u32, PublisherEntry>>,
    pub(crate) players: Mutex<BTreeMap<String, Arc<PlayerMedia>>>,
    pub(crate) networks: Mutex<BTreeMap<RoomKey, Network>>,
    pub(crate) clock: Mutex<NetworkClock>,
}

impl Registry {
    /// The JSON object that `getStats` returns as text.
    pub(crate) fn report(&self) -> Value {
        let networks = self.networks.lock().clone();
        // Single-room applications need not know the room; the others find all below.
        let first = networks.values().next().cloned().unwrap_or_default();
        let rooms: BTreeMap<&str, Value> =
            networks.iter().map(|(key, network)| (key.id.as_str(), report(network))).collect();
        let previews: Vec<Value> = self
            .feeds
            .lock()
            .iter()
            .enumerate()
            .map(|(channel, feed)| {
                let view = feed.preview().and_then(|view| view.stats());
                json!({"channel": channel, "framesCaptured": feed.captured.load(Relaxed), "view": view})
            })
            .collect();
        let publishers: Vec<Value> = self
            .publishers
            .lock()
            .iter()
            .map(|(channel, entry)| {
                let counters = &entry.counters;
                json!({
                    "channel": channel,
                    "streamID": entry.stream_id,
                    "framesEncoded": counters.encoded_frames.load(Relaxed),
                    "framesSent": counters.sent_frames.load(Relaxed),
                    "framesSkipped": counters.skipped_frames.load(Relaxed),
                    "keyFramesEncoded": counters.keyframes.load(Relaxed),
                    "belowVideoFloor": counters.below_floor.load(Relaxed),
                    "videoBytesSent": counters.video_bytes.load(Relaxed),
                    "audioPacketsSent": counters.audio_packets.load(Relaxed),
                    "audioBytesSent": counters.audio_bytes.load(Relaxed),
                    "audioExpectedLossPercent": counters.audio_expected_loss_percent.load(Relaxed),
                    "audioCopies": counters.audio_copies.load(Relaxed),
                })
            })
            .collect();
        let players: Vec<Value> =
            self.players.lock().iter().map(|(stream_id, media)| player(stream_id, media)).collect();
        json!({
            "network": report(&first),
            "rooms": rooms,
            "previews": previews,
            "publishers": publishers,
            "players": players,
        })
    }
}

fn report(network: &Network) -> Value {
    json!({"rttMs": network.rtt_ms(), "publisher": network.publisher, "subscriber": network.subscriber})
}

fn player(stream_id: &str, media: &PlayerMedia) -> Value {
    let counters = media.counters();
    json!({
        "streamID": stream_id,
        "framesReceived": counters.received_frames.load(Relaxed),
        "framesDecoded": counters.decoded_frames.load(Relaxed),
        "framesRendered": counters.rendered_frames.load(Relaxed),
        "videoBytesReceived": counters.video_bytes.load(Relaxed),
        "audioPacketsReceived": counters.audio_packets.load(Relaxed),
        "audioBytesReceived": counters.audio_bytes.load(Relaxed),
        "breakCount": counters.breaks.load(Relaxed),
        "breakMs": counters.break_ms.load(Relaxed),
        "video": media.video_receiver_stats(),
        "audio": media.audio_receiver_stats(),
        "jitterBuffer": media.audio_stats(),
        "timing": media.timing_stats(),
        "undecodable": media.obstacle().map(|(kind, reason)| reason.text(kind)),
        "view": media.view().and_then(|view| view.stats()),
    })
}
