//! The thread that captures a screen or a window.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::Mutex;

use super::area::Area;
use super::frame_scheduler::FrameScheduler;
use super::pixels::Pixels;
use super::{Grabber, ScreenError, ScreenEvent, ScreenSettings, ScreenTarget, Sight, WindowState, platform};
use crate::video::camera::CaptureError;
use crate::video::frame::VideoFrame;
use crate::video::pool::FramePool;
use crate::video::source::Capture;

/// Upper bound of consecutive failures to read a frame; more end the capture.
const MAX_FAILURES: u32 = 30;

/// Receives the frames and events of a capture, on its thread.
pub trait ScreenSink: Send + Sync {
    /// Whether frames are wanted. If not, nothing is read from the window system; events are reported anyway.
    fn wants_frames(&self) -> bool;

    /// A new frame, or the last one again with a new time.
    fn on_frame(&self, frame: &VideoFrame);

    /// An event of the target. Nothing follows after [`ScreenEvent::Ended`].
    fn on_event(&self, event: ScreenEvent);
}

/// The state that controls the thread.
struct Control {
    settings: Mutex<ScreenSettings>,
    /// Counts the changes for the thread.
    version: AtomicU64,
}

/// A running capture. Dropping it stops the frames: none is delivered once the drop has returned.
pub struct ScreenCapture {
    control: Arc<Control>,
    _thread: Capture,
}

impl ScreenCapture {
    /// Begins to capture. Returns at once; the results are reported to the sink.
    ///
    /// # Errors
    /// When the process cannot start a thread.
    pub fn start(settings: ScreenSettings, sink: Arc<dyn ScreenSink>) -> Result<Self, CaptureError> {
        Self::start_with(settings, sink, platform::open)
    }

    fn start_with(
        settings: ScreenSettings,
        sink: Arc<dyn ScreenSink>,
        open: impl Fn(ScreenTarget) -> Result<Box<dyn Grabber>, ScreenError> + Send + 'static,
    ) -> Result<Self, CaptureError> {
        let control = Arc::new(Control { settings: Mutex::new(settings), version: AtomicU64::new(1) });
        let reported = control.clone();
        let thread = Capture::spawn("screen", move |stopped| {
            if let Err(error) = run(&reported, &*sink, &open, stopped) {
                sink.on_event(ScreenEvent::Ended(error));
            }
        })?;
        Ok(Self { control, _thread: thread })
    }

    /// Changes how it is captured, from the next frame on; another target included.
    pub fn set(&self, settings: ScreenSettings) {
        *self.control.settings.lock() = settings;
        self.refresh();
    }

    /// The next frame is delivered even if nothing changed: there is a new sink.
    pub fn refresh(&self) {
        self.control.version.fetch_add(1, Relaxed);
    }
}

type Open<'a> = &'a dyn Fn(ScreenTarget) -> Result<Box<dyn Grabber>, ScreenError>;

/// Runs until it is stopped, or the target is gone.
fn run(control: &Control, sink: &dyn ScreenSink, open: Open<'_>, stopped: &Receiver<()>) -> Result<(), ScreenError> {
    let settings = control.settings.lock().clone();
    let mut course = Course::open(settings, open)?;
    let mut version = 0;
    let mut due = Instant::now();
    while stopped.recv_deadline(due) == Err(RecvTimeoutError::Timeout) {
        let newest = control.version.load(Relaxed);
        if std::mem::replace(&mut version, newest) != newest {
            let settings = control.settings.lock().clone();
            if settings.target == course.settings.target {
                course.change(settings);
            } else {
                course = Course::open(settings, open)?;
            }
        }
        course.step(Instant::now(), sink)?;
        // A frame that took too long delays the next one, and no burst follows.
        due = (due + course.interval()).max(Instant::now());
    }
    Ok(())
}

/// One target that is captured, frame by frame.
struct Course {
    grabber: Box<dyn Grabber>,
    settings: ScreenSettings,
    seen: Option<Sight>,
    /// The frame that is read now, and the one before it.
    pixels: Pixels,
    last_pixels: Pixels,
    last_frame: Option<VideoFrame>,
    pool: FramePool,
    frame_scheduler: FrameScheduler,
    /// There is a new sink, or a request for a frame.
    is_fresh: bool,
    /// The region that lay outside was reported of.
    outside: Option<ScreenEvent>,
    failures: u32,
}

