//! The participants of a room and the streams that they publish: turns the server's participant lists into changes.
//!
//! Pure: time is an argument. The same diff serves an update and the full list after a reconnect, so nothing is lost or
//! reported twice. After a server failure users come back one by one, each before its streams; users who are missing then
//! have a grace period before the application is notified.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::conventions;
use protocol::messages::{DisconnectReason, ParticipantInfo, TrackSource, TrackType, participant_info::State};

use crate::config::User;
use crate::session::TrackKind;
use crate::stream_names::{StreamNames, agreed, reported_by_server};
use crate::undecodable::{self, Reason};

/// How long a participant who was there before a reconnect may be missing: longer than the longest pause between two
/// attempts of other clients.
const GRACE: Duration = Duration::from_secs(8);

/// Why a stream ended, as in `stream_delete_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovalReason {
    /// Its publisher stopped it.
    Stopped = 1,
    /// Its publisher timed out.
    HeartbeatLost = 2,
    /// Its publisher was put out of the room.
    KickedOut = 4,
    /// Its publisher left, or is not there any more after a reconnect.
    Disconnected = 5,
    /// The room was ended.
    RemovedByServer = 6,
}

impl RemovalReason {
    /// Why the streams end of a participant whose session ended for this [`DisconnectReason`].
    fn of_session(reason: i32) -> Self {
        match DisconnectReason::try_from(reason) {
            Ok(DisconnectReason::SignalClose | DisconnectReason::ConnectionTimeout) => Self::HeartbeatLost,
            Ok(DisconnectReason::ParticipantRemoved) => Self::KickedOut,
            Ok(DisconnectReason::RoomDeleted | DisconnectReason::RoomClosed) => Self::RemovedByServer,
            _ => Self::Disconnected,
        }
    }
}

/// One track of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) sid: String,
    pub(crate) muted: bool,
    /// Why it cannot be played, by its description.
    pub(crate) obstacle: Option<Reason>,
    /// It shows a screen, whose frames may stop.
    pub(crate) is_screen: bool,
}

/// When a session began, by the server's clock in milliseconds, and its sid: of two sessions the smaller is the older.
pub(crate) type SessionAge = (i64, String);

/// The age of a participant's session. Older servers report whole seconds.
pub(crate) fn session_age(info: &ParticipantInfo) -> SessionAge {
    let ms = if info.joined_at_ms != 0 { info.joined_at_ms } else { info.joined_at.saturating_mul(1000) };
    (ms, info.sid.clone())
}

/// One stream of a remote user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) user: User,
    pub(crate) audio: Option<Track>,
    pub(crate) video: Option<Track>,
    /// Stream extra info, an attribute of the publisher.
    pub(crate) extra_info: String,
    /// Of the session that publishes it.
    pub(crate) session_age: SessionAge,
    /// Detailed device states from the publisher, `ZegoRemoteDeviceState` of camera and microphone.
    pub(crate) device_states: Option<(i32, i32)>,
}

/// `ZegoRemoteDeviceState` of a device that runs and sends.
pub(crate) const DEVICE_OPEN: i32 = 0;
/// `ZegoRemoteDeviceState`: switched off by its owner.
pub(crate) const DEVICE_DISABLED: i32 = 9;
/// `ZegoRemoteDeviceState`: held, but not sent.
pub(crate) const DEVICE_MUTED: i32 = 10;

impl Stream {
    /// Sids of those that make sense to subscribe to.
    pub(crate) fn playable_sids(&self) -> impl Iterator<Item = &str> {
        let tracks = self.audio.iter().chain(&self.video);
        tracks.filter(|track| track.obstacle != Some(Reason::Encrypted)).map(|track| track.sid.as_str())
    }

    /// Why audio and video cannot be played, by their descriptions.
    pub(crate) fn obstacles(&self) -> [(TrackKind, Option<Reason>); 2] {
        let of = |track: &Option<Track>| track.as_ref().and_then(|track| track.obstacle.clone());
        [(TrackKind::Audio, of(&self.audio)), (TrackKind::Video, of(&self.video))]
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

fn device_state(reported: Option<i32>, track: Option<&Track>) -> i32 {
    match (reported, track) {
        (Some(state), _) if state != DEVICE_OPEN => state,
        (_, Some(track)) if track.muted => DEVICE_MUTED,
        _ => DEVICE_OPEN,
    }
}

/// The changes of an update, in the order in which the application should hear them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) users_added: Vec<User>,
    pub(crate) users_removed: Vec<User>,
    pub(crate) streams_added: Vec<(String, Stream)>,
    /// Streams whose tracks, mute states or device states have changed.
    pub(crate) streams_changed: Vec<(String, Stream)>,
    /// Those of them with another extra info.
    pub(crate) extra_info_changed: Vec<(String, Stream)>,
    pub(crate) streams_removed: Vec<(String, Stream, RemovalReason)>,
    /// Streams that are missing for now. The application is notified only if they stay away.
    pub(crate) streams_away: Vec<String>,
}

#[derive(Debug, Default)]
struct Participant {
    sid: String,
    user: User,
    /// What it last published; without tracks while it is missing.
    info: ParticipantInfo,
    streams: BTreeMap<String, Stream>,
    /// Streams of an earlier session of this user that the present one has not published, and since when.
    awaited: BTreeMap<String, (Stream, Instant)>,
}

impl Participant {
    /// The session that published the streams is over, and the user is expected back.
    fn await_streams(&mut self, now: Instant, changes: &mut Changes) {
        self.info.tracks.clear();
        for (stream_id, stream) in std::mem::take(&mut self.streams) {
            changes.streams_away.push(stream_id.clone());
            self.awaited.insert(stream_id, (stream, now));
        }
    }

