//! Streams of prepared frames for the bench and the tests of the frame path: many paced sources without an engine. Only
//! with the feature `bench`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use media::video::convert::to_rgba;
use media::video::frame::VideoFrame;
use media::video::sink::FrameSink;
use napi::bindgen_prelude::Uint8ClampedArray;
use napi::{Error, Result, Status};
use napi_derive::napi;
use parking_lot::Mutex;

use crate::engine::NativeEngine;

/// Number of different frames that a stream repeats.
const FRAMES: usize = 3;
/// Largest side of a frame.
const MAX_SIDE: u32 = 8192;
const MIN_FPS: f64 = 1.0;
const MAX_FPS: f64 = 1000.0;

/// One stream of prepared frames, paced by the clock on its own thread.
#[napi]
pub struct BenchSource {
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
    latest: Arc<Latest>,
}

#[derive(Default)]
struct Control {
    stop: AtomicBool,
    sent: AtomicU32,
}

/// The newest frame for a reader that polls, as in clients without a wake-up.
#[derive(Default)]
struct Latest(Mutex<Option<(VideoFrame, Instant)>>);

impl FrameSink for Latest {
    fn on_frame(&self, frame: &VideoFrame) {
        *self.0.lock() = Some((frame.clone(), Instant::now()));
    }
}

#[napi]
impl BenchSource {
    /// Sends `fps` frames a second of `width` x `height` to a view, or without a view to [`BenchSource::poll`].
    /// `phase`, 0 to 1, is the fraction of a frame by which the stream starts later. `colour`, 0xRRGGBB, makes plain
    /// frames; without it they are textured and differ from frame to frame.
    ///
    /// # Errors
    /// For a frame rate that is not a number, and a size that is 0 or too large.
    #[napi(constructor)]
    pub fn new(
        engine: &NativeEngine,
        view: Option<u32>,
        width: u32,
        height: u32,
        fps: f64,
        phase: f64,
        colour: Option<u32>,
    ) -> Result<Self> {
        let interval = frame_interval(fps).ok_or_else(|| invalid("the frame rate is not a number"))?;
        plane_sizes(width, height).ok_or_else(|| invalid("the size is 0 or too large"))?;
        let frames: Vec<VideoFrame> = match colour {
            Some(colour) => vec![plain(width, height, colour)?],
            None => (0..FRAMES).map(|index| textured(width, height, index)).collect::<Result<_>>()?,
        };
        let latest = Arc::new(Latest::default());
        let sink: Arc<dyn FrameSink> = match view.and_then(|view| engine.environment.view(view)) {
            Some(view) => view,
            None => latest.clone(),
        };
        let control = Arc::new(Control::default());
        let controlled = control.clone();
        let thread = std::thread::spawn(move || send(&frames, interval, phase, &*sink, &controlled));
        Ok(Self { control, thread: Some(thread), latest })
    }

    /// Number of frames sent so far.
    #[napi(getter)]
    pub fn sent(&self) -> u32 {
        self.control.sent.load(Ordering::Relaxed)
    }

    /// Converts the newest frame into `pixels` on the JS thread, if it is new. Returns the milliseconds since it became
    /// ready, or -1.
    #[napi]
    pub fn poll(&self, mut pixels: Uint8ClampedArray) -> f64 {
        let Some((frame, ready_at)) = self.latest.0.lock().take() else { return -1.0 };
        // SAFETY: JS runs nothing else while this call lasts, and no other thread knows the array.
        let pixels = unsafe { pixels.as_mut() };
        if to_rgba(&frame, pixels).is_err() {
            return -1.0;
        }
        ready_at.elapsed().as_secs_f64() * 1000.0
    }

    /// Stops the stream.
    #[napi]
    pub fn stop(&mut self) {
        self.control.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the thread was reported already.
            let _ = thread.join();
        }
    }
}

impl Drop for BenchSource {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Time between two frames.
fn frame_interval(fps: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(1.0 / fps.clamp(MIN_FPS, MAX_FPS)).ok()
}

fn send(frames: &[VideoFrame], interval: Duration, phase: f64, sink: &dyn FrameSink, control: &Control) {
    let phase = if phase.is_nan() { 0.0 } else { phase.clamp(0.0, 1.0) };
    let mut next = Instant::now() + interval.mul_f64(phase);
    for frame in frames.iter().cycle() {
        while let Some(wait) = next.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
            std::thread::park_timeout(wait);
            if control.stop.load(Ordering::Acquire) {
                return;
            }
        }
        if control.stop.load(Ordering::Acquire) {
            return;
        }
        control.sent.fetch_add(1, Ordering::Relaxed);
        sink.on_frame(frame);
        // A source that is far behind skips frames instead of catching up in a burst, as cameras do.
        next = if next.elapsed() > interval * 4 { Instant::now() + interval } else { next + interval };
    }
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::new(Status::InvalidArg, reason.into())
}

/// Number of samples in the luma plane and in each chroma plane.
fn plane_sizes(width: u32, height: u32) -> Option<(usize, usize)> {
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return None;
    }
    let size = |width: u32, height: u32| width as usize * height as usize;
    Some((size(width, height), size(width.div_ceil(2), height.div_ceil(2))))
}

fn frame(width: u32, height: u32, planes: [Vec<u8>; 3]) -> Result<VideoFrame> {
    let [y, u, v] = planes;
    let chroma = width.div_ceil(2) as usize;
    VideoFrame::from_planes(width, height, [&y, &u, &v], [width as usize, chroma, chroma], Instant::now())
        .map_err(|error| invalid(error.to_string()))
}

fn plain(width: u32, height: u32, colour: u32) -> Result<VideoFrame> {
    let [red, green, blue] = [16, 8, 0].map(|shift| f64::from((colour >> shift) & 0xff));
    // BT.601, limited range.
    let y = 16.0 + 0.257 * red + 0.504 * green + 0.098 * blue;
    let u = 128.0 - 0.148 * red - 0.291 * green + 0.439 * blue;
    let v = 128.0 + 0.439 * red - 0.368 * green - 0.071 * blue;
    let (luma, chroma) = plane_sizes(width, height).unwrap_or_default();
    frame(width, height, [vec![y as u8; luma], vec![u as u8; chroma], vec![v as u8; chroma]])
}

fn textured(width: u32, height: u32, index: usize) -> Result<VideoFrame> {
    let (columns, rows) = (width as usize, height as usize);
    let luma = (0..rows).flat_map(|y| (0..columns).map(move |x| ((x + index * 40) ^ (y + index * 23)) as u8));
    let (columns, rows) = (columns.div_ceil(2), rows.div_ceil(2));
    let u = (0..rows).flat_map(|_| (0..columns).map(|x| (x * 255 / columns) as u8));
    let v = (0..rows).flat_map(|y| (0..columns).map(move |_| (y + index * 30) as u8));
    frame(width, height, [luma.collect(), u.collect(), v.collect()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_rate_that_is_not_a_number_is_refused() {
        assert_eq!(frame_interval(f64::NAN), None);
        assert_eq!(frame_interval(0.0).unwrap(), Duration::from_secs(1));
        assert_eq!(frame_interval(f64::INFINITY).unwrap(), Duration::from_millis(1));
    }

    #[test]
    fn sizes_that_are_empty_or_too_large_are_refused() {
        for (width, height) in [(0, 360), (640, 0), (65_536, 65_536), (u32::MAX, 2)] {
            assert_eq!(plane_sizes(width, height), None, "{width} x {height}");
        }
        assert_eq!(plane_sizes(641, 361).unwrap(), (231_401, 58_101));
    }
}