impl Course {
    fn open(settings: ScreenSettings, open: Open<'_>) -> Result<Self, ScreenError> {
        let mut grabber = open(settings.target)?;
        if settings.activate_window {
            grabber.activate();
        }
        Ok(Self {
            grabber,
            settings,
            seen: None,
            pixels: Pixels::default(),
            last_pixels: Pixels::default(),
            last_frame: None,
            pool: FramePool::new(),
            frame_scheduler: FrameScheduler::default(),
            is_fresh: true,
            outside: None,
            failures: 0,
        })
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.settings.fps.clamp(1, 60)
    }

    fn change(&mut self, settings: ScreenSettings) {
        if settings.activate_window && !self.settings.activate_window {
            self.grabber.activate();
        }
        self.settings = settings;
        self.is_fresh = true;
    }

    /// Checks the target, reports its events, and delivers its frame if it is due.
    fn step(&mut self, now: Instant, sink: &dyn ScreenSink) -> Result<(), ScreenError> {
        let sight = self.look(sink)?;
        if !sight.is_shown || !sink.wants_frames() {
            self.is_fresh = true;
            return Ok(());
        }
        let part = match self.part(sight.area) {
            Ok(part) => part,
            Err(event) => {
                if self.outside.as_ref() != Some(&event) {
                    sink.on_event(event.clone());
                }
                self.outside = Some(event);
                return Ok(());
            }
        };
        self.outside = None;
        if !self.grab(part)? {
            return Ok(());
        }
        self.draw_over(part.moved(sight.area.x, sight.area.y));
        let changed = self.pixels != self.last_pixels || self.last_frame.is_none();
        let is_fresh = std::mem::take(&mut self.is_fresh);
        if !self.frame_scheduler.is_due(now, changed || is_fresh) {
            return Ok(());
        }
        let frame = match &self.last_frame {
            Some(last) if !changed => last.at(now),
            _ => self.pixels.to_frame(&self.pool, now).map_err(ScreenError::Failed)?,
        };
        sink.on_frame(&frame);
        std::mem::swap(&mut self.pixels, &mut self.last_pixels);
        self.last_frame = Some(frame);
        Ok(())
    }

    fn look(&mut self, sink: &dyn ScreenSink) -> Result<Sight, ScreenError> {
        let is_window = matches!(self.settings.target, ScreenTarget::Window(_));
        let sight = match self.grabber.look() {
            Ok(sight) => sight,
            Err(error) => {
                if let (true, Some(seen), ScreenError::Gone(_)) = (is_window, self.seen, &error) {
                    sink.on_event(ScreenEvent::Window(WindowState::Closed, seen.area));
                }
                return Err(error);
            }
        };
        let seen = self.seen.replace(sight);
        let was_shown = seen.is_none_or(|seen| seen.is_shown);
        if was_shown != sight.is_shown && is_window {
            let state = if sight.is_shown { WindowState::OnScreen } else { WindowState::OffScreen };
            sink.on_event(ScreenEvent::Window(state, sight.area));
        }
        if seen.is_some_and(|seen| seen.area != sight.area) {
            sink.on_event(ScreenEvent::Moved(sight.area));
        }
        Ok(sight)
    }

    /// The part to read of a target of that size, in pixels from its corner.
    fn part(&self, target: Area) -> Result<Area, ScreenEvent> {
        let region = target.part(&self.settings.region).and_then(|part| part.even());
        let region = region.ok_or(ScreenEvent::RegionOutside)?;
        let published = region.part(&self.settings.publish_region).and_then(|part| part.even());
        let published = published.ok_or(ScreenEvent::PublishRegionOutside)?;
        Ok(published.moved(region.x, region.y))
    }

    fn grab(&mut self, part: Area) -> Result<bool, ScreenError> {
        let grabbed = self.grabber.grab(part, &mut self.pixels)?;
        self.failures = if grabbed { 0 } else { self.failures + 1 };
        if self.failures >= MAX_FAILURES {
            return Err(ScreenError::Failed("no picture can be read".to_owned()));
        }
        Ok(grabbed)
    }

    /// Draws the pointer and hides excluded windows in that part of the desktop.
    fn draw_over(&mut self, part: Area) {
        let is_screen = matches!(self.settings.target, ScreenTarget::Screen(_));
        if is_screen && !self.settings.excluded.is_empty() {
            for window in self.grabber.windows(&self.settings.excluded) {
                self.pixels.hide(&window.moved(part.x.saturating_neg(), part.y.saturating_neg()));
            }
        }
        if self.settings.show_cursor
            && let Some(cursor) = self.grabber.cursor()
        {
            self.pixels.draw_cursor(&cursor, (part.x, part.y));
        }
    }
}

#[cfg(test)]
mod tests;