    /// Takes over what it publishes now. `added` are the IDs of new streams.
    fn update_streams(&mut self, streams: BTreeMap<String, Stream>, added: &mut Vec<String>, changes: &mut Changes) {
        if streams == self.streams {
            return;
        }
        for (stream_id, old) in &self.streams {
            if !streams.contains_key(stream_id) {
                changes.streams_removed.push((stream_id.clone(), old.clone(), RemovalReason::Stopped));
            }
        }
        for (stream_id, new) in &streams {
            let before = self.streams.get(stream_id).cloned();
            let awaited = self.awaited.remove(stream_id).map(|(stream, _)| stream);
            match before.or(awaited) {
                None => {
                    added.push(stream_id.clone());
                    changes.streams_added.push((stream_id.clone(), new.clone()));
                }
                Some(old) => {
                    if old.extra_info != new.extra_info {
                        changes.extra_info_changed.push((stream_id.clone(), new.clone()));
                    }
                    if old != *new {
                        changes.streams_changed.push((stream_id.clone(), new.clone()));
                    }
                }
            }
        }
        self.streams = streams;
        changes.streams_away.retain(|stream_id| !self.streams.contains_key(stream_id));
    }
}

/// The remote participants of one room.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// Whether the server says which stream a track belongs to.
    pub(crate) server_names_streams: bool,
    participants: BTreeMap<String, Participant>,
    /// The missing ones, with the time since when.
    missing: BTreeMap<String, Instant>,
}

impl Roster {
    /// The stream with this ID, if a participant publishes it.
    pub(crate) fn stream(&self, stream_id: &str) -> Option<&Stream> {
        self.participants.values().find_map(|participant| participant.streams.get(stream_id))
    }

    /// The user with this ID; one who just left is known by the ID alone.
    pub(crate) fn user(&self, identity: &str) -> User {
        match self.participants.get(identity) {
            Some(participant) => participant.user.clone(),
            None => User { id: identity.to_owned(), name: identity.to_owned() },
        }
    }

    /// Number of the others.
    pub(crate) fn len(&self) -> usize {
        self.participants.len()
    }

    /// The user whose session in the room has this sid.
    pub(crate) fn user_id_of(&self, participant_sid: &str) -> Option<&str> {
        let found = self.participants.values().find(|participant| participant.sid == participant_sid);
        found.map(|participant| participant.user.id.as_str())
    }

    /// Applies an update about some participants.
    pub(crate) fn update(&mut self, participants: &[ParticipantInfo], now: Instant) -> Changes {
        let mut changes = Changes::default();
        for info in participants {
            self.apply(info, now, &mut changes);
        }
        self.name_streams(&mut changes);
        changes
    }

    /// Applies the complete list after a new login: participants that are not in it may still come back.
    pub(crate) fn replace(&mut self, participants: &[ParticipantInfo], now: Instant) -> Changes {
        let mut changes = Changes::default();
        // Who was already missing had no chance to come back while this client was away.
        let awaited = self.participants.values_mut().flat_map(|participant| participant.awaited.values_mut());
        self.missing.values_mut().chain(awaited.map(|(_, since)| since)).for_each(|since| *since = now);
        let gone: Vec<String> = self
            .participants
            .keys()
            .filter(|identity| !participants.iter().any(|info| info.identity == **identity))
            .cloned()
            .collect();
        for identity in gone {
            self.miss(&identity, now, &mut changes);
        }
        for info in participants {
            self.apply(info, now, &mut changes);
        }
        self.name_streams(&mut changes);
        changes
    }

