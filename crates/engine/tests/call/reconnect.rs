use std::net::TcpListener;

use crate::harness::{Client, Server, fakes, profile};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn after_the_server_died_and_came_back_both_see_each_other_again_without_help() {
    let port = free_port();
    let mut server = Server::start_at(port);
    let (mut anna, mut ben) = Client::pair(&server);
    let screen = ben.play("anna-stream");
    screen.frames(3);
    anna.forget();
    ben.forget();
    server.stop();
    anna.expect("onRoomStateChanged", |event| event["reason"] == 3 && event["errorCode"] == 1_002_051);
    anna.expect("onPublisherStateUpdate", |event| event["state"] == 1 && event["errorCode"] == 1_003_020);
    ben.expect("onPlayerStateUpdate", |event| event["state"] == 1 && event["errorCode"] == 1_004_020);
    let _server = Server::start_at(port);
    anna.expect("onRoomStateChanged", |event| event["reason"] == 4 && event["errorCode"] == 0);
    anna.expect("onPublisherStateUpdate", |event| event["state"] == 2);
    ben.expect("onPlayerStateUpdate", |event| event["state"] == 2);
    screen.frames(0);
    screen.frames(3);
    // Neither was away for the other.
    for client in [&mut anna, &mut ben] {
        assert!(client.all("onRoomUserUpdate").is_empty());
        assert!(client.all("onRoomStreamUpdate").is_empty());
    }
}

#[test]
fn who_does_not_come_back_after_the_server_died_is_given_up_after_a_while() {
    let port = free_port();
    let mut server = Server::start_at(port);
    let (anna, mut ben) = Client::pair(&server);
    server.stop();
    ben.expect("onRoomStateChanged", |event| event["reason"] == 3);
    drop(anna);
    let _server = Server::start_at(port);
    ben.expect("onRoomStateChanged", |event| event["reason"] == 4);
    ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 1);
    ben.expect("onRoomUserUpdate", |event| event["updateType"] == 1 && event["userList"][0]["userID"] == "anna");
}

#[test]
fn a_server_that_is_out_of_reach_ends_the_first_login_with_its_code() {
    let mut client = Client::with(profile(&format!("ws://127.0.0.1:{}", free_port())), fakes());
    client.login("room", "anna");
    client.expect("onRoomStateUpdate", |event| event["state"] == 1);
    client.expect("onRoomStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_002_030);
}

#[test]
fn the_configured_retry_time_ends_the_attempts() {
    let mut server = Server::start();
    let mut advanced = fakes();
    advanced.insert("room_retry_time".into(), "1".into());
    let mut client = Client::with(profile(&server.url()), advanced);
    client.login("room", "anna");
    client.expect("onRoomStateUpdate", |event| event["state"] == 2);
    server.stop();
    client.expect("onRoomStateChanged", |event| event["reason"] == 5 && event["errorCode"] == 1_002_053);
    client.expect("onRoomStateUpdate", |event| event["state"] == 0);
}

#[test]
fn a_logout_during_the_outage_ends_it() {
    let mut server = Server::start();
    let mut client = Client::joined(&server, "room", "anna");
    server.stop();
    client.expect("onRoomStateChanged", |event| event["reason"] == 3);
    client.engine.logout_room(None).unwrap();
    client.expect("onRoomStateChanged", |event| event["reason"] == 7 && event["errorCode"] == 0);
}
