//! The calls by which an application's own server looks after its rooms: LiveKit's `RoomService` over Twirp, that is
//! `POST /twirp/livekit.RoomService/METHOD` with a JSON or protobuf message and an answer of the same kind.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use protocol::messages::{
    CreateRoomRequest, DeleteRoomRequest, DeleteRoomResponse, ListParticipantsRequest, ListParticipantsResponse,
    ListRoomsRequest, ListRoomsResponse, MuteRoomTrackRequest, MuteRoomTrackResponse, ParticipantInfo, ProtoMessage,
    RemoveParticipantResponse, Room, RoomParticipantIdentity, SendDataRequest, SendDataResponse,
    UpdateParticipantRequest, UpdateRoomMetadataRequest, UpdateSubscriptionsRequest, UpdateSubscriptionsResponse,
};
use protocol::token::{Claims, verify};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::http::HttpState;
use crate::hub::command::{AdminCall, Command};
use crate::limits::TooLong;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/protobuf";

/// A call.
#[derive(Clone, Debug)]
pub enum AdminRequest {
    /// Makes a room before anybody is in it.
    CreateRoom(Box<CreateRoomRequest>),
    /// Rooms of the app.
    ListRooms(ListRoomsRequest),
    /// Ends a room for all participants.
    DeleteRoom(DeleteRoomRequest),
    /// Lists the participants of a room.
    ListParticipants(ListParticipantsRequest),
    /// One of them.
    GetParticipant(RoomParticipantIdentity),
    /// Removes a participant.
    RemoveParticipant(RoomParticipantIdentity),
    /// Mutes a participant's track.
    MutePublishedTrack(MuteRoomTrackRequest),
    /// Changes name, metadata, attributes or permissions of a participant.
    UpdateParticipant(UpdateParticipantRequest),
    /// Subscribes or unsubscribes a participant.
    UpdateSubscriptions(UpdateSubscriptionsRequest),
    /// Sends a message.
    SendData(SendDataRequest),
    /// Changes a room's metadata.
    UpdateRoomMetadata(UpdateRoomMetadataRequest),
}

