//! What clients subscribe to: wishes, offers, answers.

use std::collections::HashMap;
use std::time::Instant;

use protocol::messages::{
    DisconnectReason, Response, SessionDescription, TrackSubscribed, UpdateSubscription, leave_request,
};

use super::Hub;
use super::ids::ParticipantId;
use super::negotiation::PendingOffer;
use super::sdp::unname_inactive;
use super::track::{Subscriber, Subscription};
use crate::forwarding::core::{LineId, MediaKind, NewLine, OfferChanges};
use crate::forwarding::layer_selector::LayerSelector;
use crate::forwarding::picture_ids::PictureIds;

/// Most explicit wishes that are kept for one participant.
const WISHES_MAX: usize = 4096;

impl Hub {
    pub(super) fn update_wishes(&mut self, now: Instant, id: ParticipantId, request: &UpdateSubscription) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let in_participants = request.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
        for sid in request.track_sids.iter().chain(in_participants) {
            if participant.wishes.len() < WISHES_MAX || participant.wishes.contains_key(sid) {
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

    /// Offers what changed, unless an offer is on its way or nobody is there to take it.
    pub(super) fn offer_if_needed(&mut self, now: Instant, id: ParticipantId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if participant.single.is_some() {
            self.ask_for_offer(id);
            return;
        }
        if !participant.negotiation.is_dirty
            || participant.negotiation.pending.is_some()
            || participant.connection.is_none()
        {
            return;
        }
        participant.negotiation.is_dirty = false;
        let sids: HashMap<ParticipantId, String> = participant
            .subscriptions
            .iter()
            .filter(|subscription| subscription.line.is_none())
            .map(|subscription| (subscription.publisher, String::new()))
            .collect();
        let sids: HashMap<ParticipantId, String> =
            sids.into_keys().filter_map(|p| Some((p, self.participants.get(&p)?.sid.clone()))).collect();
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let mut changes = OfferChanges {
            stop: std::mem::take(&mut participant.negotiation.to_stop),
            ice_restart: std::mem::take(&mut participant.negotiation.ice_restart),
            open_data_channels: true,
            ..OfferChanges::default()
        };
        let mut added_sids = Vec::new();
        for subscription in participant.subscriptions.iter().filter(|subscription| subscription.line.is_none()) {
            let publisher_sid = sids.get(&subscription.publisher).map(String::as_str).unwrap_or_default();
            changes.add.push(NewLine {
                kind: subscription.kind,
                stream_id: format!("{publisher_sid}|{}", subscription.track_sid),
                track_id: subscription.track_sid.clone(),
            });
            added_sids.push(subscription.track_sid.clone());
        }
        let leg = participant.subscriber;
        let Some(Some(offer)) = self.legs.act(leg, now, |connection| connection.create_offer(now, &changes)) else {
            return;
        };
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let offer_id = participant.negotiation.next_offer_id();
        let added: Vec<(String, LineId)> = added_sids.into_iter().zip(offer.added).collect();
        let in_use = participant.subscriptions.iter().filter_map(|s| Some((s.line?.to_string(), s.track_sid.clone())));
        let mid_to_track_id = in_use.chain(added.iter().map(|(sid, line)| (line.to_string(), sid.clone()))).collect();
        participant.negotiation.pending = Some(PendingOffer { id: offer_id, added });
        participant.send(Response::Offer(SessionDescription {
            r#type: "offer".to_owned(),
            sdp: unname_inactive(&offer.sdp),
            id: offer_id,
            mid_to_track_id,
        }));
    }

    pub(super) fn subscriber_answer(&mut self, now: Instant, id: ParticipantId, answer: &SessionDescription) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        // An answer to an offer that was replaced meanwhile. Older clients do not repeat the number.
        let is_expected = |pending: &PendingOffer| answer.id == 0 || answer.id == pending.id;
        let Some(pending) = participant.negotiation.pending.take_if(|pending| is_expected(pending)) else {
            tracing::debug!(?id, answer = answer.id, "answer to no offer of ours");
            return;
        };
        let leg = participant.subscriber;
        let result = self.legs.act(leg, now, |connection| connection.accept_answer(now, &answer.sdp));
        self.legs.refresh_ufrag(leg);
        if let Some(Err(error)) = result {
            tracing::info!(?id, %error, "answer refused");
            self.leave(now, id, DisconnectReason::StateMismatch, leave_request::Action::Reconnect);
            return;
        }
        for (track_sid, line) in pending.added {
            self.start_forwarding(now, id, &track_sid, line);
        }
        self.offer_if_needed(now, id);
    }

    /// The client agreed to a line: from now on the track's packets go there.
    pub(super) fn start_forwarding(&mut self, now: Instant, id: ParticipantId, track_sid: &str, line: LineId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let Some(subscription) = participant.subscriptions.iter_mut().find(|s| s.track_sid == track_sid) else {
            participant.negotiation.to_stop.push(line);
            participant.negotiation.is_dirty = true;
            return;
        };
        subscription.line = Some(line);
        let publisher = subscription.publisher;
        let leg = participant.subscriber;
        let disabled = participant.disabled.get(track_sid).copied().unwrap_or(false);
        let link_rank = participant.ladder.rank();
        let setting = participant.layer_wishes.get(track_sid).copied().unwrap_or_default();
        let Some(track) = self.participants.get_mut(&publisher).and_then(|p| p.track_mut(track_sid)) else { return };
        let max_rank = setting.rank(&track.info);
        let down = track.new_down_track();
        let layers = LayerSelector::up_to(max_rank, link_rank);
        let pictures = PictureIds::default();
        track.subscribers.push(Subscriber { participant: id, leg, line, down, disabled, layers, pictures });
        let is_first = !std::mem::replace(&mut track.was_subscribed, true);
        if is_first {
            self.send(publisher, Response::TrackSubscribed(TrackSubscribed { track_sid: track_sid.to_owned() }));
        }
        self.wish_for_keyframe(now, publisher, track_sid, id);
        self.want_housekeeping(now);
    }
}
