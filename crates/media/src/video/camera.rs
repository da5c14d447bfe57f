//! Cameras by name: the list of them, and opening one, real or fake.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use super::file_source;
use super::frame::VideoFrame;
use super::native_camera;
use super::pattern::Pattern;
use super::pool::FramePool;
use super::sink::FrameSink;
use super::source::{Moment, Source, SourceError, run_paced};
use super::timestamp_overlay::{self, Strip};
use crate::devices::{DeviceInfo, FakeDevices};
use crate::fake_file;

pub use super::source::Capture;

/// The keyword that asks for the test pattern instead of a file.
const PATTERN: &str = "pattern";

/// Before a file's name: the timestamp strip is drawn over its frames.
const WITH_STRIP: &str = "strip:";

/// The format that a camera is opened with; it may deliver another size, see [`open`].
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
    /// Clamped to what cameras and encoders can do: sides 16..=4096 and even, 1..=120 frames per second.
    fn sane(self) -> Self {
        let side = |pixels: u32| pixels.clamp(16, 4096) & !1;
        Self { width: side(self.width), height: side(self.height), fps: self.fps.clamp(1, 120) }
    }
}

/// Why a camera delivers no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraFailure {
    /// The machine has no camera, or none with this id.
    NoDevice,
    /// Another application uses it.
    Busy,
    /// The operating system or its user does not let this process use it.
    NotAllowed,
    /// It exists but delivers nothing usable.
    Failed,
    /// It runs, but has delivered no good frame for seconds.
    NoFrames,
    /// It was unplugged while it ran.
    Unplugged,
}

impl CameraFailure {
    fn text(self) -> &'static str {
        match self {
            Self::NoDevice => "is not there",
            Self::Busy => "is in use",
            Self::NotAllowed => "must not be used",
            Self::Failed => "does not work",
            Self::NoFrames => "gives no pictures",
            Self::Unplugged => "was unplugged",
        }
    }

    /// The failure behind an error of the operating system when a camera is opened.
    #[cfg(target_os = "linux")]
    pub(super) fn of(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        /// ENXIO and ENODEV, which have no kind of their own: the device behind the node is gone.
        const GONE: [i32; 2] = [6, 19];
        if error.raw_os_error().is_some_and(|code| GONE.contains(&code)) {
            return Self::NoDevice;
        }
        match error.kind() {
            ErrorKind::ResourceBusy => Self::Busy,
            ErrorKind::PermissionDenied => Self::NotAllowed,
            ErrorKind::NotFound => Self::NoDevice,
            _ => Self::Failed,
        }
    }
}

/// A camera delivers no frames, or no more of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("camera {device:?} {}: {reason}", failure.text())]
pub struct CaptureError {
    /// The camera's id in [`list`], also if it was asked for as the default one; empty if there is none.
    pub device: String,
    /// The kind of it.
    pub failure: CameraFailure,
    /// For people: the system's message.
    pub reason: String,
}

impl CaptureError {
    pub(super) fn new(device: &str, failure: CameraFailure, reason: impl ToString) -> Self {
        Self { device: device.to_owned(), failure, reason: reason.to_string() }
    }
}

/// All cameras, the fake one first, if its file is there.
pub fn list(fakes: &FakeDevices) -> Vec<DeviceInfo> {
    let fake = fakes.camera.iter().filter(|name| file_of(name).is_none_or(fake_file::is_there));
    fake.map(|name| DeviceInfo { id: fake_id(name), name: name.clone() }).chain(native_camera::list()).collect()
}

/// Changes when [`list`] may have changed; far cheaper than the list where the system has such a sign.
pub fn fingerprint(fakes: &FakeDevices) -> u64 {
    let mut hasher = DefaultHasher::new();
    fakes.camera.as_deref().map(|name| file_of(name).is_none_or(fake_file::is_there)).hash(&mut hasher);
    native_camera::fingerprint().hash(&mut hasher);
    hasher.finish()
}

