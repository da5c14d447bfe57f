//! Cameras on Linux, through V4L2.

use std::time::{Duration, Instant};

use v4l::buffer::Type;
use v4l::capability::Flags;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::traits::CaptureStream;
use v4l::prelude::MmapStream;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC, Fraction};

use super::camera::{CameraFailure, CaptureFormat};
use super::camera_pixels::{PixelFormat, PixelReader, RawFrame};
use super::frame::VideoFrame;
use super::native_camera::{Offer, OpenError, choose};

/// The system's names of the pixel formats.
const FOURCCS: [(PixelFormat, &[u8; 4]); 6] = [
    (PixelFormat::I420, b"YU12"),
    (PixelFormat::Nv12, b"NV12"),
    (PixelFormat::Yuyv, b"YUYV"),
    (PixelFormat::Mjpeg, b"MJPG"),
    (PixelFormat::Rgb, b"RGB3"),
    (PixelFormat::Bgr, b"BGR3"),
];

/// Timeout of a camera's first frame.
const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a read waits, so that its thread can check whether it should stop.
const WAIT_MS: i32 = 200;

/// Frame buffers that the driver fills alternating.
const BUFFERS: u32 = 4;

/// `POLLIN` of poll(2).
const READABLE: i16 = 1;

/// False for nodes without frames, such as a camera's metadata.
pub(super) fn delivers_frames(id: &str) -> bool {
    let device = id.parse().map(Device::new);
    let Ok(Ok(capabilities)) = device.map(|device| device.and_then(|device| device.query_caps())) else { return false };
    capabilities.capabilities.contains(Flags::VIDEO_CAPTURE | Flags::STREAMING)
}

/// An open camera that streams.
pub(super) struct NativeCamera {
    device: Device,
    format: Format,
    pixels: PixelFormat,
    /// Made again after an error: the library cannot go on with one that failed.
    stream: Option<MmapStream<'static>>,
    reader: PixelReader,
}

impl NativeCamera {
    /// Returns once the first frame has arrived.
    pub(super) fn open(id: &str, wanted: CaptureFormat) -> Result<Self, OpenError> {
        let failed = |reason: &str| (CameraFailure::Failed, reason.to_owned());
        let number = id.parse().map_err(|_| failed("not a number"))?;
        let device = Device::new(number).map_err(open_error)?;
        let mut format = device.format().map_err(open_error)?;
        if let Some((offer, interval)) = best_offer(&device, wanted) {
            let asked = Format::new(offer.width, offer.height, fourcc(offer.pixels));
            format = device.set_format(&asked).map_err(open_error)?;
            if let Err(error) = device.set_params(&Parameters::new(interval)) {
                tracing::debug!(%error, "the camera keeps its frame rate");
            }
        }
        let pixels =
            pixel_format(format.fourcc).ok_or_else(|| failed(&format!("pixel format {} only", format.fourcc)))?;
        let mut camera = Self { device, format, pixels, stream: None, reader: PixelReader::default() };
        // Waits until frames arrive; the first of them may be damaged.
        camera.try_read().map_err(open_error)?;
        tracing::info!(id, width = camera.format.width, height = camera.format.height, ?pixels, "camera opened");
        Ok(camera)
    }

    /// The next frame, or `None` if none arrived for a moment. The error is a text for people.
    pub(super) fn read(&mut self) -> Result<Option<VideoFrame>, String> {
        let read = self.try_read();
        if read.is_err() {
            self.stream = None;
        }
        read.map_err(|error| error.to_string())
    }

