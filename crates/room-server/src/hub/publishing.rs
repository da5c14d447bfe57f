//! Publishing: announcement of a track, the offer that carries it, its end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use protocol::conventions::{chosen_stream_id, derived_stream_id};
use protocol::limits::MAX_WIRE_NAME;
use protocol::messages::request_response::{Reason, Request as AboutRequest};
use protocol::messages::{
    AddTrackRequest, DisconnectReason, RequestResponse, Response, SessionDescription, SimulcastCodecInfo, SyncState,
    TrackInfo, TrackPublishedResponse, TrackType, TrackUnpublishedResponse, leave_request,
};

use super::Hub;
use super::announced_lines::{Carried, Known, carried};
use super::ids::{ParticipantId, new_sid};
use super::sdp::{OfferedLine, has_too_many_lines, mark_stereo, offered_lines};
use super::sdp_codecs::{prefer_codecs, repeat_bitrates, sent_codecs};
use super::track::{PendingTrack, PublishedTrack, is_stereo, kind_of};
use crate::codecs::EnabledCodecs;
use crate::forwarding::core::{MediaKind, Mid};

/// Upper bound of one participant's tracks, announced and published.
const MAX_TRACKS: usize = 64;
/// The codec that a publisher of audio is asked for unless it declines: RED.
const REDUNDANT_AUDIO: &str = "audio/red";
/// A track that was announced and then appears in no offer for this long is forgotten, and its stream is free again.
const ANNOUNCEMENT_LIFE: Duration = Duration::from_secs(30);

impl Hub {
    pub(super) fn add_track(&mut self, now: Instant, id: ParticipantId, request: AddTrackRequest) {
        let Some(participant) = self.participants.get(&id) else { return };
        if let Some(known) = participant.pending_tracks.iter().find(|track| track.cid == request.cid) {
            let track = Some(known.info.clone());
            self.send(id, Response::TrackPublished(TrackPublishedResponse { cid: request.cid, track }));
            return;
        }
        let chosen = chosen_stream_id(&request.name, &request.stream).map(str::to_owned);
        let is_chosen = chosen.is_some();
        let stream_id = chosen.unwrap_or_else(|| derived_stream_id(&participant.identity, request.source));
        if let Err(reason) = self.may_publish(id, &request, &stream_id) {
            tracing::info!(identity = participant.identity, stream_id, ?reason, "track refused");
            if let Some(participant) = self.participants.get_mut(&id) {
                participant.remember_refused(&request.cid);
            }
            self.send(
                id,
                Response::RequestResponse(RequestResponse {
                    request_id: 0,
                    reason: reason as i32,
                    message: format!("stream {stream_id} cannot be published"),
                    request: Some(AboutRequest::AddTrack(request)),
                }),
            );
            return;
        }
        let info = track_info(&request, &self.settings.codecs);
        let Some(participant) = self.participants.get_mut(&id) else { return };
        tracing::info!(identity = participant.identity, stream_id, sid = info.sid, "track announced");
        participant.pending_tracks.push(PendingTrack {
            cid: request.cid.clone(),
            info: info.clone(),
            stream_id,
            is_chosen,
            since: now,
        });
        participant.send(Response::TrackPublished(TrackPublishedResponse { cid: request.cid, track: Some(info) }));
        self.want_housekeeping(now);
    }

