//! Audio as the application asks for it: processing, volumes, levels, spectra. The fake microphone hums 440 Hz at -20 dBFS
//! and begins each second with 100 ms of 1 kHz at -6 dBFS.

use engine::{AudioConfig, EngineProfile};
use media::audio::DeviceKind;
use media::audio::level::tone_amplitude;
use media::audio::spectrum::BANDS;
use serde_json::Value;

use crate::harness::{APP_ID, APP_SIGN, Client, Server, fakes, profile, wait_for};
use crate::link::Quality;
use crate::relay::Relay;

fn player(client: &Client) -> Value {
    let stats = client.engine.call_experimental_api(r#"{"method":"getStats"}"#);
    let stats: Value = serde_json::from_str(&stats).unwrap();
    stats["players"][0].clone()
}

fn received(client: &Client, what: &str) -> u64 {
    player(client)[what].as_u64().unwrap_or(0)
}

/// The sine of -20 dBFS on the scale of 0 to 100, whose 0 is -60 dBFS.
const HUM_LEVEL: f64 = (60.0 - 23.0) / 60.0 * 100.0;

#[test]
fn both_sides_see_how_loud_the_microphone_is() {
    let server = Server::start();
    let (mut anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream");
    anna.engine.start_sound_level_monitor(100, true).unwrap();
    ben.engine.start_sound_level_monitor(100, false).unwrap();
    let is_hum = |level: &Value| level.as_f64().is_some_and(|level| (level - HUM_LEVEL).abs() < 3.0);
    anna.expect("onCapturedSoundLevelUpdate", |event| is_hum(&event["soundLevel"]));
    anna.expect("onCapturedSoundLevelInfoUpdate", |event| {
        event["soundLevelInfo"]["vad"] == 1 && is_hum(&event["soundLevelInfo"]["soundLevel"])
    });
    ben.expect("onRemoteSoundLevelUpdate", |event| is_hum(&event["soundLevels"]["anna-stream"]));
    ben.expect("onRemoteSoundLevelInfoUpdate", |event| {
        let info = &event["soundLevelInfos"]["anna-stream"];
        is_hum(&info["soundLevel"]) && info["vad"] == 0 && info["streamID"] == "anna-stream"
    });
    ben.engine.stop_sound_level_monitor().unwrap();
    ben.engine.start_sound_level_monitor(99, false).unwrap();
    ben.expect("onDebugError", |event| event["funcName"] == "startSoundLevelMonitor");
    ben.forget();
    ben.engine.start_sound_level_monitor(3001, false).unwrap();
    ben.expect("onDebugError", |event| event["funcName"] == "startSoundLevelMonitor");
    assert!(ben.all("onRemoteSoundLevelUpdate").is_empty(), "stopped is stopped");
}

#[test]
fn a_muted_or_quiet_microphone_device_is_heard_as_such_at_the_other_end() {
    let server = Server::start();
    let (mut anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream");
    ben.engine.start_sound_level_monitor(100, false).unwrap();
    let mut expect = |level: f64| {
        ben.expect("onRemoteSoundLevelUpdate", |event| {
            event["soundLevels"]["anna-stream"].as_f64().is_some_and(|reported| (reported - level).abs() < 3.0)
        });
    };
    let microphone = DeviceKind::Microphone;
    let device = anna.engine.get_current_audio_device(microphone);
    assert_eq!((device.id.as_str(), anna.engine.get_default_audio_device_id(microphone).as_str()), ("tone", "tone"));
    anna.engine.start_audio_device_volume_monitor(microphone, "tone").unwrap();
    // Half is 6 dB, a tenth of the scale.
    anna.engine.set_audio_device_volume(microphone, "tone", 50).unwrap();
    assert_eq!(anna.engine.get_audio_device_volume(microphone, ""), 50);
    anna.expect("onAudioDeviceVolumeChanged", |event| {
        event["deviceType"] == 0 && event["deviceID"] == "tone" && event["volume"] == 50
    });
    expect(HUM_LEVEL - 10.0);
    anna.engine.mute_audio_device(microphone, "tone", true).unwrap();
    expect(0.0);
    anna.engine.set_audio_device_volume(microphone, "tone", 101).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "setAudioDeviceVolume");
    anna.forget();
    anna.engine.set_audio_device_volume(microphone, "nowhere", 10).unwrap();
    anna.expect("onDebugError", |event| event["errorCode"] == 1_006_002);
}

#[test]
fn voice_activity_is_reported() {
    let server = Server::start();
    let (mut anna, _ben) = Client::pair(&server);
    anna.engine.start_audio_vad_stable_state_monitor(0, 200).unwrap();
    anna.expect("onAudioVADStateUpdate", |event| event["type"] == 0 && event["state"] == 1);
    anna.engine.mute_audio_device(DeviceKind::Microphone, "", true).unwrap();
    anna.expect("onAudioVADStateUpdate", |event| event["type"] == 0 && event["state"] == 0);
    anna.engine.stop_audio_vad_stable_state_monitor(0).unwrap();
    anna.engine.start_audio_vad_stable_state_monitor(0, 199).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "startAudioVADStableStateMonitor");
    anna.forget();
    anna.engine.start_audio_vad_stable_state_monitor(2, 3000).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "startAudioVADStableStateMonitor");
}

