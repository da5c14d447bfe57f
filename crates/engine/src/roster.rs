//! Who is in a room and which streams they publish: turns the server's participant lists into what changed.
//!
//! No I/O and no clock. The same diff serves a fresh update and the full list after a reconnect, so nothing is lost or
//! reported twice.

use std::collections::BTreeMap;

use protocol::conventions;
use protocol::messages::{ParticipantInfo, TrackType, participant_info::State};

use crate::config::User;

/// Why a stream went, as `stream_delete_reason` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovalReason {
    /// Its publisher stopped it.
    Stopped = 1,
    /// Its publisher left or was lost.
    Disconnected = 5,
}

/// One track of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) sid: String,
    pub(crate) muted: bool,
}

/// One stream of somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) user: User,
    pub(crate) audio: Option<Track>,
    pub(crate) video: Option<Track>,
    /// Stream extra info, an attribute of the publisher.
    pub(crate) extra_info: String,
    /// Finer device states that the publisher told, `ZegoRemoteDeviceState` of camera and microphone.
    pub(crate) device_states: Option<(i32, i32)>,
}

/// `ZegoRemoteDeviceState`: what a device that runs and sends is.
pub(crate) const DEVICE_OPEN: i32 = 0;
/// `ZegoRemoteDeviceState`: switched off by its owner.
pub(crate) const DEVICE_DISABLED: i32 = 9;
/// `ZegoRemoteDeviceState`: held, but not sent.
pub(crate) const DEVICE_MUTED: i32 = 10;

impl Stream {
    /// Sids of its tracks.
    pub(crate) fn track_sids(&self) -> impl Iterator<Item = &str> {
        self.audio.iter().chain(&self.video).map(|track| track.sid.as_str())
    }

    /// `ZegoRemoteDeviceState` of the camera.
    pub(crate) fn camera_state(&self) -> i32 {
        device_state(self.device_states.map(|states| states.0), self.video.as_ref())
    }

    /// `ZegoRemoteDeviceState` of the microphone.
    pub(crate) fn microphone_state(&self) -> i32 {
        device_state(self.device_states.map(|states| states.1), self.audio.as_ref())
    }
}

fn device_state(told: Option<i32>, track: Option<&Track>) -> i32 {
    match (told, track) {
        (Some(state), _) if state != DEVICE_OPEN => state,
        (_, Some(track)) if track.muted => DEVICE_MUTED,
        _ => DEVICE_OPEN,
    }
}

/// What an update changed, in the order in which the application should hear it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) users_added: Vec<User>,
    pub(crate) users_removed: Vec<User>,
    pub(crate) streams_added: Vec<(String, Stream)>,
    /// Streams whose tracks, mute state or device states are not what they were.
    pub(crate) streams_changed: Vec<(String, Stream)>,
    pub(crate) streams_removed: Vec<(String, Stream, RemovalReason)>,
}

#[derive(Debug, Default)]
struct Participant {
    sid: String,
    user: User,
    streams: BTreeMap<String, Stream>,
}

/// Everyone else in one room.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    participants: BTreeMap<String, Participant>,
}

impl Roster {
    /// The stream of that name, if somebody publishes it.
    pub(crate) fn stream(&self, stream_id: &str) -> Option<&Stream> {
        self.participants.values().find_map(|participant| participant.streams.get(stream_id))
    }

    /// The user of that ID; one who just left is known by the ID alone.
    pub(crate) fn user(&self, identity: &str) -> User {
        match self.participants.get(identity) {
            Some(participant) => participant.user.clone(),
            None => User { id: identity.to_owned(), name: identity.to_owned() },
        }
    }

    /// Takes an update that names some participants.
    pub(crate) fn update(&mut self, participants: &[ParticipantInfo]) -> Changes {
        let mut changes = Changes::default();
        for info in participants {
            self.apply(info, &mut changes);
        }
        changes
    }

