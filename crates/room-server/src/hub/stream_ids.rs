//! Stream IDs of tracks whose publishers chose none. An ID in use is not given to another participant.

use protocol::conventions::numbered_stream_id;

use super::Hub;
use super::ids::ParticipantId;
use super::track::{PendingTrack, kind_of};

impl Hub {
    /// The stream of a track without a chosen one: the derived ID, or the first numbered one that no other participant in the
    /// room holds and that has no track of this kind yet. It stays the same while the track exists.
    pub(super) fn free_stream_id(&self, id: ParticipantId, track: &PendingTrack) -> String {
        let derived = &track.stream_id;
        let Some(publisher) = self.participants.get(&id) else { return derived.clone() };
        let kind = kind_of(&track.info);
        let others = self.members_of(&publisher.room).into_iter().filter(|member| *member != id);
        let others: Vec<_> = others.filter_map(|member| self.participants.get(&member)).collect();
        let is_free = |stream_id: &String| {
            let is_theirs = others.iter().any(|other| other.has_stream(stream_id));
            // A chosen stream of its own is for the tracks that it chose it for.
            let is_full =
                publisher.tracks.iter().any(|own| own.stream_id == *stream_id && (own.kind == kind || own.is_chosen));
            !is_theirs && !is_full && !publisher.has_chosen(stream_id)
        };
        // Each ID in use belongs to a track, so the search ends.
        (1..).map(|n| numbered_stream_id(derived, n)).find(is_free).unwrap_or_default()
    }
}