/// Opens a camera by its id; `""` is the default one: the fake one if it is set, else the first of the list.
///
/// Frames have the aspect ratio of `format` (they are cropped) and at most its size. The sink is called on the camera's
/// thread; `on_error` at most once, when the frames end by themselves: a damaged one is skipped, and ends nothing. May
/// block for as long as the device takes to open. Dropping the [`Capture`] stops it.
///
/// # Errors
/// [`CaptureError`] with its failure. It may be temporary: trying again is up to the caller.
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
            let failed = |(failure, reason)| CaptureError::new(&fake_id(name), failure, reason);
            run_paced(&fake_id(name), fake_source(name, format).map_err(failed)?, format.fps, sink, on_error)
        }
        _ => native_camera::open(device_id, format, sink, on_error),
    }
}

fn fake_id(name: &str) -> String {
    format!("fake:{name}")
}

/// The file that a fake camera plays, if it is one.
fn file_of(name: &str) -> Option<&Path> {
    (name != PATTERN).then(|| Path::new(name.strip_prefix(WITH_STRIP).unwrap_or(name)))
}

fn fake_source(name: &str, format: CaptureFormat) -> Result<Box<dyn Source>, SourceError> {
    let Some(path) = file_of(name) else { return Ok(Box::new(PatternSource::new(format))) };
    let file = file_source::open(path, format)?;
    if name.starts_with(WITH_STRIP) { Ok(Box::new(StripSource::new(file))) } else { Ok(file) }
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
    fn frame(&mut self, moment: Moment) -> Result<VideoFrame, SourceError> {
        let frame = self.pattern.draw(&self.pool, moment.unix_ms, self.counter, moment.instant);
        self.counter = self.counter.wrapping_add(1);
        Ok(frame)
    }
}

/// A source with the timestamp strip drawn over its frames: natural video for measurements.
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
    fn frame(&mut self, moment: Moment) -> Result<VideoFrame, SourceError> {
        let frame = self.source.frame(moment)?;
        let mut picture = self.pool.take(frame.width(), frame.height());
        let copied = picture.copy_from(frame.planes(), frame.strides());
        copied.map_err(|error| (CameraFailure::Failed, error.to_string()))?;
        timestamp_overlay::draw_over(
            &mut picture,
            Strip { capture_ms: moment.unix_ms & 0xffff_ffff_ffff, counter: self.counter },
        );
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
            let error = refusal(id, &fake("pattern"));
            assert_eq!((error.failure, error.device.as_str()), (CameraFailure::NoDevice, id));
        }
    }

    #[test]
    fn a_missing_file_says_which_and_is_not_in_the_list() {
        let error = refusal("", &fake("no-such-file.y4m"));
        assert_eq!((error.failure, error.device.as_str()), (CameraFailure::NoDevice, "fake:no-such-file.y4m"));
        assert!(list(&fake("no-such-file.y4m")).iter().all(|device| !device.id.starts_with("fake:")));
    }

    #[test]
    fn a_file_that_comes_and_goes_changes_the_fingerprint() {
        let path = std::env::temp_dir().join(format!("media-{}-comes.y4m", std::process::id()));
        let fakes = fake(&path.display().to_string());
        let absent = fingerprint(&fakes);
        std::fs::write(&path, b"x").unwrap();
        assert_ne!(fingerprint(&fakes), absent);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(fingerprint(&fakes), absent);
    }

    #[test]
    fn a_file_that_another_process_locks_is_busy() {
        let path = std::env::temp_dir().join(format!("media-{}-busy.y4m", std::process::id()));
        let other = std::fs::File::create(&path).unwrap();
        other.lock().unwrap();
        let error = refusal("", &fake(&path.display().to_string()));
        assert_eq!(error.failure, CameraFailure::Busy, "{error}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn formats_out_of_range_are_brought_into_it() {
        let format = CaptureFormat { width: 0, height: 99_999, fps: 0 }.sane();
        assert_eq!(format, CaptureFormat { width: 16, height: 4096, fps: 1 });
    }
}