    /// Takes the complete list after a new login: whoever is not in it is gone.
    pub(crate) fn replace(&mut self, participants: &[ParticipantInfo]) -> Changes {
        let mut changes = Changes::default();
        let gone: Vec<String> = self
            .participants
            .keys()
            .filter(|identity| !participants.iter().any(|info| info.identity == **identity))
            .cloned()
            .collect();
        for identity in gone {
            self.remove(&identity, &mut changes);
        }
        for info in participants {
            self.apply(info, &mut changes);
        }
        changes
    }

    fn apply(&mut self, info: &ParticipantInfo, changes: &mut Changes) {
        if info.permission.as_ref().is_some_and(|permission| permission.hidden) {
            return;
        }
        if info.state == State::Disconnected as i32 {
            // The end of a session that the same user has already replaced says nothing about the new one.
            if self.participants.get(&info.identity).is_some_and(|known| known.sid == info.sid) {
                self.remove(&info.identity, changes);
            }
            return;
        }
        let user = User {
            id: info.identity.clone(),
            name: if info.name.is_empty() { info.identity.clone() } else { info.name.clone() },
        };
        let streams = streams_of(info, &user);
        let known = self.participants.entry(info.identity.clone()).or_insert_with(|| {
            changes.users_added.push(user.clone());
            Participant::default()
        });
        known.sid.clone_from(&info.sid);
        known.user = user;
        for (stream_id, old) in &known.streams {
            if !streams.contains_key(stream_id) {
                changes.streams_removed.push((stream_id.clone(), old.clone(), RemovalReason::Stopped));
            }
        }
        for (stream_id, new) in &streams {
            match known.streams.get(stream_id) {
                None => changes.streams_added.push((stream_id.clone(), new.clone())),
                Some(old) if old != new => changes.streams_changed.push((stream_id.clone(), new.clone())),
                Some(_) => {}
            }
        }
        known.streams = streams;
    }

    fn remove(&mut self, identity: &str, changes: &mut Changes) {
        let Some(participant) = self.participants.remove(identity) else { return };
        for (stream_id, stream) in participant.streams {
            changes.streams_removed.push((stream_id, stream, RemovalReason::Disconnected));
        }
        changes.users_removed.push(participant.user);
    }
}

fn streams_of(info: &ParticipantInfo, user: &User) -> BTreeMap<String, Stream> {
    let mut streams = BTreeMap::<String, Stream>::new();
    for track in &info.tracks {
        let stream_id = conventions::stream_id_of_track(&info.identity, track);
        let stream = streams.entry(stream_id).or_default();
        let slot = match TrackType::try_from(track.r#type) {
            Ok(TrackType::Audio) => &mut stream.audio,
            Ok(TrackType::Video) => &mut stream.video,
            _ => continue,
        };
        *slot = Some(Track { sid: track.sid.clone(), muted: track.muted });
    }
    streams.retain(|_, stream| stream.audio.is_some() || stream.video.is_some());
    for (stream_id, stream) in &mut streams {
        stream.user = user.clone();
        if let Some(extra) = info.attributes.get(&conventions::extra_info_attribute(stream_id)) {
            stream.extra_info.clone_from(extra);
        }
        let states = info.attributes.get(&conventions::device_state_attribute(stream_id));
        stream.device_states = states.and_then(|text| parse_device_states(text));
    }
    streams
}

/// The device attribute's text: `camera,microphone`, two numbers of `ZegoRemoteDeviceState`.
pub(crate) fn format_device_states(camera: i32, microphone: i32) -> String {
    format!("{camera},{microphone}")
}

