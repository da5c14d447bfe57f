//! Needs a camera (on Linux the kernel's `vivid` test driver will do): `cargo test -p media --test real_camera -- --ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use media::FakeDevices;
use media::video::camera::{CaptureFormat, list, open};
use media::video::{Capture, VideoFrame};

const PATIENCE: Duration = Duration::from_secs(20);

fn open_default(format: CaptureFormat) -> (Capture, mpsc::Receiver<VideoFrame>) {
    let (sender, receiver) = mpsc::channel();
    let sink = Arc::new(move |frame: &VideoFrame| sender.send(frame.clone()).unwrap_or_default());
    let on_error = Box::new(|error| panic!("{error}"));
    (open("", format, &FakeDevices::default(), sink, on_error).unwrap(), receiver)
}

#[test]
#[ignore = "needs a camera"]
fn a_camera_streams_in_the_format_asked_for_stops_and_starts_again() {
    println!("cameras: {:?}", list(&FakeDevices::default()));
    for format in [
        CaptureFormat { width: 640, height: 360, fps: 30 },
        CaptureFormat { width: 1280, height: 720, fps: 30 },
        CaptureFormat { width: 360, height: 640, fps: 15 },
    ] {
        let start = Instant::now();
        let (capture, frames) = open_default(format);
        let opened = start.elapsed();
        let first = frames.recv_timeout(PATIENCE).unwrap();
        let streaming = Instant::now();
        let last = (0..15).fold(first.clone(), |_, _| frames.recv_timeout(PATIENCE).unwrap());
        let rate = 15.0 / streaming.elapsed().as_secs_f64();
        let mean = |plane: &[u8]| plane.iter().map(|&value| u64::from(value)).sum::<u64>() / plane.len() as u64;
        println!(
            "{format:?}: {} x {}, {rate:.1} fps, opened in {opened:?}, means {} {} {}",
            last.width(),
            last.height(),
            mean(last.y()),
            mean(last.u()),
            mean(last.v())
        );
        assert!(last.width() <= format.width && last.height() <= format.height);
        let aspect = f64::from(last.width()) / f64::from(last.height());
        assert!((aspect * f64::from(format.height) / f64::from(format.width) - 1.0).abs() < 0.02);
        assert!(last.capture_time() > first.capture_time());
        assert!(last.y().iter().any(|&value| value != last.y()[0]), "a picture, not a plain area");
        let stopping = Instant::now();
        drop(capture);
        println!("stopped in {:?}", stopping.elapsed());
    }
}
