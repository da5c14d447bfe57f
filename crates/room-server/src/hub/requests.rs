//! Messages from clients.

use std::collections::HashMap;
use std::time::Instant;

use protocol::conventions::key_of_room_info;
use protocol::messages::request_response::{Reason, Request as AboutRequest};
use protocol::messages::{
    DisconnectReason, MuteTrackRequest, Pong, Request, RequestResponse, Response, UpdateParticipantMetadata,
    leave_request,
};
use serde_json::{Map, Value, json};

use super::ids::ParticipantId;
use super::sdp::has_too_many_lines;
use super::{Hub, unix_ms};
use crate::limits::merged;

impl Hub {
    pub(super) fn handle_request(&mut self, now: Instant, id: ParticipantId, request: Request) {
        match request {
            Request::Offer(offer) => self.publisher_offer(now, id, &offer),
            Request::Answer(answer) if has_too_many_lines(&answer.sdp) => {
                tracing::info!(?id, "answer has too many lines");
                self.leave(now, id, DisconnectReason::StateMismatch, leave_request::Action::Disconnect);
            }
            Request::Answer(answer) => self.subscriber_answer(now, id, &answer),
            // Clients find us (ICE-lite, one known address), we need not find them.
            Request::Trickle(_) => {}
            Request::AddTrack(request) => self.add_track(now, id, request),
            Request::Mute(request) => self.mute(id, &request),
            Request::Subscription(request) => self.update_wishes(now, id, &request),
            Request::TrackSetting(request) => self.track_settings(now, id, &request),
            Request::Leave(_) => {
                self.leave(now, id, DisconnectReason::ClientInitiated, leave_request::Action::Disconnect);
            }
            Request::SyncState(state) => self.sync_state(now, id, &state),
            Request::Ping(_) => self.send(id, Response::Pong(unix_ms())),
            Request::PingReq(ping) => {
                self.send(id, Response::PongResp(Pong { last_ping_timestamp: ping.timestamp, timestamp: unix_ms() }))
            }
            Request::UpdateMetadata(request) => self.update_metadata(id, request),
            Request::SubscriptionPermission(request) => self.set_audience(now, id, &request),
            _ => tracing::debug!(?id, "request that is not served here"),
        }
    }

    fn mute(&mut self, id: ParticipantId, request: &MuteTrackRequest) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let info = match participant.track_mut(&request.sid) {
            Some(track) => &mut track.info,
            None => match participant.pending_tracks.iter_mut().find(|track| track.info.sid == request.sid) {
                Some(pending) => &mut pending.info,
                None => return,
            },
        };
        if info.muted != request.muted {
            info.muted = request.muted;
            self.broadcast_participant(id);
        }
    }

    fn update_metadata(&mut self, id: ParticipantId, mut request: UpdateParticipantMetadata) {
        if self.participants.get(&id).is_some_and(|participant| participant.permission.update_metadata) {
            self.take_room_info(id, &mut request.attributes);
        }
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let limits = &self.settings.limits;
        let attributes = merged(&participant.attributes, &request.attributes);
        let fits = limits
            .check_attributes(&attributes)
            .and(limits.check_metadata(&request.metadata))
            .and(limits.check_participant_name(&request.name));
        let (reason, message) = match fits {
            _ if !participant.permission.update_metadata => {
                (Reason::NotAllowed, "the token does not allow to change metadata".to_owned())
            }
            Err(error) => (Reason::LimitExceeded, error.to_string()),
            Ok(()) => (Reason::Ok, String::new()),
        };
        if reason == Reason::Ok {
            if !request.name.is_empty() {
                participant.name.clone_from(&request.name);
            }
            if !request.metadata.is_empty() {
                participant.metadata.clone_from(&request.metadata);
            }
            let is_news = !(request.name.is_empty() && request.metadata.is_empty() && request.attributes.is_empty());
            participant.attributes = attributes;
            if is_news {
                self.broadcast_participant(id);
            }
        }
        if request.request_id != 0 || reason != Reason::Ok {
            self.send(
                id,
                Response::RequestResponse(RequestResponse {
                    request_id: request.request_id,
                    reason: reason as i32,
                    message,
                    request: Some(AboutRequest::UpdateMetadata(request)),
                }),
            );
        }
    }
}

impl Hub {
    /// Moves extra info of the room from a participant's attributes to the room's metadata, where it outlives its author. It
    /// stays an attribute if the metadata belong to another application, or are full.
    fn take_room_info(&mut self, id: ParticipantId, attributes: &mut HashMap<String, String>) {
        let Some(participant) = self.participants.get(&id) else { return };
        let key = participant.room.clone();
        let author = json!({"userID": participant.identity, "userName": participant.name});
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let mut table: Map<String, Value> = match room.metadata.as_str() {
            "" => Map::new(),
            text => match serde_json::from_str(text) {
                Ok(table) => table,
                Err(_) => return,
            },
        };
        let mut taken = Vec::new();
        for (name, text) in attributes.iter().filter(|(name, _)| key_of_room_info(name).is_some()) {
            if let Ok(Value::Object(mut entry)) = serde_json::from_str(text) {
                entry.insert("u".to_owned(), author.clone());
                table.insert(name.clone(), Value::Object(entry));
                taken.push(name.clone());
            }
        }
        let metadata = Value::Object(table).to_string();
        if taken.is_empty() || self.settings.limits.check_metadata(&metadata).is_err() {
            return;
        }
        taken.iter().for_each(|name| drop(attributes.remove(name)));
        room.metadata = metadata;
        self.broadcast_room(&key);
    }
}