fn parse_device_states(text: &str) -> Option<(i32, i32)> {
    let (camera, microphone) = text.split_once(',')?;
    let state = |text: &str| text.parse().ok().filter(|state| (0..=15).contains(state));
    Some((state(camera)?, state(microphone)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::messages::TrackInfo;

    fn participant(sid: &str, identity: &str, tracks: &[(&str, TrackType, &str)]) -> ParticipantInfo {
        let tracks = tracks.iter().map(|(sid, kind, stream)| TrackInfo {
            sid: (*sid).to_owned(),
            r#type: *kind as i32,
            name: (*stream).to_owned(),
            stream: (*stream).to_owned(),
            ..TrackInfo::default()
        });
        ParticipantInfo {
            sid: sid.to_owned(),
            identity: identity.to_owned(),
            state: State::Active as i32,
            tracks: tracks.collect(),
            ..ParticipantInfo::default()
        }
    }

    const AUDIO: TrackType = TrackType::Audio;
    const VIDEO: TrackType = TrackType::Video;

    #[test]
    fn a_stream_appears_with_its_first_track_and_goes_with_its_last() {
        let mut roster = Roster::default();
        let changes = roster.update(&[participant("PA_1", "bob", &[("TR_a", AUDIO, "s")])]);
        assert_eq!(changes.users_added.len(), 1);
        assert_eq!(changes.streams_added[0].0, "s");
        let both = [("TR_a", AUDIO, "s"), ("TR_v", VIDEO, "s")];
        let changes = roster.update(&[participant("PA_1", "bob", &both)]);
        assert!(changes.streams_added.is_empty());
        assert_eq!(changes.streams_changed[0].1.track_sids().count(), 2);
        let changes = roster.update(&[participant("PA_1", "bob", &[])]);
        assert_eq!(changes.streams_removed[0].2, RemovalReason::Stopped);
        assert!(roster.stream("s").is_none());
    }

    #[test]
    fn a_late_goodbye_of_a_replaced_session_does_not_remove_the_new_one() {
        let mut roster = Roster::default();
        roster.update(&[participant("PA_1", "bob", &[("TR_1", VIDEO, "s")])]);
        roster.update(&[participant("PA_2", "bob", &[("TR_2", VIDEO, "s")])]);
        let mut goodbye = participant("PA_1", "bob", &[]);
        goodbye.state = State::Disconnected as i32;
        assert_eq!(roster.update(&[goodbye]), Changes::default());
        assert!(roster.stream("s").is_some());
    }

    #[test]
    fn after_a_reconnect_only_the_difference_is_told() {
        let mut roster = Roster::default();
        let bob = participant("PA_1", "bob", &[("TR_1", VIDEO, "s")]);
        let eve = participant("PA_2", "eve", &[("TR_2", VIDEO, "t")]);
        roster.update(&[bob.clone(), eve]);
        let changes = roster.replace(&[bob, participant("PA_3", "joe", &[])]);
        assert_eq!(changes.users_removed[0].id, "eve");
        assert_eq!(changes.streams_removed[0].0, "t");
        assert_eq!(changes.users_added[0].id, "joe");
        assert!(changes.streams_added.is_empty());
    }

    #[test]
    fn a_muted_camera_shows_as_mute_and_a_closed_one_as_disable() {
        let mut info = participant("PA_1", "bob", &[("TR_1", VIDEO, "s")]);
        info.tracks[0].muted = true;
        let mut roster = Roster::default();
        roster.update(&[info.clone()]);
        assert_eq!(roster.stream("s").unwrap().camera_state(), DEVICE_MUTED);
        info.attributes
            .insert(conventions::device_state_attribute("s"), format_device_states(DEVICE_DISABLED, DEVICE_OPEN));
        roster.update(&[info]);
        assert_eq!(roster.stream("s").unwrap().camera_state(), DEVICE_DISABLED);
    }

    #[test]
    fn hidden_participants_are_nobody() {
        let mut info = participant("PA_1", "ghost", &[]);
        info.permission = Some(protocol::messages::ParticipantPermission { hidden: true, ..Default::default() });
        assert_eq!(Roster::default().update(&[info]), Changes::default());
    }
}
