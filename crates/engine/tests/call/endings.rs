//! What is published and played tells how it ended: a code of 0 is the application's own wish.

use serde_json::Value;

use crate::harness::{Client, Server, fakes, profile};

fn last(client: &mut Client, name: &str) -> Value {
    client.expect(name, |event| event["state"] == 0)["errorCode"].clone()
}

#[test]
fn a_room_that_is_given_up_ends_publishers_and_players_with_codes_of_theirs() {
    let mut server = Server::start();
    let mut advanced = fakes();
    advanced.insert("room_retry_time".into(), "1".into());
    let mut anna = Client::with(profile(&server.url()), advanced);
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    let mut ben = Client::joined(&server, "room", "ben");
    ben.publish("ben-stream");
    anna.publish("anna-stream");
    anna.play("ben-stream").frames(1);
    server.stop();
    assert_eq!(last(&mut anna, "onPublisherStateUpdate"), 1_003_021);
    assert_eq!(last(&mut anna, "onPlayerStateUpdate"), 1_004_021);
    let given_up = anna.expect("onRoomStateUpdate", |event| event["state"] == 0);
    assert_eq!(given_up["errorCode"], 1_002_053);
    assert!(given_up["extendedData"].as_str().unwrap().contains(&server.url()), "{given_up}");
}

#[test]
fn who_is_kicked_out_knows_it_of_his_streams_too() {
    let server = Server::start();
    let (mut anna, ben) = Client::pair(&server);
    drop(ben);
    let mut carl = Client::joined(&server, "room", "carl");
    carl.publish("carl-stream");
    anna.play("carl-stream").frames(1);
    let _elsewhere = Client::joined(&server, "room", "anna");
    assert_eq!(last(&mut anna, "onPublisherStateUpdate"), 1_002_050);
    assert_eq!(last(&mut anna, "onPlayerStateUpdate"), 1_002_050);
}

#[test]
fn a_logout_is_not_a_failure() {
    let server = Server::start();
    let (mut anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream").frames(1);
    for client in [&anna, &ben] {
        client.engine.logout_room(None).unwrap();
    }
    assert_eq!(last(&mut anna, "onPublisherStateUpdate"), 0);
    assert_eq!(last(&mut ben, "onPlayerStateUpdate"), 0);
}

#[test]
fn a_server_out_of_reach_is_named() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("ws://{nobody}");
    let mut client = Client::with(profile(&url), fakes());
    client.login("room", "anna");
    let failed = client.expect("onRoomStateUpdate", |event| event["state"] == 0);
    let message: Value = serde_json::from_str(failed["extendedData"].as_str().unwrap()).unwrap();
    assert!(message["message"].as_str().unwrap().starts_with(&url), "{message}");
}
