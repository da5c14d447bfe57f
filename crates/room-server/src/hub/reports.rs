//! Periodic work: connection quality, token refresh, closing rooms that nobody joined.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use protocol::listeners::ListenerReport;
use protocol::messages::{
    ConnectionQuality, ConnectionQualityInfo, ConnectionQualityUpdate, ProtoMessage as _, Response, RoomEndReason,
};
use protocol::token::{Claims, mint};

use super::ids::{ParticipantId, RoomKey};
use super::participant::Participant;
use super::peers::Role;
use super::{Hub, unix_ms};
use crate::auth::grants_of;
use crate::forwarding::core::{DataKind, MediaKind};

/// Interval of quality updates.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// A connection without any datagram for this long counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(6);
/// How often clients get a new token, and how long it is valid.
const TOKEN_INTERVAL: Duration = Duration::from_secs(300);
const TOKEN_LIFE: Duration = Duration::from_secs(600);
/// Metadata and attributes are part of the token up to this many bytes, since tokens travel in URLs.
const MAX_DESCRIPTION_IN_TOKEN: usize = 4096;

/// Scores from which on a connection is excellent or good.
const EXCELLENT: f32 = 4.5;
const GOOD: f32 = 3.0;

/// Losses of one participant since the last report, 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    up: f32,
    down: f32,
}

impl Link {
    /// 5 without losses, 4.5 at 2 %, 3 at 8 %, and not below 1.
    fn score(self) -> f32 {
        (5.0 - self.up.max(self.down).clamp(0.0, 1.0) * 25.0).max(1.0)
    }
}

fn quality(score: f32) -> ConnectionQuality {
    match score {
        score if score >= EXCELLENT => ConnectionQuality::Excellent,
        score if score >= GOOD => ConnectionQuality::Good,
        score if score > 0.0 => ConnectionQuality::Poor,
        _ => ConnectionQuality::Lost,
    }
}

