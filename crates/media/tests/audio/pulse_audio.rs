//! The real device path (cpal, ALSA, PulseAudio) without a audio card: a private audio server with a null sink, whose
//! monitor is the microphone. What the pipeline plays it must record again.
//!
//! ALSA reads its environment when it is first used, so the pipeline runs in a child process: this binary again.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::FakeDevices;
use media::audio::codec::{OpusDecoder, OpusEncoder, PACKET_SAMPLES};
use media::audio::level::tone_amplitude;
use media::audio::{
    AudioDeviceError, AudioEvents, AudioPacket, AudioPipeline, AudioPlayer, DeviceKind, OpusPacket, OpusSink,
    ProcessingConfig, list,
};
use parking_lot::Mutex;

/// Set for the child alone.
const CHILD: &str = "MEDIA_AUDIO_PULSE_CHILD";
/// The audio server, which the child ends to see what the pipeline says.
const SERVER: &str = "MEDIA_AUDIO_PULSE_SERVER";
const CHILD_LIMIT: Duration = Duration::from_secs(60);

/// A private audio server; killed when dropped.
struct SoundServer {
    process: Child,
    folder: PathBuf,
}

impl SoundServer {
    /// `None` if this machine has no PulseAudio. The name is the test's own.
    fn start(name: &str) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("media-pulse-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("asound.conf"), "pcm.!default { type pulse }\nctl.!default { type pulse }\n")
            .unwrap();
        let socket = folder.join("socket");
        let process = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--system=no", "--use-pid-file=no"])
            .args(["--disallow-module-loading=no", "--realtime=no", "--high-priority=no"])
            .args(["-L", "module-null-sink sink_name=room rate=48000"])
            .args(["-L", &format!("module-native-protocol-unix auth-anonymous=1 socket={}", socket.display())])
            .env("HOME", &folder)
            .env("XDG_RUNTIME_DIR", &folder)
            .env("PULSE_RUNTIME_PATH", &folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Self { process: process.ok()?, folder };
        let give_up = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < give_up, "the sound server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    fn socket(&self) -> String {
        format!("unix:{}", self.folder.join("socket").display())
    }
}

impl Drop for SoundServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn what_a_real_speaker_plays_a_real_microphone_records() {
    run_child("child");
}

#[test]
fn a_headset_that_is_unplugged_and_plugged_in_again_is_heard_again() {
    run_child("child_with_a_headset");
}

/// Runs the test of that name in a process of its own, with a audio server of its own.
fn run_child(name: &str) {
    let Some(server) = SoundServer::start(name) else {
        println!("skipped: no pulseaudio on this machine");
        return;
    };
    if !Path::new("/usr/share/alsa").exists() {
        println!("skipped: no ALSA configuration on this machine");
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("pulse_audio::{name}"), "--ignored", "--nocapture"])
        .env(CHILD, "1")
        .env(SERVER, server.process.id().to_string())
        .env("HOME", &server.folder)
        .env("XDG_RUNTIME_DIR", &server.folder)
        .env("PULSE_RUNTIME_PATH", &server.folder)
        .env("PULSE_SERVER", server.socket())
        .env("ALSA_CONFIG_PATH", format!("/usr/share/alsa/alsa.conf:{}", server.folder.join("asound.conf").display()))
        .spawn()
        .unwrap();
    let give_up = Instant::now() + CHILD_LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > give_up {
            let _ = child.kill();
            panic!("the child hangs");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success());
}

#[test]
fn a_machine_without_devices_reports_it_and_says_nothing_on_the_terminal() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "pulse_audio::child_without_devices", "--ignored", "--nocapture"])
        .env(CHILD, "1")
        .env("ALSA_CONFIG_PATH", "/usr/share/alsa/no-such-file.conf")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.to_lowercase().contains("alsa"), "{stderr}");
}

#[test]
#[ignore = "runs in a child process of the test above"]
fn child_without_devices() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let events = Arc::new(Events::default());
    let pipeline = AudioPipeline::new(FakeDevices::default(), events.clone());
    assert_eq!(list(DeviceKind::Speaker, &FakeDevices::default()), []);
    let player = pipeline.add_player();
    pipeline.start_capture();
    let give_up = Instant::now() + Duration::from_secs(20);
    while events.errors.lock().len() < 2 {
        assert!(Instant::now() < give_up, "{:?}", events.errors.lock());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(
        events.errors.lock().iter().all(|(_, error)| *error == AudioDeviceError::NoDevice),
        "{:?}",
        events.errors.lock()
    );
    drop((player, pipeline));
}

#[derive(Default)]
struct Events {
    errors: Mutex<Vec<(DeviceKind, AudioDeviceError)>>,
    recovered: Mutex<Vec<DeviceKind>>,
}

impl AudioEvents for Events {
    fn captured_first_frame(&self) {}

    fn device_error(&self, kind: DeviceKind, _: &str, error: &AudioDeviceError) {
        self.errors.lock().push((kind, error.clone()));
    }

    fn device_recovered(&self, kind: DeviceKind) {
        self.recovered.lock().push(kind);
    }
}

struct Recorder {
    decoder: Mutex<OpusDecoder>,
    heard: Mutex<Vec<f32>>,
}

impl OpusSink for Recorder {
    fn on_packet(&self, packet: &OpusPacket) {
        let mut samples = [0.0; PACKET_SAMPLES];
        let length = self.decoder.lock().decode(&packet.data, &mut samples).unwrap();
        self.heard.lock().extend_from_slice(&samples[..length]);
    }
}

