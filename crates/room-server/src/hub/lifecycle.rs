//! Joining, losing and taking up the connection, leaving.

use std::time::{Duration, Instant};

use protocol::messages::{
    DisconnectReason, JoinRequest, JoinResponse, LeaveRequest, ParticipantUpdate, ReconnectResponse, Response,
    RoomEndReason, RoomUpdate, ServerInfo, leave_request, participant_info, server_info,
};

use super::command::Connect;
use super::ids::{ConnectionId, ParticipantId, RoomKey, new_sid};
use super::participant::{Connection, Participant, ParticipantPeers};
use super::peers::Role;
use super::room::Room;
use super::{Hub, unix_ms};
use crate::auth::{Admission, Permission};
use crate::limits::{Limits, merged};
use crate::signalling::{PING_INTERVAL, PING_TIMEOUT};

/// Version of LiveKit's server that clients adapt to.
const SERVER_VERSION: &str = "1.9.0";
/// Signalling protocol that is spoken here. From 18 on data channels are negotiated in another way.
const PROTOCOL: i32 = 16;
/// A participant without signalling that sends nothing on its media connections for this long has gone. Clients check an
/// idle connection every 2.5 s at least (RFC 7675 asks for 5 s).
const INACTIVITY_TIMEOUT: Duration = Duration::from_millis(3500);

impl Hub {
    pub(super) fn connect(&mut self, now: Instant, connect: Connect) {
        if connect.resume.is_some() { self.resume(now, connect) } else { self.join(now, connect) }
    }

    fn join(&mut self, now: Instant, connect: Connect) {
        let Connect { connection, mut admission, auto_subscribe, sender, single, reached, .. } = connect;
        let key = RoomKey { app: admission.app.clone(), room: admission.room.clone() };
        let identity = admission.identity.clone();
        if let Some(older) = self.find(&key, &identity) {
            tracing::info!(room = key.room, identity, "second login, the older session has to go");
            self.leave(now, older, DisconnectReason::DuplicateIdentity, leave_request::Action::Disconnect);
        }
        if self.is_full(&key) {
            tracing::info!(room = key.room, identity, "room is full");
            sender.send(super::encode(leave_message(DisconnectReason::JoinFailure, leave_request::Action::Disconnect)));
            return;
        }
        let max_participants = match admission.max_participants {
            0 => self.settings.max_participants,
            asked => asked,
        };
        let is_new = !self.rooms.contains_key(&key);
        let room = self.rooms.entry(key.clone()).or_insert_with(|| Room::new(max_participants, unix_ms()));
        self.last_participant += 1;
        let id = ParticipantId(self.last_participant);
        room.members.push(id);
        let peers = if single.is_some() {
            let both = self.peers.create(now, id, Role::Both);
            ParticipantPeers { publisher: both, subscriber: both }
        } else {
            ParticipantPeers {
                publisher: self.peers.create(now, id, Role::Publisher),
                subscriber: self.peers.create(now, id, Role::Subscriber),
            }
        };
        let single = single.map(|request| *request);
        if let Some(request) = &single {
            describe(&mut admission, request, &self.settings.limits);
        }
        let mut participant = Participant::new(id, new_sid("PA"), admission, auto_subscribe, peers, unix_ms(), now);
        participant.connection = Some(Connection { id: connection, sender });
        participant.negotiation.is_dirty = true;
        let hidden = participant.permission.hidden;
        let info = participant.info();
        self.participants.insert(id, participant);
        self.connections.insert(connection, id);
        if is_new {
            self.notice_room_started(&key);
        }
        tracing::info!(
            room = key.room,
            identity,
            sid = info.sid,
            connections = if single.is_some() { 1 } else { 2 },
            "joined"
        );

        let sid = info.sid.clone();
        let join = JoinResponse {
            room: Some(self.room_info(&key)),
            participant: Some(info),
            other_participants: self.infos(&key, id),
            server_version: SERVER_VERSION.to_owned(),
            server_info: Some(server_info()),
            subscriber_primary: single.is_none(),
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
            enabled_publish_codecs: self.settings.codecs.for_publishers(),
            fast_publish: true,
            ice_servers: self.settings.ice_servers.last_sent(&sid, &reached),
            ..JoinResponse::default()
        };
        self.metrics.joins.inc();
        self.send(id, Response::Join(join));
        self.renew_token(now, id);
        self.want_reports(now);
        match single {
            Some(request) => self.first_requests(now, id, request),
            // Its primary connection is the subscriber's, which needs this offer to come up.
            None => self.offer_if_needed(now, id),
        }
        if !hidden {
            self.broadcast_participant(id);
            self.broadcast_room(&key);
        }
    }

