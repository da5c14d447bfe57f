use engine::{RoomConfig, User};
use serde_json::Value;

use crate::harness::{Client, Server, fakes, profile};

#[test]
fn a_login_goes_through_connecting_to_connected_under_both_names() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    let states: Vec<_> = anna.all("onRoomStateUpdate").iter().map(|event| event["state"].as_i64()).collect();
    let reasons: Vec<_> = anna.all("onRoomStateChanged").iter().map(|event| event["reason"].as_i64()).collect();
    assert_eq!(states, [Some(1), Some(2)]);
    assert_eq!(reasons, [Some(0), Some(1)]);
    let extended = anna.all("onRoomStateUpdate")[1]["extendedData"].as_str().unwrap().to_owned();
    let extended: Value = serde_json::from_str(&extended).unwrap();
    assert!(extended["room_session_id"].is_string());
}

#[test]
fn a_logout_ends_disconnected_and_the_others_see_the_user_leave() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    let added = ben.expect("onRoomUserUpdate", |event| event["updateType"] == 0);
    assert_eq!(added["userList"][0]["userID"], "anna");
    assert_eq!(added["userList"][0]["userName"], "anna-name");
    anna.engine.logout_room(Some("room")).unwrap();
    let left = anna.expect("onRoomStateUpdate", |event| event["state"] == 0);
    assert_eq!(left["errorCode"], 0);
    ben.expect("onRoomUserUpdate", |event| event["updateType"] == 1 && event["userList"][0]["userID"] == "anna");
}

#[test]
fn without_user_status_notify_there_are_no_user_updates() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    anna.engine.login_room("room", User { id: "anna".into(), name: String::new() }, RoomConfig::default()).unwrap();
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    let mut ben = Client::joined(&server, "room", "ben");
    ben.publish("ben-stream");
    anna.expect("onRoomStreamUpdate", |event| event["streamList"][0]["streamID"] == "ben-stream");
    assert!(anna.all("onRoomUserUpdate").is_empty());
}

#[test]
fn the_same_user_elsewhere_kicks_the_older_session_out() {
    let server = Server::start();
    let mut first = Client::joined(&server, "room", "anna");
    let mut second = Client::joined(&server, "room", "anna");
    let kicked = first.expect("onRoomStateChanged", |event| event["reason"] == 6);
    assert_eq!(kicked["errorCode"], 1_002_050);
    first.expect("onRoomStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_002_050);
    assert!(second.all("onRoomStateUpdate").iter().all(|event| event["errorCode"] == 0));
}

#[test]
fn a_second_room_is_refused_and_the_first_stays() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.login("other", "anna");
    anna.expect("onRoomStateUpdate", |event| event["roomID"] == "other" && event["errorCode"] == 1_002_001);
    anna.engine.logout_room(Some("other")).unwrap();
    anna.expect("onRoomStateChanged", |event| event["reason"] == 8 && event["errorCode"] == 1_002_002);
    anna.publish("still-here");
}

#[test]
fn a_full_room_says_so() {
    let server = Server::start();
    let login = |client: &Client, user: &str| {
        let config = RoomConfig { max_member_count: 1, ..RoomConfig::default() };
        client.engine.login_room("small", User { id: user.into(), name: user.into() }, config).unwrap();
    };
    let mut anna = Client::new(&server);
    login(&anna, "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    let mut ben = Client::new(&server);
    login(&ben, "ben");
    ben.expect("onRoomStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_002_034);
}

#[test]
fn a_wrong_app_sign_and_an_unknown_app_have_their_own_codes() {
    let server = Server::start();
    let mut wrong = profile(&server.url());
    wrong.app_sign = "f".repeat(64);
    let mut client = Client::with(wrong, fakes());
    client.login("room", "anna");
    client.expect("onRoomStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_001_005);
    let mut unknown = profile(&server.url());
    unknown.app_id = 7;
    let mut client = Client::with(unknown, fakes());
    client.login("room", "anna");
    client.expect("onRoomStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_001_004);
}

#[test]
fn when_an_engine_is_destroyed_its_room_knows_and_its_stream_ids_are_free() {
    let server = Server::start();
    for user in ["anna", "ben", "carl"] {
        let mut client = Client::joined(&server, user, user);
        client.publish("the-only");
        client.engine.destroy();
    }
}

#[test]
fn an_engine_can_be_destroyed_at_any_time_and_more_than_once() {
    let server = Server::start();
    for step in 0..3 {
        let mut client = Client::new(&server);
        if step > 0 {
            client.login("room", "anna");
        }
        if step > 1 {
            client.expect("onRoomStateUpdate", |event| event["state"] == 2);
        }
        client.engine.destroy();
        client.engine.destroy();
        client.forget();
        assert!(client.engine.login_room("room", User::default(), RoomConfig::default()).is_err());
        assert!(client.all("onRoomStateUpdate").is_empty());
    }
}