    fn may_publish(&self, id: ParticipantId, request: &AddTrackRequest, stream_id: &str) -> Result<(), Reason> {
        let Some(participant) = self.participants.get(&id) else { return Err(Reason::NotFound) };
        let permission = &participant.permission;
        if !permission.may_publish(request.source, stream_id) {
            return Err(Reason::NotAllowed);
        }
        if participant.tracks.len() + participant.pending_tracks.len() >= MAX_TRACKS {
            return Err(Reason::LimitExceeded);
        }
        if request.cid.is_empty()
            || [&request.cid, &request.name, &request.stream].iter().any(|t| t.len() > MAX_WIRE_NAME)
        {
            return Err(Reason::InvalidRequest);
        }
        // With the sid of a track it would be the same track in another codec.
        let is_another_codec = !request.sid.is_empty();
        if TrackType::try_from(request.r#type).is_err() || request.r#type == TrackType::Data as i32 || is_another_codec
        {
            return Err(Reason::UnsupportedType);
        }
        if chosen_stream_id(&request.name, &request.stream).is_none() {
            return Ok(());
        }
        let app = &participant.room.app;
        let is_taken = self
            .participants
            .values()
            .any(|other| other.id != id && other.room.app == *app && other.has_stream(stream_id));
        if is_taken { Err(Reason::DuplicateName) } else { Ok(()) }
    }

    pub(super) fn publisher_offer(&mut self, now: Instant, id: ParticipantId, offer: &SessionDescription) {
        let Some(peer) = self.participants.get(&id).map(|participant| participant.publisher) else { return };
        if has_too_many_lines(&offer.sdp) {
            tracing::info!(?id, "offer has too many lines");
            self.leave(now, id, DisconnectReason::StateMismatch, leave_request::Action::Disconnect);
            return;
        }
        let Some(result) = self.peers.act(peer, now, |connection| connection.accept_offer(now, &offer.sdp)) else {
            return;
        };
        self.peers.refresh_ufrag(peer);
        let answer = match result {
            Ok(sdp) => sdp,
            Err(error) => {
                tracing::info!(?id, %error, "offer refused");
                self.leave(now, id, DisconnectReason::StateMismatch, leave_request::Action::Reconnect);
                return;
            }
        };
        let lines = offered_lines(&offer.sdp);
        let carried = self.carried_lines(id, &lines);
        tracing::debug!(?id, offer = offer.id, lines = lines.len(), "offer answered");
        let placed = self.place_subscriptions(now, id, &lines);
        let tracks = self.tracks_of_lines(id, &lines, &carried);
        let answer = prefer_codecs(&answer, &wanted_codecs(&tracks));
        let answer = mark_stereo(&answer, &stereo_lines(&tracks), "stereo=1");
        let answer = repeat_bitrates(&answer, &offer.sdp);
        let codecs = sent_codecs(&answer);
        let (sdp, mid_to_track_id) = self.name_answer(id, answer, &placed);
        self.send(
            id,
            Response::Answer(SessionDescription { r#type: "answer".to_owned(), sdp, id: offer.id, mid_to_track_id }),
        );
        for (track_sid, line) in placed {
            self.start_forwarding(now, id, &track_sid, line);
        }
        self.offer_if_needed(now, id);
        let removed = self.unpublish_missing(id, &lines, &carried);
        let added = self.publish_carried(id, &lines, carried, &codecs);
        if removed || added {
            self.tracks_changed(now, id);
        }
    }

    /// Which announced tracks the lines of an offer carry.
    fn carried_lines(&self, id: ParticipantId, lines: &[OfferedLine]) -> Vec<Carried> {
        let Some(participant) = self.participants.get(&id) else { return Vec::new() };
        let known = Known {
            pending: &participant.pending_tracks,
            published: &participant.tracks,
            refused: &participant.refused_tracks,
            names_lines: participant.names_lines,
        };
        carried(lines, &known)
    }

    /// The tracks that the client sends, by the line that carries them, with those that it is about to send.
    fn tracks_of_lines(
        &self,
        id: ParticipantId,
        lines: &[OfferedLine],
        carried: &[Carried],
    ) -> HashMap<String, TrackInfo> {
        let Some(participant) = self.participants.get(&id) else { return HashMap::new() };
        let is_sending = |mid: &str| lines.iter().any(|line| line.mid == mid && line.is_sending);
        let published = participant.tracks.iter().filter(|track| is_sending(track.line.as_str()));
        let mut tracks: HashMap<String, TrackInfo> =
            published.map(|track| (track.line.to_string(), track.info.clone())).collect();
        for Carried { mid, cid, .. } in carried {
            if let Some(pending) = participant.pending_tracks.iter().find(|track| track.cid == *cid) {
                tracks.insert(mid.clone(), pending.info.clone());
            }
        }
        tracks
    }

    /// Publishes the announced tracks that the offer carries. A track whose m-line was rejected, because none of its codecs is
    /// accepted, is refused.
    fn publish_carried(
        &mut self,
        id: ParticipantId,
        lines: &[OfferedLine],
        carried: Vec<Carried>,
        codecs: &HashMap<String, Option<String>>,
    ) -> bool {
        let mut added = Vec::new();
        for Carried { mid, cid, is_exact } in carried {
            let Some(participant) = self.participants.get_mut(&id) else { return false };
            participant.names_lines |= is_exact;
            let Some(at) = participant.pending_tracks.iter().position(|track| track.cid == cid) else { continue };
            let Some(line_id) = Mid::new(&mid) else { continue };
            if participant.tracks.iter().any(|track| track.line == line_id) {
                continue;
            }
            let mut pending = participant.pending_tracks.remove(at);
            if !pending.is_chosen {
                pending.stream_id = self.free_stream_id(id, &pending);
                // Stock clients ignore the field; ours find the stream ID there.
                pending.info.stream.clone_from(&pending.stream_id);
            }
            let Some(participant) = self.participants.get_mut(&id) else { return false };
            let Some(codec) = codecs.get(&mid).and_then(Option::as_ref) else {
                tracing::info!(
                    identity = participant.identity,
                    stream_id = pending.stream_id,
                    "track in codecs that we do not take"
                );
                participant.remember_refused(&cid);
                participant.send(refusal(&pending));
                let track_sid = pending.info.sid;
                participant.send(Response::TrackUnpublished(TrackUnpublishedResponse { track_sid }));
                continue;
            };
            let announced_codec = pending.info.mime_type.clone();
            if kind_of(&pending.info) == MediaKind::Video {
                name_codec(&mut pending.info, &format!("video/{codec}"));
            }
            tracing::info!(
                identity = participant.identity,
                stream_id = pending.stream_id,
                sid = pending.info.sid,
                codec,
                "published"
            );
            let mut track = PublishedTrack::new(pending, line_id);
            let line = lines.iter().find(|line| line.mid == mid);
            track.offered_as = line.map(|line| line.track_id.clone()).unwrap_or_default();
            track.announced_codec = announced_codec;
            added.push(track.info.clone());
            participant.tracks.push(track);
        }
        self.notice_tracks("track_published", id, &added);
        !added.is_empty()
    }

    /// Ends the tracks whose line is gone, no longer sends, or now carries another announced track.
    fn unpublish_missing(&mut self, id: ParticipantId, lines: &[OfferedLine], carried: &[Carried]) -> bool {
        let Some(participant) = self.participants.get_mut(&id) else { return false };
        let still_sent = |track: &PublishedTrack| {
            let is_reused = carried.iter().any(|carried| carried.mid == track.line.as_str());
            !is_reused && lines.iter().any(|line| line.mid == track.line.as_str() && line.is_sending)
        };
        let (kept, gone): (Vec<_>, Vec<_>) = participant.tracks.drain(..).partition(still_sent);
        participant.tracks = kept;
        for track in &gone {
            tracing::info!(identity = participant.identity, stream_id = track.stream_id, "unpublished");
        }
        let gone: Vec<TrackInfo> = gone.into_iter().map(|track| track.info).collect();
        self.forget_tracks(&gone);
        self.notice_tracks("track_unpublished", id, &gone);
        !gone.is_empty()
    }

    /// Forgets subscribers' settings of tracks that have ended: a track that returns has another sid.
    pub(super) fn forget_tracks(&mut self, gone: &[TrackInfo]) {
        for member in self.participants.values_mut() {
            for sid in gone.iter().map(|track| &track.sid) {
                member.wishes.remove(sid);
                member.disabled.remove(sid);
                member.layer_wishes.remove(sid);
                member.priorities.remove(sid);
            }
        }
    }

    /// Ends all tracks of a participant that has lost the permission to publish.
    pub(super) fn end_tracks(&mut self, now: Instant, id: ParticipantId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.pending_tracks.clear();
        let ended: Vec<TrackInfo> = participant.tracks.drain(..).map(|track| track.info).collect();
        for track in &ended {
            participant.send(Response::TrackUnpublished(TrackUnpublishedResponse { track_sid: track.sid.clone() }));
        }
        self.forget_tracks(&ended);
        self.notice_tracks("track_unpublished", id, &ended);
        self.tracks_changed(now, id);
    }

    /// Notifies the others and updates their subscriptions.
    pub(super) fn tracks_changed(&mut self, now: Instant, id: ParticipantId) {
        let Some(room) = self.participants.get(&id).map(|participant| participant.room.clone()) else { return };
        self.broadcast_participant(id);
        for member in self.members_of(&room) {
            if member != id {
                self.update_subscriptions(now, member);
            }
        }
    }

    /// After a resume: a client that believes in tracks that we do not know has to start over.
    pub(super) fn sync_state(&mut self, now: Instant, id: ParticipantId, state: &SyncState) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let is_known = |sid: &str| {
            participant.tracks.iter().any(|track| track.info.sid == sid)
                || participant.pending_tracks.iter().any(|track| track.info.sid == sid)
        };
        let unknown = state.publish_tracks.iter().filter_map(|p| p.track.as_ref()).any(|track| !is_known(&track.sid));
        if unknown {
            self.leave(now, id, DisconnectReason::StateMismatch, leave_request::Action::Reconnect);
            return;
        }
        if let Some(subscription) = &state.subscription {
            self.update_wishes(now, id, subscription);
        }
        self.set_disabled(now, id, &state.track_sids_disabled, true);
        self.repeat_data(now, id, &state.datachannel_receive_states);
    }

    pub(super) fn forget_old_announcements(&mut self, now: Instant) {
        let mut waiting = false;
        for participant in self.participants.values_mut() {
            participant.pending_tracks.retain(|track| now.saturating_duration_since(track.since) < ANNOUNCEMENT_LIFE);
            waiting |= !participant.pending_tracks.is_empty();
        }
        if waiting {
            self.want_housekeeping(now);
        }
    }
}

/// The codecs that the client wants to publish its tracks with, by the line that carries them.
fn wanted_codecs(tracks: &HashMap<String, TrackInfo>) -> HashMap<String, String> {
    let wanted = tracks.iter().filter_map(|(mid, info)| {
        let is_sound = info.r#type == TrackType::Audio as i32;
        let codec = if is_sound && !info.disable_red { REDUNDANT_AUDIO } else { info.mime_type.as_str() };
        (!codec.is_empty()).then(|| (mid.clone(), codec.to_owned()))
    });
    wanted.collect()
}

/// The m-lines on which the client publishes stereo audio.
fn stereo_lines(tracks: &HashMap<String, TrackInfo>) -> Vec<String> {
    tracks.iter().filter(|(_, info)| is_stereo(info)).map(|(mid, _)| mid.clone()).collect()
}

/// The message to a publisher whose track is refused.
fn refusal(track: &PendingTrack) -> Response {
    let request = AddTrackRequest {
        cid: track.cid.clone(),
        name: track.info.name.clone(),
        r#type: track.info.r#type,
        source: track.info.source,
        stream: track.info.stream.clone(),
        ..AddTrackRequest::default()
    };
    Response::RequestResponse(RequestResponse {
        request_id: 0,
        reason: Reason::UnsupportedType as i32,
        message: "none of the offered codecs is taken here".to_owned(),
        request: Some(AboutRequest::AddTrack(request)),
    })
}

/// Writes the codec (`video/VP8`) into a track's information.
pub(super) fn name_codec(info: &mut TrackInfo, mime_type: &str) {
    mime_type.clone_into(&mut info.mime_type);
    if let Some(codec) = info.codecs.first_mut() {
        mime_type.clone_into(&mut codec.mime_type);
    }
}

/// Some fields are deprecated on the wire but still read by clients.
#[allow(deprecated)]
fn track_info(request: &AddTrackRequest, codecs: &EnabledCodecs) -> TrackInfo {
    let mime_type = match request.simulcast_codecs.first() {
        _ if request.r#type == TrackType::Audio as i32 => "audio/opus".to_owned(),
        Some(codec) => codecs.video_for(&codec.codec).to_owned(),
        None => String::new(),
    };
    let sid = new_sid("TR");
    TrackInfo {
        r#type: request.r#type,
        name: request.name.clone(),
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: request.layers.len() > 1,
        disable_dtx: request.disable_dtx,
        source: request.source,
        layers: request.layers.clone(),
        codecs: vec![SimulcastCodecInfo {
            mime_type: mime_type.clone(),
            cid: request.cid.clone(),
            layers: request.layers.clone(),
            ..SimulcastCodecInfo::default()
        }],
        mime_type,
        stereo: request.stereo,
        disable_red: request.disable_red,
        encryption: request.encryption,
        stream: request.stream.clone(),
        audio_features: request.audio_features.clone(),
        backup_codec_policy: request.backup_codec_policy,
        packet_trailer_features: request.packet_trailer_features.clone(),
        sid,
        ..TrackInfo::default()
    }
}
