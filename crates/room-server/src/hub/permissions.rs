//! Which participants a publisher allows to subscribe to its tracks.

use std::time::Instant;

use protocol::messages::{Response, SubscriptionPermission, SubscriptionPermissionUpdate, TrackPermission};

use super::Hub;
use super::ids::ParticipantId;
use super::participant::Participant;

/// Upper bound of entries in one publisher's list.
const MAX_ENTRIES: usize = 4096;

/// The participants that may subscribe, if not all of them.
#[derive(Clone, Debug, Default)]
pub struct Audience(Vec<TrackPermission>);

impl Audience {
    fn has(&self, participant: &Participant, track_sid: &str) -> bool {
        self.0.iter().any(|entry| {
            let is_meant = (!entry.participant_sid.is_empty() && entry.participant_sid == participant.sid)
                || (!entry.participant_identity.is_empty() && entry.participant_identity == participant.identity);
            is_meant && (entry.all_tracks || entry.track_sids.iter().any(|sid| sid == track_sid))
        })
    }
}

impl Participant {
    /// Whether it lets another one have a track.
    pub fn lets_have(&self, other: &Participant, track_sid: &str) -> bool {
        self.audience.as_ref().is_none_or(|audience| audience.has(other, track_sid))
    }
}

impl Hub {
    pub(super) fn set_audience(&mut self, now: Instant, id: ParticipantId, request: &SubscriptionPermission) {
        let Some(publisher) = self.participants.get_mut(&id) else { return };
        let new = (!request.all_participants)
            .then(|| Audience(request.track_permissions.iter().take(MAX_ENTRIES).cloned().collect()));
        let before = std::mem::replace(&mut publisher.audience, new);
        let room = publisher.room.clone();
        for member in self.members_of(&room) {
            let (Some(publisher), Some(other)) = (self.participants.get(&id), self.participants.get(&member)) else {
                continue;
            };
            if member == id {
                continue;
            }
            let mut changes = Vec::new();
            for sid in publisher.tracks.iter().map(|track| &track.info.sid) {
                let allowed = publisher.lets_have(other, sid);
                let was_allowed = before.as_ref().is_none_or(|audience| audience.has(other, sid));
                if allowed != was_allowed {
                    changes.push(SubscriptionPermissionUpdate {
                        participant_sid: publisher.sid.clone(),
                        track_sid: sid.clone(),
                        allowed,
                    });
                }
            }
            for change in changes {
                self.send(member, Response::SubscriptionPermissionUpdate(change));
            }
            self.update_subscriptions(now, member);
        }
    }
}