    fn resume(&mut self, now: Instant, connect: Connect) {
        let Connect { connection, admission, sender, resume, single, reached, .. } = connect;
        let key = RoomKey { app: admission.app, room: admission.room };
        let wanted = resume.unwrap_or_default();
        let present = self.find(&key, &admission.identity);
        let found = present.filter(|id| {
            self.participants.get(id).is_some_and(|participant| {
                (wanted.is_empty() || participant.sid == wanted) && participant.single.is_some() == single.is_some()
            })
        });
        let Some(id) = found else {
            tracing::info!(room = key.room, identity = admission.identity, "nothing to resume");
            // A session that was replaced must not remove the newer one.
            let newer = present.filter(|id| self.participants.get(id).is_some_and(|p| p.sid != wanted));
            let (reason, action) = match newer {
                Some(_) => (DisconnectReason::DuplicateIdentity, leave_request::Action::Disconnect),
                None => (DisconnectReason::StateMismatch, leave_request::Action::Reconnect),
            };
            sender.send(super::encode(leave_message(reason, action)));
            return;
        };
        let others = self.infos(&key, id);
        let room = self.room_info(&key);
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if let Some(old) = participant.connection.replace(Connection { id: connection, sender }) {
            self.connections.remove(&old.id);
        }
        self.connections.insert(connection, id);
        // A client that got a new token brings its rights this way.
        participant.permission = Permission { hidden: participant.permission.hidden, ..admission.permission };
        participant.grants = admission.grants;
        let lost_since = participant.lost_since.take();
        self.metrics.resumes.inc();
        tracing::info!(room = key.room, identity = participant.identity, "resumed");
        participant.send(Response::Reconnect(ReconnectResponse {
            server_info: Some(server_info()),
            ice_servers: self.settings.ice_servers.last_sent(&participant.sid, &reached),
            last_message_seq: participant.last_data_sequence,
            ..ReconnectResponse::default()
        }));
        let mut participants = vec![participant.info()];
        participants.extend(others);
        participant.send(Response::Update(ParticipantUpdate { participants }));
        participant.send(Response::RoomUpdate(RoomUpdate { room: Some(room) }));
        participant.negotiation.roll_back();
        participant.negotiation.ice_restart = true;
        participant.negotiation.is_dirty = true;
        participant.missed_since = lost_since;
        match (single, &mut participant.single) {
            (Some(request), Some(lines)) => {
                lines.resumed(now);
                self.first_requests(now, id, *request);
            }
            _ => self.update_subscriptions(now, id),
        }
    }

    /// Handles what a client with one peer connection sends in its join or resume request.
    fn first_requests(&mut self, now: Instant, id: ParticipantId, request: JoinRequest) {
        if let Some(state) = &request.sync_state {
            self.sync_state(now, id, state);
        }
        for track in request.add_track_requests {
            self.add_track(now, id, track);
        }
        if let Some(offer) = &request.publisher_offer {
            self.publisher_offer(now, id, offer);
        }
        self.update_subscriptions(now, id);
    }

    /// A signalling connection ended without a good-bye.
    pub(super) fn disconnected(&mut self, now: Instant, connection: ConnectionId) {
        let Some(id) = self.connections.remove(&connection) else { return };
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.connection = None;
        participant.lost_since = Some(now);
        tracing::info!(room = participant.room.room, identity = participant.identity, "signalling lost");
        self.remove_inactive_participants(now);
    }

    /// Removes participants whose signalling is lost and that are silent or have been away for too long.
    pub(super) fn remove_inactive_participants(&mut self, now: Instant) {
        let mut gone = Vec::new();
        let mut waiting = false;
        for participant in self.participants.values_mut() {
            if participant.connection.is_none() {
                let since = *participant.lost_since.get_or_insert(now);
                let has_media = participant.publisher_up || participant.subscriber_up;
                let heard = [participant.publisher, participant.subscriber].map(|peer| self.peers.heard_at(peer));
                let silent_since = heard.into_iter().flatten().fold(since, Instant::max);
                if !has_media
                    || now.saturating_duration_since(silent_since) >= INACTIVITY_TIMEOUT
                    || now.saturating_duration_since(since) >= self.settings.reconnect_timeout
                {
                    gone.push(participant.id);
                } else {
                    waiting = true;
                }
            }
        }
        for id in gone {
            self.leave(now, id, DisconnectReason::SignalClose, leave_request::Action::Disconnect);
        }
        if waiting {
            self.want_housekeeping(now);
        }
    }

