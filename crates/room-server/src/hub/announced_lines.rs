//! Which announced track each m-line of an offer carries.
//!
//! Most clients name a track in their offer (`a=msid`) as they announced it. Firefox does not: there the two names are
//! unrelated. So for a client that never named an m-line by an announcement the order counts: its next new m-line of a kind
//! carries the track of that kind that was announced first. An exact name always comes first, and a client that gave one
//! once is matched by names from then on, since an offer may be older than an announcement.

use super::sdp::OfferedLine;
use super::track::{PendingTrack, PublishedTrack, kind_of};

/// What is known about a client besides its offer.
pub struct Known<'a> {
    /// Its tracks that no offer had yet, in the order of their announcements.
    pub pending: &'a [PendingTrack],
    /// Its tracks that lines carry already.
    pub published: &'a [PublishedTrack],
    /// Names of tracks that it announced and that were refused.
    pub refused: &'a [String],
    /// Whether it has ever named a line by an announcement.
    pub names_lines: bool,
}

/// A line and the announced track that it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// `a=mid` of the line.
    pub mid: String,
    /// The client's name for the track in its announcement.
    pub cid: String,
    /// Whether the line has that name too.
    pub is_exact: bool,
}

/// The announced tracks that the offer has. No line and no track is there twice.
pub fn carried(lines: &[OfferedLine], known: &Known<'_>) -> Vec<Carried> {
    let sending = || lines.iter().filter(|line| line.is_sending);
    let mut found: Vec<Carried> = Vec::new();
    for line in sending() {
        let is_named = |track: &&PendingTrack| track.cid == line.track_id;
        let Some(track) = known.pending.iter().find(is_named) else { continue };
        let is_repeated = found.iter().any(|carried| carried.cid == track.cid);
        if !is_repeated && !is_carrying(line, known) {
            found.push(Carried { mid: line.mid.clone(), cid: track.cid.clone(), is_exact: true });
        }
    }
    if known.names_lines || !found.is_empty() {
        return found;
    }
    for line in sending() {
        if is_carrying(line, known) || known.refused.contains(&line.track_id) {
            continue;
        }
        let is_free = |track: &&PendingTrack| {
            line.kind == Some(kind_of(&track.info)) && found.iter().all(|carried| carried.cid != track.cid)
        };
        if let Some(track) = known.pending.iter().find(is_free) {
            found.push(Carried { mid: line.mid.clone(), cid: track.cid.clone(), is_exact: false });
        }
    }
    found
}

/// Whether the line carries a published track, and the same one as in the offers before.
fn is_carrying(line: &OfferedLine, known: &Known<'_>) -> bool {
    known.published.iter().any(|track| track.line.as_str() == line.mid && track.offered_as == line.track_id)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use protocol::messages::{TrackInfo, TrackType};

    use super::*;
    use crate::forwarding::core::{MediaKind, Mid};

    const AUDIO: TrackType = TrackType::Audio;
    const VIDEO: TrackType = TrackType::Video;

    fn announced(cid: &str, kind: TrackType) -> PendingTrack {
        PendingTrack {
            cid: cid.to_owned(),
            info: TrackInfo { r#type: kind as i32, ..TrackInfo::default() },
            stream_id: String::new(),
            is_chosen: false,
            since: Instant::now(),
        }
    }

    fn line(mid: &str, kind: MediaKind, track_id: &str) -> OfferedLine {
        OfferedLine {
            mid: mid.to_owned(),
            kind: Some(kind),
            track_id: track_id.to_owned(),
            is_sending: true,
            is_receive_only: false,
        }
    }

    fn audio(mid: &str, track_id: &str) -> OfferedLine {
        line(mid, MediaKind::Audio, track_id)
    }

    fn video(mid: &str, track_id: &str) -> OfferedLine {
        line(mid, MediaKind::Video, track_id)
    }

    fn known<'a>(pending: &'a [PendingTrack], published: &'a [PublishedTrack]) -> Known<'a> {
        Known { pending, published, refused: &[], names_lines: false }
    }

    fn pairs(lines: &[OfferedLine], known: &Known<'_>) -> Vec<(String, String)> {
        carried(lines, known).into_iter().map(|carried| (carried.mid, carried.cid)).collect()
    }

    fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(mid, cid)| ((*mid).to_owned(), (*cid).to_owned())).collect()
    }

    #[test]
    fn names_count_whatever_the_order() {
        let pending = [announced("a", VIDEO), announced("b", VIDEO)];
        let lines = [video("0", "b"), video("1", "a")];
        assert_eq!(pairs(&lines, &known(&pending, &[])), expected(&[("0", "b"), ("1", "a")]));
    }

    #[test]
    fn a_client_whose_names_mean_nothing_is_understood_by_kind_and_order() {
        let pending = [announced("a", VIDEO), announced("b", AUDIO), announced("c", VIDEO)];
        let lines = [audio("0", "{1}"), video("1", "{2}"), video("2", "{3}"), video("3", "{4}")];
        assert_eq!(pairs(&lines, &known(&pending, &[])), expected(&[("0", "b"), ("1", "a"), ("2", "c")]));
    }

    #[test]
    fn an_older_offer_of_a_client_that_names_its_lines_takes_no_later_announcement() {
        let pending = [announced("b", VIDEO)];
        let names = Known { names_lines: true, ..known(&pending, &[]) };
        assert_eq!(pairs(&[video("0", "a")], &names), []);
        // Nor does another m-line of the offer in which it gives the first name.
        assert_eq!(pairs(&[video("0", "a"), video("1", "b")], &known(&pending, &[])), expected(&[("1", "b")]));
    }

    #[test]
    fn a_track_that_was_refused_does_not_come_under_the_name_of_the_next() {
        let pending = [announced("b", VIDEO)];
        let refused = ["a".to_owned()];
        let known = Known { refused: &refused, ..known(&pending, &[]) };
        assert_eq!(pairs(&[video("0", "a")], &known), []);
    }

    #[test]
    fn a_line_in_use_carries_what_it_carried_unless_it_got_another_track() {
        let mut published = PublishedTrack::new(announced("a", VIDEO), Mid::new("0").unwrap());
        published.offered_as = "{1}".to_owned();
        let (published, pending) = ([published], [announced("b", VIDEO)]);
        let known = known(&pending, &published);
        assert_eq!(pairs(&[video("0", "{1}")], &known), []);
        assert_eq!(pairs(&[video("0", "{1}"), video("1", "{2}")], &known), expected(&[("1", "b")]));
        assert_eq!(pairs(&[video("0", "{3}")], &known), expected(&[("0", "b")]));
    }

    #[test]
    fn a_name_that_two_lines_have_counts_once_and_lines_without_kind_or_sender_never() {
        let pending = [announced("a", VIDEO)];
        assert_eq!(pairs(&[video("0", "a"), video("1", "a")], &known(&pending, &[])), expected(&[("0", "a")]));
        let idle = OfferedLine { is_sending: false, ..video("0", "a") };
        let data = OfferedLine { kind: None, ..video("1", "x") };
        assert_eq!(pairs(&[idle, data, audio("2", "y")], &known(&pending, &[])), []);
    }
}
