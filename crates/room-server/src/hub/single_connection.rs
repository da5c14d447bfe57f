//! Subscriptions of clients with one peer connection.
//!
//! There the client makes all offers. They contain m-lines to receive on; the answer puts tracks on those. When there are
//! too few, or something else is to be negotiated, the client is asked for another offer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use protocol::messages::{MediaSectionsRequirement, Response};

use super::Hub;
use super::ids::ParticipantId;
use super::sdp::OfferedLine;
use crate::forwarding::core::{MediaKind, Mid};

/// A client that resumes makes an offer by itself, to restart ICE. If it is asked for another one meanwhile it may hang: up
/// to version 0.8.1 of LiveKit's Rust SDK (so rtc-node 1.1, too) it then receives and publishes nothing any more. So it is
/// asked only when it has not offered anything for this long.
const OWN_OFFER_TIMEOUT: Duration = Duration::from_secs(1);

/// Lines on which the client can receive.
#[derive(Debug, Default)]
pub struct SingleConnection {
    /// Those of the last offer, in its order.
    lines: Vec<(Mid, MediaKind)>,
    /// Lines that were asked for and that no offer had yet.
    outstanding: ByKind,
    /// Whether an offer was asked for since the last one.
    is_asked: bool,
    /// Until when an unrequested offer is expected.
    own_offer_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ByKind {
    audio: u32,
    video: u32,
}

impl ByKind {
    fn count(kinds: impl Iterator<Item = MediaKind>) -> Self {
        kinds.fold(Self::default(), |sum, kind| match kind {
            MediaKind::Audio => Self { audio: sum.audio + 1, ..sum },
            MediaKind::Video => Self { video: sum.video + 1, ..sum },
        })
    }

    fn less(self, other: Self) -> Self {
        Self { audio: self.audio.saturating_sub(other.audio), video: self.video.saturating_sub(other.video) }
    }

    fn and(self, other: Self) -> Self {
        Self { audio: self.audio + other.audio, video: self.video + other.video }
    }
}

impl SingleConnection {
    /// The client has resumed: earlier requests for an offer are void.
    pub fn resumed(&mut self, now: Instant) {
        self.outstanding = ByKind::default();
        self.is_asked = false;
        self.own_offer_until = Some(now + OWN_OFFER_TIMEOUT);
    }

    /// Whether the client is about to make an offer without being asked.
    fn offers_by_itself(&self, now: Instant) -> bool {
        self.own_offer_until.is_some_and(|until| now < until)
    }

    /// Takes the m-lines of an offer.
    fn offered(&mut self, lines: &[OfferedLine]) {
        let before = ByKind::count(self.lines.iter().map(|(_, kind)| *kind));
        let receiving = lines.iter().filter(|line| line.is_receive_only);
        self.lines = receiving.filter_map(|line| Some((Mid::new(&line.mid)?, line.kind?))).collect();
        let now = ByKind::count(self.lines.iter().map(|(_, kind)| *kind));
        self.outstanding = self.outstanding.less(now.less(before));
        self.is_asked = false;
        self.own_offer_until = None;
    }
}

impl Hub {
    /// Requests an offer from clients whose own one is overdue.
    pub(super) fn request_overdue_offers(&mut self, now: Instant) {
        let mut late = Vec::new();
        let mut is_early = false;
        for participant in self.participants.values_mut() {
            let Some(single) = participant.single.as_mut().filter(|single| single.own_offer_until.is_some()) else {
                continue;
            };
            if single.offers_by_itself(now) {
                is_early = true;
            } else {
                single.own_offer_until = None;
                late.push(participant.id);
            }
        }
        for id in late {
            self.ask_for_offer(now, id);
        }
        if is_early {
            self.want_housekeeping(now);
        }
    }

    /// Puts waiting subscriptions on free lines of an offer. Lines that lost their track since the last offer stay free
    /// this time, so that the client sees them close.
    pub(super) fn place_subscriptions(
        &mut self,
        now: Instant,
        id: ParticipantId,
        lines: &[OfferedLine],
    ) -> Vec<(String, Mid)> {
        let Some(participant) = self.participants.get_mut(&id) else { return Vec::new() };
        let Some(single) = participant.single.as_mut() else { return Vec::new() };
        single.offered(lines);
        let closing = std::mem::take(&mut participant.negotiation.to_stop);
        let mut free = single.lines.clone();
        free.retain(|(line, _)| {
            !closing.contains(line) && participant.subscriptions.iter().all(|s| s.line != Some(*line))
        });
        let mut placed = Vec::new();
        participant.negotiation.is_dirty = false;
        for subscription in participant.subscriptions.iter().filter(|s| s.line.is_none()) {
            match free.iter().position(|(_, kind)| *kind == subscription.kind) {
                Some(at) => placed.push((subscription.track_sid.clone(), free.remove(at).0)),
                None => participant.negotiation.is_dirty = true,
            }
        }
        let peer = participant.subscriber;
        for line in closing {
            self.peers.act(peer, now, |connection| connection.renew_line(now, line));
        }
        placed
    }

    /// The answer with the names of the tracks that are forwarded, and which line has which track. An answer to a
    /// client that only publishes on this connection stays as it is.
    pub(super) fn name_answer(
        &self,
        id: ParticipantId,
        answer: String,
        placed: &[(String, Mid)],
    ) -> (String, HashMap<String, String>) {
        let Some(participant) = self.participants.get(&id).filter(|participant| participant.single.is_some()) else {
            return (answer, HashMap::new());
        };
        self.name_lines(participant, &answer, placed)
    }

    /// Asks the client for an offer if something has to be negotiated.
    pub(super) fn ask_for_offer(&mut self, now: Instant, id: ParticipantId) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if !participant.negotiation.is_dirty || !participant.is_active || participant.connection.is_none() {
            return;
        }
        let Some(single) = participant.single.as_mut() else { return };
        if single.offers_by_itself(now) {
            self.want_housekeeping(now);
            return;
        }
        participant.negotiation.is_dirty = false;
        let wanted = participant.subscriptions.iter().filter(|s| s.line.is_none()).map(|s| s.kind);
        let free = single.lines.iter().filter(|(line, _)| {
            !participant.negotiation.to_stop.contains(line)
                && participant.subscriptions.iter().all(|s| s.line != Some(*line))
        });
        let has = ByKind::count(free.map(|(_, kind)| *kind)).and(single.outstanding);
        let more = ByKind::count(wanted).less(has);
        if more == ByKind::default() && (single.is_asked || single.outstanding != ByKind::default()) {
            return;
        }
        single.is_asked = true;
        single.outstanding = single.outstanding.and(more);
        tracing::debug!(?id, audios = more.audio, videos = more.video, "lines asked for");
        participant.send(Response::MediaSectionsRequirement(MediaSectionsRequirement {
            num_audios: more.audio,
            num_videos: more.video,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_resumes_is_given_time_to_offer_by_itself() {
        let mut single = SingleConnection::default();
        let start = Instant::now();
        assert!(!single.offers_by_itself(start));
        single.resumed(start);
        assert!(single.offers_by_itself(start + OWN_OFFER_TIMEOUT / 2));
        assert!(!single.offers_by_itself(start + OWN_OFFER_TIMEOUT));
    }

    #[test]
    fn once_it_has_offered_it_can_be_asked_at_once() {
        let mut single = SingleConnection::default();
        let start = Instant::now();
        single.resumed(start);
        single.offered(&[]);
        assert!(!single.offers_by_itself(start));
    }
}