#[test]
fn the_capture_volume_is_heard_at_the_other_end() {
    let server = Server::start();
    let (anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream");
    ben.engine.start_sound_level_monitor(100, false).unwrap();
    let mut expect = |level: f64| {
        ben.expect("onRemoteSoundLevelUpdate", |event| {
            event["soundLevels"]["anna-stream"].as_f64().is_some_and(|reported| (reported - level).abs() < 3.0)
        });
    };
    expect(HUM_LEVEL);
    // Twice as much is 6 dB, a tenth of the scale.
    anna.engine.set_capture_volume(200).unwrap();
    expect(HUM_LEVEL + 10.0);
    anna.engine.set_capture_volume(0).unwrap();
    expect(0.0);
}

#[test]
fn both_sides_see_the_hum_in_the_spectrum() {
    let server = Server::start();
    let (mut anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream");
    anna.engine.start_audio_spectrum_monitor(50).unwrap();
    ben.engine.start_audio_spectrum_monitor(50).unwrap();
    let is_hum = |spectrum: &Value| {
        let bands: Vec<f64> = spectrum.as_array().unwrap().iter().map(|band| band.as_f64().unwrap()).collect();
        assert_eq!(bands.len(), BANDS);
        let loudest = (0..BANDS).max_by(|a, b| bands[*a].total_cmp(&bands[*b])).unwrap();
        // A hundredth of the power of a full-scale sine, between 375 and 500 Hz.
        loudest == 3 && (0.7..1.3).contains(&(bands[3] / f64::from(1 << 30) * 100.0))
    };
    anna.expect("onCapturedAudioSpectrumUpdate", |event| is_hum(&event["audioSpectrum"]));
    ben.expect("onRemoteAudioSpectrumUpdate", |event| is_hum(&event["audioSpectrums"]["anna-stream"]));
}

#[test]
fn muted_streams_are_not_received() {
    let server = Server::start();
    let (_anna, ben) = Client::pair(&server);
    ben.play("anna-stream");
    wait_for("both media", || received(&ben, "audioPacketsReceived") > 5 && received(&ben, "framesReceived") > 5);
    let is_flowing = |what: &str| {
        let before = received(&ben, what);
        std::thread::sleep(std::time::Duration::from_millis(300));
        received(&ben, what) > before
    };
    ben.engine.mute_play_stream_audio("anna-stream", true).unwrap();
    wait_for("silence", || !is_flowing("audioPacketsReceived"));
    assert!(is_flowing("framesReceived"));
    ben.engine.mute_play_stream_audio("anna-stream", false).unwrap();
    wait_for("sound", || is_flowing("audioPacketsReceived"));
    ben.engine.mute_all_play_stream_video(true).unwrap();
    wait_for("no pictures", || !is_flowing("framesReceived"));
    assert!(is_flowing("audioPacketsReceived"));
    ben.engine.mute_all_play_stream_video(false).unwrap();
    wait_for("pictures", || is_flowing("framesReceived"));
}

#[test]
fn a_stream_played_while_all_are_muted_is_muted() {
    let server = Server::start();
    let (_anna, ben) = Client::pair(&server);
    ben.engine.mute_all_play_stream_audio(true).unwrap();
    let screen = ben.play("anna-stream");
    screen.frames(10);
    let level = player(&ben)["audioPacketsReceived"].as_u64().unwrap();
    screen.frames(10);
    assert_eq!(player(&ben)["audioPacketsReceived"].as_u64().unwrap(), level);
}

#[test]
fn a_closed_microphone_is_silent_and_the_others_know_why() {
    let server = Server::start();
    let (anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream");
    ben.expect("onPlayerRecvAudioFirstFrame", |_| true);
    anna.engine.enable_audio_capture_device(false).unwrap();
    ben.expect("onRemoteMicStateUpdate", |event| event["state"] == 9);
    wait_for("silence", || {
        let before = received(&ben, "audioPacketsReceived");
        std::thread::sleep(std::time::Duration::from_millis(200));
        received(&ben, "audioPacketsReceived") == before
    });
    let before = received(&ben, "audioPacketsReceived");
    anna.engine.enable_audio_capture_device(true).unwrap();
    ben.expect("onRemoteMicStateUpdate", |event| event["state"] == 0);
    wait_for("sound", || received(&ben, "audioPacketsReceived") > before + 5);
}

#[test]
fn the_audio_bitrate_follows_the_configuration() {
    let server = Server::start();
    let (mut anna, _ben) = Client::pair(&server);
    let rate = |anna: &mut Client, accept: fn(f64) -> bool| {
        anna.expect("onPublisherQualityUpdate", |event| event["quality"]["audioKBPS"].as_f64().is_some_and(accept));
    };
    rate(&mut anna, |kbps| kbps < 75.0);
    anna.engine.set_audio_config(AudioConfig { bitrate_kbps: 128, ..AudioConfig::default() }, 0).unwrap();
    rate(&mut anna, |kbps| kbps > 90.0);
    anna.engine.set_audio_config(AudioConfig { bitrate_kbps: 1, ..AudioConfig::default() }, 0).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "setAudioConfig");
}

#[test]
fn left_and_right_stay_apart_through_a_call() {
    let server = Server::start();
    let file = std::env::temp_dir().join(format!("stereo-{}.wav", std::process::id()));
    let client = |user: &str, microphone: &str, speaker: &str| {
        let mut devices = fakes();
        devices.insert("zego_fake_microphone".into(), microphone.into());
        devices.insert("zego_fake_speaker".into(), speaker.into());
        let mut client = Client::with(profile(&server.url()), devices);
        client.login("room", user);
        client.expect("onRoomStateUpdate", |event| event["state"] == 2);
        client
    };
    let mut anna = client("anna", "stereo-tone", "null");
    let ben = client("ben", "tone", &format!("stereo:{}", file.to_str().unwrap()));
    anna.engine.set_audio_capture_stereo_mode(1).unwrap();
    anna.engine.set_audio_config(AudioConfig { bitrate_kbps: 96, is_stereo: true }, 0).unwrap();
    anna.publish("anna-stream");
    ben.play("anna-stream");
    // The last half second, left and right.
    let heard = || {
        let samples: Vec<f32> = std::fs::read(&file)
            .unwrap_or_default()
            .chunks_exact(2)
            .skip(22)
            .map(|sample| f32::from(i16::from_le_bytes([sample[0], sample[1]])) / 32_768.0)
            .collect();
        let recent = &samples[samples.len().saturating_sub(48_000) / 2 * 2..];
        let side = |side: usize| recent.iter().skip(side).step_by(2).copied().collect::<Vec<f32>>();
        let (left, right) = (side(0), side(1));
        [(&left, 440.0), (&left, 660.0), (&right, 440.0), (&right, 660.0)].map(|(side, hz)| tone_amplitude(side, hz))
    };
    wait_for("both sides", || {
        let [own_left, other_left, other_right, own_right] = heard();
        own_left > 0.06 && own_right > 0.08 && other_left < 0.02 && other_right < 0.02
    });
    anna.engine.set_audio_capture_stereo_mode(3).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "setAudioCaptureStereoMode");
    drop((anna, ben));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn on_a_lossy_path_audio_is_sent_redundantly() {
    let relay = Relay::start();
    let [mut anna, ben] = ["anna", "ben"].map(|user| {
        let mut client = Client::with(profile(&relay.url()), fakes());
        client.login("room", user);
        client.expect("onRoomStateUpdate", |event| event["state"] == 2);
        client
    });
    anna.publish("anna-stream");
    ben.play("anna-stream");
    wait_for("sound", || received(&ben, "audioPacketsReceived") > 50);
    relay.set_uplink(Quality { loss: 0.1, ..Quality::default() });
    let copies = || {
        let stats = anna.engine.call_experimental_api(r#"{"method":"getStats"}"#);
        let stats: Value = serde_json::from_str(&stats).unwrap();
        stats["publishers"][0]["audioCopies"].as_u64()
    };
    wait_for("two copies", || copies() == Some(2));
    let sound = |what: &str| player(&ben)["jitterBuffer"][what].as_u64().unwrap();
    // Time to get used to it.
    let begin = sound("decodedMs");
    wait_for("two seconds", || sound("decodedMs") > begin + 2_000);
    let (recovered, concealed) = (sound("recoveredMs"), sound("concealedMs"));
    wait_for("eight seconds", || sound("decodedMs") > begin + 10_000);
    let (recovered, concealed) = (sound("recoveredMs") - recovered, sound("concealedMs") - concealed);
    assert!(recovered > 300 && concealed < recovered / 2, "{recovered} ms recovered, {concealed} ms invented");
}

#[test]
fn who_monitors_the_microphone_hears_it() {
    let server = Server::start();
    let file = std::env::temp_dir().join(format!("monitor-{}.wav", std::process::id()));
    let mut devices = fakes();
    devices.insert("zego_fake_speaker".into(), file.to_str().unwrap().into());
    let profile = EngineProfile { app_id: APP_ID, app_sign: APP_SIGN.into(), ..profile(&server.url()) };
    let anna = Client::with(profile, devices);
    anna.engine.start_preview(0, None).unwrap();
    anna.engine.enable_headphone_monitor(true).unwrap();
    anna.engine.set_headphone_monitor_volume(200).unwrap();
    // The hum has an amplitude of a tenth, and is heard twice as loud.
    let heard = || {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let samples: Vec<f32> = bytes[44.min(bytes.len())..]
            .chunks_exact(2)
            .map(|sample| f32::from(i16::from_le_bytes([sample[0], sample[1]])) / 32_768.0)
            .collect();
        samples.chunks_exact(4800).map(|tenth| tone_amplitude(tenth, 440.0)).fold(0.0, f32::max)
    };
    wait_for("the own microphone", || heard() > 0.19);
    assert!(heard() < 0.21, "{}", heard());
    drop(anna);
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn wrong_modes_and_volumes_are_reported() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    anna.engine.set_aec_mode(2).unwrap();
    anna.engine.set_ans_mode(2).unwrap();
    anna.engine.enable_aec(false).unwrap();
    anna.engine.enable_ans(false).unwrap();
    anna.engine.enable_agc(false).unwrap();
    anna.engine.set_aec_mode(6).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "setAECMode");
    anna.engine.set_ans_mode(7).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "setANSMode");
    anna.engine.set_capture_volume(201).unwrap();
    anna.expect("onDebugError", |event| event["funcName"] == "setCaptureVolume");
    assert_eq!(anna.all("onDebugError").len(), 3);
}
