use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::{PlayerConfig, VideoConfig};
use media::video::pattern::read_strip;

use crate::harness::{Client, Screen, Server, wait_for};

#[test]
fn two_users_see_each_other_and_first_frames_are_reported_in_order() {
    let server = Server::start();
    let (_anna, mut ben) = Client::pair(&server);
    let screen = ben.play("anna-stream");
    ben.expect("onPlayerRenderVideoFirstFrame", |_| true);
    let frames = screen.frames(10);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let strips: Vec<_> = frames.iter().map(|frame| read_strip(frame).expect("the strip is readable")).collect();
    assert!(strips.iter().all(|strip| now.abs_diff(strip.capture_ms) < 5000));
    assert!(strips.windows(2).all(|pair| pair[1].counter == pair[0].counter.wrapping_add(1)), "no picture is lost");
    assert_eq!((frames[0].width(), frames[0].height()), (640, 360));

    ben.all("");
    let place = |name: &str, state: Option<i64>| {
        let found = ben
            .seen
            .iter()
            .position(|event| event.name == name && state.is_none_or(|state| event.payload["state"] == state));
        found.unwrap_or_else(|| panic!("no {name}"))
    };
    let requesting = place("onPlayerStateUpdate", Some(1));
    let playing = place("onPlayerStateUpdate", Some(2));
    let received = place("onPlayerRecvVideoFirstFrame", None);
    let size = place("onPlayerVideoSizeChanged", None);
    let rendered = place("onPlayerRenderVideoFirstFrame", None);
    assert!(requesting < playing && playing < received && received < size && size < rendered);
}

#[test]
fn playing_before_the_stream_exists_starts_by_itself() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    let screen = ben.play("later");
    ben.expect("onPlayerStateUpdate", |event| event["state"] == 1);
    anna.publish("later");
    ben.expect("onPlayerStateUpdate", |event| event["state"] == 2);
    screen.frames(3);
}

#[test]
fn audio_arrives_and_is_counted() {
    let server = Server::start();
    let (_anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream");
    ben.expect("onPlayerRecvAudioFirstFrame", |_| true);
    wait_for("half a second of sound", || {
        let stats = ben.engine.call_experimental_api(r#"{"method":"getStats"}"#);
        let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
        stats["players"][0]["audioPacketsReceived"].as_u64() > Some(25)
    });
}

#[test]
fn the_servers_feedback_drives_the_publishers_estimate() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.publish("anna-stream");
    // It begins with 1 Mbit/s, and without feedback stays there.
    wait_for("an estimate above the first guess", || {
        let stats = anna.engine.call_experimental_api(r#"{"method":"getStats"}"#);
        let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
        stats["network"]["publisher"]["sendEstimateBps"].as_u64() > Some(2_000_000)
    });
}

#[test]
fn the_same_stream_on_another_view_moves_there() {
    let server = Server::start();
    let (_anna, mut ben) = Client::pair(&server);
    let first = ben.play("anna-stream");
    first.frames(3);
    let second = ben.play("anna-stream");
    second.frames(3);
    first.frames(0);
    second.frames(3);
    assert!(first.frames(0).is_empty());
    assert_eq!(ben.all("onPlayerStateUpdate").len(), 2, "requesting and playing, no restart");
}

#[test]
fn a_new_encode_size_shows_at_the_player_and_the_capture_size_stays() {
    let server = Server::start();
    let (mut anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream");
    ben.expect("onPlayerVideoSizeChanged", |event| event["width"] == 640);
    let mut config = VideoConfig::preset(2);
    (config.encode_width, config.encode_height) = (320, 180);
    (config.capture_width, config.capture_height) = (320, 180);
    anna.engine.set_video_config(config, 0).unwrap();
    ben.expect("onPlayerVideoSizeChanged", |event| event["width"] == 320 && event["height"] == 180);
    assert!(anna.all("onPublisherVideoSizeChanged").iter().all(|event| event["width"] == 640));
}

#[test]
fn the_preview_is_mirrored_and_the_sent_video_is_not() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    let preview = std::sync::Arc::new(Screen::default());
    anna.engine.start_preview(0, Some(preview.clone())).unwrap();
    anna.expect("onPublisherCapturedVideoFirstFrame", |event| event["channel"] == 0);
    let frames = preview.frames(3);
    let plausible = |frame: &media::video::frame::VideoFrame| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        read_strip(frame).is_some_and(|strip| now.abs_diff(strip.capture_ms) < 10_000)
    };
    assert!(frames.iter().all(|frame| !plausible(frame) && plausible(&media::video::scale::mirror(frame))));
    anna.engine.set_video_mirror_mode(2, 0).unwrap();
    wait_for("an upright preview", || preview.frames(1).iter().all(plausible));
}

#[test]
fn quality_is_reported_for_publisher_and_player() {
    let server = Server::start();
    let (mut anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream").frames(3);
    let sent = anna.expect("onPublisherQualityUpdate", |event| event["quality"]["videoSendFPS"].as_f64() > Some(5.0));
    assert!(sent["quality"]["videoKBPS"].as_f64() > Some(20.0));
    let played = ben.expect("onPlayerQualityUpdate", |event| event["quality"]["videoRenderFPS"].as_f64() > Some(5.0));
    assert_eq!(played["streamID"], "anna-stream");
    assert!(played["quality"]["audioKBPS"].as_f64() > Some(5.0));
}

#[test]
fn the_network_is_judged_for_oneself_and_for_the_others() {
    let server = Server::start();
    let (mut anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream").frames(3);
    anna.expect("onNetworkQuality", |event| event["userID"] == "" && event["upstreamQuality"] == 0);
    ben.expect("onNetworkQuality", |event| event["userID"] == "" && event["downstreamQuality"] == 0);
    ben.expect("onNetworkQuality", |event| event["userID"] == "anna" && event["upstreamQuality"] == 0);
}

#[test]
fn the_twenty_first_stream_is_one_too_many() {
    let server = Server::start();
    let mut ben = Client::joined(&server, "room", "ben");
    for stream in 0..21 {
        ben.engine.start_playing_stream(&format!("s{stream}"), None, PlayerConfig::default()).unwrap();
    }
    ben.expect_within(Duration::from_secs(5), "onPlayerStateUpdate", |event| {
        event["streamID"] == "s20" && event["state"] == 0 && event["errorCode"] == 1_004_010
    });
}

#[test]
fn a_new_watcher_costs_the_publisher_one_key_frame() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.publish("anna-stream");
    anna.expect("onPublisherSendVideoFirstFrame", |_| true);
    let mut ben = Client::joined(&server, "room", "ben");
    ben.play("anna-stream");
    ben.expect("onPlayerRenderVideoFirstFrame", |_| true);
    let stats = anna.engine.call_experimental_api(r#"{"method":"getStats"}"#);
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    // A request that comes before the watcher can receive is wasted, and makes the next one wait.
    assert_eq!(stats["publishers"][0]["keyFramesEncoded"], 2, "the first picture, and one for ben");
}
