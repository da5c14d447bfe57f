//! LiveKit's RoomService: what an application's backend can do to its rooms.

use std::time::{Duration, Instant};

use protocol::limits::MAX_DATA_PAYLOAD;
use protocol::messages::{
    CreateRoomRequest, DataPacket, DeleteRoomResponse, DisconnectReason, ListParticipantsResponse, ListRoomsResponse,
    MuteRoomTrackRequest, MuteRoomTrackResponse, MuteTrackRequest, ProtoMessage, RemoveParticipantResponse, Response,
    RoomEndReason, SendDataRequest, SendDataResponse, UpdateParticipantRequest, UpdateRoomMetadataRequest,
    UpdateSubscription, UpdateSubscriptionsRequest, UpdateSubscriptionsResponse, UserPacket, data_packet,
    leave_request,
};

use super::ids::{ParticipantId, RoomKey};
use super::participant::Participant;
use super::room::Room;
use super::{Hub, unix_ms};
use crate::admin::{AdminError, AdminReply, AdminRequest};
use crate::auth::Permission;
use crate::forwarding::core::DataKind;
use crate::limits::merged;

/// Longest such wait.
const MAX_EMPTY_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// Upper bound of rooms without participants.
const MAX_EMPTY_ROOMS: usize = 10_000;

impl Hub {
    /// Carries out a call for an app.
    pub(super) fn administer(
        &mut self,
        now: Instant,
        app: &str,
        request: AdminRequest,
    ) -> Result<AdminReply, AdminError> {
        let key = |room: &str| RoomKey { app: app.to_owned(), room: room.to_owned() };
        match request {
            AdminRequest::CreateRoom(request) => self.create_room(now, key(&request.name), *request),
            AdminRequest::ListRooms(request) => {
                let own = self.rooms.keys().filter(|key| key.app == app);
                let asked = own.filter(|key| request.names.is_empty() || request.names.contains(&key.room));
                let rooms = asked.map(|key| self.room_info(key)).collect();
                Ok(AdminReply::Rooms(ListRoomsResponse { rooms }))
            }
            AdminRequest::DeleteRoom(request) => self.delete_room(now, &key(&request.room)),
            AdminRequest::ListParticipants(request) => {
                let members = self.members_of(&key(&request.room));
                let participants = members.iter().filter_map(|id| self.participants.get(id)).map(Participant::info);
                Ok(AdminReply::Participants(ListParticipantsResponse { participants: participants.collect() }))
            }
            AdminRequest::GetParticipant(request) => {
                let id = self.known(&key(&request.room), &request.identity)?;
                self.participant_reply(id)
            }
            AdminRequest::RemoveParticipant(request) => {
                let id = self.known(&key(&request.room), &request.identity)?;
                self.leave(now, id, DisconnectReason::ParticipantRemoved, leave_request::Action::Disconnect);
                Ok(AdminReply::Removed(RemoveParticipantResponse {}))
            }
            AdminRequest::MutePublishedTrack(request) => self.mute_published(&key(&request.room), &request),
            AdminRequest::UpdateParticipant(request) => self.update_participant(now, &key(&request.room), request),
            AdminRequest::UpdateSubscriptions(request) => {
                let id = self.known(&key(&request.room), &request.identity)?;
                self.update_wishes(now, id, &wishes(request));
                Ok(AdminReply::Subscriptions(UpdateSubscriptionsResponse {}))
            }
            AdminRequest::SendData(request) => self.send_admin_data(now, &key(&request.room), request),
            AdminRequest::UpdateRoomMetadata(request) => self.update_room(&key(&request.room), request),
        }
    }

    fn known(&self, key: &RoomKey, identity: &str) -> Result<ParticipantId, AdminError> {
        self.find(key, identity).ok_or(AdminError::NotFound("participant"))
    }

    fn participant_reply(&self, id: ParticipantId) -> Result<AdminReply, AdminError> {
        let participant = self.participants.get(&id).ok_or(AdminError::NotFound("participant"))?;
        Ok(AdminReply::Participant(participant.info()))
    }

    fn create_room(
        &mut self,
        now: Instant,
        key: RoomKey,
        request: CreateRoomRequest,
    ) -> Result<AdminReply, AdminError> {
        if key.room.is_empty() {
            return Err(AdminError::InvalidArgument("the name of the room is missing"));
        }
        self.settings.limits.check_room_name(&key.room)?;
        self.settings.limits.check_metadata(&request.metadata)?;
        if !self.rooms.contains_key(&key) {
            if self.rooms.values().filter(|room| room.members.is_empty()).count() >= MAX_EMPTY_ROOMS {
                return Err(AdminError::FailedPrecondition("too many rooms wait for somebody already"));
            }
            let asked = Duration::from_secs(request.empty_timeout.into()).min(MAX_EMPTY_TIMEOUT);
            let max_participants = match request.max_participants {
                0 => self.settings.max_participants,
                asked => asked,
            };
            let mut room = Room::new(max_participants, unix_ms());
            room.metadata = request.metadata;
            room.kept_until = Some(now + if asked.is_zero() { self.settings.empty_timeout } else { asked });
            self.rooms.insert(key.clone(), room);
            self.notice_room_started(&key);
            self.want_reports(now);
        }
        Ok(AdminReply::Room(self.room_info(&key)))
    }

