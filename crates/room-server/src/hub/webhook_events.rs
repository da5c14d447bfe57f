//! Events of rooms for webhooks.

use protocol::messages::{ParticipantInfo, RoomEndReason, TrackInfo, WebhookEvent};

use super::Hub;
use super::ids::{ParticipantId, RoomKey};
use super::participant::Participant;

impl Hub {
    pub(super) fn notice_room_started(&self, key: &RoomKey) {
        self.notice(key, || WebhookEvent { room: Some(self.room_info(key)), ..named("room_started") });
    }

    /// Has to be called before the room is forgotten.
    pub(super) fn notice_room_finished(&self, key: &RoomKey, reason: RoomEndReason) {
        self.notice(key, || WebhookEvent {
            room: Some(self.room_info(key)),
            room_end_reason: reason as i32,
            ..named("room_finished")
        });
    }

    pub(super) fn notice_joined(&self, id: ParticipantId) {
        let Some(participant) = self.participants.get(&id) else { return };
        self.notice_of_participant("participant_joined", participant, participant.info());
    }

    /// For a participant that has left: its tracks end with it.
    pub(super) fn notice_left(&self, participant: &Participant, info: &ParticipantInfo) {
        for track in &participant.tracks {
            self.notice_of_track("track_unpublished", participant, &track.info);
        }
        // A participant whose media never connected was not reported as joined either.
        let event = if participant.is_active { "participant_left" } else { "participant_connection_aborted" };
        self.notice_of_participant(event, participant, info.clone());
    }

    pub(super) fn notice_tracks(&self, event: &str, id: ParticipantId, tracks: &[TrackInfo]) {
        let Some(participant) = self.participants.get(&id) else { return };
        for track in tracks {
            self.notice_of_track(event, participant, track);
        }
    }

    fn notice_of_participant(&self, event: &str, participant: &Participant, info: ParticipantInfo) {
        let key = &participant.room;
        self.notice(key, || WebhookEvent { room: Some(self.room_info(key)), participant: Some(info), ..named(event) });
    }

    fn notice_of_track(&self, event: &str, participant: &Participant, track: &TrackInfo) {
        let key = &participant.room;
        // Only the participant's identity, as in LiveKit's server.
        let info = ParticipantInfo {
            sid: participant.sid.clone(),
            identity: participant.identity.clone(),
            name: participant.name.clone(),
            ..ParticipantInfo::default()
        };
        self.notice(key, || WebhookEvent {
            room: Some(self.room_info(key)),
            participant: Some(info),
            track: Some(track.clone()),
            ..named(event)
        });
    }

    fn notice(&self, key: &RoomKey, event: impl FnOnce() -> WebhookEvent) {
        let Some(webhook_events) = &self.settings.webhook_events else { return };
        if webhook_events.try_send(event()).is_err() {
            tracing::warn!(room = key.room, "too many webhooks wait, one is dropped");
        }
    }
}

fn named(event: &str) -> WebhookEvent {
    WebhookEvent { event: event.to_owned(), ..WebhookEvent::default() }
}
