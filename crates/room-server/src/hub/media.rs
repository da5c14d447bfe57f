//! Packets from publishers to subscribers, key frame requests back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::messages::{Response, SubscriptionError, SubscriptionResponse};

use super::ids::ParticipantId;
use super::peers::{PeerId, Role};
use super::publishing::name_codec;
use super::speakers::SPEAKER_INTERVAL;
use super::{HOUSEKEEPING, Hub};
use crate::codecs::MediaCodec;
use crate::forwarding::core::{Codec, CoreEvent, IncomingPacket, LayerId, MediaKind, MediaPacket, Mid};
use crate::forwarding::forwarder::{Context, ForwardOutcome, PrimaryPacket};

/// Bytes of a packet besides its payload: IP, UDP, RTP with extensions, authentication.
const OVERHEAD: usize = 60;
/// Minimum interval of notifications about a track's codec.
const CODEC_NOTIFICATION_INTERVAL: Duration = Duration::from_secs(1);

impl Hub {
    pub(super) fn handle_event(&mut self, now: Instant, peer: PeerId, event: CoreEvent) {
        let Some((owner, role)) = self.peers.owner(peer) else { return };
        match event {
            CoreEvent::Packet(packet) => self.forward(now, owner, &packet),
            CoreEvent::KeyframeNeeded(line) => self.keyframe_needed(now, owner, line),
            CoreEvent::Data(kind, bytes) => self.data_received(now, owner, kind, &bytes),
            CoreEvent::Estimate(bps) => self.note_estimate(now, owner, bps),
            CoreEvent::Loss { sent, received } => self.note_loss(now, owner, role, sent, received),
            CoreEvent::Connected | CoreEvent::Reconnected => self.leg_is_up(now, owner, role),
            CoreEvent::Disconnected | CoreEvent::Closed => self.leg_is_down(now, owner, role),
        }
    }