/// The answer to a call.
#[derive(Clone, Debug)]
pub enum AdminReply {
    /// A room.
    Room(Room),
    /// Rooms.
    Rooms(ListRoomsResponse),
    /// Participants.
    Participants(ListParticipantsResponse),
    /// A participant.
    Participant(ParticipantInfo),
    /// A track.
    Track(MuteRoomTrackResponse),
    /// The room is gone.
    RoomDeleted(DeleteRoomResponse),
    /// The participant is gone.
    Removed(RemoveParticipantResponse),
    /// Subscriptions were changed.
    Subscriptions(UpdateSubscriptionsResponse),
    /// The message is on its way.
    Sent(SendDataResponse),
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// There is no such method.
    #[error("no such method")]
    BadRoute,
    /// A service of LiveKit's that is not here.
    #[error("this server has no {0}")]
    Unimplemented(String),
    /// The body is not a message of that method.
    #[error("malformed request: {0}")]
    Malformed(String),
    /// A field has a value that is not allowed.
    #[error("{0}")]
    InvalidArgument(&'static str),
    /// A text is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// There is no valid token.
    #[error("{0}")]
    Unauthenticated(String),
    /// The token does not allow this.
    #[error("the token does not allow this")]
    PermissionDenied,
    /// There is no such room, participant or track.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// It cannot be done as things are.
    #[error("{0}")]
    FailedPrecondition(&'static str),
    /// The server is about to stop.
    #[error("the server stops")]
    Unavailable,
}

impl AdminError {
    /// Name and HTTP status by Twirp's table of errors.
    fn code(&self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRoute => ("bad_route", StatusCode::NOT_FOUND),
            Self::Unimplemented(_) => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
            Self::Malformed(_) => ("malformed", StatusCode::BAD_REQUEST),
            Self::InvalidArgument(_) | Self::TooLong(_) => ("invalid_argument", StatusCode::BAD_REQUEST),
            Self::Unauthenticated(_) => ("unauthenticated", StatusCode::UNAUTHORIZED),
            Self::PermissionDenied => ("permission_denied", StatusCode::FORBIDDEN),
            Self::NotFound(_) => ("not_found", StatusCode::NOT_FOUND),
            Self::FailedPrecondition(_) => ("failed_precondition", StatusCode::PRECONDITION_FAILED),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let (code, status) = self.code();
        let body = serde_json::json!({ "code": code, "msg": self.to_string() }).to_string();
        (status, [(CONTENT_TYPE, JSON)], body).into_response()
    }
}

impl AdminRequest {
    fn decode(method: &str, body: &[u8], is_json: bool) -> Result<Self, AdminError> {
        Ok(match method {
            "CreateRoom" => Self::CreateRoom(Box::new(decode(body, is_json)?)),
            "ListRooms" => Self::ListRooms(decode(body, is_json)?),
            "DeleteRoom" => Self::DeleteRoom(decode(body, is_json)?),
            "ListParticipants" => Self::ListParticipants(decode(body, is_json)?),
            "GetParticipant" => Self::GetParticipant(decode(body, is_json)?),
            "RemoveParticipant" => Self::RemoveParticipant(decode(body, is_json)?),
            "MutePublishedTrack" => Self::MutePublishedTrack(decode(body, is_json)?),
            "UpdateParticipant" => Self::UpdateParticipant(decode(body, is_json)?),
            "UpdateSubscriptions" => Self::UpdateSubscriptions(decode(body, is_json)?),
            "SendData" => Self::SendData(decode(body, is_json)?),
            "UpdateRoomMetadata" => Self::UpdateRoomMetadata(decode(body, is_json)?),
            _ => return Err(AdminError::BadRoute),
        })
    }

    /// Whether the holder of a token may do this.
    fn is_allowed(&self, claims: &Claims) -> bool {
        let room = match self {
            Self::CreateRoom(_) | Self::DeleteRoom(_) => return claims.grants.room_create,
            Self::ListRooms(_) => return claims.grants.room_list,
            Self::ListParticipants(request) => &request.room,
            Self::GetParticipant(request) | Self::RemoveParticipant(request) => &request.room,
            Self::MutePublishedTrack(request) => &request.room,
            Self::UpdateParticipant(request) => &request.room,
            Self::UpdateSubscriptions(request) => &request.room,
            Self::SendData(request) => &request.room,
            Self::UpdateRoomMetadata(request) => &request.room,
        };
        claims.grants.room_admin && claims.room == *room
    }
}

impl AdminReply {
    fn encode(&self, is_json: bool) -> Result<Vec<u8>, AdminError> {
        match self {
            Self::Room(reply) => encode(reply, is_json),
            Self::Rooms(reply) => encode(reply, is_json),
            Self::Participants(reply) => encode(reply, is_json),
            Self::Participant(reply) => encode(reply, is_json),
            Self::Track(reply) => encode(reply, is_json),
            Self::RoomDeleted(reply) => encode(reply, is_json),
            Self::Removed(reply) => encode(reply, is_json),
            Self::Subscriptions(reply) => encode(reply, is_json),
            Self::Sent(reply) => encode(reply, is_json),
        }
    }
}

fn decode<M: ProtoMessage + Default + DeserializeOwned>(body: &[u8], is_json: bool) -> Result<M, AdminError> {
    if is_json {
        serde_json::from_slice(body).map_err(|error| AdminError::Malformed(error.to_string()))
    } else {
        M::decode(body).map_err(|error| AdminError::Malformed(error.to_string()))
    }
}

fn encode<M: ProtoMessage + Serialize>(message: &M, is_json: bool) -> Result<Vec<u8>, AdminError> {
    if is_json {
        serde_json::to_vec(message).map_err(|error| AdminError::Malformed(error.to_string()))
    } else {
        Ok(message.encode_to_vec())
    }
}

/// Handles a call.
pub async fn administer(
    State(state): State<Arc<HttpState>>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_json = match kind.split(';').next().map(str::trim) {
        Some(JSON) => true,
        Some(PROTOBUF) => false,
        _ => return AdminError::BadRoute.into_response(),
    };
    match call(&state, &method, &headers, &body, is_json).await {
        Ok(reply) => ([(CONTENT_TYPE, if is_json { JSON } else { PROTOBUF })], reply).into_response(),
        Err(error) => {
            tracing::info!(method, %error, "call refused");
            error.into_response()
        }
    }
}

/// The answer of LiveKit's other services (egress, ingress, telephony, agents), which are not built.
pub async fn not_implemented(Path((service, _)): Path<(String, String)>) -> Response {
    AdminError::Unimplemented(service).into_response()
}

async fn call(
    state: &HttpState,
    method: &str,
    headers: &HeaderMap,
    body: &[u8],
    is_json: bool,
) -> Result<Vec<u8>, AdminError> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| AdminError::Unauthenticated("no access token".to_owned()))?;
    let claims = verify(token.trim(), |key| state.keys.secret(key))
        .map_err(|error| AdminError::Unauthenticated(error.to_string()))?;
    let request = AdminRequest::decode(method, body, is_json)?;
    if !request.is_allowed(&claims) {
        return Err(AdminError::PermissionDenied);
    }
    let (reply, answer) = oneshot::channel();
    let call = AdminCall { app: claims.api_key, request, reply };
    state.hub.send(Command::Admin(Box::new(call))).await.map_err(|_| AdminError::Unavailable)?;
    answer.await.map_err(|_| AdminError::Unavailable)??.encode(is_json)
}

