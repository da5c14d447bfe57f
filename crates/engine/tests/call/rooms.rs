//! Several rooms: at once, one after the other, and a stream of a room that one is not in.

use engine::{EngineConfig, PlayerConfig, PublisherConfig, RoomConfig};

use crate::harness::{Client, Screen, Server, fakes, profile, wait_for};

fn multi(server: &Server) -> Client {
    Client::configured(
        profile(&server.url()),
        EngineConfig { advanced: fakes(), multi_room: true, ..Default::default() },
    )
}

fn in_room(room: &str) -> PublisherConfig {
    PublisherConfig { room_id: Some(room.into()) }
}

fn from_room(room: &str) -> PlayerConfig {
    PlayerConfig { room_id: Some(room.into()) }
}

fn enter(client: &mut Client, room: &str, user: &str) {
    client.login(room, user);
    client.expect("onRoomStateUpdate", |event| event["roomID"] == room && event["state"] == 2);
}

#[test]
fn a_user_in_two_rooms_publishes_in_one_and_plays_from_the_other() {
    let server = Server::start();
    let mut anna = multi(&server);
    enter(&mut anna, "a", "anna");
    enter(&mut anna, "b", "anna");
    let mut ben = Client::joined(&server, "b", "ben");
    ben.publish("ben-stream");
    let reported = anna.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
    assert_eq!((&reported["roomID"], &reported["streamList"][0]["streamID"]), (&"b".into(), &"ben-stream".into()));
    let screen = std::sync::Arc::new(Screen::default());
    anna.engine.start_playing_stream("ben-stream", Some(screen.clone()), from_room("b")).unwrap();
    screen.frames(3);
    anna.engine.start_publishing_stream("anna-stream", in_room("a"), 0).unwrap();
    anna.expect("onPublisherStateUpdate", |event| event["state"] == 2);
    let mut carl = Client::joined(&server, "a", "carl");
    carl.expect("onRoomStreamUpdate", |event| event["streamList"][0]["streamID"] == "anna-stream");
    assert!(ben.all("onRoomStreamUpdate").is_empty());
    anna.engine.logout_room(Some("a")).unwrap();
    anna.expect("onPublisherStateUpdate", |event| event["state"] == 0);
    anna.expect("onRoomStateUpdate", |event| event["roomID"] == "a" && event["state"] == 0);
    screen.frames(0);
    screen.frames(3);
    anna.engine.logout_room(None).unwrap();
    anna.expect("onPlayerStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 0);
    anna.expect("onRoomStateUpdate", |event| event["roomID"] == "b" && event["state"] == 0);
}

#[test]
fn in_multi_room_mode_every_misuse_has_its_code() {
    let server = Server::start();
    let mut anna = multi(&server);
    for room in ["1", "2", "3", "4", "5"] {
        enter(&mut anna, room, "anna");
    }
    let mut refused = |room: &str, user: &str, code: i64| {
        anna.login(room, user);
        anna.expect("onRoomStateUpdate", |event| event["roomID"] == room && event["errorCode"] == code);
    };
    refused("6", "anna", 1_002_037);
    anna.engine.logout_room(Some("5")).unwrap();
    anna.expect("onRoomStateUpdate", |event| event["roomID"] == "5" && event["state"] == 0);
    anna.login("6", "ben");
    anna.expect("onRoomStateUpdate", |event| event["roomID"] == "6" && event["errorCode"] == 1_002_018);
    anna.login("1", "anna");
    anna.expect("onDebugError", |event| event["funcName"] == "loginRoom" && event["errorCode"] == 1_002_064);
    for (config, code) in
        [(PublisherConfig { room_id: None }, 1_003_070), (in_room(""), 1_003_071), (in_room("9"), 1_000_002)]
    {
        anna.engine.start_publishing_stream("s", config, 0).unwrap();
        anna.expect("onPublisherStateUpdate", |event| event["state"] == 0 && event["errorCode"] == code);
    }
    for (config, code) in [(PlayerConfig { room_id: None }, 1_004_070), (from_room(""), 1_004_071)] {
        anna.engine.start_playing_stream("s", None, config).unwrap();
        anna.expect("onPlayerStateUpdate", |event| event["state"] == 0 && event["errorCode"] == code);
    }
    anna.engine.switch_room("1", "7", RoomConfig::default()).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "switchRoom" && event["errorCode"] == 1_002_019);
}

#[test]
fn a_stream_of_another_room_is_played_by_a_visitor_whom_nobody_there_sees() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "far", "anna");
    anna.publish("anna-stream");
    let mut ben = Client::joined(&server, "near", "ben");
    let screen = std::sync::Arc::new(Screen::default());
    ben.engine.start_playing_stream("anna-stream", Some(screen.clone()), from_room("far")).unwrap();
    ben.expect("onPlayerStateUpdate", |event| event["state"] == 2);
    screen.frames(3);
    assert!(ben.all("onRoomStreamUpdate").is_empty());
    assert!(ben.all("onRoomStateUpdate").iter().all(|event| event["roomID"] == "near"));
    assert!(anna.all("onRoomUserUpdate").is_empty());
    // Nothing is played from there any more: the visitor leaves.
    let rooms = |client: &Client| client.engine.call_experimental_api(r#"{"method":"getStats"}"#);
    wait_for("numbers of both rooms", || rooms(&ben).contains(r#""far""#));
    ben.engine.stop_playing_stream("anna-stream").unwrap();
    wait_for("the end of the visit", || !rooms(&ben).contains(r#""far""#));
}

#[test]
fn a_user_moves_to_another_room_and_its_preview_continues() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "one", "anna");
    let mut ben = Client::joined(&server, "two", "ben");
    let preview = std::sync::Arc::new(Screen::default());
    anna.engine.start_preview(0, Some(preview.clone())).unwrap();
    anna.publish("anna-stream");
    anna.forget();
    anna.engine.switch_room("one", "two", RoomConfig::default()).unwrap();
    anna.expect("onRoomStateUpdate", |event| event["roomID"] == "two" && event["state"] == 2);
    let reasons: Vec<_> = anna
        .all("onRoomStateChanged")
        .iter()
        .map(|event| (event["roomID"].clone(), event["reason"].as_i64().unwrap()))
        .collect();
    assert_eq!(reasons, [("one".into(), 7), ("two".into(), 0), ("two".into(), 1)]);
    assert_eq!(anna.all("onPublisherStateUpdate").last().unwrap()["state"], 0);
    ben.expect("onRoomUserUpdate", |event| event["userList"][0]["userID"] == "anna");
    preview.frames(0);
    preview.frames(3);
    anna.publish("anna-stream");
    ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
}

#[test]
fn a_move_from_a_room_that_one_is_not_in_is_refused() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    anna.engine.switch_room("one", "two", RoomConfig::default()).unwrap();
    anna.expect("onRoomStateUpdate", |event| event["roomID"] == "two" && event["errorCode"] == 1_000_002);
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    anna.engine.switch_room("one", "two", RoomConfig::default()).unwrap();
    anna.expect("onRoomStateUpdate", |event| event["roomID"] == "two" && event["errorCode"] == 1_002_002);
    anna.publish("still-here");
}
