//! What clients publish: announcement, the offer that carries it, its end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use protocol::conventions::stream_id_of_source;
use protocol::limits::WIRE_NAME_MAX;
use protocol::messages::request_response::{Reason, Request as AboutRequest};
use protocol::messages::{
    AddTrackRequest, DisconnectReason, RequestResponse, Response, SessionDescription, SimulcastCodecInfo, SyncState,
    TrackInfo, TrackPublishedResponse, TrackType, TrackUnpublishedResponse, leave_request,
};

use super::Hub;
use super::ids::{ParticipantId, new_sid};
use super::sdp::{OfferedLine, has_too_many_lines, mark_stereo, offered_lines, prefer_codecs};
use super::track::{PendingTrack, PublishedTrack, is_stereo};
use crate::forwarding::core::LineId;

/// Most tracks of one participant, announced and published.
const TRACKS_MAX: usize = 64;
/// What a publisher of sound is to send unless it wants otherwise: packets that carry earlier ones again.
const REDUNDANT_SOUND: &str = "audio/red";
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
        let stream_id = stream_id_of_source(&participant.identity, &request.name, request.source);
        if let Err(reason) = self.may_publish(id, &request, &stream_id) {
            tracing::info!(identity = participant.identity, stream_id, ?reason, "track refused");
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
        let info = track_info(&request);
        let Some(participant) = self.participants.get_mut(&id) else { return };
        tracing::info!(identity = participant.identity, stream_id, sid = info.sid, "track announced");
        participant.pending_tracks.push(PendingTrack {
            cid: request.cid.clone(),
            info: info.clone(),
            stream_id,
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
        if participant.tracks.len() + participant.pending_tracks.len() >= TRACKS_MAX {
            return Err(Reason::LimitExceeded);
        }
        if request.cid.is_empty()
            || [&request.cid, &request.name, &request.stream].iter().any(|t| t.len() > WIRE_NAME_MAX)
        {
            return Err(Reason::InvalidRequest);
        }
        if TrackType::try_from(request.r#type).is_err() || request.r#type == TrackType::Data as i32 {
            return Err(Reason::UnsupportedType);
        }
        // Stock clients name their tracks as they like, "microphone" most of all. Only who names a track and its stream
        // alike means an ID that nobody else may have.
        if request.stream != request.name {
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
        let Some(leg) = self.participants.get(&id).map(|participant| participant.publisher) else { return };
        if has_too_many_lines(&offer.sdp) {
            tracing::info!(?id, "offer has too many lines");
            self.leave(now, id, DisconnectReason::StateMismatch, leave_request::Action::Disconnect);
            return;
        }
        let Some(result) = self.legs.act(leg, now, |connection| connection.accept_offer(now, &offer.sdp)) else {
            return;
        };
        self.legs.refresh_ufrag(leg);
        let answer = match result {
            Ok(sdp) => sdp,
            Err(error) => {
                tracing::info!(?id, %error, "offer refused");
                self.leave(now, id, DisconnectReason::StateMismatch, leave_request::Action::Reconnect);
                return;
            }
        };
        let lines = offered_lines(&offer.sdp);
        tracing::debug!(?id, offer = offer.id, lines = lines.len(), "offer answered");
        let placed = self.place_subscriptions(now, id, &lines);
        let answer = prefer_codecs(&answer, &self.wanted_codecs(id, &lines));
        let answer = mark_stereo(&answer, &self.stereo_lines(id, &lines), "stereo=1");
        let (sdp, mid_to_track_id) = self.name_answer(id, answer, &placed);
        self.send(
            id,
            Response::Answer(SessionDescription { r#type: "answer".to_owned(), sdp, id: offer.id, mid_to_track_id }),
        );
        for (track_sid, line) in placed {
            self.start_forwarding(now, id, &track_sid, line);
        }
        self.offer_if_needed(now, id);
        let removed = self.unpublish_missing(id, &lines);
        let added = self.publish_offered(id, &lines);
        if removed || added {
            self.tracks_changed(now, id);
        }
    }

    /// The codecs that the client wants to publish its tracks with, by the line that carries them.
    fn wanted_codecs(&self, id: ParticipantId, lines: &[OfferedLine]) -> HashMap<String, String> {
        let Some(participant) = self.participants.get(&id) else { return HashMap::new() };
        let pending = participant.pending_tracks.iter().map(|track| (&track.cid, &track.info));
        let tracks: Vec<_> = pending.chain(participant.tracks.iter().map(|track| (&track.cid, &track.info))).collect();
        let mime_type = |line: &OfferedLine| {
            let (_, info) = tracks.iter().find(|(cid, _)| line.is_sending && **cid == line.track_id)?;
            let is_sound = info.r#type == TrackType::Audio as i32;
            let codec = if is_sound && !info.disable_red { REDUNDANT_SOUND } else { info.mime_type.as_str() };
            (!codec.is_empty()).then(|| (line.mid.clone(), codec.to_owned()))
        };
        lines.iter().filter_map(mime_type).collect()
    }

    /// The lines on which the client publishes stereo sound.
    fn stereo_lines(&self, id: ParticipantId, lines: &[OfferedLine]) -> Vec<String> {
        let Some(participant) = self.participants.get(&id) else { return Vec::new() };
        let pending = participant.pending_tracks.iter().map(|track| (&track.cid, &track.info));
        let tracks = pending.chain(participant.tracks.iter().map(|track| (&track.cid, &track.info)));
        let stereo: Vec<&String> = tracks.filter(|(_, info)| is_stereo(info)).map(|(cid, _)| cid).collect();
        let published = lines.iter().filter(|line| line.is_sending && stereo.contains(&&line.track_id));
        published.map(|line| line.mid.clone()).collect()
    }

    /// Publishes the announced tracks that are in the offer. An offer may be older than an announcement, so only the
    /// id that the client gave counts, never the kind of a line.
    fn publish_offered(&mut self, id: ParticipantId, lines: &[OfferedLine]) -> bool {
        let Some(participant) = self.participants.get_mut(&id) else { return false };
        let mut added = Vec::new();
        for line in lines.iter().filter(|line| line.is_sending) {
            let Some(at) = participant.pending_tracks.iter().position(|track| track.cid == line.track_id) else {
                continue;
            };
            let Some(line_id) = LineId::new(&line.mid) else { continue };
            if participant.tracks.iter().any(|track| track.line == line_id) {
                continue;
            }
            let pending = participant.pending_tracks.remove(at);
            tracing::info!(
                identity = participant.identity,
                stream_id = pending.stream_id,
                sid = pending.info.sid,
                "published"
            );
            added.push(pending.info.clone());
            participant.tracks.push(PublishedTrack::new(pending, line_id));
        }
        self.notice_tracks("track_published", id, &added);
        !added.is_empty()
    }

    /// Ends the tracks whose line is gone, no longer sends, or now carries another announced track.
    fn unpublish_missing(&mut self, id: ParticipantId, lines: &[OfferedLine]) -> bool {
        let Some(participant) = self.participants.get_mut(&id) else { return false };
        let pending: Vec<&str> = participant.pending_tracks.iter().map(|track| track.cid.as_str()).collect();
        let still_sent = |track: &PublishedTrack| {
            lines.iter().any(|line| {
                let reused = line.track_id != track.cid && pending.contains(&line.track_id.as_str());
                line.mid == track.line.as_str() && line.is_sending && !reused
            })
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

    /// Forgets what others wanted of tracks that are gone: a track that comes again has another sid.
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

    /// Ends all tracks of a participant who may not publish any more.
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

    /// Tells the others and brings their subscriptions up to date.
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

/// Some fields are deprecated on the wire but still read by clients.
#[allow(deprecated)]
fn track_info(request: &AddTrackRequest) -> TrackInfo {
    let mime_type = match request.simulcast_codecs.first() {
        _ if request.r#type == TrackType::Audio as i32 => "audio/opus".to_owned(),
        Some(codec) if !codec.codec.is_empty() => mime_type_of(&codec.codec),
        _ => String::new(),
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

/// Clients say `vp8` or `video/vp8`.
fn mime_type_of(codec: &str) -> String {
    let name = codec.rsplit('/').next().unwrap_or(codec);
    format!("video/{}", name.to_ascii_uppercase())
}