#[test]
#[ignore = "runs in a child process of the test above"]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let fakes = FakeDevices::default();
    for kind in [DeviceKind::Microphone, DeviceKind::Speaker] {
        println!("{kind:?}: {:?}", list(kind, &fakes));
    }
    let events = Arc::new(Events::default());
    let pipeline = AudioPipeline::new(fakes, events.clone());
    // The echo canceller would do what it is for.
    pipeline.set_processing(ProcessingConfig::OFF);
    let recorder = Arc::new(Recorder { decoder: Mutex::new(OpusDecoder::new().unwrap()), heard: Mutex::default() });
    pipeline.add_encoder(1, recorder.clone());
    pipeline.start_capture();
    let player = pipeline.add_player();

    let begin = Instant::now();
    let quality = play_until_heard(&player, &recorder, &mut 0);
    println!("after {:?}: best {:?}, {:?}", begin.elapsed(), quality, player.stats());
    assert_eq!(*events.errors.lock(), []);
    assert!(quality.1 >= 20, "1 kHz is not heard: {quality:?}");

    let killed = Command::new("kill").arg(std::env::var(SERVER).unwrap()).status().unwrap();
    assert!(killed.success());
    let lost = Instant::now();
    let reported = |kind| events.errors.lock().iter().any(|(failed, _)| *failed == kind);
    while !(reported(DeviceKind::Microphone) && reported(DeviceKind::Speaker)) {
        assert!(lost.elapsed() < Duration::from_secs(20), "{:?}", events.errors.lock());
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("without the server: {:?} after {:?}", events.errors.lock(), lost.elapsed());

    let closing = Instant::now();
    drop((player, pipeline));
    println!("closed in {:?}", closing.elapsed());
    assert!(closing.elapsed() < Duration::from_secs(2));
}

/// Plays 1 kHz until it is heard, or for half a minute. `sent` counts packets of 20 ms.
fn play_until_heard(player: &AudioPlayer, recorder: &Recorder, sent: &mut u32) -> (f32, usize) {
    let mut encoder = OpusEncoder::new(64_000, 0, false).unwrap();
    let (begin, first) = (Instant::now(), *sent);
    let mut quality = (0.0, 0);
    while begin.elapsed() < Duration::from_secs(30) && quality.1 < 20 {
        let due = first + (begin.elapsed().as_millis() / 20) as u32;
        while *sent < due {
            let samples: [f32; PACKET_SAMPLES] = std::array::from_fn(|index| {
                let at = (*sent as usize * PACKET_SAMPLES + index) as f64 / 48_000.0;
                (0.3 * (std::f64::consts::TAU * 1000.0 * at).sin()) as f32
            });
            player.push(AudioPacket {
                sequence: *sent as u16,
                timestamp: *sent * PACKET_SAMPLES as u32,
                payload: encoder.encode(&samples).unwrap(),
                is_redundant: false,
                arrival: Instant::now(),
            });
            *sent += 1;
        }
        std::thread::sleep(Duration::from_millis(10));
        quality = good_pieces(&recorder.heard.lock());
    }
    quality
}

fn pactl(arguments: &[&str]) {
    assert!(Command::new("pactl").args(arguments).stdout(Stdio::null()).status().unwrap().success());
}

#[test]
#[ignore = "runs in a child process of the test above"]
fn child_with_a_headset() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let events = Arc::new(Events::default());
    let pipeline = AudioPipeline::new(FakeDevices::default(), events.clone());
    pipeline.set_processing(ProcessingConfig::OFF);
    let recorder = Arc::new(Recorder { decoder: Mutex::new(OpusDecoder::new().unwrap()), heard: Mutex::default() });
    pipeline.add_encoder(1, recorder.clone());
    pipeline.select_device(DeviceKind::Microphone, "alsa:pulse");
    pipeline.start_capture();
    let player = pipeline.add_player();
    let mut sent = 0;
    assert!(play_until_heard(&player, &recorder, &mut sent).1 >= 20, "not heard at first");

    pactl(&["unload-module", "module-null-sink"]);
    let lost = Instant::now();
    while !events.errors.lock().iter().any(|(kind, _)| *kind == DeviceKind::Microphone) {
        assert!(lost.elapsed() < Duration::from_secs(20), "{:?}", events.errors.lock());
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("unplugged: {:?} after {:?}", events.errors.lock(), lost.elapsed());
    pactl(&["load-module", "module-null-sink", "sink_name=room", "rate=48000"]);
    let plugged = Instant::now();
    recorder.heard.lock().clear();
    assert!(play_until_heard(&player, &recorder, &mut sent).1 >= 20, "not heard again");
    println!("heard again after {:?}", plugged.elapsed());
    assert!(events.recovered.lock().contains(&DeviceKind::Microphone));
    drop((player, pipeline));
}

/// The loudest 1 kHz among the whole 50 ms of a recording, and how many are right.
fn good_pieces(heard: &[f32]) -> (f32, usize) {
    let amplitudes = heard.chunks_exact(2400).map(|piece| tone_amplitude(piece, 1000.0));
    amplitudes.fold((0.0, 0), |(best, good), amplitude| {
        (amplitude.max(best), good + usize::from((0.27..0.33).contains(&amplitude)))
    })
}