#[cfg(test)]
mod tests {
    use protocol::token::Grants;

    use super::*;
    use netsim::Random;

    fn claims(grants: Grants) -> Claims {
        Claims { room: "r".into(), grants, ..Claims::default() }
    }

    #[test]
    fn both_encodings_say_the_same() {
        let json = AdminRequest::decode("DeleteRoom", br#"{"room":"r"}"#, true).unwrap();
        let binary = AdminRequest::decode("DeleteRoom", &DeleteRoomRequest { room: "r".into() }.encode_to_vec(), false);
        for request in [json, binary.unwrap()] {
            assert!(matches!(request, AdminRequest::DeleteRoom(DeleteRoomRequest { room }) if room == "r"));
        }
    }

    #[test]
    fn garbage_and_unknown_methods_are_refused() {
        assert!(matches!(AdminRequest::decode("DeleteRoom", b"{", true), Err(AdminError::Malformed(_))));
        assert!(matches!(AdminRequest::decode("DeleteRoom", &[0xff], false), Err(AdminError::Malformed(_))));
        assert_eq!(AdminRequest::decode("Explode", b"{}", true).unwrap_err(), AdminError::BadRoute);
    }

    #[test]
    fn thousands_of_broken_bodies_are_answered() {
        let seeds = [
            ("CreateRoom", r#"{"name":"r","emptyTimeout":60,"maxParticipants":5,"metadata":"m"}"#),
            ("ListRooms", r#"{"names":["r","s"]}"#),
            ("MutePublishedTrack", r#"{"room":"r","identity":"i","trackSid":"TR_1","muted":true}"#),
            (
                "UpdateParticipant",
                r#"{"room":"r","identity":"i","permission":{"canPublish":true},"attributes":{"a":"b"}}"#,
            ),
            (
                "UpdateSubscriptions",
                r#"{"room":"r","trackSids":["TR_1"],"participantTracks":[{"participantSid":"PA_1"}]}"#,
            ),
            ("SendData", r#"{"room":"r","data":"aGVsbG8=","kind":"LOSSY","destinationIdentities":["i"],"topic":"t"}"#),
        ];
        let mut random = Random::new(3);
        for (method, json) in seeds {
            assert!(AdminRequest::decode(method, json.as_bytes(), true).is_ok(), "{method}");
            for _ in 0..3000 {
                let body = random.mutate(json.as_bytes());
                for is_json in [true, false] {
                    match AdminRequest::decode(method, &body, is_json) {
                        Ok(_) | Err(AdminError::Malformed(_)) => {}
                        Err(error) => panic!("{method}: {error}"),
                    }
                }
            }
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(AdminRequest::decode("ListRooms", deep.as_bytes(), true), Err(AdminError::Malformed(_))));
    }

    #[test]
    fn every_call_needs_its_grant_and_the_administrator_rules_one_room() {
        let of = |room: &str| AdminRequest::ListParticipants(ListParticipantsRequest { room: room.into() });
        let admin = claims(Grants { room_admin: true, ..Grants::default() });
        assert!(of("r").is_allowed(&admin));
        assert!(!of("other").is_allowed(&admin));
        assert!(!of("r").is_allowed(&claims(Grants::participant())));
        let list = AdminRequest::ListRooms(ListRoomsRequest::default());
        assert!(!list.is_allowed(&admin));
        assert!(list.is_allowed(&claims(Grants { room_list: true, ..Grants::default() })));
        let delete = AdminRequest::DeleteRoom(DeleteRoomRequest { room: "r".into() });
        assert!(!delete.is_allowed(&admin));
        assert!(delete.is_allowed(&claims(Grants { room_create: true, ..Grants::default() })));
    }
}
