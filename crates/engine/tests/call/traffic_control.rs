//! What the application lets a narrow link change of what it publishes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use engine::{AudioConfig, VideoConfig};
use serde_json::Value;

use crate::harness::{Client, fakes, profile, wait_for};
use crate::link::Quality;
use crate::relay::Relay;

fn joined(relay: &Relay, user: &str) -> Client {
    let mut client = Client::with(profile(&relay.url()), fakes());
    client.login("room", user);
    client.expect("onRoomStateUpdate", |event| event["state"] == 2);
    client
}

fn narrow(kbps: u64) -> Quality {
    Quality { bps: kbps * 1000, ..Quality::default() }
}

fn publisher(client: &Client) -> Value {
    let stats = client.engine.call_experimental_api(r#"{"method":"getStats"}"#);
    serde_json::from_str::<Value>(&stats).unwrap()["publishers"][0].clone()
}

fn encoded(client: &Client) -> u64 {
    publisher(client)["framesEncoded"].as_u64().unwrap()
}

/// Frames encoded in two seconds, per second.
fn fps(client: &Client) -> f64 {
    let (before, began) = (encoded(client), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    (encoded(client) - before) as f64 / began.elapsed().as_secs_f64()
}

/// Anna publishes a frame of 1.2 Mbit/s that ben plays.
fn call(relay: &Relay, set_up: impl Fn(&Client)) -> (Client, Client) {
    let (mut anna, mut ben) = (joined(relay, "anna"), joined(relay, "ben"));
    anna.engine.set_video_config(VideoConfig { fps: 30, ..VideoConfig::preset(3) }, 0).unwrap();
    set_up(&anna);
    anna.publish("anna-stream");
    ben.play("anna-stream");
    ben.expect("onPlayerVideoSizeChanged", |event| event["width"] == 960);
    (anna, ben)
}

#[test]
fn below_its_floor_there_is_no_video_until_the_link_is_good_again() {
    let relay = Relay::start();
    let (anna, ben) = call(&relay, |anna| {
        anna.engine.set_min_video_bitrate_for_traffic_control(400, 0).unwrap();
    });
    let heard = || {
        let stats = ben.engine.call_experimental_api(r#"{"method":"getStats"}"#);
        serde_json::from_str::<Value>(&stats).unwrap()["players"][0]["audioPacketsReceived"].as_u64().unwrap()
    };
    relay.set_uplink(narrow(200));
    wait_for("the video to stop", || publisher(&anna)["belowVideoFloor"] == true);
    let (before, heard_before) = (encoded(&anna), heard());
    wait_for("a second of sound", || heard() >= heard_before + 50);
    assert_eq!(encoded(&anna), before, "no picture was encoded");
    relay.set_uplink(Quality::default());
    wait_for("the video to come back", || encoded(&anna) > before + 30);
}

#[test]
fn below_its_floor_video_may_go_on_at_two_frames_a_second() {
    let relay = Relay::start();
    let (anna, _ben) = call(&relay, |anna| {
        anna.engine.set_min_video_bitrate_for_traffic_control(400, 1).unwrap();
    });
    relay.set_uplink(narrow(200));
    wait_for("the video to fall below its floor", || publisher(&anna)["belowVideoFloor"] == true);
    let fps = fps(&anna);
    assert!((0.4..3.0).contains(&fps), "{fps}");
}

#[test]
fn on_a_narrow_link_the_frame_gets_smaller_or_keeps_the_size_that_was_asked_for() {
    let relay = Relay::start();
    let (anna, mut ben) = call(&relay, |_| {});
    relay.set_uplink(narrow(200));
    ben.expect("onPlayerVideoSizeChanged", |event| event["width"] == 480);
    anna.engine.set_min_video_resolution_for_traffic_control(720, 400, 0).unwrap();
    ben.expect("onPlayerVideoSizeChanged", |event| event["width"] == 720);
    anna.engine.enable_traffic_control(true, 1, 0).unwrap();
    ben.expect("onPlayerVideoSizeChanged", |event| event["width"] == 960);
}

#[test]
fn the_audio_is_replaced_by_the_frame_where_it_may() {
    let relay = Relay::start();
    let (anna, _ben) = call(&relay, |anna| {
        anna.engine.set_audio_config(AudioConfig { bitrate_kbps: 128, ..AudioConfig::default() }, 0).unwrap();
    });
    let audio_kbps = || {
        let bytes = || publisher(&anna)["audioBytesSent"].as_u64().unwrap();
        let (before, began) = (bytes(), Instant::now());
        std::thread::sleep(Duration::from_secs(1));
        (bytes() - before) as f64 * 8.0 / 1000.0 / began.elapsed().as_secs_f64()
    };
    assert!(audio_kbps() > 90.0);
    relay.set_uplink(narrow(250));
    anna.engine.enable_traffic_control(true, 7, 0).unwrap();
    wait_for("a smaller sound", || audio_kbps() < 80.0);
}

#[test]
fn settings_that_cannot_be_are_reported_and_change_nothing() {
    let relay = Relay::start();
    let mut anna = joined(&relay, "anna");
    let reported = |anna: &mut Client, function: &str, code: i32| {
        anna.expect("onDebugError", |event| event["funcName"] == function && event["errorCode"] == code);
    };
    anna.engine.enable_traffic_control(true, 8, 0).unwrap();
    reported(&mut anna, "enableTrafficControl", 1_003_005);
    anna.engine.enable_traffic_control(true, 1, 4).unwrap();
    reported(&mut anna, "enableTrafficControl", 1_000_017);
    anna.engine.set_min_video_bitrate_for_traffic_control(u32::MAX, 0).unwrap();
    reported(&mut anna, "setMinVideoBitrateForTrafficControl", 1_003_002);
    anna.engine.set_min_video_bitrate_for_traffic_control(100, 2).unwrap();
    reported(&mut anna, "setMinVideoBitrateForTrafficControl", 1_000_017);
    anna.engine.set_min_video_fps_for_traffic_control(61, 0).unwrap();
    reported(&mut anna, "setMinVideoFpsForTrafficControl", 1_000_017);
    anna.engine.set_traffic_control_focus_on(2, 0).unwrap();
    reported(&mut anna, "setTrafficControlFocusOn", 1_000_017);
}

#[test]
fn losses_in_transit_to_the_listeners_make_the_audio_more_redundant() {
    let relay = Relay::start();
    let (anna, _ben) = call(&relay, |_| {});
    wait_for("the first reckoning", || publisher(&anna)["audioExpectedLossPercent"] == 5);
    relay.set_downlink(Quality { loss: 0.2, ..Quality::default() });
    wait_for("more redundancy", || publisher(&anna)["audioExpectedLossPercent"].as_u64() >= Some(12));
}

/// A file of frames that take as many bits as they may have: noise.
struct Noise(PathBuf);

impl Noise {
    fn new() -> Self {
        let mut file = b"YUV4MPEG2 W640 H360 F30:1 C420\n".to_vec();
        let mut state = 1u32;
        let mut sample = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            120 + (state >> 28) as u8
        };
        for _ in 0..8 {
            file.extend_from_slice(b"FRAME\n");
            file.extend((0..640 * 360 * 3 / 2).map(|_| sample()));
        }
        let path = std::env::temp_dir().join(format!("noise-{}.y4m", std::process::id()));
        std::fs::write(&path, file).unwrap();
        Self(path)
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_publisher_that_minds_its_listeners_sends_what_their_paths_carry() {
    let (relay, noise) = (Relay::start(), Noise::new());
    let mut fakes = fakes();
    fakes.insert("zego_fake_camera".into(), noise.0.display().to_string());
    let mut anna = Client::with(profile(&relay.url()), fakes);
    anna.login("room", "anna");
    let ben = joined(&relay, "ben");
    anna.engine.set_video_config(VideoConfig { fps: 30, ..VideoConfig::preset(3) }, 0).unwrap();
    anna.engine.set_traffic_control_focus_on(1, 0).unwrap();
    anna.publish("anna-stream");
    ben.play("anna-stream");
    let kbps = || {
        let bytes = || publisher(&anna)["videoBytesSent"].as_u64().unwrap();
        let (before, began) = (bytes(), Instant::now());
        std::thread::sleep(Duration::from_secs(1));
        (bytes() - before) as f64 * 8.0 / 1000.0 / began.elapsed().as_secs_f64()
    };
    wait_for("pictures of the full rate", || kbps() > 900.0);
    relay.set_downlink(narrow(600));
    wait_for("less than the narrow way carries", || kbps() < 550.0);
    let shown = || {
        let stats = ben.engine.call_experimental_api(r#"{"method":"getStats"}"#);
        serde_json::from_str::<Value>(&stats).unwrap()["players"][0]["framesDecoded"].as_u64().unwrap()
    };
    let before = shown();
    wait_for("pictures that come through", || shown() >= before + 60);
    relay.set_downlink(Quality::default());
    wait_for("pictures of the full rate again", || kbps() > 900.0);
}
