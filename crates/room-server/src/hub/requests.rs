//! Messages from clients.

use std::collections::HashMap;
use std::time::Instant;

use protocol::limits::METADATA_MAX;
use protocol::messages::request_response::{Reason, Request as AboutRequest};
use protocol::messages::{
    DisconnectReason, MuteTrackRequest, Pong, Request, RequestResponse, Response, UpdateParticipantMetadata,
    leave_request,
};

use super::ids::ParticipantId;
use super::{Hub, unix_ms};

impl Hub {
    pub(super) fn handle_request(&mut self, now: Instant, id: ParticipantId, request: Request) {
        match request {
            Request::Offer(offer) => self.publisher_offer(now, id, &offer),
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

    fn update_metadata(&mut self, id: ParticipantId, request: UpdateParticipantMetadata) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let reason = if !participant.permission.update_metadata {
            Reason::NotAllowed
        } else if !fits(participant.attributes.iter(), &request) {
            Reason::LimitExceeded
        } else {
            Reason::Ok
        };
        if reason == Reason::Ok {
            if !request.name.is_empty() {
                participant.name.clone_from(&request.name);
            }
            if !request.metadata.is_empty() {
                participant.metadata.clone_from(&request.metadata);
            }
            for (key, value) in request.attributes.clone() {
                if value.is_empty() {
                    participant.attributes.remove(&key);
                } else {
                    participant.attributes.insert(key, value);
                }
            }
            self.broadcast_participant(id);
        }
        if request.request_id != 0 || reason != Reason::Ok {
            self.send(
                id,
                Response::RequestResponse(RequestResponse {
                    request_id: request.request_id,
                    reason: reason as i32,
                    message: String::new(),
                    request: Some(AboutRequest::UpdateMetadata(request)),
                }),
            );
        }
    }
}

/// Whether name, metadata and attributes stay within their limits after the change.
fn fits<'a>(present: impl Iterator<Item = (&'a String, &'a String)>, request: &UpdateParticipantMetadata) -> bool {
    let mut after: HashMap<&str, &str> = present.map(|(key, value)| (key.as_str(), value.as_str())).collect();
    after.extend(request.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let attributes: usize = after.iter().map(|(key, value)| key.len() + value.len()).sum();
    attributes <= METADATA_MAX && request.metadata.len() <= METADATA_MAX && request.name.len() <= METADATA_MAX
}