    fn leg_is_up(&mut self, now: Instant, id: ParticipantId, role: Role) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.publisher_up |= role != Role::Subscriber;
        match role {
            Role::Publisher => {}
            Role::Subscriber | Role::Both => {
                participant.subscriber_up = true;
                if !participant.is_active {
                    participant.is_active = true;
                    tracing::info!(identity = participant.identity, "active");
                    self.notice_joined(id);
                    self.broadcast_participant(id);
                    self.update_subscriptions(now, id);
                }
                self.request_all_keyframes_for(now, id);
            }
        }
    }

    fn leg_is_down(&mut self, now: Instant, id: ParticipantId, role: Role) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.publisher_up &= role == Role::Subscriber;
        participant.subscriber_up &= role == Role::Publisher;
        tracing::info!(identity = participant.identity, ?role, "media connection is down");
        self.remove_inactive_participants(now);
    }

    fn forward(&mut self, now: Instant, publisher: ParticipantId, packet: &IncomingPacket) {
        let Some(participant) = self.participants.get_mut(&publisher) else { return };
        let Some(track) = participant.tracks.iter_mut().find(|track| track.line == packet.line) else { return };
        if packet.codec.kind() != track.kind {
            return;
        }
        if let Some(level) = packet.extensions.audio_level {
            participant.loudness.packet(level);
            self.speakers_at.get_or_insert(now + SPEAKER_INTERVAL);
        }
        let is_video = track.kind == MediaKind::Video;
        let Some(stream) = track.stream_mut(packet.layer, now) else { return };
        let format = packet.codec.video_format().filter(|_| packet.layer.is_some());
        let starts_keyframe =
            format.is_some_and(|format| stream.keyframe_starts.begins_keyframe(format, &packet.payload));
        stream.seen = now;
        stream.rate.packet(packet.payload.len() + OVERHEAD, now);
        let has_unrecoverable_loss = is_video && stream.gaps.packet(packet.ssrc, packet.sequence, now);
        // Without layers this list is not used.
        let arriving = if packet.layer.is_some() { track.arriving(now) } else { Vec::new() };
        let mut learned_codec = false;
        let codec = mime_type(packet.codec);
        if track.info.mime_type != codec && !packet.payload.is_empty() {
            // The arriving codec counts, not the announced one. Changes that follow quickly are not reported.
            let may_tell = track
                .codec_notified_at
                .is_none_or(|at| now.saturating_duration_since(at) >= CODEC_NOTIFICATION_INTERVAL);
            if may_tell {
                name_codec(&mut track.info, codec);
                track.codec_notified_at = Some(now);
                learned_codec = true;
            }
        }
        let media = Arc::new(MediaPacket::of(packet));
        // For subscribers that do not accept RED.
        let plain = match packet.codec {
            _ if packet.payload.is_empty() => None,
            Codec::RedundantOpus => {
                Some(track.plain.unpack(packet.ssrc, packet.sequence, packet.timestamp, &packet.payload))
            }
            // Publishers may leave the redundancy out now and then.
            Codec::Opus => track.plain.pass(packet.ssrc, packet.sequence, packet.timestamp, &packet.payload),
            _ => None,
        };
        let plain: Option<Vec<PrimaryPacket>> = plain.map(|sounds| {
            sounds.into_iter().map(|sound| PrimaryPacket::new(&media, packet.timestamp, sound)).collect()
        });
        let context = Context { media: &media, starts_keyframe, arriving: &arriving };
        // Subscribers that do not accept the codec.
        let mut left_out = Vec::new();
        // Layers whose key frames a subscriber waits for.
        let mut awaited: Vec<Option<LayerId>> = Vec::new();
        for subscriber in track.subscribers.iter_mut().filter(|subscriber| subscriber.is_served()) {
            if let Some(plain) = &plain
                && !self.peers.takes(subscriber.peer, subscriber.line, Codec::RedundantOpus)
            {
                for alone in plain {
                    let outgoing = subscriber.forwarder.forward_primary(now, packet.ssrc, alone, subscriber.line);
                    outgoing.iter().for_each(|outgoing| self.peers.write_rtp(subscriber.peer, now, outgoing));
                }
                continue;
            }
            let fate = subscriber.forwarder.take(now, packet, &context, subscriber.line);
            if let Some(layer) = subscriber.forwarder.layers.awaited(&arriving) {
                awaited.push(Some(layer));
            }
            if has_unrecoverable_loss && !matches!(fate, ForwardOutcome::Other) {
                awaited.push(packet.layer);
            }
            if let ForwardOutcome::Sent(outgoing) = fate {
                if subscriber.checked_codec != Some(packet.codec) {
                    subscriber.checked_codec = Some(packet.codec);
                    let takes = self.peers.takes(subscriber.peer, subscriber.line, packet.codec);
                    if !takes && !std::mem::replace(&mut subscriber.codec_notified, true) {
                        left_out.push(subscriber.participant);
                    }
                }
                self.peers.write_rtp(subscriber.peer, now, &outgoing);
            }
        }
        let track_sid = if left_out.is_empty() { String::new() } else { track.info.sid.clone() };
        for layer in awaited {
            if let Some(stream) = track.streams.iter_mut().find(|stream| stream.layer == layer) {
                stream.keyframes.request();
            }
        }
        self.ask_for_keyframe_if_due(now, publisher, packet.line);
        for subscriber in left_out {
            tracing::info!(?subscriber, track_sid, codec, "subscriber does not take the codec");
            let err = SubscriptionError::SeCodecUnsupported as i32;
            self.send(
                subscriber,
                Response::SubscriptionResponse(SubscriptionResponse { track_sid: track_sid.clone(), err }),
            );
        }
        if learned_codec {
            self.broadcast_participant(publisher);
        }
    }

    /// A subscriber's decoder is stuck.
    fn keyframe_needed(&mut self, now: Instant, subscriber: ParticipantId, line: Mid) {
        let Some(participant) = self.participants.get(&subscriber) else { return };
        let subscription = participant.subscriptions.iter().find(|s| s.line == Some(line));
        if let Some((publisher, sid)) = subscription.map(|s| (s.publisher, s.track_sid.clone())) {
            self.request_keyframe_for(now, publisher, &sid, subscriber);
        }
    }

    /// Requests a key frame of the layer that this subscriber gets of the track.
    pub(super) fn request_keyframe_for(
        &mut self,
        now: Instant,
        publisher: ParticipantId,
        track_sid: &str,
        subscriber: ParticipantId,
    ) {
        let Some(track) = self.participants.get_mut(&publisher).and_then(|p| p.track_mut(track_sid)) else { return };
        if track.kind != MediaKind::Video {
            return;
        }
        let layers = track.subscribers.iter().find(|s| s.participant == subscriber).map(|s| &s.forwarder.layers);
        let layer = layers.and_then(|layers| layers.awaited(&track.arriving(now)).or(layers.current()));
        let known = track.streams.iter().any(|stream| stream.layer == layer);
        // Before the first packet it is unknown whether there will be layers.
        if !known && !track.streams.is_empty() {
            return;
        }
        let line = track.line;
        if let Some(stream) = track.stream_mut(layer, now) {
            stream.keyframes.request();
            self.ask_for_keyframe_if_due(now, publisher, line);
        }
    }

    fn request_all_keyframes_for(&mut self, now: Instant, subscriber: ParticipantId) {
        let Some(participant) = self.participants.get(&subscriber) else { return };
        // A subscription that is not negotiated yet requests its own key frame when it starts; a request now would delay that one.
        let negotiated = participant.subscriptions.iter().filter(|s| s.line.is_some());
        let subscribed: Vec<(ParticipantId, String)> = negotiated.map(|s| (s.publisher, s.track_sid.clone())).collect();
        for (publisher, sid) in subscribed {
            self.request_keyframe_for(now, publisher, &sid, subscriber);
        }
    }

    pub(super) fn send_due_keyframe_requests(&mut self, now: Instant) {
        let lines: Vec<(ParticipantId, Mid)> = self
            .participants
            .values()
            .flat_map(|participant| participant.tracks.iter().map(|track| (participant.id, track.line)))
            .collect();
        for (publisher, line) in lines {
            self.ask_for_keyframe_if_due(now, publisher, line);
        }
    }

    fn ask_for_keyframe_if_due(&mut self, now: Instant, publisher: ParticipantId, line: Mid) {
        let Some(participant) = self.participants.get_mut(&publisher) else { return };
        let peer = participant.publisher;
        let Some(track) = participant.tracks.iter_mut().find(|track| track.line == line) else { return };
        for stream in &mut track.streams {
            if stream.keyframes.take_due(now) {
                tracing::debug!(track = track.info.sid, "a key frame is asked for");
                let layer = stream.layer;
                self.metrics.keyframe_requests.inc();
                self.peers.act(peer, now, |connection| connection.request_keyframe(now, line, layer));
            } else if stream.keyframes.deadline().is_some() {
                self.housekeeping_at.get_or_insert(now + HOUSEKEEPING);
            }
        }
    }
}

fn mime_type(codec: Codec) -> &'static str {
    match codec {
        // The redundancy is between each client and us.
        Codec::Opus | Codec::RedundantOpus => MediaCodec::Opus,
        Codec::Vp8 => MediaCodec::Vp8,
        Codec::Vp9 { .. } => MediaCodec::Vp9,
        Codec::Av1 => MediaCodec::Av1,
        Codec::H264 { .. } => MediaCodec::H264,
    }
    .mime_type()
}
