//! Extra info of rooms and streams, and the number of users.

use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::harness::{Client, Server, answer};

fn set_room_info(client: &Client, room: &str, key: &str, value: &str) -> i64 {
    answer(|reply| client.engine.set_room_extra_info(room, key, value, reply))["errorCode"].as_i64().unwrap()
}

fn set_stream_info(client: &Client, info: &str) -> i64 {
    answer(|reply| client.engine.set_stream_extra_info(info, 0, reply))["errorCode"].as_i64().unwrap()
}

#[test]
fn room_extra_info_reaches_later_users_after_its_author_left() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    assert_eq!(set_room_info(&anna, "room", "topic", "cats"), 0);
    let reported = ben.expect("onRoomExtraInfoUpdate", |_| true);
    let entry = &reported["roomExtraInfoList"][0];
    assert_eq!(
        (&reported["roomID"], &entry["key"], &entry["value"]),
        (&"room".into(), &"topic".into(), &"cats".into())
    );
    assert_eq!(entry["updateUser"]["userID"], "anna");
    assert!(entry["updateTime"].as_u64().unwrap() > 1_600_000_000_000);
    assert_eq!(set_room_info(&ben, "room", "topic", "dogs"), 0);
    anna.expect("onRoomExtraInfoUpdate", |event| event["roomExtraInfoList"][0]["value"] == "dogs");
    let reported = anna.all("onRoomExtraInfoUpdate");
    assert_eq!(reported.len(), 1, "the author does not hear of what he set himself: {reported:?}");
    ben.engine.logout_room(None).unwrap();
    anna.expect("onRoomUserUpdate", |event| event["updateType"] == 1);
    let mut carl = Client::joined(&server, "room", "carl");
    let reported = carl.expect("onRoomExtraInfoUpdate", |_| true);
    assert_eq!(reported["roomExtraInfoList"][0]["value"], "dogs");
    assert_eq!(reported["roomExtraInfoList"][0]["updateUser"]["userID"], "ben");
}

#[test]
fn room_extra_info_that_cannot_be_has_its_code() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    assert_eq!(set_room_info(&anna, "room", "k", "v"), 1_000_002);
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    assert_eq!(set_room_info(&anna, "other", "k", "v"), 1_002_002);
    assert_eq!(set_room_info(&anna, "room", "", "v"), 1_002_014);
    assert_eq!(set_room_info(&anna, "room", &"k".repeat(128), "v"), 1_002_015);
    assert_eq!(set_room_info(&anna, "room", "k", &"v".repeat(128)), 1_002_016);
    assert_eq!(set_room_info(&anna, "room", "k", ""), 0);
    assert_eq!(set_room_info(&anna, "room", "second", "v"), 1_002_017);
}

#[test]
fn stream_extra_info_arrives_with_the_stream_and_on_every_change() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    anna.engine.start_publishing_stream("s", Default::default(), 0).unwrap();
    anna.expect("onPublisherStateUpdate", |event| event["state"] == 1);
    assert_eq!(set_stream_info(&anna, "first"), 0);
    let added = ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
    assert_eq!(added["streamList"][0]["extraInfo"], "first");
    assert_eq!(set_stream_info(&anna, "second"), 0);
    let reported = ben.expect("onRoomStreamExtraInfoUpdate", |_| true);
    assert_eq!((&reported["roomID"], &reported["streamList"][0]["streamID"]), (&"room".into(), &"s".into()));
    assert_eq!(reported["streamList"][0]["extraInfo"], "second");
    assert_eq!(set_stream_info(&anna, &"x".repeat(1024)), 1_003_051);
    let mut carl = Client::joined(&server, "room", "carl");
    let added = carl.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
    assert_eq!(added["streamList"][0]["extraInfo"], "second");
}

#[test]
fn stream_extra_info_set_during_the_login_arrives_with_the_stream() {
    let server = Server::start();
    let mut ben = Client::joined(&server, "room", "ben");
    let anna = Client::new(&server);
    anna.login("room", "anna");
    anna.engine.start_publishing_stream("s", Default::default(), 0).unwrap();
    assert_eq!(set_stream_info(&anna, "early"), 0);
    let added = ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
    assert_eq!(added["streamList"][0]["extraInfo"], "early");
}

#[test]
fn the_number_of_users_is_reported_after_the_login() {
    let server = Server::start();
    let _anna = Client::joined(&server, "room", "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    let reported = ben.expect("onRoomOnlineUserCountUpdate", |_| true);
    assert_eq!((&reported["roomID"], &reported["count"]), (&"room".into(), &2.into()));
}

#[test]
fn a_call_that_waits_for_the_server_is_answered_when_the_room_is_left() {
    let server = Server::start();
    let anna = Client::joined(&server, "room", "anna");
    let (sender, answers): (_, Receiver<Value>) = channel();
    anna.engine.set_room_extra_info("room", "k", "v", Box::new(move |value| drop(sender.send(value)))).unwrap();
    anna.engine.logout_room(None).unwrap();
    answers.recv_timeout(std::time::Duration::from_secs(5)).unwrap();
}
