//! Real cameras, through the system's own interface (V4L2, Media Foundation, AVFoundation).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use nokhwa::Camera;
use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};

use super::camera::{CaptureError, CaptureFormat};
use super::camera_pixels::PixelReader;
use super::scale;
use super::sink::FrameSink;
use super::source::Capture;
use crate::devices::DeviceInfo;

/// Pixel formats that we convert, the cheapest first.
const PIXEL_FORMATS: [FrameFormat; 5] =
    [FrameFormat::NV12, FrameFormat::YUYV, FrameFormat::MJPEG, FrameFormat::RAWRGB, FrameFormat::RAWBGR];

/// A camera without a good picture for this long is lost.
const SILENCE: Duration = Duration::from_secs(2);

/// Between two attempts on a camera that fails at once.
const RETRY: Duration = Duration::from_millis(20);

/// The cameras of the system; none if it cannot say.
pub(super) fn list() -> Vec<DeviceInfo> {
    let cameras = nokhwa::query(ApiBackend::Auto).unwrap_or_else(|error| {
        tracing::warn!(%error, "the system does not list its cameras");
        Vec::new()
    });
    cameras.iter().map(|camera| DeviceInfo { id: device_id(camera.index()), name: camera.human_name() }).collect()
}

fn device_id(index: &CameraIndex) -> String {
    match index {
        CameraIndex::Index(number) => number.to_string(),
        CameraIndex::String(name) => name.clone(),
    }
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
    let device = device.ok_or(CaptureError::NoDevice)?.id;
    let (opened, outcome) = bounded(1);
    // Some systems bind a camera to the thread that opened it, so it never leaves its own.
    let capture = Capture::spawn(move |stopped| run(&device, format, &*sink, &*on_error, &opened, stopped))?;
    match outcome.recv() {
        Ok(result) => result.map(|()| capture),
        Err(_) => Err(CaptureError::Failed { device: device_id.to_owned(), reason: "its thread ended".to_owned() }),
    }
}

fn run(
    device: &str,
    format: CaptureFormat,
    sink: &dyn FrameSink,
    on_error: &dyn Fn(CaptureError),
    opened: &Sender<Result<(), CaptureError>>,
    stopped: &Receiver<()>,
) {
    let mut camera = match open_stream(device, format) {
        Ok(camera) => camera,
        Err(reason) => {
            drop(opened.send(Err(CaptureError::Failed { device: device.to_owned(), reason })));
            return;
        }
    };
    if opened.send(Ok(())).is_err() {
        return;
    }
    let mut pixels = PixelReader::default();
    let mut last_good = Instant::now();
    while stopped.try_recv() == Err(TryRecvError::Empty) {
        let taken = camera.frame().map_err(|error| error.to_string());
        let capture_time = Instant::now();
        let read = taken.and_then(|buffer| {
            let resolution = buffer.resolution();
            let size = (resolution.width(), resolution.height());
            pixels.read(buffer.source_frame_format(), size, buffer.buffer(), capture_time)
        });
        match read {
            Ok(frame) => {
                last_good = capture_time;
                sink.on_frame(&scale::fit(&frame, format.width, format.height));
            }
            Err(reason) if last_good.elapsed() > SILENCE => {
                return on_error(CaptureError::Lost { device: device.to_owned(), reason });
            }
            // A damaged picture now and then is usual; a camera that fails at once must not take the processor.
            Err(_) => drop(stopped.recv_timeout(RETRY)),
        }
    }
}

/// The error is a text for people.
fn open_stream(device: &str, format: CaptureFormat) -> Result<Camera, String> {
    request_permission()?;
    let index = device.parse().map_or_else(|_| CameraIndex::String(device.to_owned()), CameraIndex::Index);
    let mut camera = open_in_any_format(&index, format)?;
    let offered = camera.compatible_camera_formats().unwrap_or_default();
    if let Some(best) = choose(&offered, format) {
        let request = RequestedFormat::with_formats(RequestedFormatType::Exact(best), &PIXEL_FORMATS);
        if let Err(error) = camera.set_camera_requset(request) {
            tracing::warn!(%error, format = %best, "the camera refuses a format that it offers");
        }
    }
    camera.open_stream().map_err(|error| error.to_string())?;
    tracing::info!(device, format = %camera.camera_format(), "camera opened");
    Ok(camera)
}

