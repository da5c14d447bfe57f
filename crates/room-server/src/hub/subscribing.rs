//! Subscriptions: requests of clients, offers, answers.

use std::collections::HashMap;
use std::time::Instant;

use protocol::messages::{
    DisconnectReason, Response, SessionDescription, TrackSubscribed, UpdateSubscription, leave_request,
};

use super::Hub;
use super::ids::ParticipantId;
use super::negotiation::{PendingOffer, PlacedTrack};
use super::participant::Participant;
use super::sdp::{Forwarded, mark_stereo, name_forwarded, unname_inactive};
use super::track::{Subscriber, Subscription, is_stereo};
use crate::forwarding::core::{MediaKind, Mid, NewLine, OfferChanges};
use crate::forwarding::layer_selector::LayerSelector;

/// Upper bound of explicit subscriptions of one participant.
const MAX_EXPLICIT_SUBSCRIPTIONS: usize = 4096;

impl Hub {
    pub(super) fn update_wishes(&mut self, now: Instant, id: ParticipantId, request: &UpdateSubscription) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let in_participants = request.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
        for sid in request.track_sids.iter().chain(in_participants) {
            if participant.wishes.len() < MAX_EXPLICIT_SUBSCRIPTIONS || participant.wishes.contains_key(sid) {
                participant.wishes.insert(sid.clone(), request.subscribe);
            }
        }
        self.update_subscriptions(now, id);
    }

    /// Compares what a participant wants with what it gets, and offers the difference.
    pub(super) fn update_subscriptions(&mut self, now: Instant, id: ParticipantId) {
        let Some(participant) = self.participants.get(&id) else { return };
        let mut wanted: HashMap<String, (ParticipantId, MediaKind)> = HashMap::new();
        if participant.is_active {
            let others = self.members_of(&participant.room).into_iter().filter(|member| *member != id);
            for other in others.filter_map(|member| self.participants.get(&member)) {
                let may_have = |sid: &str| participant.wants(sid) && other.lets_have(participant, sid);
                for track in other.tracks.iter().filter(|track| may_have(&track.info.sid)) {
                    wanted.insert(track.info.sid.clone(), (other.id, track.kind));
                }
            }
        }
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let (kept, ended): (Vec<_>, Vec<_>) =
            participant.subscriptions.drain(..).partition(|s| wanted.remove(&s.track_sid).is_some());
        participant.subscriptions = kept;
        for (track_sid, (publisher, kind)) in wanted {
            participant.subscriptions.push(Subscription { track_sid, publisher, kind, line: None });
            participant.negotiation.is_dirty = true;
        }
        for subscription in &ended {
            if let Some(line) = subscription.line {
                participant.negotiation.to_stop.push(line);
                participant.negotiation.is_dirty = true;
            }
        }
        for subscription in ended {
            self.stop_forwarding(subscription.publisher, &subscription.track_sid, id);
            self.want_housekeeping(now);
        }
        self.offer_if_needed(now, id);
    }

    pub(super) fn stop_forwarding(&mut self, publisher: ParticipantId, track_sid: &str, subscriber: ParticipantId) {
        if let Some(track) = self.participants.get_mut(&publisher).and_then(|p| p.track_mut(track_sid)) {
            track.subscribers.retain(|s| s.participant != subscriber);
        }
    }

    /// Offers the changes, unless an offer is pending or the client is not connected.
    pub(super) fn offer_if_needed(&mut self, now: Instant, id: ParticipantId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if participant.single.is_some() {
            self.ask_for_offer(now, id);
            return;
        }
        if !participant.negotiation.is_dirty
            || participant.negotiation.pending.is_some()
            || participant.connection.is_none()
        {
            return;
        }
        participant.negotiation.is_dirty = false;
        let in_use: Vec<Mid> = participant.subscriptions.iter().filter_map(|s| s.line).collect();
        // Taken before the m-lines that stop now are known to be closed: a client must not see an m-line pass from one track to
        // another without an end.
        let mut free = participant.negotiation.free_lines(|line| in_use.contains(&line));
        let mut changes = OfferChanges {
            stop: std::mem::take(&mut participant.negotiation.to_stop),
            ice_restart: std::mem::take(&mut participant.negotiation.ice_restart),
            open_data_channels: true,
            ..OfferChanges::default()
        };
        let (mut added, mut without_line) = (Vec::new(), Vec::new());
        for subscription in participant.subscriptions.iter().filter(|subscription| subscription.line.is_none()) {
            let (track_sid, kind) = (subscription.track_sid.clone(), subscription.kind);
            if let Some(at) = free.iter().position(|(_, free)| *free == kind) {
                let (line, _) = free.remove(at);
                changes.reuse.push(line);
                added.push(PlacedTrack { track_sid, kind, line });
            } else {
                // The names are written into the finished offer, where m-lines in use need them too.
                changes.add.push(NewLine { kind, stream_id: track_sid.clone(), track_id: track_sid.clone() });
                without_line.push((track_sid, kind));
            }
        }
        let peer = participant.subscriber;
        let Some(Some(offer)) = self.peers.act(peer, now, |connection| connection.create_offer(now, &changes)) else {
            return;
        };
        let new = without_line.into_iter().zip(offer.added);
        added.extend(new.map(|((track_sid, kind), line)| PlacedTrack { track_sid, kind, line }));
        let placed: Vec<(String, Mid)> = added.iter().map(|p| (p.track_sid.clone(), p.line)).collect();
        let Some(participant) = self.participants.get(&id) else { return };
        let (sdp, mid_to_track_id) = self.name_lines(participant, &offer.sdp, &placed);
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let offer_id = participant.negotiation.next_offer_id();
        participant.negotiation.pending = Some(PendingOffer { id: offer_id, added, stopped: changes.stop });
        participant.send(Response::Offer(SessionDescription {
            r#type: "offer".to_owned(),
            sdp: unname_inactive(&sdp),
            id: offer_id,
            mid_to_track_id,
        }));
    }

    /// The session description with the names of the tracks that are forwarded, and which line has which track.
    /// `placed` are tracks with their lines that the client has not agreed to yet.
    pub(super) fn name_lines(
        &self,
        participant: &Participant,
        sdp: &str,
        placed: &[(String, Mid)],
    ) -> (String, HashMap<String, String>) {
        let (mut forwarded, mut stereo) = (HashMap::new(), Vec::new());
        for subscription in &participant.subscriptions {
            let placed = placed.iter().find(|(sid, _)| *sid == subscription.track_sid).map(|(_, line)| *line);
            let Some(line) = subscription.line.or(placed) else { continue };
            let Some(publisher) = self.participants.get(&subscription.publisher) else { continue };
            let track_id = subscription.track_sid.clone();
            if publisher.tracks.iter().any(|track| track.info.sid == track_id && is_stereo(&track.info)) {
                stereo.push(line.to_string());
            }
            let stream_id = format!("{}|{track_id}", publisher.sid);
            forwarded.insert(line.to_string(), Forwarded { stream_id, track_id });
        }
        let named = mark_stereo(&name_forwarded(sdp, &forwarded), &stereo, "sprop-stereo=1");
        (named, forwarded.into_iter().map(|(mid, track)| (mid, track.track_id)).collect())
    }

    pub(super) fn subscriber_answer(&mut self, now: Instant, id: ParticipantId, answer: &SessionDescription) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        // An answer to an offer that was replaced meanwhile. Older clients do not repeat the number.
        let is_expected = |pending: &PendingOffer| answer.id == 0 || answer.id == pending.id;
        let Some(pending) = participant.negotiation.pending.take_if(|pending| is_expected(pending)) else {
            tracing::debug!(?id, answer = answer.id, "answer to no offer of ours");
            return;
        };
        let peer = participant.subscriber;
        let result = self.peers.act(peer, now, |connection| connection.accept_answer(now, &answer.sdp));
        self.peers.refresh_ufrag(peer);
        if let Some(Err(error)) = result {
            tracing::info!(?id, %error, "answer refused");
            self.leave(now, id, DisconnectReason::StateMismatch, leave_request::Action::Reconnect);
            return;
        }
        if let Some(participant) = self.participants.get_mut(&id) {
            participant.negotiation.answered(&pending.added);
        }
        for PlacedTrack { track_sid, line, .. } in pending.added {
            self.start_forwarding(now, id, &track_sid, line);
        }
        self.offer_if_needed(now, id);
    }

    /// The client agreed to a line: from now on the track's packets go there.
    pub(super) fn start_forwarding(&mut self, now: Instant, id: ParticipantId, track_sid: &str, line: Mid) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let Some(subscription) = participant.subscriptions.iter_mut().find(|s| s.track_sid == track_sid) else {
            participant.negotiation.to_stop.push(line);
            participant.negotiation.is_dirty = true;
            return;
        };
        subscription.line = Some(line);
        let publisher = subscription.publisher;
        let peer = participant.subscriber;
        let disabled = participant.disabled.get(track_sid).copied().unwrap_or(false);
        let link_rank = participant.ladder.rank();
        let setting = participant.layer_wishes.get(track_sid).copied().unwrap_or_default();
        let Some(track) = self.participants.get_mut(&publisher).and_then(|p| p.track_mut(track_sid)) else { return };
        let max_rank = setting.rank(&track.info);
        let forwarder = track.new_forwarder(LayerSelector::up_to(max_rank, link_rank));
        track.subscribers.push(Subscriber {
            participant: id,
            peer,
            line,
            forwarder,
            disabled,
            paused: false,
            checked_codec: None,
            codec_notified: false,
        });
        let is_first = !std::mem::replace(&mut track.was_subscribed, true);
        if is_first {
            self.send(publisher, Response::TrackSubscribed(TrackSubscribed { track_sid: track_sid.to_owned() }));
        }
        self.request_keyframe_for(now, publisher, track_sid, id);
        self.want_sharing(now);
        self.want_housekeeping(now);
    }
}
