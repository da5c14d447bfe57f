//! The quality events, and the network statistics behind them.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use protocol::listeners::ListenerReport;
use protocol::messages::ConnectionQualityUpdate;

use super::Actor;
use crate::command::Input;
use crate::event::{self, PlayerState, PublisherState};
use crate::network_quality;
use crate::network_time::TimeSample;
use crate::player::PlayerMedia;
use crate::quality::{self, PlayerReading, PublisherReading};
use crate::room::RoomKey;
use crate::roster::DEVICE_OPEN;
use crate::stats::Network;
use crate::wall_clock::unix_ms;

impl Actor {
    /// Requests the statistics of the peer connections; they arrive as an input.
    pub(super) fn ask_network(&self) {
        for (key, room) in &self.rooms {
            let Some((publisher, subscriber)) = room.peers.clone() else { continue };
            let (inbox, room) = (self.inbox.clone(), key.clone());
            tokio::spawn(async move {
                let network = Network { publisher: publisher.stats().await, subscriber: subscriber.stats().await };
                let _ = inbox.send(Input::Network { room, network: Box::new(network) });
            });
        }
    }

    /// Handles network statistics: for promises that wait for them, and for the audio encoders.
    pub(super) fn on_network_stats(&mut self, room: &RoomKey, network: Network) {
        if !self.rooms.contains_key(room) {
            return;
        }
        let mut changed = Vec::new();
        let before = self.registry.networks.lock().get(room).cloned().unwrap_or_default();
        // Audio is not retransmitted on either path: the worse loss counts.
        let listeners = self.rooms.get(room).and_then(|room| room.listeners(Instant::now()));
        let listener_loss = listeners.map_or(0.0, |report| f64::from(report.loss));
        let loss = network.upstream_loss_since(&before).max(listener_loss);
        let listener_kbps = listeners.map(|report| report.kbps).filter(|kbps| *kbps > 0);
        // Redundant audio reaches the subscribers, and on a narrow downlink it would displace video.
        let to_listeners = listener_kbps.map_or(u64::MAX, |kbps| u64::from(kbps) * 1000);
        let path_bps = network.publisher.send_estimate_bps.min(to_listeners);
        for (channel, publisher) in self.publishers.iter_mut().filter(|(_, publisher)| publisher.room == *room) {
            publisher.video.set_listener_limit(listener_kbps);
            if let Some(expected_loss_percent) = publisher.expected_loss.update(loss) {
                tracing::debug!(channel, expected_loss_percent, "audio prepares for loss");
                changed.push(*channel);
            }
            let percent = publisher.expected_loss.percent();
            publisher.counters.audio_expected_loss_percent.store(percent, Relaxed);
            let audio_bps = self.sound.config(*channel).bitrate_kbps * 1000;
            let copies = publisher.copies.update(percent, audio_bps, path_bps);
            publisher.audio.set_copies(copies);
            publisher.counters.audio_copies.store(copies as u8, Relaxed);
        }
        self.registry.networks.lock().insert(room.clone(), network);
        let in_room = self.publishers.iter().filter(|(_, publisher)| publisher.room == *room);
        changed.extend(in_room.map(|(channel, _)| *channel).filter(|channel| self.adapts_audio(*channel)));
        changed.into_iter().for_each(|channel| self.configure_audio_encoder(channel));
    }

    /// Handles the server's report about the subscribers of what this user publishes.
    pub(super) fn on_listener_report(&mut self, room: &RoomKey, report: ListenerReport) {
        if let Some(room) = self.rooms.get_mut(room) {
            tracing::debug!(?report, "the server reported of the listeners");
            room.listeners = Some((Instant::now(), report));
        }
    }

    /// Emits `onNetworkQuality` about remote users.
    pub(super) fn emit_remote_quality(&self, room: &RoomKey, update: &ConnectionQualityUpdate) {
        let Some(room) = self.rooms.get(room).filter(|room| !room.key.guest) else { return };
        for info in &update.updates {
            if let Some(user_id) = room.roster.user_id_of(&info.participant_sid) {
                // The server rates what it receives from them.
                self.emit(event::network_quality(user_id, network_quality::of_remote(info), network_quality::UNKNOWN));
            }
        }
    }

    /// Emits `onNetworkQuality` about this user, under an empty user ID.
    pub(super) fn emit_own_quality(&mut self) {
        let mut rooms = self.rooms.values().filter(|room| !room.key.guest && room.peers.is_some());
        let Some(network) = rooms.find_map(|room| self.registry.networks.lock().get(&room.key).cloned()) else {
            return;
        };
        let (upstream, downstream) = self.own_quality.update(&network);
        self.emit(event::network_quality("", upstream, downstream));
    }