/// The library opens a camera only together with a format; which one is settled once the camera has told what it
/// offers. "Closest" fails unless the resolution exists, hence several.
fn open_in_any_format(index: &CameraIndex, format: CaptureFormat) -> Result<Camera, String> {
    let sizes = [(format.width, format.height), (640, 480), (1280, 720), (640, 360)];
    let closest = sizes.iter().flat_map(|&(width, height)| {
        PIXEL_FORMATS.map(|pixels| {
            RequestedFormatType::Closest(CameraFormat::new(Resolution::new(width, height), pixels, format.fps))
        })
    });
    let mut reason = String::new();
    for request in closest.chain([RequestedFormatType::None]) {
        match Camera::new(index.clone(), RequestedFormat::with_formats(request, &PIXEL_FORMATS)) {
            Ok(camera) => return Ok(camera),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

/// The best of what a camera offers: fast enough first, then large enough, then near in size, then cheap to convert.
fn choose(offered: &[CameraFormat], wanted: CaptureFormat) -> Option<CameraFormat> {
    let rank = |offer: &CameraFormat| {
        let pixels = PIXEL_FORMATS.iter().position(|format| *format == offer.format())?;
        // A fifth less than asked for passes for fast enough; half of it beats nothing.
        let too_slow = (wanted.fps * 4).saturating_sub(offer.frame_rate() * 5);
        let too_small = u64::from(wanted.width.saturating_sub(offer.width()))
            + u64::from(wanted.height.saturating_sub(offer.height()));
        let area = u64::from(offer.width()) * u64::from(offer.height());
        let too_fast = offer.frame_rate().saturating_sub(wanted.fps);
        Some((too_slow, too_small, area, too_fast, pixels))
    };
    offered
        .iter()
        .filter_map(|offer| Some((rank(offer)?, *offer)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, offer)| offer)
}

/// Asks the user where the system wants that, and waits for the answer.
#[cfg(target_os = "macos")]
fn request_permission() -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(60);
    if nokhwa::nokhwa_check() {
        return Ok(());
    }
    let (answer, answered) = bounded(1);
    nokhwa::nokhwa_initialize(move |granted| drop(answer.try_send(granted)));
    match answered.recv_timeout(PATIENCE) {
        Ok(true) => Ok(()),
        _ => Err("the user has not allowed the camera".to_owned()),
    }
}

#[cfg(not(target_os = "macos"))]
fn request_permission() -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: CaptureFormat = CaptureFormat { width: 1280, height: 720, fps: 30 };

    fn offer(width: u32, height: u32, pixels: FrameFormat, fps: u32) -> CameraFormat {
        CameraFormat::new(Resolution::new(width, height), pixels, fps)
    }

    #[test]
    fn a_fast_compressed_format_beats_a_slow_raw_one() {
        let offered = [
            offer(1280, 720, FrameFormat::YUYV, 10),
            offer(1280, 720, FrameFormat::MJPEG, 30),
            offer(640, 480, FrameFormat::YUYV, 30),
        ];
        assert_eq!(choose(&offered, WANTED), Some(offered[1]));
    }

    #[test]
    fn raw_pixels_are_taken_where_they_are_fast_enough() {
        let offered = [
            offer(1280, 720, FrameFormat::MJPEG, 30),
            offer(1280, 720, FrameFormat::YUYV, 25),
            offer(1920, 1080, FrameFormat::NV12, 30),
        ];
        assert_eq!(choose(&offered, WANTED), Some(offered[1]));
    }

    #[test]
    fn a_camera_without_the_size_gives_the_next_larger_one() {
        let offered = [
            offer(640, 480, FrameFormat::YUYV, 30),
            offer(1920, 1080, FrameFormat::YUYV, 30),
            offer(3840, 2160, FrameFormat::YUYV, 30),
        ];
        assert_eq!(choose(&offered, WANTED), Some(offered[1]));
        assert_eq!(choose(&offered[..1], WANTED), Some(offered[0]));
    }

    #[test]
    fn formats_that_we_do_not_convert_are_passed_over() {
        assert_eq!(choose(&[offer(1280, 720, FrameFormat::GRAY, 30)], WANTED), None);
    }
}
