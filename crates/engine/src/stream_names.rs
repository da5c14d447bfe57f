//! The stream that each remote track belongs to.
//!
//! Our own server says it in each track. On a stock LiveKit server every client derives it, and all with the same result:
//! the older a session, the earlier it gets its IDs, so a later one never takes an ID that is in use.

use std::collections::{BTreeMap, BTreeSet};

use protocol::conventions::{chosen_stream_id, derived_stream_id, numbered_stream_id, stream_by_livekit};
use protocol::messages::{ParticipantInfo, TrackInfo, TrackType};

use crate::roster::session_age;

/// Stream IDs by track sid. Tracks that are not there belong to no stream.
pub(crate) type StreamNames = BTreeMap<String, String>;

/// As our server says.
pub(crate) fn reported_by_server(info: &ParticipantInfo) -> StreamNames {
    let id = |track: &TrackInfo| match track.stream.as_str() {
        "" => derived_stream_id(&info.identity, track.source),
        reported => reported.to_owned(),
    };
    info.tracks.iter().map(|track| (track.sid.clone(), id(track))).collect()
}

/// As all clients of a stock server derive it. A track that chose the ID of an older session has none.
pub(crate) fn agreed<'a>(participants: impl Iterator<Item = &'a ParticipantInfo>) -> StreamNames {
    let mut sessions: Vec<&ParticipantInfo> = participants.collect();
    sessions.sort_by_cached_key(|info| session_age(info));
    let (mut names, mut held) = (StreamNames::new(), BTreeSet::<String>::new());
    for info in sessions {
        let mut tracks: Vec<&TrackInfo> = info.tracks.iter().filter(|track| is_media(track)).collect();
        // The list of such a server has no order.
        tracks.sort_by_key(|track| &track.sid);
        let mut own = BTreeSet::<String>::new();
        for track in &tracks {
            let chosen = chosen_by(info, track).filter(|chosen| !held.contains(*chosen));
            if let Some(chosen) = chosen {
                names.insert(track.sid.clone(), chosen.to_owned());
                own.insert(chosen.to_owned());
            }
        }
        let mut derived = BTreeSet::<(String, i32)>::new();
        for track in tracks.iter().filter(|track| chosen_by(info, track).is_none()) {
            let base = derived_stream_id(&info.identity, track.source);
            let is_free =
                |id: &String| !held.contains(id) && !own.contains(id) && !derived.contains(&(id.clone(), track.r#type));
            let Some(id) = (1..).map(|n| numbered_stream_id(&base, n)).find(is_free) else { continue };
            derived.insert((id.clone(), track.r#type));
            names.insert(track.sid.clone(), id);
        }
        held.extend(own);
        held.extend(derived.into_iter().map(|(id, _)| id));
    }
    names
}

/// The stream ID that the publisher chose. Our server fills an empty `stream` in, which may equal the name that a stock
/// client gave its track ("camera"). Then it was chosen only if audio and video have it, as our own publishers do.
fn chosen_by<'a>(info: &ParticipantInfo, track: &'a TrackInfo) -> Option<&'a str> {
    let chosen = chosen_stream_id(&track.name, &track.stream)?;
    let is_filled_in = chosen == stream_by_livekit(track.source);
    let is_called_so =
        |kind: TrackType| info.tracks.iter().any(|other| other.r#type == kind as i32 && other.name == chosen);
    (!is_filled_in || is_called_so(TrackType::Audio) && is_called_so(TrackType::Video)).then_some(chosen)
}

fn is_media(track: &TrackInfo) -> bool {
    matches!(TrackType::try_from(track.r#type), Ok(TrackType::Audio | TrackType::Video))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUDIO: i32 = TrackType::Audio as i32;
    const VIDEO: i32 = TrackType::Video as i32;

    fn somebody(identity: &str, joined_at_ms: i64, tracks: &[(&str, i32, &str, &str)]) -> ParticipantInfo {
        let tracks = tracks.iter().map(|(sid, kind, name, stream)| TrackInfo {
            sid: (*sid).to_owned(),
            r#type: *kind,
            name: (*name).to_owned(),
            stream: (*stream).to_owned(),
            ..TrackInfo::default()
        });
        ParticipantInfo { identity: identity.into(), joined_at_ms, tracks: tracks.collect(), ..Default::default() }
    }

    fn names(participants: &[ParticipantInfo]) -> Vec<(String, String)> {
        agreed(participants.iter()).into_iter().collect()
    }

    fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(sid, id)| ((*sid).to_owned(), (*id).to_owned())).collect()
    }

    #[test]
    fn camera_and_microphone_are_one_stream_however_they_are_named() {
        for (microphone, camera) in [("microphone", "camera"), ("", ""), ("x", ""), ("same", "same")] {
            let tracks = [("A", AUDIO, microphone, ""), ("V", VIDEO, camera, "camera")];
            assert_eq!(
                names(&[somebody("Phone 013", 1, &tracks)]),
                expected(&[("A", "Phone 013"), ("V", "Phone 013")])
            );
        }
    }

    #[test]
    fn a_stream_filled_in_by_the_server_was_not_chosen() {
        let ours = [("A", AUDIO, "camera", "camera"), ("V", VIDEO, "camera", "camera")];
        assert_eq!(names(&[somebody("anna", 1, &ours)]), expected(&[("A", "camera"), ("V", "camera")]));
        let stock = [("A", AUDIO, "microphone", "camera"), ("V", VIDEO, "camera", "camera")];
        assert_eq!(names(&[somebody("anna", 1, &stock)]), expected(&[("A", "anna"), ("V", "anna")]));
    }

    #[test]
    fn equal_track_names_of_two_users_are_two_streams() {
        let people = [
            somebody("p1", 1, &[("A", AUDIO, "microphone", "")]),
            somebody("p2", 2, &[("B", AUDIO, "microphone", "")]),
        ];
        assert_eq!(names(&people), expected(&[("A", "p1"), ("B", "p2")]));
    }

    #[test]
    fn an_id_stays_with_the_oldest_session() {
        let bob = somebody("bob", 5, &[("B", VIDEO, "s1", "s1")]);
        let eve = somebody("!eve", 9, &[("E", VIDEO, "s1", "s1"), ("F", VIDEO, "bob", "bob")]);
        assert_eq!(names(&[eve.clone(), bob.clone()]), expected(&[("B", "s1"), ("F", "bob")]));
        // The derived ID of an older session is in use, too.
        let stock = somebody("bob", 5, &[("B", VIDEO, "", "")]);
        assert_eq!(names(&[eve, stock]), expected(&[("B", "bob"), ("E", "s1")]));
    }

    #[test]
    fn a_second_camera_and_a_derived_id_that_is_held_get_numbers() {
        let cameras = [("A", VIDEO, "front", ""), ("B", VIDEO, "back", ""), ("C", AUDIO, "", "")];
        let anna = somebody("anna", 1, &[("X", VIDEO, "hans", "hans")]);
        let hans = somebody("hans", 2, &cameras);
        assert_eq!(names(&[anna, hans]), expected(&[("A", "hans_2"), ("B", "hans_3"), ("C", "hans_2"), ("X", "hans")]));
    }

    #[test]
    fn all_clients_derive_the_same_ids_from_any_order() {
        let mut tracks = [("A", VIDEO, "front", ""), ("B", VIDEO, "back", ""), ("C", AUDIO, "", "")];
        let one = names(&[somebody("anna", 1, &tracks), somebody("hans", 2, &[("D", VIDEO, "", "")])]);
        tracks.reverse();
        assert_eq!(names(&[somebody("hans", 2, &[("D", VIDEO, "", "")]), somebody("anna", 1, &tracks)]), one);
    }

    #[test]
    fn our_server_has_the_word() {
        let tracks = [("A", AUDIO, "microphone", "anna_2"), ("B", VIDEO, "s", "s"), ("C", VIDEO, "", "")];
        let reported: Vec<_> = reported_by_server(&somebody("anna", 1, &tracks)).into_iter().collect();
        assert_eq!(reported, expected(&[("A", "anna_2"), ("B", "s"), ("C", "anna")]));
    }
}
