//! Cameras through nokhwa: their list everywhere, and their frames on Windows (Media Foundation) and macOS (AVFoundation).
//! On Linux the frames come through V4L2 itself: nokhwa does not open a camera at a fractional rate.
#![cfg_attr(target_os = "linux", allow(dead_code, reason = "compiled there, so that it is checked"))]

use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use nokhwa::Camera;
use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};

use super::camera::{CameraFailure, CaptureFormat};
use super::camera_pixels::{PixelFormat, PixelReader, RawFrame};
use super::frame::VideoFrame;
use super::native_camera::{Offer, OpenError, choose};
use crate::devices::DeviceInfo;

/// The library's names of the pixel formats.
const FORMATS: [(PixelFormat, FrameFormat); 5] = [
    (PixelFormat::Nv12, FrameFormat::NV12),
    (PixelFormat::Yuyv, FrameFormat::YUYV),
    (PixelFormat::Mjpeg, FrameFormat::MJPEG),
    (PixelFormat::Rgb, FrameFormat::RAWRGB),
    (PixelFormat::Bgr, FrameFormat::RAWBGR),
];

const ALL: [FrameFormat; 5] =
    [FrameFormat::NV12, FrameFormat::YUYV, FrameFormat::MJPEG, FrameFormat::RAWRGB, FrameFormat::RAWBGR];

/// How long the user may think about the system's question.
const PERMISSION_PATIENCE: Duration = Duration::from_secs(60);

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

/// An open camera that streams.
pub(super) struct NativeCamera {
    camera: Camera,
    reader: PixelReader,
}

impl NativeCamera {
    /// Asks the user first, where the system wants that.
    pub(super) fn open(id: &str, wanted: CaptureFormat) -> Result<Self, OpenError> {
        request_permission().map_err(|reason| (CameraFailure::NotAllowed, reason))?;
        let index = id.parse().map_or_else(|_| CameraIndex::String(id.to_owned()), CameraIndex::Index);
        let mut camera = open_in_any_format(&index, wanted).map_err(open_error)?;
        let offered = camera.compatible_camera_formats().unwrap_or_default();
        let offers: Vec<_> = offered.iter().filter_map(|format| Some((offer(format)?, *format))).collect();
        if let Some((_, best)) = choose(&offers, |(offer, _)| *offer, wanted) {
            let request = RequestedFormat::with_formats(RequestedFormatType::Exact(*best), &ALL);
            if let Err(error) = camera.set_camera_requset(request) {
                tracing::warn!(%error, format = %best, "the camera refuses a format that it offers");
            }
        }
        camera.open_stream().map_err(|error| open_error(error.to_string()))?;
        tracing::info!(id, format = %camera.camera_format(), "camera opened");
        Ok(Self { camera, reader: PixelReader::default() })
    }

    /// The next frame. The error is a text for people.
    pub(super) fn read(&mut self) -> Result<Option<VideoFrame>, String> {
        let buffer = self.camera.frame().map_err(|error| error.to_string())?;
        let format = pixel_format(buffer.source_frame_format()).ok_or("unknown pixel format")?;
        let (width, height) = (buffer.resolution().width(), buffer.resolution().height());
        let picture = RawFrame { format, width, height, stride: 0, data: buffer.buffer() };
        self.reader.read(&picture, Instant::now()).map(Some)
    }
}

/// The library passes the system's message on as text only; Windows' codes are in it.
fn open_error(reason: String) -> OpenError {
    // E_ACCESSDENIED: the privacy settings forbid it.
    const FORBIDDEN: [&str; 1] = ["0x80070005"];
    // MF_E_HW_MFT_FAILED_START_STREAMING and MF_E_VIDEO_RECORDING_DEVICE_PREEMPTED: another application has it.
    const IN_USE: [&str; 2] = ["0xC00D3704", "0xC00D3EA3"];
    let says = |codes: &[&str]| codes.iter().any(|code| reason.to_uppercase().contains(&code.to_uppercase()));
    let failure = match () {
        () if says(&FORBIDDEN) => CameraFailure::NotAllowed,
        () if says(&IN_USE) => CameraFailure::Busy,
        () => CameraFailure::Failed,
    };
    (failure, reason)
}

fn pixel_format(format: FrameFormat) -> Option<PixelFormat> {
    FORMATS.iter().find(|(_, other)| *other == format).map(|(pixels, _)| *pixels)
}

fn offer(format: &CameraFormat) -> Option<Offer> {
    let pixels = pixel_format(format.format())?;
    let milli_fps = format.frame_rate().saturating_mul(1_000);
    Some(Offer { pixels, width: format.width(), height: format.height(), milli_fps })
}

/// The library opens a camera only together with a format; the final one is chosen once the camera has reported what it
/// offers. "Closest" fails unless the resolution exists, hence several.
fn open_in_any_format(index: &CameraIndex, wanted: CaptureFormat) -> Result<Camera, String> {
    let sizes = [(wanted.width, wanted.height), (640, 480), (1280, 720), (640, 360)];
    let closest = sizes.iter().flat_map(|&(width, height)| {
        ALL.map(|pixels| {
            RequestedFormatType::Closest(CameraFormat::new(Resolution::new(width, height), pixels, wanted.fps))
        })
    });
    let mut reason = String::new();
    for request in closest.chain([RequestedFormatType::None]) {
        match Camera::new(index.clone(), RequestedFormat::with_formats(request, &ALL)) {
            Ok(camera) => return Ok(camera),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

/// Asks the user where the system wants that (macOS), and waits for the answer.
fn request_permission() -> Result<(), String> {
    if nokhwa::nokhwa_check() {
        return Ok(());
    }
    let (answer, answered) = bounded(1);
    nokhwa::nokhwa_initialize(move |granted| answer.try_send(granted).unwrap_or_default());
    match answered.recv_timeout(PERMISSION_PATIENCE) {
        Ok(true) => Ok(()),
        _ => Err("the user has not allowed the camera".to_owned()),
    }
}
