//! Cameras by name: the list of them, and opening one, real or fake.

use std::path::Path;
use std::sync::Arc;

use super::file_source;
use super::frame::VideoFrame;
use super::native_camera;
use super::pattern::Pattern;
use super::pool::FramePool;
use super::sink::FrameSink;
use super::source::{Moment, Source, run_paced};
use super::strip::{self, Strip};
use crate::devices::{DeviceInfo, FakeDevices};

pub use super::source::Capture;

/// The keyword that asks for the test pattern instead of a file.
const PATTERN: &str = "pattern";

/// Before a file's name: the strip of the test pattern is drawn over its pictures.
const WITH_STRIP: &str = "strip:";

/// What a camera is asked for; it may give another size, see [`open`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureFormat {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
}

impl CaptureFormat {
    /// Within what cameras and encoders can do: sides 16..=4096 and even, 1..=120 frames per second.
    fn sane(self) -> Self {
        let side = |pixels: u32| pixels.clamp(16, 4096) & !1;
        Self { width: side(self.width), height: side(self.height), fps: self.fps.clamp(1, 120) }
    }
}

/// Why a camera gives no pictures, or no more of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The machine has no camera, or none with this id.
    #[error("no such camera")]
    NoDevice,
    /// The camera is there but did not open: in use, forbidden, or without a format we understand.
    #[error("camera {device} does not open: {reason}")]
    Failed {
        /// The id it was asked for with.
        device: String,
        /// What the system said.
        reason: String,
    },
    /// The camera stopped giving pictures: unplugged, or its driver failed.
    #[error("camera {device} is lost: {reason}")]
    Lost {
        /// The id it was opened with.
        device: String,
        /// What the system said.
        reason: String,
    },
    /// The file of a fake camera cannot be read or is not what its name says.
    #[error("camera file {path}: {reason}")]
    File {
        /// As it was given.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// All cameras, the fake one first.
pub fn list(fakes: &FakeDevices) -> Vec<DeviceInfo> {
    let fake = fakes.camera.iter().map(|name| DeviceInfo { id: fake_id(name), name: name.clone() });
    fake.chain(native_camera::list()).collect()
}

/// Opens a camera by its id; `""` is the default one: the fake one if it is set, else the first of the list.
///
/// Frames have the aspect ratio of `format` (what is too much is cut) and at most its size. The sink is called on the
/// camera's thread; `on_error` at most once, when the pictures end by themselves. May block for as long as the device
/// takes to open. Dropping the [`Capture`] stops it.
///
/// # Errors
/// [`CaptureError::NoDevice`] if there is none; the others say what went wrong with it.
pub fn open(
    device_id: &str,
    format: CaptureFormat,
    fakes: &FakeDevices,
    sink: Arc<dyn FrameSink>,
    on_error: Box<dyn Fn(CaptureError) + Send>,
) -> Result<Capture, CaptureError> {
    let format = format.sane();
    match &fakes.camera {
        Some(name) if device_id.is_empty() || device_id == fake_id(name) => {
            run_paced(fake_source(name, format)?, format.fps, sink, on_error)
        }
        _ => native_camera::open(device_id, format, sink, on_error),
    }
}

fn fake_id(name: &str) -> String {
    format!("fake:{name}")
}

fn fake_source(name: &str, format: CaptureFormat) -> Result<Box<dyn Source>, CaptureError> {
    if name == PATTERN {
        return Ok(Box::new(PatternSource::new(format)));
    }
    match name.strip_prefix(WITH_STRIP) {
        Some(name) => Ok(Box::new(StripSource::new(file_source::open(Path::new(name), format)?))),
        None => file_source::open(Path::new(name), format),
    }
}

/// The pattern as a camera.
struct PatternSource {
    pattern: Pattern,
    pool: FramePool,
    counter: u16,
}

impl PatternSource {
    fn new(format: CaptureFormat) -> Self {
        Self { pattern: Pattern::new(format.width, format.height), pool: FramePool::new(), counter: 0 }
    }
}

impl Source for PatternSource {
    fn frame(&mut self, moment: Moment) -> Result<VideoFrame, CaptureError> {
        let frame = self.pattern.draw(&self.pool, moment.unix_ms, self.counter, moment.instant);
        self.counter = self.counter.wrapping_add(1);
        Ok(frame)
    }
}

/// Another source whose pictures tell when they were taken, as the pattern's do: a natural picture for measuring.
struct StripSource {
    source: Box<dyn Source>,
    pool: FramePool,
    counter: u16,
}

impl StripSource {
    fn new(source: Box<dyn Source>) -> Self {
        Self { source, pool: FramePool::new(), counter: 0 }
    }
}

impl Source for StripSource {
    fn frame(&mut self, moment: Moment) -> Result<VideoFrame, CaptureError> {
        let frame = self.source.frame(moment)?;
        let mut picture = self.pool.take(frame.width(), frame.height());
        let copied = picture.copy_from(frame.planes(), frame.strides());
        copied.map_err(|error| CaptureError::File { path: WITH_STRIP.to_owned(), reason: error.to_string() })?;
        strip::draw_over(&mut picture, Strip { capture_ms: moment.unix_ms & 0xffff_ffff_ffff, counter: self.counter });
        self.counter = self.counter.wrapping_add(1);
        Ok(picture.freeze(moment.instant))
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::read_strip;
    use super::*;
    use crossbeam_channel::bounded;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    const FORMAT: CaptureFormat = CaptureFormat { width: 640, height: 360, fps: 60 };

    fn fake(name: &str) -> FakeDevices {
        FakeDevices { camera: Some(name.to_owned()), ..FakeDevices::default() }
    }

    /// Why it does not open.
    fn refusal(id: &str, fakes: &FakeDevices) -> CaptureError {
        open(id, FORMAT, fakes, Arc::new(|_: &VideoFrame| ()), Box::new(|_| ())).unwrap_err()
    }

    #[test]
    fn the_fake_camera_is_first_in_the_list_under_its_name() {
        let devices = list(&fake("pattern"));
        assert_eq!(devices[0], DeviceInfo { id: "fake:pattern".to_owned(), name: "pattern".to_owned() });
    }

    #[test]
    fn the_default_camera_is_the_fake_one_and_shows_the_present_moment() {
        for id in ["", "fake:pattern"] {
            let (sender, receiver) = bounded(3);
            let sink = Arc::new(move |frame: &VideoFrame| drop(sender.try_send(frame.clone())));
            let _capture = open(id, FORMAT, &fake("pattern"), sink, Box::new(|_| ())).unwrap();
            let frames: Vec<_> = (0..3).map(|_| receiver.recv_timeout(Duration::from_secs(5)).unwrap()).collect();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
            let strips: Vec<_> = frames.iter().map(|frame| read_strip(frame).unwrap()).collect();
            assert_eq!(strips.iter().map(|strip| strip.counter).collect::<Vec<_>>(), [0, 1, 2]);
            assert!(strips.iter().all(|strip| now - strip.capture_ms < 5_000));
            assert_eq!((frames[0].width(), frames[0].height()), (640, 360));
        }
    }

    #[test]
    fn a_file_can_carry_the_strip() {
        let path = std::env::temp_dir().join(format!("media-{}-strip.y4m", std::process::id()));
        let mut file = b"YUV4MPEG2 W640 H360 F30:1\n".to_vec();
        for luma in [70, 90] {
            file.extend_from_slice(b"FRAME\n");
            file.extend(std::iter::repeat_n(luma, 640 * 360 * 3 / 2));
        }
        std::fs::write(&path, file).unwrap();
        let mut source = fake_source(&format!("strip:{}", path.display()), FORMAT).unwrap();
        for counter in 0..3 {
            let moment = Moment { instant: std::time::Instant::now(), unix_ms: 1_700_000_000_123, tick: 2 * counter };
            let frame = source.frame(moment).unwrap();
            let strip = Strip { capture_ms: 1_700_000_000_123, counter: counter as u16 };
            assert_eq!(read_strip(&frame), Some(strip));
            assert_eq!(frame.y()[frame.strides()[0] * 200 + 9], [70, 90, 70][counter as usize]);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_unknown_camera_is_no_device() {
        for id in ["no-such-camera", "4294967295"] {
            assert_eq!(refusal(id, &fake("pattern")), CaptureError::NoDevice);
        }
    }

    #[test]
    fn a_missing_file_says_which() {
        let error = refusal("", &fake("no-such-file.y4m"));
        assert!(matches!(error, CaptureError::File { path, .. } if path == "no-such-file.y4m"));
    }

    #[test]
    fn formats_out_of_range_are_brought_into_it() {
        let format = CaptureFormat { width: 0, height: 99_999, fps: 0 }.sane();
        assert_eq!(format, CaptureFormat { width: 16, height: 4096, fps: 1 });
    }
}
