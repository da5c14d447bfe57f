//! What travels inside frames, and what is taken out of them.

use engine::VideoSource;
use serde_json::Value;

use crate::harness::{Client, Server, answer};

/// `QUJD` in base64 is `ABC`.
const ABC: &str = "QUJD";

fn is_jpeg(answer: &Value) -> bool {
    // The first three bytes of every JPEG file.
    answer["errorCode"] == 0 && answer["image"].as_str().is_some_and(|image| image.starts_with("/9j/"))
}

#[test]
fn sei_arrives_with_the_frames_of_a_stream() {
    let server = Server::start();
    let (anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream");
    ben.expect("onPlayerRenderVideoFirstFrame", |_| true);
    anna.engine.send_sei(b"ABC".to_vec(), 0).unwrap();
    anna.engine.send_sei(vec![0; 4096], 0).unwrap();
    for name in ["onPlayerRecvSEI", "onPlayerSyncRecvSEI"] {
        ben.sees(name, |event| event["streamID"] == "anna-stream" && event["data"] == ABC);
    }
    ben.sees("onPlayerRecvSEI", |event| event["data"].as_str().is_some_and(|data| data.len() > 5000));
    anna.engine.set_sei_config(1).unwrap();
    anna.engine.send_sei(b"0123456789abcdefABC".to_vec(), 0).unwrap();
    ben.sees("onPlayerRecvSEI", |event| event["data"] == "MDEyMzQ1Njc4OWFiY2RlZkFCQw==");
}

#[test]
fn sei_that_cannot_be_sent_is_reported() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.engine.send_sei(b"ABC".to_vec(), 0).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "sendSEI" && event["errorCode"] == 1_000_017);
    anna.publish("anna-stream");
    for (bytes, code) in [(0, 1_003_043), (4097, 1_003_044)] {
        anna.engine.send_sei(vec![1; bytes], 0).unwrap();
        anna.expect("onDebugError", |event| event["funcName"] == "sendSEI" && event["errorCode"] == code);
    }
    anna.engine.set_sei_config(1).unwrap();
    anna.engine.send_sei(vec![1; 15], 0).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "sendSEI" && event["errorCode"] == 1_000_017);
}

#[test]
fn a_snapshot_is_taken_on_both_sides() {
    let server = Server::start();
    let (anna, mut ben) = Client::pair(&server);
    assert!(is_jpeg(&answer(|reply| anna.engine.take_publish_stream_snapshot(0, reply))));
    ben.play("anna-stream");
    ben.expect("onPlayerRenderVideoFirstFrame", |_| true);
    assert!(is_jpeg(&answer(|reply| ben.engine.take_play_stream_snapshot("anna-stream", reply))));
}

#[test]
fn without_a_frame_there_is_no_snapshot() {
    let server = Server::start();
    let anna = Client::joined(&server, "room", "anna");
    let refused = answer(|reply| anna.engine.take_publish_stream_snapshot(1, reply));
    assert_eq!(refused["errorCode"], 1_003_030);
    let refused = answer(|reply| anna.engine.take_play_stream_snapshot("nothing", reply));
    assert_eq!(refused["errorCode"], 1_004_030);
}

#[test]
fn the_video_settings_are_those_that_were_set_last() {
    let server = Server::start();
    let anna = Client::new(&server);
    anna.engine.set_video_config(engine::VideoConfig::preset(4), 2).unwrap();
    assert_eq!(anna.engine.get_video_config(2).unwrap(), engine::VideoConfig::preset(4));
    assert_eq!(anna.engine.get_video_config(0).unwrap().encode_width, 640);
    assert!(anna.engine.get_video_config(4).is_err());
}

#[test]
fn a_channel_without_a_source_sends_no_frames() {
    let server = Server::start();
    let (anna, ben) = Client::pair(&server);
    let screen = ben.play("anna-stream");
    screen.frames(3);
    let captured = || {
        let stats = anna.engine.call_experimental_api(r#"{"method":"getStats"}"#);
        serde_json::from_str::<Value>(&stats).unwrap()["previews"][0]["framesCaptured"].as_u64().unwrap()
    };
    anna.engine.set_video_source(VideoSource::None, 0).unwrap();
    // The camera closes at its own pace.
    let mut before = u64::MAX;
    while before != captured() {
        before = captured();
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    anna.engine.set_video_source(VideoSource::Camera, 0).unwrap();
    crate::harness::wait_for("the camera", || captured() > before + 5);
    screen.frames(3);
}

#[test]
fn a_barrage_message_reaches_the_others() {
    let server = Server::start();
    let (anna, mut ben) = Client::pair(&server);
    // Not everything reaches a user whose connection is not up yet.
    ben.play("anna-stream").frames(5);
    let reported = answer(|reply| anna.engine.send_barrage_message("room", "♥", reply));
    assert_eq!(reported["errorCode"], 0);
    let heard = ben.expect("onIMRecvBarrageMessage", |event| event["roomID"] == "room");
    assert_eq!(heard["messageList"][0]["message"], "♥");
    assert_eq!(heard["messageList"][0]["messageID"], reported["messageID"]);
    assert_eq!(heard["messageList"][0]["fromUser"]["userID"], "anna");
    let refused = answer(|reply| anna.engine.send_barrage_message("room", "", reply));
    assert_eq!(refused["errorCode"], 1_009_001);
}

#[test]
fn the_application_hears_when_media_begin_and_when_they_end() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    anna.engine.start_preview(0, None).unwrap();
    anna.expect("onEngineStateUpdate", |event| event["state"] == 0);
    anna.engine.stop_preview(0).unwrap();
    anna.expect("onEngineStateUpdate", |event| event["state"] == 1);
}

#[test]
fn a_camera_that_cannot_be_opened_is_an_exception_of_its_device() {
    let server = Server::start();
    let mut advanced = crate::harness::fakes();
    advanced.insert("zego_fake_camera".into(), "/no/such/file.y4m".into());
    let mut anna = Client::with(crate::harness::profile(&server.url()), advanced);
    anna.engine.start_preview(0, None).unwrap();
    anna.expect("onLocalDeviceExceptionOccurred", |event| event["deviceType"] == 1);
}