    /// Removes a participant, and notifies it, if possible, and the others.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        id: ParticipantId,
        reason: DisconnectReason,
        action: leave_request::Action,
    ) {
        let subscriptions = self.participants.get_mut(&id).map(|p| std::mem::take(&mut p.subscriptions));
        for subscription in subscriptions.unwrap_or_default() {
            self.stop_forwarding(subscription.publisher, &subscription.track_sid, id);
        }
        let Some(mut participant) = self.participants.remove(&id) else { return };
        if reason != DisconnectReason::ClientInitiated {
            participant.send(leave_message(reason, action));
        }
        if let Some(connection) = participant.connection.take() {
            self.connections.remove(&connection.id);
        }
        let gone: Vec<_> = participant.tracks.iter().map(|track| track.info.clone()).collect();
        self.forget_tracks(&gone);
        self.peers.remove(now, participant.publisher);
        self.peers.remove(now, participant.subscriber);
        let key = participant.room.clone();
        tracing::info!(room = key.room, identity = participant.identity, ?reason, "left");

        let mut info = participant.info();
        info.state = participant_info::State::Disconnected as i32;
        info.disconnect_reason = reason as i32;
        info.version = participant.version + 1;
        info.tracks.clear();
        if let Some(room) = self.rooms.get_mut(&key) {
            room.members.retain(|member| *member != id);
            if room.members.is_empty() {
                let until = now + self.settings.departure_timeout;
                room.kept_until = room.kept_until.max(Some(until)).filter(|until| *until > now);
            }
        }
        self.notice_left(&participant, &info);
        let end = match reason {
            DisconnectReason::RoomDeleted => RoomEndReason::RoomEndApiDelete,
            DisconnectReason::ServerShutdown => RoomEndReason::RoomEndServerShutdown,
            _ => RoomEndReason::RoomEndIdleTimeout,
        };
        if self.close_if_expired(now, &key, end) {
            return;
        }
        if !participant.permission.hidden {
            let message = super::encode(Response::Update(ParticipantUpdate { participants: vec![info] }));
            for member in self.members_of(&key) {
                self.send_encoded(member, &message);
            }
            self.broadcast_room(&key);
        }
        for member in self.members_of(&key) {
            self.update_subscriptions(now, member);
        }
        // Others may be watched less now.
        self.want_housekeeping(now);
    }

    /// Closes an empty room when its timeout has passed.
    pub(super) fn close_if_expired(&mut self, now: Instant, key: &RoomKey, reason: RoomEndReason) -> bool {
        let Some(room) = self.rooms.get(key) else { return true };
        if !room.members.is_empty() || room.kept_until.is_some_and(|until| until > now) {
            return false;
        }
        tracing::info!(room = key.room, "room closed");
        self.notice_room_finished(key, reason);
        self.rooms.remove(key);
        true
    }

    pub(super) fn shut_down(&mut self, now: Instant) {
        let everybody: Vec<ParticipantId> = self.participants.keys().copied().collect();
        for id in everybody {
            self.leave(now, id, DisconnectReason::ServerShutdown, leave_request::Action::Disconnect);
        }
        for key in self.rooms.keys() {
            self.notice_room_finished(key, RoomEndReason::RoomEndServerShutdown);
        }
        self.rooms.clear();
    }

    pub(super) fn find(&self, key: &RoomKey, identity: &str) -> Option<ParticipantId> {
        let members = &self.rooms.get(key)?.members;
        members.iter().copied().find(|id| self.participants.get(id).is_some_and(|p| p.identity == identity))
    }

    fn is_full(&self, key: &RoomKey) -> bool {
        let Some(room) = self.rooms.get(key) else { return false };
        let visible = room.members.iter().filter(|id| self.participants.get(id).is_some_and(|p| !p.permission.hidden));
        room.max_participants > 0 && visible.count() >= room.max_participants as usize
    }

    /// The other participants' information for `except`.
    fn infos(&self, key: &RoomKey, except: ParticipantId) -> Vec<protocol::messages::ParticipantInfo> {
        self.members_of(key)
            .iter()
            .filter(|id| **id != except)
            .filter_map(|id| self.participants.get(id))
            .filter(|participant| !participant.permission.hidden)
            .map(Participant::info)
            .collect()
    }
}

/// The request's own description of the participant overrides the token's, if permitted.
fn describe(admission: &mut Admission, request: &JoinRequest, limits: &Limits) {
    let attributes = merged(&admission.attributes, &request.participant_attributes);
    let fits = limits.check_attributes(&attributes).and(limits.check_metadata(&request.metadata));
    if let Err(error) = fits {
        tracing::info!(identity = admission.identity, %error, "what the join request says is left out");
        return;
    }
    if !admission.permission.update_metadata {
        return;
    }
    if !request.metadata.is_empty() {
        admission.metadata.clone_from(&request.metadata);
    }
    admission.attributes = attributes;
}

fn leave_message(reason: DisconnectReason, action: leave_request::Action) -> Response {
    Response::Leave(LeaveRequest {
        can_reconnect: action != leave_request::Action::Disconnect,
        reason: reason as i32,
        action: action as i32,
        ..LeaveRequest::default()
    })
}

fn server_info() -> ServerInfo {
    ServerInfo {
        edition: server_info::Edition::Standard as i32,
        version: SERVER_VERSION.to_owned(),
        protocol: PROTOCOL,
        debug_info: concat!("zego-room-server ", env!("CARGO_PKG_VERSION")).to_owned(),
        ..ServerInfo::default()
    }
}
