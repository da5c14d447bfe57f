//! The quality events, and the network readings that they need.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use media::audio::EncoderSettings;

use super::Actor;
use crate::command::Input;
use crate::event::{self, PlayerState, PublisherState};
use crate::player::PlayerMedia;
use crate::quality::{self, PlayerReading, PublisherReading};
use crate::roster::DEVICE_OPEN;
use crate::stats::Network;

impl Actor {
    /// Asks the peer connections for their numbers; the answer comes through the inbox.
    pub(super) fn ask_network(&self) {
        let Some((publisher, subscriber)) = self.room.as_ref().and_then(|room| room.peers.clone()) else { return };
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let network = Network { publisher: publisher.stats().await, subscriber: subscriber.stats().await };
            let _ = inbox.send(Input::Network(network));
        });
    }

    /// The answer: for whoever asks, and for the audio encoders, which prepare for loss.
    pub(super) fn take_network(&mut self, network: Network) {
        for (channel, publisher) in &mut self.publishers {
            if let Some(expected_loss_percent) = publisher.expected_loss.update(network.publisher.remote_loss_rate) {
                tracing::debug!(channel, expected_loss_percent, "audio prepares for loss");
                let settings = EncoderSettings { expected_loss_percent, ..EncoderSettings::default() };
                self.audio.configure_encoder(u64::from(*channel), settings);
            }
        }
        *self.registry.network.lock() = network;
    }

    pub(super) fn report_quality(&mut self) {
        let now = Instant::now();
        let (rtt, loss) = {
            let network = self.registry.network.lock();
            (network.rtt_ms(), network.publisher.remote_loss_rate)
        };
        let mut events = Vec::new();
        for (channel, publisher) in &mut self.publishers {
            if publisher.state != PublisherState::Publishing {
                continue;
            }
            let captured = self.channels.get(*channel as usize).map_or(0, |state| state.feed.captured.load(Relaxed));
            let counters = &publisher.counters;
            let reading = PublisherReading {
                captured,
                encoded: counters.encoded_frames.load(Relaxed),
                sent: counters.sent_frames.load(Relaxed),
                video_bytes: counters.video_bytes.load(Relaxed),
                audio_packets: counters.audio_packets.load(Relaxed),
                audio_bytes: counters.audio_bytes.load(Relaxed),
            };
            let (at, before) = std::mem::replace(&mut publisher.reading, (now, reading));
            let quality = quality::publish_quality(&before, &reading, seconds(at, now), rtt, loss);
            events.push(event::quality("onPublisherQualityUpdate", &publisher.stream_id, &quality));
        }
        for (stream_id, player) in &mut self.players {
            if player.state != PlayerState::Playing {
                continue;
            }
            let mut reading = player_reading(&player.media);
            (reading.muted_video, reading.muted_audio) = player.muted();
            let (at, before) = std::mem::replace(&mut player.reading, (now, reading));
            let quality = quality::play_quality(&before, &reading, seconds(at, now), rtt);
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
        breaks: counters.breaks.load(Relaxed),
        break_ms: counters.break_ms.load(Relaxed),
        concealed_ms: sound.concealed_ms as f64,
        decoded_audio_ms: sound.decoded_ms as f64,
        buffer_ms: sound.buffer_ms,
        muted_video: false,
        muted_audio: false,
    }
}
