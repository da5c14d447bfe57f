use std::sync::Arc;

use engine::{Engine, EngineConfig, EngineProfile, Event, EventSink, PlayerConfig, PublisherConfig, VideoConfig, code};

use crate::harness::{Client, Server, fakes, profile};

#[test]
fn every_bad_identifier_has_its_code_and_the_engine_stays_usable() {
    let server = Server::start();
    let mut client = Client::new(&server);
    for (room, user, expected) in [
        ("", "anna", 1_002_011),
        ("bad room", "anna", 1_002_012),
        (&"r".repeat(129), "anna", 1_002_013),
        ("room", "", 1_002_005),
        ("room", "bad/user", 1_002_006),
        ("room", &"u".repeat(65), 1_002_007),
    ] {
        client.login(room, user);
        client.expect("onRoomStateUpdate", |event| event["state"] == 0 && event["errorCode"] == expected);
    }
    client.login("room", "anna");
    client.expect("onRoomStateUpdate", |event| event["state"] == 2);
    for (stream, expected) in [("", 1_000_015), ("bad.stream", 1_000_016), (&"s".repeat(257), 1_000_014)] {
        client.engine.start_publishing_stream(stream, PublisherConfig::default(), 0).unwrap();
        client.expect("onPublisherStateUpdate", |event| event["state"] == 0 && event["errorCode"] == expected);
    }
    for (stream, expected) in [("", 1_000_015), (&"s".repeat(2000), 1_000_014)] {
        client.engine.start_playing_stream(stream, None, PlayerConfig::default()).unwrap();
        client.expect("onPlayerStateUpdate", |event| event["state"] == 0 && event["errorCode"] == expected);
    }
    // What others announce is played whatever its characters: stock clients choose them by the names of their users.
    client.engine.start_playing_stream("Phone 013 / 张三", None, PlayerConfig::default()).unwrap();
    client.expect("onPlayerStateUpdate", |event| event["state"] == 1 && event["streamID"] == "Phone 013 / 张三");
    client.publish("good");
}

#[test]
fn publish_and_play_without_a_room_say_so() {
    let server = Server::start();
    let mut client = Client::new(&server);
    client.engine.start_publishing_stream("s", PublisherConfig::default(), 0).unwrap();
    client.expect("onPublisherStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_000_002);
    client.engine.start_playing_stream("s", None, PlayerConfig::default()).unwrap();
    client.expect("onPlayerStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_000_002);
}

#[test]
fn a_login_without_app_sign_and_token_says_so() {
    let server = Server::start();
    let mut nothing = profile(&server.url());
    nothing.app_sign.clear();
    let mut client = Client::with(nothing, fakes());
    client.login("room", "anna");
    client.expect("onRoomStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_002_067);
}

#[test]
fn settings_out_of_range_are_reported_by_name() {
    let server = Server::start();
    let mut client = Client::new(&server);
    client.engine.set_video_config(VideoConfig { fps: 0, ..VideoConfig::preset(2) }, 0).unwrap();
    client.expect("onDebugError", |event| event["funcName"] == "setVideoConfig");
    let too_large =
        VideoConfig { encode_width: 4096, encode_height: 2304, bitrate_kbps: 8_000, ..VideoConfig::preset(2) };
    client.engine.set_video_config(too_large, 0).unwrap();
    client.expect("onDebugError", |event| event["errorCode"] == 1_000_017 && event["funcName"] == "setVideoConfig");
    client.engine.set_video_config(VideoConfig { bitrate_kbps: 0, ..VideoConfig::preset(2) }, 0).unwrap();
    client.expect("onDebugError", |event| event["errorCode"] == 1_003_002);
    client.engine.set_video_mirror_mode(9, 0).unwrap();
    client.expect("onDebugError", |event| event["funcName"] == "setVideoMirrorMode");
    client.engine.start_preview(4, None).unwrap();
    client.expect("onDebugError", |event| event["funcName"] == "startPreview");
    client.engine.set_play_volume("s", 201).unwrap();
    client.expect("onDebugError", |event| event["funcName"] == "setPlayVolume");
}

#[test]
fn an_app_id_of_zero_creates_no_engine() {
    struct Nobody;
    impl EventSink for Nobody {
        fn emit(&self, _: Event) {}
    }
    let error = Engine::create(EngineProfile::default(), EngineConfig::default(), Arc::new(Nobody)).err().unwrap();
    assert_eq!(error.code, code::APPID_ZERO);
}

#[test]
fn an_experimental_call_with_invalid_json_gets_an_answer() {
    let server = Server::start();
    let client = Client::new(&server);
    assert!(client.engine.call_experimental_api("not json").contains("1001091"));
    assert!(client.engine.call_experimental_api(r#"{"method":"noSuch"}"#).contains("1001091"));
}
