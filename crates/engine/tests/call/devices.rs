use engine::DeviceKind;

use crate::harness::{Client, Server, wait_for};

#[test]
fn fake_devices_are_in_the_lists() {
    let server = Server::start();
    let client = Client::new(&server);
    assert!(client.engine.get_video_device_list().iter().any(|device| device.name == "pattern"));
    assert!(client.engine.get_audio_device_list(DeviceKind::Microphone).iter().any(|device| device.name == "tone"));
    assert!(client.engine.get_audio_device_list(DeviceKind::Speaker).iter().any(|device| device.name == "null"));
}

#[test]
fn an_unknown_device_is_reported_and_changes_nothing() {
    let server = Server::start();
    let mut client = Client::new(&server);
    client.engine.use_video_device("nowhere", 0).unwrap();
    client.expect("onDebugError", |event| event["errorCode"] == 1_006_002 && event["funcName"] == "useVideoDevice");
    client.engine.start_preview(0, None).unwrap();
    client.expect("onPublisherCapturedVideoFirstFrame", |_| true);
}

#[test]
fn a_closed_camera_is_disable_and_a_muted_one_mute_to_the_other_side() {
    let server = Server::start();
    let (anna, mut ben) = Client::pair(&server);
    let screen = ben.play("anna-stream");
    screen.frames(3);
    anna.engine.enable_camera(false, 0).unwrap();
    ben.expect("onRemoteCameraStateUpdate", |event| event["state"] == 9);
    anna.engine.enable_camera(true, 0).unwrap();
    ben.expect("onRemoteCameraStateUpdate", |event| event["state"] == 0);
    screen.frames(0);
    screen.frames(3);
    anna.engine.mute_publish_stream_video(true, 0).unwrap();
    ben.expect("onRemoteCameraStateUpdate", |event| event["state"] == 10);
    anna.engine.mute_publish_stream_audio(true, 0).unwrap();
    ben.expect("onRemoteMicStateUpdate", |event| event["state"] == 10);
    anna.engine.mute_publish_stream_video(false, 0).unwrap();
    ben.expect("onRemoteCameraStateUpdate", |event| event["state"] == 0);
    screen.frames(0);
    screen.frames(3);
    let states: Vec<_> =
        ben.all("onRemoteCameraStateUpdate").iter().map(|event| event["state"].as_i64().unwrap()).collect();
    assert_eq!(states, [9, 0, 10, 0], "nothing in between");
}

#[test]
fn a_machine_without_devices_is_reported_and_works() {
    let server = Server::start();
    let client = Client::with(crate::harness::profile(&server.url()), Default::default());
    if !client.engine.get_video_device_list().is_empty() {
        eprintln!("this machine has a camera: nothing to see here");
        return;
    }
    let mut client = client;
    client.engine.start_preview(0, None).unwrap();
    client.expect("onDebugError", |event| event["funcName"] == "camera");
    client.login("room", "anna");
    client.expect("onRoomStateUpdate", |event| event["state"] == 2);
}

#[test]
fn a_muted_microphone_still_sends() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    anna.publish("anna-stream");
    anna.expect("onPublisherSendAudioFirstFrame", |event| event["channel"] == 0);
    anna.engine.mute_microphone(true).unwrap();
    let sent = || {
        let stats = anna.engine.call_experimental_api(r#"{"method":"getStats"}"#);
        let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
        stats["publishers"][0]["audioPacketsSent"].as_u64().unwrap()
    };
    let before = sent();
    wait_for("more packets", || sent() > before + 20);
}
