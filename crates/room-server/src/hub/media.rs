//! Packets from publishers to subscribers, key frame requests back.

use std::time::Instant;

use super::Hub;
use super::ids::ParticipantId;
use super::legs::{LegId, Role};
use super::speakers::SPEAKER_INTERVAL;
use crate::forwarding::core::{Codec, CoreEvent, IncomingPacket, LineId, MediaKind, OutgoingPacket};
use crate::forwarding::layer_selector::Verdict;

impl Hub {
    pub(super) fn handle_event(&mut self, now: Instant, leg: LegId, event: CoreEvent) {
        let Some((owner, role)) = self.legs.owner(leg) else { return };
        match event {
            CoreEvent::Packet(packet) => self.forward(now, owner, &packet),
            CoreEvent::KeyframeNeeded(line) => self.keyframe_needed(now, owner, line),
            CoreEvent::Data(kind, bytes) => self.data_received(now, owner, kind, &bytes),
            CoreEvent::Loss { sent, received } => self.note_loss(owner, role, sent, received),
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
                    self.broadcast_participant(id);
                    self.update_subscriptions(now, id);
                }
                self.wish_for_all_keyframes(now, id);
            }
        }
    }

    fn leg_is_down(&mut self, now: Instant, id: ParticipantId, role: Role) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.publisher_up &= role == Role::Subscriber;
        participant.subscriber_up &= role == Role::Publisher;
        tracing::info!(identity = participant.identity, ?role, "media connection is down");
        self.see_off_the_lost(now);
    }

    fn forward(&mut self, now: Instant, publisher: ParticipantId, packet: &IncomingPacket) {
        let Some(participant) = self.participants.get_mut(&publisher) else { return };
        let Some(track) = participant.tracks.iter_mut().find(|track| track.line == packet.line) else { return };
        if let Some(level) = packet.extensions.audio_level {
            participant.loudness.packet(level);
            self.speakers_at.get_or_insert(now + SPEAKER_INTERVAL);
        }
        if track.kind == MediaKind::Video {
            match track.layers.decide(packet.layer, now) {
                Verdict::Drop => return,
                Verdict::ForwardSwitched => track.keyframes.wish(),
                Verdict::Forward => {}
            }
            if track.gaps.packet(packet.ssrc, packet.sequence, now) {
                track.keyframes.wish();
            }
        }
        let mut learned_codec = false;
        if track.info.mime_type.is_empty() {
            track.info.mime_type = mime_type(packet.codec).to_owned();
            learned_codec = true;
        }
        let is_padding = packet.payload.is_empty();
        for subscriber in track.subscribers.iter_mut().filter(|subscriber| !subscriber.disabled) {
            if is_padding {
                subscriber.down.skip(packet.ssrc, packet.sequence);
                continue;
            }
            let Some(numbers) = subscriber.down.forward(packet.ssrc, packet.sequence, packet.timestamp, now) else {
                continue;
            };
            let outgoing = OutgoingPacket {
                line: subscriber.line,
                sequence: numbers.sequence,
                timestamp: numbers.timestamp,
                marker: packet.marker,
                codec: packet.codec,
                payload: packet.payload.clone(),
                extensions: packet.extensions,
                wallclock: packet.received_at,
            };
            self.legs.act(subscriber.leg, now, |connection| connection.write_rtp(now, &outgoing));
        }
        self.ask_for_keyframe_if_due(now, publisher, packet.line);
        if learned_codec {
            self.broadcast_participant(publisher);
        }
    }

    /// A subscriber's decoder is stuck.
    fn keyframe_needed(&mut self, now: Instant, subscriber: ParticipantId, line: LineId) {
        let Some(participant) = self.participants.get(&subscriber) else { return };
        let subscription = participant.subscriptions.iter().find(|s| s.line == Some(line));
        if let Some((publisher, sid)) = subscription.map(|s| (s.publisher, s.track_sid.clone())) {
            self.wish_for_keyframe(now, publisher, &sid);
        }
    }

    pub(super) fn wish_for_keyframe(&mut self, now: Instant, publisher: ParticipantId, track_sid: &str) {
        let Some(track) = self.participants.get_mut(&publisher).and_then(|p| p.track_mut(track_sid)) else { return };
        if track.kind == MediaKind::Video {
            track.keyframes.wish();
            let line = track.line;
            self.ask_for_keyframe_if_due(now, publisher, line);
        }
    }

    fn wish_for_all_keyframes(&mut self, now: Instant, subscriber: ParticipantId) {
        let Some(participant) = self.participants.get(&subscriber) else { return };
        let subscribed: Vec<(ParticipantId, String)> =
            participant.subscriptions.iter().map(|s| (s.publisher, s.track_sid.clone())).collect();
        for (publisher, sid) in subscribed {
            self.wish_for_keyframe(now, publisher, &sid);
        }
    }

    pub(super) fn ask_for_due_keyframes(&mut self, now: Instant) {
        let lines: Vec<(ParticipantId, LineId)> = self
            .participants
            .values()
            .flat_map(|participant| participant.tracks.iter().map(|track| (participant.id, track.line)))
            .collect();
        for (publisher, line) in lines {
            self.ask_for_keyframe_if_due(now, publisher, line);
        }
    }

    fn ask_for_keyframe_if_due(&mut self, now: Instant, publisher: ParticipantId, line: LineId) {
        let Some(participant) = self.participants.get_mut(&publisher) else { return };
        let leg = participant.publisher;
        let Some(track) = participant.tracks.iter_mut().find(|track| track.line == line) else { return };
        if track.keyframes.take_due(now) {
            let layer = track.layers.current();
            self.legs.act(leg, now, |connection| connection.request_keyframe(now, line, layer));
        } else if track.keyframes.deadline().is_some() {
            self.want_housekeeping(now);
        }
    }
}

fn mime_type(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "audio/opus",
        Codec::Vp8 => "video/VP8",
        Codec::H264 { .. } => "video/H264",
    }
}