    fn delete_room(&mut self, now: Instant, key: &RoomKey) -> Result<AdminReply, AdminError> {
        let room = self.rooms.get_mut(key).ok_or(AdminError::NotFound("room"))?;
        room.kept_until = None;
        for id in self.members_of(key) {
            self.leave(now, id, DisconnectReason::RoomDeleted, leave_request::Action::Disconnect);
        }
        // The last one to leave may have left it to wait for others.
        if self.rooms.contains_key(key) {
            self.notice_room_finished(key, RoomEndReason::RoomEndApiDelete);
            self.rooms.remove(key);
        }
        Ok(AdminReply::RoomDeleted(DeleteRoomResponse {}))
    }

    /// Only the user can switch a microphone on.
    fn mute_published(&mut self, key: &RoomKey, request: &MuteRoomTrackRequest) -> Result<AdminReply, AdminError> {
        let id = self.known(key, &request.identity)?;
        let participant = self.participants.get_mut(&id).ok_or(AdminError::NotFound("participant"))?;
        let track = participant.track_mut(&request.track_sid).ok_or(AdminError::NotFound("track"))?;
        if track.info.muted && !request.muted {
            return Err(AdminError::FailedPrecondition("only the user can unmute a track"));
        }
        let changed = track.info.muted != request.muted;
        track.info.muted = request.muted;
        let info = track.info.clone();
        if changed {
            participant.send(Response::Mute(MuteTrackRequest { sid: info.sid.clone(), muted: true }));
            self.broadcast_participant(id);
        }
        Ok(AdminReply::Track(MuteRoomTrackResponse { track: Some(info) }))
    }

    fn update_participant(
        &mut self,
        now: Instant,
        key: &RoomKey,
        request: UpdateParticipantRequest,
    ) -> Result<AdminReply, AdminError> {
        let id = self.known(key, &request.identity)?;
        let participant = self.participants.get_mut(&id).ok_or(AdminError::NotFound("participant"))?;
        let limits = &self.settings.limits;
        let attributes = merged(&participant.attributes, &request.attributes);
        limits.check_attributes(&attributes)?;
        limits.check_metadata(&request.metadata)?;
        limits.check_participant_name(&request.name)?;
        participant.attributes = attributes;
        if !request.name.is_empty() {
            participant.name = request.name;
        }
        if !request.metadata.is_empty() {
            participant.metadata = request.metadata;
        }
        let mut may_publish = true;
        if let Some(permission) = request.permission {
            may_publish = permission.can_publish;
            participant.permission = Permission {
                publish: permission.can_publish,
                subscribe: permission.can_subscribe,
                publish_data: permission.can_publish_data,
                update_metadata: permission.can_update_metadata,
                sources: permission.can_publish_sources,
                // Whether a participant is hidden cannot change during a session.
                hidden: participant.permission.hidden,
                streams: participant.permission.streams.take(),
            };
        }
        if may_publish {
            self.broadcast_participant(id);
        } else {
            self.end_tracks(now, id);
        }
        self.update_subscriptions(now, id);
        self.renew_token(now, id);
        self.participant_reply(id)
    }

    fn send_admin_data(
        &mut self,
        now: Instant,
        key: &RoomKey,
        request: SendDataRequest,
    ) -> Result<AdminReply, AdminError> {
        if !self.rooms.contains_key(key) {
            return Err(AdminError::NotFound("room"));
        }
        if request.data.len() > MAX_DATA_PAYLOAD {
            return Err(AdminError::InvalidArgument("the message is too long"));
        }
        let kind = if request.kind == data_packet::Kind::Lossy as i32 { DataKind::Lossy } else { DataKind::Reliable };
        let destinations = destinations(&request);
        let user = UserPacket { payload: request.data, topic: request.topic, ..UserPacket::default() };
        let packet = DataPacket {
            destination_identities: request.destination_identities,
            value: Some(data_packet::Value::User(user)),
            ..DataPacket::default()
        };
        self.send_data_to(now, key, None, kind, &destinations, &packet.encode_to_vec());
        Ok(AdminReply::Sent(SendDataResponse {}))
    }

    fn update_room(&mut self, key: &RoomKey, request: UpdateRoomMetadataRequest) -> Result<AdminReply, AdminError> {
        self.settings.limits.check_metadata(&request.metadata)?;
        let room = self.rooms.get_mut(key).ok_or(AdminError::NotFound("room"))?;
        room.metadata = request.metadata;
        self.broadcast_room(key);
        Ok(AdminReply::Room(self.room_info(key)))
    }
}

fn wishes(request: UpdateSubscriptionsRequest) -> UpdateSubscription {
    UpdateSubscription {
        track_sids: request.track_sids,
        subscribe: request.subscribe,
        participant_tracks: request.participant_tracks,
    }
}

/// Older callers name sids, in a deprecated field.
#[allow(deprecated)]
fn destinations(request: &SendDataRequest) -> Vec<String> {
    request.destination_identities.iter().chain(&request.destination_sids).cloned().collect()
}
