//! Streams of prepared pictures for the bench and the tests of the frame path: many paced senders without an engine.

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

/// Different pictures that a stream repeats.
const PICTURES: usize = 3;

/// One stream of prepared pictures, paced by the clock on a thread of its own.
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

/// The newest picture for a reader that polls, as clients do that have no wake-up.
#[derive(Default)]
struct Latest(Mutex<Option<(VideoFrame, Instant)>>);

impl FrameSink for Latest {
    fn on_frame(&self, frame: &VideoFrame) {
        *self.0.lock() = Some((frame.clone(), Instant::now()));
    }
}

#[napi]
impl BenchSource {
    /// Sends `fps` pictures a second of `width` x `height` to a view, or with no view to [`BenchSource::poll`].
    /// `phase`, 0 to 1, is the part of a frame by which the stream starts later. `colour`, 0xRRGGBB, gives plain
    /// pictures; without it they are textured and differ from frame to frame.
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
        let pictures: Vec<VideoFrame> = match colour {
            Some(colour) => vec![plain(width, height, colour)?],
            None => (0..PICTURES).map(|index| textured(width, height, index)).collect::<Result<_>>()?,
        };
        let latest = Arc::new(Latest::default());
        let sink: Arc<dyn FrameSink> = match view.and_then(|view| engine.view(view)) {
            Some(view) => view,
            None => latest.clone(),
        };
        let control = Arc::new(Control::default());
        let controlled = control.clone();
        let thread = std::thread::spawn(move || send(&pictures, fps, phase, &*sink, &controlled));
        Ok(Self { control, thread: Some(thread), latest })
    }

    /// Pictures sent so far.
    #[napi(getter)]
    pub fn sent(&self) -> u32 {
        self.control.sent.load(Ordering::Relaxed)
    }

    /// Converts the newest picture into `pixels` on the JS thread, if it is new. Returns how many milliseconds ago it
    /// became ready, or -1.
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

    /// Ends the stream.
    #[napi]
    pub fn stop(&mut self) {
        self.control.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A thread that panicked has nothing to say here.
            let _ = thread.join();
        }
    }
}

impl Drop for BenchSource {
    fn drop(&mut self) {
        self.stop();
    }
}

fn send(pictures: &[VideoFrame], fps: f64, phase: f64, sink: &dyn FrameSink, control: &Control) {
    let step = Duration::from_secs_f64(1.0 / fps.clamp(1.0, 1000.0));
    let mut next = Instant::now() + step.mul_f64(phase.clamp(0.0, 1.0));
    for picture in pictures.iter().cycle() {
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
        sink.on_frame(picture);
        // A source that fell far behind starts afresh instead of catching up in a burst, as cameras do.
        next = if next.elapsed() > step * 4 { Instant::now() + step } else { next + step };
    }
}

fn picture(width: u32, height: u32, planes: [Vec<u8>; 3]) -> Result<VideoFrame> {
    let [y, u, v] = planes;
    let chroma = width.div_ceil(2) as usize;
    VideoFrame::from_planes(width, height, [&y, &u, &v], [width as usize, chroma, chroma], Instant::now())
        .map_err(|error| Error::new(Status::InvalidArg, error.to_string()))
}

fn plain(width: u32, height: u32, colour: u32) -> Result<VideoFrame> {
    let [red, green, blue] = [16, 8, 0].map(|shift| f64::from((colour >> shift) & 0xff));
    // BT.601, limited range.
    let y = 16.0 + 0.257 * red + 0.504 * green + 0.098 * blue;
    let u = 128.0 - 0.148 * red - 0.291 * green + 0.439 * blue;
    let v = 128.0 + 0.439 * red - 0.368 * green - 0.071 * blue;
    let (luma, chroma) = ((width * height) as usize, (width.div_ceil(2) * height.div_ceil(2)) as usize);
    picture(width, height, [vec![y as u8; luma], vec![u as u8; chroma], vec![v as u8; chroma]])
}

fn textured(width: u32, height: u32, index: usize) -> Result<VideoFrame> {
    let (columns, rows) = (width as usize, height as usize);
    let luma = (0..rows).flat_map(|y| (0..columns).map(move |x| ((x + index * 40) ^ (y + index * 23)) as u8));
    let (columns, rows) = (columns.div_ceil(2), rows.div_ceil(2));
    let u = (0..rows).flat_map(|_| (0..columns).map(|x| (x * 255 / columns) as u8));
    let v = (0..rows).flat_map(|y| (0..columns).map(move |_| (y + index * 30) as u8));
    picture(width, height, [luma.collect(), u.collect(), v.collect()])
}
