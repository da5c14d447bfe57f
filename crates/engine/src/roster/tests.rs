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

/// The tests that use it are about no time at all.
fn now() -> Instant {
    Instant::now()
}

const AUDIO: TrackType = TrackType::Audio;
const VIDEO: TrackType = TrackType::Video;

#[test]
fn a_stream_appears_with_its_first_track_and_ends_with_its_last() {
    let mut roster = Roster::default();
    let changes = roster.update(&[participant("PA_1", "bob", &[("TR_a", AUDIO, "s")])], now());
    assert_eq!(changes.users_added.len(), 1);
    assert_eq!(changes.streams_added[0].0, "s");
    let both = [("TR_a", AUDIO, "s"), ("TR_v", VIDEO, "s")];
    let changes = roster.update(&[participant("PA_1", "bob", &both)], now());
    assert!(changes.streams_added.is_empty());
    assert_eq!(changes.streams_changed[0].1.playable_sids().count(), 2);
    let changes = roster.update(&[participant("PA_1", "bob", &[])], now());
    assert_eq!(changes.streams_removed[0].2, RemovalReason::Stopped);
    assert!(roster.stream("s").is_none());
}

#[test]
fn a_late_leave_of_a_replaced_session_keeps_the_new_one() {
    let mut roster = Roster::default();
    roster.update(&[participant("PA_1", "bob", &[("TR_1", VIDEO, "s")])], now());
    roster.update(&[participant("PA_2", "bob", &[("TR_2", VIDEO, "s")])], now());
    let mut goodbye = participant("PA_1", "bob", &[]);
    goodbye.state = State::Disconnected as i32;
    assert_eq!(roster.update(&[goodbye], now()), Changes::default());
    assert!(roster.stream("s").is_some());
}

#[test]
fn after_a_reconnect_only_differences_are_reported() {
    let start = now();
    let mut roster = Roster::default();
    let bob = participant("PA_1", "bob", &[("TR_1", VIDEO, "s")]);
    let eve = participant("PA_2", "eve", &[("TR_2", VIDEO, "t")]);
    roster.update(&[bob.clone(), eve], start);
    let changes = roster.replace(&[bob, participant("PA_3", "joe", &[])], start);
    let joe = User { id: "joe".into(), name: "joe".into() };
    let expected = Changes { users_added: vec![joe], streams_away: vec!["t".into()], ..Changes::default() };
    assert_eq!(changes, expected);
    assert!(roster.stream("t").is_none());
    assert_eq!(roster.expire(start + GRACE - Duration::from_millis(1)), Changes::default());
    let changes = roster.expire(start + GRACE);
    assert_eq!(changes.users_removed[0].id, "eve");
    assert_eq!(
        (changes.streams_removed[0].0.as_str(), changes.streams_removed[0].2),
        ("t", RemovalReason::Disconnected)
    );
    assert_eq!(roster.expire(start + GRACE * 2), Changes::default());
}

#[test]
fn users_who_return_after_a_server_failure_keep_their_streams() {
    let start = now();
    let mut roster = Roster::default();
    roster.update(&[participant("PA_1", "bob", &[("TR_1", VIDEO, "s")])], start);
    assert_eq!(roster.replace(&[], start).streams_away, ["s"]);
    let joined = roster.update(&[participant("PA_9", "bob", &[])], start + Duration::from_secs(2));
    assert_eq!(joined, Changes::default());
    let published =
        roster.update(&[participant("PA_9", "bob", &[("TR_9", VIDEO, "s")])], start + Duration::from_secs(3));
    assert_eq!(published.streams_changed.len(), 1);
    let only_changed = Changes { streams_changed: published.streams_changed.clone(), ..Changes::default() };
    assert_eq!(published, only_changed);
    assert_eq!(roster.expire(start + GRACE * 3), Changes::default());
    assert_eq!(roster.stream("s").unwrap().video.as_ref().unwrap().sid, "TR_9");
}

#[test]
fn a_user_who_returns_without_its_stream_loses_only_the_stream() {
    let start = now();
    let mut roster = Roster::default();
    roster.update(&[participant("PA_1", "bob", &[("TR_1", VIDEO, "s")])], start);
    roster.replace(&[participant("PA_9", "bob", &[])], start);
    let changes = roster.expire(start + GRACE);
    assert_eq!((changes.streams_removed[0].0.as_str(), changes.streams_removed[0].2), ("s", RemovalReason::Stopped));
    assert!(changes.users_removed.is_empty());
}

#[test]
fn a_second_session_of_a_user_is_not_a_second_user() {
    let start = now();
    let mut roster = Roster::default();
    roster.update(&[participant("PA_1", "bob", &[("TR_1", VIDEO, "s")])], start);
    let mut replaced = participant("PA_1", "bob", &[]);
    replaced.state = State::Disconnected as i32;
    replaced.disconnect_reason = DisconnectReason::DuplicateIdentity as i32;
    let changes = roster.update(&[replaced, participant("PA_2", "bob", &[("TR_2", VIDEO, "s")])], start);
    assert_eq!(changes.streams_changed.len(), 1);
    assert!(changes.users_added.is_empty() && changes.users_removed.is_empty() && changes.streams_removed.is_empty());
    assert_eq!(roster.expire(start + GRACE), Changes::default());
}

#[test]
fn a_missing_user_who_leaves_is_removed_at_once() {
    let mut roster = Roster::default();
    roster.update(&[participant("PA_1", "bob", &[("TR_1", VIDEO, "s")])], now());
    roster.replace(&[], now());
    roster.update(&[participant("PA_2", "bob", &[])], now());
    let mut goodbye = participant("PA_2", "bob", &[]);
    goodbye.state = State::Disconnected as i32;
    let changes = roster.update(&[goodbye], now());
    assert_eq!((changes.users_removed.len(), changes.streams_removed.len()), (1, 1));
}