    /// Removes participants that have been missing for too long. Called about once a second.
    pub(crate) fn expire(&mut self, now: Instant) -> Changes {
        let mut changes = Changes::default();
        let is_over = |since: &Instant| now.duration_since(*since) >= GRACE;
        let gone = self.missing.iter().filter(|(_, since)| is_over(since));
        let gone: Vec<String> = gone.map(|(identity, _)| identity.clone()).collect();
        for identity in gone {
            self.remove(&identity, RemovalReason::Disconnected, &mut changes);
        }
        // An ID of theirs may belong to another participant now.
        self.name_streams(&mut changes);
        for participant in self.participants.values_mut() {
            participant.awaited.retain(|stream_id, (stream, since)| {
                let over = is_over(since);
                if over {
                    changes.streams_removed.push((stream_id.clone(), stream.clone(), RemovalReason::Stopped));
                }
                !over
            });
        }
        changes
    }

    fn miss(&mut self, identity: &str, now: Instant, changes: &mut Changes) {
        if let Some(participant) = self.participants.get_mut(identity) {
            participant.await_streams(now, changes);
            self.missing.entry(identity.to_owned()).or_insert(now);
        }
    }

    fn apply(&mut self, info: &ParticipantInfo, now: Instant, changes: &mut Changes) {
        if info.permission.as_ref().is_some_and(|permission| permission.hidden) {
            return;
        }
        if info.state == State::Disconnected as i32 {
            // The end of a session that the same user has already replaced says nothing about the new one.
            if self.participants.get(&info.identity).is_some_and(|known| known.sid == info.sid) {
                if comes_back(info.disconnect_reason) {
                    self.miss(&info.identity, now, changes);
                } else {
                    self.remove(&info.identity, RemovalReason::of_session(info.disconnect_reason), changes);
                }
            }
            return;
        }
        let user = User {
            id: info.identity.clone(),
            name: if info.name.is_empty() { info.identity.clone() } else { info.name.clone() },
        };
        self.missing.remove(&info.identity);
        let known = self.participants.entry(info.identity.clone()).or_insert_with(|| {
            changes.users_added.push(user.clone());
            Participant { sid: info.sid.clone(), ..Participant::default() }
        });
        if known.sid != info.sid {
            known.await_streams(now, changes);
            known.sid.clone_from(&info.sid);
        }
        known.user = user;
        known.info.clone_from(info);
    }

    /// Sorts all tracks into streams, and reports the differences.
    fn name_streams(&mut self, changes: &mut Changes) {
        let agreed = (!self.server_names_streams).then(|| agreed(self.participants.values().map(|known| &known.info)));
        let mut added = Vec::new();
        for known in self.participants.values_mut() {
            let streams = match &agreed {
                Some(names) => streams_of(&known.info, &known.user, names),
                None => streams_of(&known.info, &known.user, &reported_by_server(&known.info)),
            };
            known.update_streams(streams, &mut added, changes);
        }
        // The new holder of an ID replaces one that was missing.
        for stream_id in &added {
            for known in self.participants.values_mut().filter(|known| !known.streams.contains_key(stream_id)) {
                if let Some((stream, _)) = known.awaited.remove(stream_id) {
                    changes.streams_removed.push((stream_id.clone(), stream, RemovalReason::Disconnected));
                }
            }
        }
    }

    fn remove(&mut self, identity: &str, reason: RemovalReason, changes: &mut Changes) {
        self.missing.remove(identity);
        let Some(participant) = self.participants.remove(identity) else { return };
        let awaited = participant.awaited.into_iter().map(|(stream_id, (stream, _))| (stream_id, stream));
        for (stream_id, stream) in participant.streams.into_iter().chain(awaited) {
            changes.streams_removed.push((stream_id, stream, reason));
        }
        changes.users_removed.push(participant.user);
    }
}

/// Whether a participant who left for that reason is expected again at once: replaced by a new session of the same user,
/// or asked to log in again.
fn comes_back(reason: i32) -> bool {
    matches!(
        DisconnectReason::try_from(reason),
        Ok(DisconnectReason::DuplicateIdentity
            | DisconnectReason::ServerShutdown
            | DisconnectReason::StateMismatch
            | DisconnectReason::Migration)
    )
}

fn streams_of(info: &ParticipantInfo, user: &User, names: &StreamNames) -> BTreeMap<String, Stream> {
    let mut streams = BTreeMap::<String, Stream>::new();
    for track in &info.tracks {
        let Some(stream_id) = names.get(&track.sid) else { continue };
        let stream = streams.entry(stream_id.clone()).or_default();
        let slot = match TrackType::try_from(track.r#type) {
            Ok(TrackType::Audio) => &mut stream.audio,
            Ok(TrackType::Video) => &mut stream.video,
            _ => continue,
        };
        let is_screen = track.source == TrackSource::ScreenShare as i32;
        let obstacle = undecodable::obstacle(track);
        *slot = Some(Track { sid: track.sid.clone(), muted: track.muted, obstacle, is_screen });
    }
    streams.retain(|_, stream| stream.audio.is_some() || stream.video.is_some());
    for (stream_id, stream) in &mut streams {
        stream.user = user.clone();
        stream.session_age = session_age(info);
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
mod tests;