    /// Handles a reading of the server's clock; the first one is emitted.
    pub(super) fn on_time_sample(&mut self, sample: TimeSample) {
        let middle = sample.sent + sample.received.saturating_duration_since(sample.sent) / 2;
        let ago = u64::try_from(middle.elapsed().as_millis()).unwrap_or_default();
        self.clock.note(sample.server_ms, unix_ms().saturating_sub(ago));
        let is_first = self.registry.clock.lock().take(sample);
        if is_first {
            self.emit(event::network_time_synchronized());
        }
    }

    pub(super) fn report_quality(&mut self) {
        let now = Instant::now();
        let networks = self.registry.networks.lock().clone();
        let network = |room: &RoomKey| networks.get(room).cloned().unwrap_or_default();
        let mut events = Vec::new();
        for (channel, publisher) in &mut self.publishers {
            if publisher.state != PublisherState::Publishing {
                continue;
            }
            let captured = self.channels.get(*channel as usize).map_or(0, |state| state.feed.captured.load(Relaxed));
            let counters = &publisher.counters;
            let network = network(&publisher.room);
            let reading = PublisherReading {
                captured,
                encoded: counters.encoded_frames.load(Relaxed),
                sent: counters.sent_frames.load(Relaxed),
                video_bytes: counters.video_bytes.load(Relaxed),
                audio_packets: counters.audio_packets.load(Relaxed),
                audio_bytes: counters.audio_bytes.load(Relaxed),
                path_packets: network.publisher.path_packets,
                path_lost: network.publisher.path_packets_lost,
            };
            let (at, before) = std::mem::replace(&mut publisher.reading, (now, reading));
            let (rtt, loss) = (network.rtt_ms(), network.publisher.remote_loss_rate);
            let quality = quality::publish_quality(&before, &reading, seconds(at, now), rtt, loss);
            events.push(event::quality("onPublisherQualityUpdate", &publisher.stream_id, &quality));
        }
        for (stream_id, player) in &mut self.players {
            if player.state != PlayerState::Playing {
                continue;
            }
            let mut reading = player_reading(&player.media);
            (reading.muted_video, reading.muted_audio) = player.muted();
            let (at, before) = player.reading;
            let passed = seconds(at, now);
            let shown = if reading.decoded > before.decoded { (passed * 1000.0).round() as u64 } else { 0 };
            reading.video_ms = before.video_ms + shown;
            player.reading = (now, reading);
            let quality = quality::play_quality(&before, &reading, passed, network(&player.room).rtt_ms());
            events.push(event::quality("onPlayerQualityUpdate", stream_id, &quality));
        }
        events.into_iter().for_each(|event| self.emit(event));
    }
}

impl super::playing::Player {
    /// Whether video and audio are muted by the publisher.
    fn muted(&self) -> (bool, bool) {
        let (camera, microphone) = self.device_states();
        (camera != DEVICE_OPEN, microphone != DEVICE_OPEN)
    }
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64().max(1e-3)
}

fn player_reading(media: &PlayerMedia) -> PlayerReading {
    let counters = media.counters();
    let (video, audio) = (media.video_receiver_stats(), media.audio_receiver_stats());
    let sound = media.audio_stats();
    PlayerReading {
        received: counters.received_frames.load(Relaxed),
        decoded: counters.decoded_frames.load(Relaxed),
        rendered: counters.rendered_frames.load(Relaxed),
        video_bytes: counters.video_bytes.load(Relaxed),
        audio_packets: counters.audio_packets.load(Relaxed),
        audio_bytes: counters.audio_bytes.load(Relaxed),
        packets: video.packets + audio.packets,
        lost: video.lost + audio.lost,
        recovered: video.recovered + audio.recovered,
        video_ms: 0,
        breaks: counters.breaks.load(Relaxed),
        break_ms: counters.break_ms.load(Relaxed),
        audio_breaks: sound.gaps,
        concealed_ms: sound.concealed_ms as f64,
        decoded_audio_ms: sound.decoded_ms as f64,
        buffer_ms: sound.buffer_ms,
        av_offset_ms: media.timing_stats().offset_ms.unwrap_or(0.0),
        muted_video: false,
        muted_audio: false,
        undecodable: media.undecodable(),
        video_codec_id: media.video_codec_id(),
    }
}