    fn try_read(&mut self) -> std::io::Result<Option<VideoFrame>> {
        let stream = match &mut self.stream {
            Some(stream) => {
                // Waiting happens here and not in the library, which cannot go on after a wait in vain.
                if self.device.handle().poll(READABLE, WAIT_MS)? == 0 {
                    return Ok(None);
                }
                stream
            }
            none => {
                let stream = MmapStream::with_buffers(&self.device, Type::VideoCapture, BUFFERS);
                none.insert(stream?)
            }
        };
        stream.set_timeout(FIRST_FRAME_TIMEOUT);
        let (buffer, meta) = stream.next()?;
        let capture_time = Instant::now();
        let data = &buffer[..buffer.len().min(meta.bytesused as usize)];
        let picture = RawFrame {
            format: self.pixels,
            width: self.format.width,
            height: self.format.height,
            stride: self.format.stride as usize,
            data,
        };
        // A damaged frame is no reason to start the stream again.
        Ok(self.reader.read(&picture, capture_time).inspect_err(|reason| tracing::debug!(reason)).ok())
    }
}

fn open_error(error: std::io::Error) -> OpenError {
    (CameraFailure::of(&error), error.to_string())
}

fn fourcc(pixels: PixelFormat) -> FourCC {
    let name = FOURCCS.iter().find(|(format, _)| *format == pixels).map_or(b"YUYV", |(_, name)| name);
    FourCC::new(name)
}

fn pixel_format(fourcc: FourCC) -> Option<PixelFormat> {
    FOURCCS.iter().find(|(_, name)| **name == fourcc.repr).map(|(format, _)| *format)
}

/// The best of all formats, sizes and frame intervals; `None` if the camera does not list them.
fn best_offer(device: &Device, wanted: CaptureFormat) -> Option<(Offer, Fraction)> {
    let mut offers = Vec::new();
    for description in device.enum_formats().ok()? {
        let Some(pixels) = pixel_format(description.fourcc) else { continue };
        for size in device.enum_framesizes(description.fourcc).unwrap_or_default() {
            let (width, height) = match size.size {
                FrameSizeEnum::Discrete(size) => (size.width, size.height),
                FrameSizeEnum::Stepwise(range) => (
                    step(wanted.width, range.min_width, range.max_width, range.step_width),
                    step(wanted.height, range.min_height, range.max_height, range.step_height),
                ),
            };
            let intervals = device.enum_frameintervals(description.fourcc, width, height).unwrap_or_default();
            for interval in intervals {
                let interval = match interval.interval {
                    FrameIntervalEnum::Discrete(interval) => interval,
                    FrameIntervalEnum::Stepwise(range) => within(Fraction::new(1, wanted.fps), range.min, range.max),
                };
                let milli_fps = (u64::from(interval.denominator) * 1_000 / u64::from(interval.numerator.max(1))) as u32;
                offers.push((Offer { pixels, width, height, milli_fps }, interval));
            }
        }
    }
    choose(&offers, |(offer, _)| *offer, wanted).copied()
}

/// The value nearest to the wanted one that a stepped range has.
fn step(wanted: u32, min: u32, max: u32, step: u32) -> u32 {
    let wanted = wanted.clamp(min, max.max(min));
    min + (wanted - min).next_multiple_of(step.max(1)).min(max.saturating_sub(min))
}

/// The interval itself if it is in the range, otherwise the nearer end.
fn within(interval: Fraction, min: Fraction, max: Fraction) -> Fraction {
    let less = |a: &Fraction, b: &Fraction| {
        u64::from(a.numerator) * u64::from(b.denominator) < u64::from(b.numerator) * u64::from(a.denominator)
    };
    if less(&interval, &min) {
        min
    } else if less(&max, &interval) {
        max
    } else {
        interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stepped_sizes_are_met_from_above_within_their_range() {
        assert_eq!(step(640, 48, 1920, 2), 640);
        assert_eq!(step(641, 48, 1920, 2), 642);
        assert_eq!(step(9_999, 48, 1920, 16), 1920);
        assert_eq!(step(1, 48, 1920, 0), 48);
    }

    #[test]
    fn frame_intervals_stay_within_their_range() {
        let (min, max) = (Fraction::new(1, 60), Fraction::new(1, 1));
        for (fps, expected) in [(30, (1, 30)), (120, (1, 60))] {
            let interval = within(Fraction::new(1, fps), min, max);
            assert_eq!((interval.numerator, interval.denominator), expected);
        }
    }
}
