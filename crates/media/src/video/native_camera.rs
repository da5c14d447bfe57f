//! Real cameras: the thread that reads one, and the choice among the formats that it offers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::camera::{CameraFailure, CaptureError, CaptureFormat};
use super::camera_pixels::PixelFormat;
use super::nokhwa_camera;
#[cfg(not(target_os = "linux"))]
use super::nokhwa_camera::NativeCamera;
use super::scale;
use super::sink::FrameSink;
use super::source::{Capture, SILENCE, SourceError};
#[cfg(target_os = "linux")]
use super::v4l_camera::{self, NativeCamera};
use crate::devices::DeviceInfo;

/// How often a camera that fails is looked for in the list.
const LOOK: Duration = Duration::from_millis(500);

/// Between two attempts on a camera that fails at once.
const RETRY: Duration = Duration::from_millis(50);

/// The cameras of the system; none if it cannot say.
pub(super) fn list() -> Vec<DeviceInfo> {
    let devices = nokhwa_camera::list();
    // A camera has more nodes than the one that delivers frames.
    #[cfg(target_os = "linux")]
    let devices = devices.into_iter().filter(|device| v4l_camera::delivers_frames(&device.id)).collect();
    devices
}

/// Changes when the list may have changed. The nodes are cheap to check, while the list opens every camera.
#[cfg(target_os = "linux")]
pub(super) fn fingerprint() -> impl std::hash::Hash {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let mut nodes: Vec<_> =
        entries.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with("video")).collect();
    nodes.sort();
    nodes
}

/// Changes when the list has changed.
#[cfg(not(target_os = "linux"))]
pub(super) fn fingerprint() -> impl std::hash::Hash {
    list().into_iter().map(|device| device.id).collect::<Vec<_>>()
}

/// Whether a camera that is open is still plugged in.
fn is_there(device: &str) -> bool {
    #[cfg(target_os = "linux")]
    return v4l_camera::delivers_frames(device);
    #[cfg(not(target_os = "linux"))]
    return list().iter().any(|listed| listed.id == device);
}

/// Opens a camera by its id, `""` for the first one, and returns once it streams or has failed to.
pub(super) fn open(
    device_id: &str,
    format: CaptureFormat,
    sink: Arc<dyn FrameSink>,
    on_error: Box<dyn Fn(CaptureError) + Send>,
) -> Result<Capture, CaptureError> {
    let devices = list();
    let device = if device_id.is_empty() {
        devices.into_iter().next()
    } else {
        devices.into_iter().find(|device| device.id == device_id)
    };
    let device = device.ok_or_else(|| CaptureError::new(device_id, CameraFailure::NoDevice, "not in the list"))?.id;
    let (opened, outcome) = bounded(1);
    // Some systems bind a camera to the thread that opened it, so it never leaves its own.
    let capture = Capture::spawn("camera", move |stopped| run(&device, format, &*sink, &*on_error, &opened, stopped))?;
    match outcome.recv() {
        Ok(result) => result.map(|()| capture),
        Err(_) => Err(CaptureError::new(device_id, CameraFailure::Failed, "its thread ended")),
    }
}

/// Why a camera does not open.
pub(super) type OpenError = SourceError;

fn run(
    device: &str,
    format: CaptureFormat,
    sink: &dyn FrameSink,
    on_error: &dyn Fn(CaptureError),
    opened: &Sender<Result<(), CaptureError>>,
    stopped: &Receiver<()>,
) {
    let mut camera = match NativeCamera::open(device, format) {
        Ok(camera) => camera,
        Err((failure, reason)) => {
            drop(opened.send(Err(CaptureError::new(device, failure, reason))));
            return;
        }
    };
    if opened.send(Ok(())).is_err() {
        return;
    }
    let (mut last_good, mut looked) = (Instant::now(), Instant::now());
    while stopped.try_recv() == Err(TryRecvError::Empty) {
        let reason = match camera.read() {
            Ok(Some(frame)) => {
                last_good = frame.capture_time();
                sink.on_frame(&scale::fit(&frame, format.width, format.height));
                continue;
            }
            Ok(None) => "no pictures come".to_owned(),
            Err(reason) => {
                // A camera that fails at once must not occupy the processor.
                stopped.recv_timeout(RETRY).unwrap_or_default();
                reason
            }
        };
        // Checked again only now and then: a list may take long.
        if looked.elapsed() > LOOK {
            looked = Instant::now();
            if !is_there(device) {
                return on_error(CaptureError::new(device, CameraFailure::Unplugged, reason));
            }
        }
        if last_good.elapsed() > SILENCE {
            return on_error(CaptureError::new(device, CameraFailure::NoFrames, reason));
        }
    }
}

/// One of the formats that a camera has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) pixels: PixelFormat,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Frames in 1000 seconds.
    pub(super) milli_fps: u32,
}

/// The best offer: fast enough first, then large enough, then near in size, then cheap to convert.
pub(super) fn choose<T>(offers: &[T], offer: impl Fn(&T) -> Offer, wanted: CaptureFormat) -> Option<&T> {
    offers.iter().min_by_key(|item| {
        let offer = offer(item);
        // A fifth less than asked for passes for fast enough; half of it beats nothing.
        let too_slow = (wanted.fps * 800).saturating_sub(offer.milli_fps);
        let too_small =
            u64::from(wanted.width.saturating_sub(offer.width)) + u64::from(wanted.height.saturating_sub(offer.height));
        let area = u64::from(offer.width) * u64::from(offer.height);
        let too_fast = offer.milli_fps.saturating_sub(wanted.fps * 1_000);
        (too_slow, too_small, area, too_fast, offer.pixels)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: CaptureFormat = CaptureFormat { width: 1280, height: 720, fps: 30 };

    fn offer(width: u32, height: u32, pixels: PixelFormat, fps: u32) -> Offer {
        Offer { pixels, width, height, milli_fps: fps * 1_000 }
    }

    fn best(offers: &[Offer]) -> Option<&Offer> {
        choose(offers, |offer| *offer, WANTED)
    }

    #[test]
    fn a_fast_compressed_format_beats_a_slow_raw_one() {
        let offers = [
            offer(1280, 720, PixelFormat::Yuyv, 10),
            offer(1280, 720, PixelFormat::Mjpeg, 30),
            offer(640, 480, PixelFormat::Yuyv, 30),
        ];
        assert_eq!(best(&offers), Some(&offers[1]));
    }

    #[test]
    fn raw_pixels_are_taken_where_they_are_fast_enough() {
        let offers = [
            offer(1280, 720, PixelFormat::Mjpeg, 30),
            offer(1280, 720, PixelFormat::Yuyv, 30),
            offer(1920, 1080, PixelFormat::Nv12, 30),
        ];
        assert_eq!(best(&offers), Some(&offers[1]));
    }

    #[test]
    fn a_camera_without_the_size_gives_the_next_larger_one() {
        let offers = [
            offer(640, 480, PixelFormat::Yuyv, 30),
            offer(1920, 1080, PixelFormat::Yuyv, 30),
            offer(3840, 2160, PixelFormat::Yuyv, 30),
        ];
        assert_eq!(best(&offers), Some(&offers[1]));
        assert_eq!(best(&offers[..1]), Some(&offers[0]));
        assert_eq!(best(&[]), None);
    }
}
