//! Devices that come, go, are busy or broken, as their users and those who play them see it. Files stand in for devices: one is
//! plugged in while it exists, and in use while another client holds it locked.

use std::fs::File;
use std::path::{Path, PathBuf};

use engine::DeviceKind;

use crate::harness::{Client, Server, fakes, profile, wait_for};

/// `ZegoDeviceExceptionType`, and the same numbers in `ZegoRemoteDeviceState`.
const INVALID_ID: i64 = 2;
const OCCUPIED: i64 = 5;
const UNPLUGGED: i64 = 6;
const CAMERA: i64 = 1;
const MICROPHONE: i64 = 2;

/// A place for a file; nothing is there at first, and after the test.
struct Socket(PathBuf);

impl Socket {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("engine-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    /// All at once, so that no client sees half of it.
    fn plug_in(&self, content: &[u8]) {
        let aside = self.0.with_extension("aside");
        std::fs::write(&aside, content).unwrap();
        std::fs::rename(&aside, &self.0).unwrap();
    }

    fn unplug(&self) {
        std::fs::remove_file(&self.0).unwrap();
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn text(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Two grey frames.
fn camera_file() -> Vec<u8> {
    let mut file = b"YUV4MPEG2 W320 H180 F15:1 C420jpeg\n".to_vec();
    for luma in [90, 110] {
        file.extend_from_slice(b"FRAME\n");
        file.extend(std::iter::repeat_n(luma, 320 * 180 * 3 / 2));
    }
    file
}

/// A second of noise, 16 bit, as a pipe leaves it.
fn microphone_file() -> Vec<u8> {
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(48_000u32.to_le_bytes());
    file.extend(96_000u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data\xff\xff\xff\xff");
    let mut state = 1u32;
    file.extend((0..48_000).flat_map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 18) as i16).to_le_bytes()
    }));
    file
}

/// An engine with these files in place of the usual fake devices.
fn client(server: &Server, camera: Option<&Socket>, microphone: Option<&Socket>) -> Client {
    let mut advanced = fakes();
    for (name, socket) in [("zego_fake_camera", camera), ("zego_fake_microphone", microphone)] {
        if let Some(socket) = socket {
            advanced.insert(name.to_owned(), socket.text());
        }
    }
    Client::with(profile(&server.url()), advanced)
}

fn enter(client: &mut Client, user: &str) {
    client.login("room", user);
    client.expect("onRoomStateUpdate", |event| event["state"] == 2);
}

#[test]
fn a_camera_that_is_plugged_in_later_is_used_and_reported() {
    let server = Server::start();
    let socket = Socket::new("later.y4m");
    let mut anna = client(&server, Some(&socket), None);
    let id = format!("fake:{}", socket.text());
    assert!(anna.engine.get_video_device_list().iter().all(|device| device.id != id));
    anna.engine.start_preview(0, None).unwrap();
    let failure = anna.expect("onLocalDeviceExceptionOccurred", |event| event["deviceType"] == CAMERA);
    assert_eq!((&failure["exceptionType"], &failure["deviceID"]), (&INVALID_ID.into(), &id.as_str().into()));
    socket.plug_in(&camera_file());
    anna.expect("onPublisherCapturedVideoFirstFrame", |_| true);
    anna.sees("onVideoDeviceStateChanged", |event| event["updateType"] == 0 && event["deviceInfo"]["deviceID"] == id);
    assert!(anna.engine.get_video_device_list().iter().any(|device| device.id == id));
    socket.unplug();
    anna.expect("onVideoDeviceStateChanged", |event| event["updateType"] == 1 && event["deviceInfo"]["deviceID"] == id);
    let reported = anna.all("onLocalDeviceExceptionOccurred");
    assert!(
        reported.iter().any(|event| event["exceptionType"] == UNPLUGGED && event["deviceID"] == id),
        "{reported:?}"
    );
}

#[test]
fn others_see_a_camera_unplugged_and_plugged_in_again() {
    let server = Server::start();
    let socket = Socket::new("unplugged.y4m");
    socket.plug_in(&camera_file());
    let mut anna = client(&server, Some(&socket), None);
    enter(&mut anna, "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    anna.publish("anna-stream");
    ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
    let screen = ben.play("anna-stream");
    screen.frames(3);
    socket.unplug();
    ben.expect("onRemoteCameraStateUpdate", |event| event["state"] == UNPLUGGED);
    anna.forget();
    socket.plug_in(&camera_file());
    ben.expect("onRemoteCameraStateUpdate", |event| event["state"] == 0);
    screen.frames(0);
    screen.frames(3);
    anna.sees("onPublisherCapturedVideoFirstFrame", |_| true);
}

#[test]
fn a_busy_camera_says_so_and_is_used_when_it_is_chosen_again() {
    let server = Server::start();
    let socket = Socket::new("busy.y4m");
    socket.plug_in(&camera_file());
    let holder = File::open(socket.path()).unwrap();
    holder.lock().unwrap();
    let mut anna = client(&server, Some(&socket), None);
    let id = format!("fake:{}", socket.text());
    anna.engine.start_preview(0, None).unwrap();
    let busy = |event: &serde_json::Value| event["exceptionType"] == OCCUPIED && event["deviceID"] == id;
    anna.expect("onLocalDeviceExceptionOccurred", busy);
    anna.sees("onDebugError", |event| event["errorCode"] == 1_006_005);
    anna.forget();
    anna.engine.enable_camera(false, 0).unwrap();
    anna.engine.enable_camera(true, 0).unwrap();
    anna.expect("onLocalDeviceExceptionOccurred", busy);
    holder.unlock().unwrap();
    anna.engine.use_video_device(&id, 0).unwrap();
    anna.expect("onPublisherCapturedVideoFirstFrame", |_| true);
}

#[test]
fn a_pipe_without_a_writer_is_an_error_and_not_a_wait() {
    let server = Server::start();
    let socket = Socket::new("pipe.y4m");
    assert!(std::process::Command::new("mkfifo").arg(socket.path()).status().unwrap().success());
    let mut anna = client(&server, Some(&socket), Some(&socket));
    anna.engine.start_preview(0, None).unwrap();
    for kind in [CAMERA, MICROPHONE] {
        anna.sees("onLocalDeviceExceptionOccurred", |event| event["deviceType"] == kind && event["exceptionType"] == 1);
    }
}

#[test]
fn a_headset_that_is_plugged_in_again_is_heard_again() {
    let server = Server::start();
    let socket = Socket::new("headset.wav");
    socket.plug_in(&microphone_file());
    let mut anna = client(&server, None, Some(&socket));
    enter(&mut anna, "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    anna.publish("anna-stream");
    ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
    let _screen = ben.play("anna-stream");
    ben.engine.start_sound_level_monitor(100, false).unwrap();
    ben.expect("onRemoteSoundLevelUpdate", |event| event["soundLevels"]["anna-stream"].as_f64() > Some(1.0));

    socket.unplug();
    let lost = anna.expect("onLocalDeviceExceptionOccurred", |event| event["deviceType"] == MICROPHONE);
    assert_eq!((&lost["exceptionType"], &lost["deviceID"]), (&UNPLUGGED.into(), &socket.text().into()));
    anna.expect("onAudioDeviceStateChanged", |event| event["updateType"] == 1 && event["deviceType"] == 0);
    ben.expect("onRemoteMicStateUpdate", |event| event["state"] != 0);

    socket.plug_in(&microphone_file());
    anna.expect("onAudioDeviceStateChanged", |event| {
        event["updateType"] == 0 && event["deviceInfo"]["deviceID"] == socket.text()
    });
    ben.expect("onRemoteMicStateUpdate", |event| event["state"] == 0);
    ben.forget();
    ben.expect("onRemoteSoundLevelUpdate", |event| event["soundLevels"]["anna-stream"].as_f64() > Some(1.0));
    wait_for("the microphone in the list", || {
        anna.engine.get_audio_device_list(DeviceKind::Microphone).iter().any(|device| device.id == socket.text())
    });
}