#[test]
fn a_muted_camera_shows_as_mute_and_a_closed_one_as_disable() {
    let mut info = participant("PA_1", "bob", &[("TR_1", VIDEO, "s")]);
    info.tracks[0].muted = true;
    let mut roster = Roster::default();
    roster.update(&[info.clone()], now());
    assert_eq!(roster.stream("s").unwrap().camera_state(), DEVICE_MUTED);
    info.attributes
        .insert(conventions::device_state_attribute("s"), format_device_states(DEVICE_DISABLED, DEVICE_OPEN));
    roster.update(&[info], now());
    assert_eq!(roster.stream("s").unwrap().camera_state(), DEVICE_DISABLED);
}

#[test]
fn new_extra_info_differs_from_other_changes() {
    let mut roster = Roster::default();
    let mut info = participant("PA_1", "bob", &[("TR_1", VIDEO, "s")]);
    roster.update(&[info.clone()], now());
    info.attributes.insert(conventions::extra_info_attribute("s"), "x".into());
    assert_eq!(roster.update(&[info.clone()], now()).extra_info_changed[0].1.extra_info, "x");
    info.tracks[0].muted = true;
    assert!(roster.update(&[info], now()).extra_info_changed.is_empty());
}

#[test]
fn a_contested_id_stays_with_the_older_session() {
    let mut roster = Roster::default();
    let bob = ParticipantInfo { joined_at_ms: 1, ..participant("PA_1", "bob", &[("TR_1", VIDEO, "s")]) };
    let eve = ParticipantInfo { joined_at_ms: 2, ..participant("PA_2", "!eve", &[("TR_2", VIDEO, "s")]) };
    roster.update(&[bob], now());
    let changes = roster.update(&[eve], now());
    assert!(changes.streams_added.is_empty() && changes.streams_changed.is_empty());
    assert_eq!(roster.stream("s").unwrap().user.id, "bob");
    let mut goodbye = participant("PA_2", "!eve", &[]);
    goodbye.state = State::Disconnected as i32;
    assert!(roster.update(&[goodbye], now()).streams_removed.is_empty());
    assert_eq!(roster.stream("s").unwrap().user.id, "bob");
}

#[test]
fn a_released_id_passes_to_another_claimant() {
    let mut roster = Roster::default();
    let bob = ParticipantInfo { joined_at_ms: 1, ..participant("PA_1", "bob", &[("TR_1", VIDEO, "s")]) };
    let eve = ParticipantInfo { joined_at_ms: 2, ..participant("PA_2", "eve", &[("TR_2", VIDEO, "s")]) };
    roster.update(&[bob, eve], now());
    let mut goodbye = participant("PA_1", "bob", &[]);
    goodbye.state = State::Disconnected as i32;
    let changes = roster.update(&[goodbye], now());
    assert_eq!(changes.streams_removed[0].1.user.id, "bob");
    assert_eq!(changes.streams_added[0].1.user.id, "eve");
}

#[test]
fn our_server_says_which_stream_a_track_belongs_to() {
    let mut roster = Roster { server_names_streams: true, ..Roster::default() };
    let mut info = participant("PA_1", "Phone 013", &[("TR_1", AUDIO, "x"), ("TR_2", VIDEO, "y")]);
    for track in &mut info.tracks {
        track.stream = "Phone 013_2".into();
    }
    let changes = roster.update(&[info], now());
    assert_eq!(changes.streams_added[0].0, "Phone 013_2");
    let stream = roster.stream("Phone 013_2").unwrap();
    assert!(stream.audio.is_some() && stream.video.is_some());
}

#[test]
fn a_new_holder_of_an_id_replaces_a_missing_one() {
    let mut roster = Roster::default();
    let bob = ParticipantInfo { joined_at_ms: 1, ..participant("PA_1", "bob", &[("TR_1", VIDEO, "s")]) };
    let eve = ParticipantInfo { joined_at_ms: 2, ..participant("PA_2", "eve", &[("TR_2", VIDEO, "s")]) };
    let start = now();
    roster.update(&[bob], start);
    roster.replace(&[], start);
    let changes = roster.update(&[eve], start);
    assert_eq!((changes.streams_removed.len(), changes.streams_added[0].1.user.id.as_str()), (1, "eve"));
    assert!(roster.expire(start + GRACE).streams_removed.is_empty());
}

#[test]
fn why_a_session_ended_is_why_its_streams_went() {
    for (ended, expected) in [
        (DisconnectReason::ClientInitiated, RemovalReason::Disconnected),
        (DisconnectReason::SignalClose, RemovalReason::HeartbeatLost),
        (DisconnectReason::ParticipantRemoved, RemovalReason::KickedOut),
        (DisconnectReason::RoomDeleted, RemovalReason::RemovedByServer),
    ] {
        let mut roster = Roster::default();
        roster.update(&[participant("PA_1", "bob", &[("TR_1", VIDEO, "s")])], now());
        let mut goodbye = participant("PA_1", "bob", &[]);
        (goodbye.state, goodbye.disconnect_reason) = (State::Disconnected as i32, ended as i32);
        assert_eq!(roster.update(&[goodbye], now()).streams_removed[0].2, expected);
    }
}

#[test]
fn hidden_participants_are_ignored() {
    let mut info = participant("PA_1", "ghost", &[]);
    info.permission = Some(protocol::messages::ParticipantPermission { hidden: true, ..Default::default() });
    assert_eq!(Roster::default().update(&[info], now()), Changes::default());
}
