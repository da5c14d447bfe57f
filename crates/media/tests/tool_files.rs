//! Files as ffmpeg writes them, played by fake devices: a red frame is red, a tone is as loud as it was made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use media::FakeDevices;
use media::audio::{AudioDeviceError, AudioEvents, AudioPipeline, DeviceKind, ProcessingConfig};
use media::video::camera::{self, CaptureFormat};
use media::video::frame::VideoFrame;

const PATIENCE: Duration = Duration::from_secs(20);

/// A file that ffmpeg made, gone after the test; `None` without ffmpeg.
struct Made(PathBuf);

impl Made {
    fn new(name: &str, arguments: &str) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("media-tools-{}-{name}", std::process::id()));
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-y"])
            .args(arguments.split_whitespace())
            .arg(&path)
            .stdin(Stdio::null())
            .status();
        match made {
            Ok(status) => {
                assert!(status.success(), "{arguments}");
                Some(Self(path))
            }
            Err(_) => {
                println!("skipped: no ffmpeg on this machine");
                None
            }
        }
    }

    /// What ffmpeg writes where it cannot go back.
    fn through_a_pipe(name: &str, arguments: &str) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("media-tools-{}-{name}", std::process::id()));
        let output = Command::new("ffmpeg").args(["-v", "error"]).args(arguments.split_whitespace()).arg("-").output();
        std::fs::write(&path, output.ok()?.stdout).unwrap();
        Some(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap_or_default();
    }
}

/// The first frame that a camera of this file gives.
fn picture(path: &Path) -> VideoFrame {
    let fakes = FakeDevices { camera: Some(path.display().to_string()), ..FakeDevices::default() };
    let (sender, receiver) = bounded(1);
    let sink = Arc::new(move |frame: &VideoFrame| drop(sender.try_send(frame.clone())));
    let format = CaptureFormat { width: 640, height: 480, fps: 30 };
    let _capture = camera::open("", format, &fakes, sink, Box::new(|error| eprintln!("{error}"))).unwrap();
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no picture of {}", path.display()))
}

/// Y, U and V in the middle.
fn middle(frame: &VideoFrame) -> [u8; 3] {
    let [luma, chroma, _] = frame.strides();
    let (x, y) = (frame.width() as usize / 2, frame.height() as usize / 2);
    let at = y / 2 * chroma + x / 2;
    [frame.y()[y * luma + x], frame.u()[at], frame.v()[at]]
}

fn assert_near(path: &Path, expected: [u8; 3]) {
    let found = middle(&picture(path));
    let near = found.into_iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= 4);
    assert!(near, "{}: {found:?} is not {expected:?}", path.display());
}

/// BT.601, limited range.
const RED: [u8; 3] = [81, 90, 240];
const RED_IN_GREY: [u8; 3] = [81, 128, 128];

#[test]
fn a_red_frame_in_any_y4m_is_red() {
    let source = "-f lavfi -i color=red:s=61x47:r=30000/1001,format=rgb24 -frames:v 3 -strict -1";
    for format in ["yuv420p", "yuv411p", "yuv422p", "yuv444p", "gray"] {
        for range in ["tv", "pc"] {
            let arguments = format!(
                "{source} -vf scale=out_range={range}:out_color_matrix=bt601 -pix_fmt {format} -color_range {range}"
            );
            let Some(file) = Made::new(&format!("{format}-{range}.y4m"), &arguments) else { return };
            let header = std::fs::read(file.path()).unwrap();
            let is_full = header[..200].windows(4).any(|word| word == b"FULL");
            // ffmpeg does not name the range of grey frames everywhere.
            if format == "gray" && range == "pc" && !is_full {
                continue;
            }
            assert_near(file.path(), if format == "gray" { RED_IN_GREY } else { RED });
        }
    }
    let arguments = format!("{source} -vf setfield=tff,scale=out_color_matrix=bt601 -pix_fmt yuv420p -flags +ildct");
    let Some(file) = Made::new("interlaced.y4m", &arguments) else { return };
    assert_near(file.path(), RED);
}

#[test]
fn a_red_frame_in_any_mjpeg_is_red() {
    let source = "-f lavfi -i color=red:s=61x47:r=30,format=rgb24 -frames:v 3";
    for format in ["yuvj420p", "yuvj422p", "yuvj444p"] {
        for tables in ["default", "optimal"] {
            let arguments = format!("{source} -pix_fmt {format} -c:v mjpeg -huffman {tables} -q:v 2");
            let Some(file) = Made::new(&format!("{format}-{tables}.mjpeg"), &arguments) else { return };
            assert_near(file.path(), RED);
        }
    }
}

#[derive(Default)]
struct Silent;

impl AudioEvents for Silent {
    fn captured_first_frame(&self) {}

    fn device_error(&self, _: DeviceKind, id: &str, error: &AudioDeviceError) {
        eprintln!("{id}: {error}");
    }

    fn device_recovered(&self, _: DeviceKind) {}
}

/// How loud a microphone of this file is, in percent.
fn level(path: &Path) -> f32 {
    let fakes = FakeDevices { microphone: Some(path.display().to_string()), ..FakeDevices::default() };
    let pipeline = AudioPipeline::new(fakes, Arc::new(Silent));
    pipeline.set_processing(ProcessingConfig::OFF);
    pipeline.start_capture();
    let (begin, mut loudest) = (Instant::now(), 0.0f32);
    while begin.elapsed() < PATIENCE && loudest < 1.0 {
        std::thread::sleep(Duration::from_millis(20));
        loudest = loudest.max(pipeline.microphone_level());
    }
    // Weights of channels and filters have settled then.
    std::thread::sleep(Duration::from_millis(300));
    pipeline.microphone_level()
}

#[test]
fn a_tone_is_as_loud_in_any_wav() {
    let tone = "-f lavfi -i sine=f=1000:d=2,volume=12dB";
    let Some(plain) = Made::new("plain.wav", &format!("{tone} -ar 48000 -c:a pcm_s16le")) else { return };
    let expected = level(plain.path());
    assert!(expected > 20.0, "{expected}");
    let cases = [
        ("u8.wav", "-c:a pcm_u8"),
        ("s24.wav", "-c:a pcm_s24le"),
        ("s32.wav", "-c:a pcm_s32le"),
        ("f32.wav", "-c:a pcm_f32le"),
        ("f64.wav", "-c:a pcm_f64le"),
        ("slow.wav", "-ar 8000 -c:a pcm_s16le"),
        ("cd.wav", "-ar 44100 -c:a pcm_s16le"),
        ("fast.wav", "-ar 192000 -c:a pcm_s32le"),
        ("rf64.wav", "-rf64 always -c:a pcm_s16le"),
        ("listed.wav", "-metadata title=odd -c:a pcm_s16le"),
        ("two.wav", "-af pan=stereo|c0=c0|c1=c0 -c:a pcm_s16le"),
        ("left.wav", "-af pan=stereo|c0=c0 -c:a pcm_s16le"),
        ("six.wav", "-af pan=5.1|FC=c0 -c:a pcm_s16le"),
    ];
    let files = cases.map(|(name, arguments)| Made::new(name, &format!("{tone} {arguments}")));
    let piped = Made::through_a_pipe("piped.wav", &format!("{tone} -c:a pcm_s16le -f wav"));
    for file in files.iter().chain([&piped]).flatten() {
        let found = level(file.path());
        assert!((found - expected).abs() < 2.0, "{}: {found} is not {expected}", file.path().display());
    }
}
