use engine::PublisherConfig;

use crate::harness::{Client, Server};

#[test]
fn an_existing_stream_is_reported_right_after_the_login() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.publish("anna-stream");
    let mut ben = Client::joined(&server, "room", "ben");
    let added = ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
    assert_eq!(added["streamList"][0]["streamID"], "anna-stream");
    assert_eq!(added["streamList"][0]["user"]["userID"], "anna");
    assert!(anna.all("onRoomStreamUpdate").is_empty());
}

#[test]
fn a_stopped_stream_is_deleted_with_the_reason() {
    let server = Server::start();
    let (mut anna, mut ben) = Client::pair(&server);
    anna.engine.stop_publishing_stream(0).unwrap();
    anna.expect("onPublisherStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 0);
    let deleted = ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 1);
    let extended: serde_json::Value = serde_json::from_str(deleted["extendedData"].as_str().unwrap()).unwrap();
    assert_eq!(extended["stream_delete_reason"][0]["code"], 1);
}

#[test]
fn a_publish_right_after_the_login_call_waits_for_the_room() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    anna.login("room", "anna");
    anna.publish("early");
}

#[test]
fn all_four_channels_publish_at_once() {
    let server = Server::start();
    let anna = Client::joined(&server, "room", "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    for channel in 0..4 {
        anna.engine.start_publishing_stream(&format!("s{channel}"), PublisherConfig::default(), channel).unwrap();
    }
    for channel in 0..4 {
        let stream = format!("s{channel}");
        let has = |event: &serde_json::Value| {
            let list = event["streamList"].as_array().unwrap();
            event["updateType"] == 0 && list.iter().any(|item| item["streamID"] == stream.as_str())
        };
        if !ben.all("onRoomStreamUpdate").iter().any(has) {
            ben.expect("onRoomStreamUpdate", has);
        }
        ben.play(&stream).frames(3);
    }
}

#[test]
fn the_later_publisher_of_a_stream_id_is_refused_even_from_another_room() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.publish("taken");
    let mut ben = Client::joined(&server, "elsewhere", "ben");
    ben.engine.start_publishing_stream("taken", PublisherConfig::default(), 0).unwrap();
    ben.expect("onPublisherStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_003_028);
    // The channel is free again, and the first publisher undisturbed.
    ben.publish("free");
    assert!(anna.all("onPublisherStateUpdate").iter().all(|event| event["errorCode"] == 0));
}

#[test]
fn a_busy_channel_takes_no_second_stream() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.publish("one");
    anna.engine.start_publishing_stream("two", PublisherConfig::default(), 0).unwrap();
    anna.expect("onPublisherStateUpdate", |event| event["streamID"] == "two" && event["errorCode"] == 1_003_023);
}

#[test]
fn publishing_again_after_a_stop_works() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    for round in 0..3 {
        anna.publish("again");
        ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
        let screen = ben.play("again");
        assert!(!screen.frames(3).is_empty(), "round {round}");
        anna.engine.stop_publishing_stream(0).unwrap();
        ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 1);
        ben.engine.stop_playing_stream("again").unwrap();
        ben.expect("onPlayerStateUpdate", |event| event["state"] == 0);
    }
}
