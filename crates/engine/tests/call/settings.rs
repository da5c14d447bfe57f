//! Settings that are made before the stream exists which they are about.

use engine::{PlayerConfig, PublisherConfig, VideoConfig, VideoSettings};
use serde_json::Value;

use crate::harness::{Client, Server, answer, profile, wait_for};

fn player(client: &Client) -> Value {
    let report: Value = serde_json::from_str(&client.engine.call_experimental_api(r#"{"method":"getStats"}"#)).unwrap();
    report["players"][0].clone()
}

fn received(client: &Client, what: &str) -> u64 {
    player(client)[what].as_u64().unwrap_or(0)
}

#[test]
fn who_joins_muted_is_neither_heard_nor_seen_until_he_unmutes() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    anna.engine.mute_publish_stream_audio(true, 0).unwrap();
    anna.engine.mute_publish_stream_video(true, 0).unwrap();
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    anna.publish("s");
    let mut ben = Client::joined(&server, "room", "ben");
    let screen = ben.play("s");
    ben.sees("onRemoteMicStateUpdate", |event| event["state"] == 10);
    ben.sees("onRemoteCameraStateUpdate", |event| event["state"] == 10);
    assert!(anna.all("onDebugError").is_empty());
    assert!(ben.all("onPlayerRecvAudioFirstFrame").is_empty() && ben.all("onPlayerRecvVideoFirstFrame").is_empty());
    anna.engine.mute_publish_stream_audio(false, 0).unwrap();
    anna.engine.mute_publish_stream_video(false, 0).unwrap();
    ben.sees("onPlayerRecvAudioFirstFrame", |_| true);
    screen.frames(3);
}

#[test]
fn a_mute_outlives_the_stream_until_it_is_taken_back() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.publish("first");
    anna.engine.mute_publish_stream_audio(true, 0).unwrap();
    anna.engine.stop_publishing_stream(0).unwrap();
    anna.publish("second");
    let mut ben = Client::joined(&server, "room", "ben");
    ben.play("second").frames(3);
    ben.sees("onRemoteMicStateUpdate", |event| event["state"] == 10);
    assert!(ben.all("onPlayerRecvAudioFirstFrame").is_empty());
}

#[test]
fn a_channel_without_a_source_of_audio_sends_none_and_the_others_know() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.engine.set_audio_source(false, 0).unwrap();
    anna.publish("s");
    let mut ben = Client::joined(&server, "room", "ben");
    ben.play("s").frames(3);
    ben.sees("onRemoteMicStateUpdate", |event| event["state"] == 9);
    assert!(ben.all("onPlayerRecvAudioFirstFrame").is_empty());
    anna.engine.set_audio_source(true, 0).unwrap();
    ben.sees("onPlayerRecvAudioFirstFrame", |_| true);
    ben.sees("onRemoteMicStateUpdate", |event| event["state"] == 0);
    assert!(anna.engine.set_audio_source(true, 4).is_err());
}

#[test]
fn what_is_set_for_a_stream_before_it_is_played_counts_when_it_is() {
    let server = Server::start();
    let (_anna, mut ben) = Client::pair(&server);
    ben.engine.mute_play_stream_audio("anna-stream", true).unwrap();
    ben.engine.set_play_volume("anna-stream", 50).unwrap();
    ben.engine.set_play_stream_video_type("anna-stream", 2).unwrap();
    ben.engine.set_play_stream_buffer_interval_range("anna-stream", 200, 9000).unwrap();
    let screen = ben.play("anna-stream");
    screen.frames(10);
    let before = received(&ben, "audioPacketsReceived");
    screen.frames(10);
    assert_eq!(received(&ben, "audioPacketsReceived"), before, "silent");
    assert!(ben.all("onDebugError").is_empty());
    ben.engine.stop_playing_stream("anna-stream").unwrap();
    ben.play("anna-stream");
    wait_for("sound: the stop took the settings with it", || received(&ben, "audioPacketsReceived") > 5);
}