impl Hub {
    pub(super) fn note_loss(
        &mut self,
        now: Instant,
        id: ParticipantId,
        role: Role,
        sent: Option<f32>,
        received: Option<f32>,
    ) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if role != Role::Subscriber {
            participant.link.up = participant.link.up.max(received.unwrap_or(0.0));
        }
        let Some(sent) = sent.filter(|_| role != Role::Publisher) else { return };
        participant.link.down = participant.link.down.max(sent);
        // An estimate is more precise: it distinguishes congestion loss from random loss.
        if !participant.bandwidth.is_known() && participant.ladder.note(sent, now) {
            let rank = participant.ladder.rank();
            tracing::info!(identity = participant.identity, rank, "the link carries another layer");
            self.apply_link_rank(id, rank);
        }
    }

    pub(super) fn want_reports(&mut self, now: Instant) {
        self.reports_at.get_or_insert(now + REPORT_INTERVAL);
    }

    /// Sends what is due.
    pub(super) fn report(&mut self, now: Instant) {
        let empty: Vec<RoomKey> =
            self.rooms.iter().filter(|(_, room)| room.members.is_empty()).map(|(key, _)| key.clone()).collect();
        for key in empty {
            self.close_if_expired(now, &key, RoomEndReason::RoomEndIdleTimeout);
        }
        self.reports_at = (!self.rooms.is_empty()).then_some(now + REPORT_INTERVAL);
        self.report_quality(now);
        self.count();
        let (mut tracks, mut subscriptions) = (0, 0);
        for participant in self.participants.values() {
            tracks += participant.tracks.len();
            subscriptions += participant.subscriptions.len();
        }
        self.metrics.tracks.set(i64::try_from(tracks).unwrap_or(i64::MAX));
        self.metrics.subscriptions.set(i64::try_from(subscriptions).unwrap_or(i64::MAX));
        let due: Vec<ParticipantId> =
            self.participants.values().filter(|participant| participant.token_at <= now).map(|p| p.id).collect();
        for id in due {
            self.renew_token(now, id);
        }
    }

    /// Notifies all participants of their own quality and of that of their publishers.
    fn report_quality(&mut self, now: Instant) {
        let updates: Vec<(ParticipantId, Vec<ConnectionQualityInfo>)> = self
            .participants
            .values()
            .filter(|participant| participant.is_active && participant.connection.is_some())
            .map(|participant| {
                let mut about: Vec<ParticipantId> = participant.subscriptions.iter().map(|s| s.publisher).collect();
                about.push(participant.id);
                about.sort_unstable();
                about.dedup();
                let known = about.iter().filter_map(|id| self.participants.get(id));
                (participant.id, known.map(|other| self.quality_of(now, other)).collect())
            })
            .collect();
        for (id, updates) in updates {
            self.send(id, Response::ConnectionQuality(ConnectionQualityUpdate { updates }));
        }
        self.report_subscriber_loss(now);
        for participant in self.participants.values_mut() {
            participant.link = Link::default();
        }
    }

    /// Reports to publishers the worst downlink loss of their subscribers, so that audio is sent with enough redundancy, since it
    /// is not retransmitted.
    fn report_subscriber_loss(&mut self, now: Instant) {
        let mut worst = BTreeMap::<ParticipantId, ListenerReport>::new();
        for listener in self.participants.values() {
            let publishers: BTreeSet<ParticipantId> = listener.subscriptions.iter().map(|s| s.publisher).collect();
            for publisher in publishers {
                let report = worst.entry(publisher).or_default();
                report.loss = report.loss.max(listener.link.down);
            }
            let Some(carried) = listener.bandwidth.video_bps() else { continue };
            let pictures = listener.subscriptions.iter().filter(|s| s.kind == MediaKind::Video);
            let publishers: BTreeSet<ParticipantId> = pictures.map(|s| s.publisher).collect();
            let shared = carried / 1000 / publishers.len().max(1) as u64;
            // 0 would mean unknown.
            let kbps = u32::try_from(shared).unwrap_or(u32::MAX).max(1);
            for publisher in publishers {
                let report = worst.entry(publisher).or_default();
                report.kbps = if report.kbps == 0 { kbps } else { report.kbps.min(kbps) };
            }
        }
        let timestamp = unix_ms();
        for (id, report) in worst {
            let Some(publisher) = self.participants.get(&id).filter(|publisher| publisher.subscriber_up) else {
                continue;
            };
            let (peer, packet) = (publisher.subscriber, report.to_packet(timestamp).encode_to_vec());
            // Not by the lossy channel: it is needed most where much is lost.
            self.peers.act(peer, now, |connection| connection.send_data(now, DataKind::Reliable, &packet));
        }
    }

    fn quality_of(&self, now: Instant, participant: &Participant) -> ConnectionQualityInfo {
        let heard = [participant.publisher, participant.subscriber].map(|peer| self.peers.heard_at(peer));
        let is_heard = heard.into_iter().flatten().any(|at| now.saturating_duration_since(at) < LOST_AFTER);
        let score = if is_heard { participant.link.score() } else { 0.0 };
        ConnectionQualityInfo { participant_sid: participant.sid.clone(), quality: quality(score) as i32, score }
    }

    /// Sends a token with which the client can reconnect after the one that it joined with has expired.
    pub(super) fn renew_token(&mut self, now: Instant, id: ParticipantId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.token_at = now + TOKEN_INTERVAL;
        // A token cannot say which streams may be published, as the vendor's tokens do.
        if participant.permission.streams.is_some() {
            return;
        }
        let (Some(grants), Some(secret)) = (&participant.grants, self.keys.secret(&participant.room.app)) else {
            return;
        };
        let described: usize = participant.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
        let fits = described + participant.metadata.len() <= MAX_DESCRIPTION_IN_TOKEN;
        let claims = Claims {
            identity: participant.identity.clone(),
            name: participant.name.clone(),
            metadata: if fits { participant.metadata.clone() } else { String::new() },
            attributes: if fits { participant.attributes.clone() } else { Default::default() },
            room: participant.room.room.clone(),
            grants: grants_of(&participant.permission, grants),
            ttl: TOKEN_LIFE,
            ..Claims::default()
        };
        match mint(&participant.room.app, &secret, &claims) {
            Ok(token) => participant.send(Response::RefreshToken(token)),
            Err(error) => tracing::warn!(%error, "no fresh token"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_lower_the_quality_step_by_step() {
        let of = |up, down| quality(Link { up, down }.score());
        assert_eq!(of(0.0, 0.0), ConnectionQuality::Excellent);
        assert_eq!(of(0.015, 0.0), ConnectionQuality::Excellent);
        assert_eq!(of(0.0, 0.05), ConnectionQuality::Good);
        assert_eq!(of(0.2, 0.05), ConnectionQuality::Poor);
        assert_eq!(of(1.0, f32::NAN), ConnectionQuality::Poor);
        assert_eq!(quality(0.0), ConnectionQuality::Lost);
    }
}