#[test]
fn unmuting_all_leaves_alone_what_was_muted_by_itself_and_the_other_path_round() {
    let server = Server::start();
    let (_anna, ben) = Client::pair(&server);
    ben.play("anna-stream");
    wait_for("sound", || received(&ben, "audioPacketsReceived") > 5);
    let is_flowing = || {
        let before = received(&ben, "audioPacketsReceived");
        std::thread::sleep(std::time::Duration::from_millis(300));
        received(&ben, "audioPacketsReceived") > before
    };
    ben.engine.mute_play_stream_audio("anna-stream", true).unwrap();
    ben.engine.mute_all_play_stream_audio(true).unwrap();
    wait_for("silence", || !is_flowing());
    ben.engine.mute_all_play_stream_audio(false).unwrap();
    assert!(!is_flowing(), "it is muted by itself");
    ben.engine.mute_all_play_stream_audio(true).unwrap();
    ben.engine.mute_play_stream_audio("anna-stream", false).unwrap();
    assert!(!is_flowing(), "all are muted");
    ben.engine.mute_all_play_stream_audio(false).unwrap();
    wait_for("sound", is_flowing);
}

#[test]
fn a_stream_without_an_id_can_have_no_settings() {
    let server = Server::start();
    let mut ben = Client::new(&server);
    ben.engine.mute_play_stream_audio("", true).unwrap();
    ben.expect("onDebugError", |event| event["errorCode"] == 1_000_015 && event["funcName"] == "mutePlayStreamAudio");
}

#[test]
fn a_video_configuration_with_gaps_is_filled_from_the_scenario() {
    const BROADCAST: u32 = 8;
    let server = Server::start();
    let broadcast = engine::EngineProfile { scenario: BROADCAST, ..profile(&server.url()) };
    let client = Client::with(broadcast, crate::harness::fakes());
    client.engine.set_video_config(VideoSettings { fps: Some(10), ..VideoSettings::default() }, 0).unwrap();
    let config = client.engine.get_video_config(0).unwrap();
    assert_eq!(config, VideoConfig { fps: 10, ..VideoConfig::for_scenario(BROADCAST) });
}

#[test]
fn a_key_frame_interval_is_kept() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    let settings = VideoSettings { key_frame_interval_s: Some(2), ..VideoConfig::preset(0).into() };
    anna.engine.set_video_config(settings, 0).unwrap();
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    anna.publish("s");
    let key_frames = || {
        let report: Value =
            serde_json::from_str(&anna.engine.call_experimental_api(r#"{"method":"getStats"}"#)).unwrap();
        report["publishers"][0]["keyFramesEncoded"].as_u64().unwrap_or_else(|| panic!("{report}"))
    };
    let begun = key_frames();
    // No client plays the stream, so no client asks for them.
    wait_for("key frames", || key_frames() >= begun + 3);
}

#[test]
fn ones_own_stream_is_refused_with_a_word_instead_of_waited_for() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.publish("mine");
    anna.engine.start_playing_stream("mine", None, PlayerConfig::default()).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "startPlayingStream");
    anna.expect("onPlayerStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_004_001);
    anna.engine.stop_publishing_stream(0).unwrap();
    anna.engine.start_playing_stream("mine", None, PlayerConfig::default()).unwrap();
    anna.expect("onPlayerStateUpdate", |event| event["state"] == 1);
    anna.engine.start_publishing_stream("mine", PublisherConfig::default(), 0).unwrap();
    anna.expect("onPlayerStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_004_001);
}

#[test]
fn stream_extra_info_set_long_before_goes_along_with_every_stream_of_its_channel() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    let set = answer(|reply| anna.engine.set_stream_extra_info("early", 0, reply));
    assert_eq!(set["errorCode"], 0);
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    let mut ben = Client::joined(&server, "room", "ben");
    for stream in ["first", "second"] {
        anna.publish(stream);
        let added = ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
        assert_eq!(
            (&added["streamList"][0]["streamID"], &added["streamList"][0]["extraInfo"]),
            (&stream.into(), &"early".into())
        );
        anna.engine.stop_publishing_stream(0).unwrap();
        ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 1);
    }
}
