//! The vendor's screen capture sources: screens and windows that the application created, each with an index, running or
//! not.
//!
//! They belong to the handle, not to the actor: their calls return results at once. The actor only decides which channels
//! get the frames of which source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use media::video::frame::VideoFrame;
use media::video::screen::{
    self, Area, ScreenCapture, ScreenError, ScreenEvent, ScreenSettings, ScreenSink, ScreenTarget, WindowState,
};
use parking_lot::{Mutex, RwLock};

use crate::capture::ChannelFeed;
use crate::config::VideoSource;
use crate::engine::EventGate;
use crate::error::{EngineError, code};
use crate::event;
use crate::runtime;

/// Upper bound of sources at once: more than there are channels, so that the next one can be created before the last ends.
const MAX_SOURCES: usize = 10;

/// `ZegoScreenCaptureSourceType`.
const TYPE_WINDOW: u32 = 1;
const TYPE_SCREEN: u32 = 2;

/// `ZegoScreenCaptureSourceExceptionType`.
const EXCEPTION_INVALID: i32 = 1;
const EXCEPTION_FAILED: i32 = 2;
const EXCEPTION_PUBLISH_REGION: i32 = 3;

/// The target that a window system's ID and a `ZegoScreenCaptureSourceType` name.
pub(crate) fn target(id: u32, kind: u32) -> Result<ScreenTarget, EngineError> {
    match kind {
        TYPE_WINDOW => Ok(ScreenTarget::Window(id)),
        TYPE_SCREEN => Ok(ScreenTarget::Screen(id)),
        _ => Err(EngineError::new(code::ILLEGAL_PARAM, "the type of a source must be 1 (window) or 2 (screen)")),
    }
}

/// The ID and the `ZegoScreenCaptureSourceType`.
pub(crate) fn id_and_type(target: ScreenTarget) -> (u32, u32) {
    match target {
        ScreenTarget::Window(id) => (id, TYPE_WINDOW),
        ScreenTarget::Screen(id) => (id, TYPE_SCREEN),
    }
}

impl From<ScreenError> for EngineError {
    fn from(error: ScreenError) -> Self {
        let code = match error {
            ScreenError::NotSupported(_) => code::SCREEN_CAPTURE_NOT_SUPPORT,
            _ => code::SCREEN_CAPTURE_INNER_ERROR,
        };
        Self::new(code, error.to_string())
    }
}

/// All sources of one engine.
pub(crate) struct ScreenSources {
    gate: Arc<EventGate>,
    sources: Mutex<Sources>,
}

#[derive(Default)]
struct Sources {
    /// Indices are never reused: late events of a destroyed source must not be taken for another's.
    next: u32,
    by_index: BTreeMap<u32, Arc<ScreenSource>>,
}

/// The channels that get the frames of a source, and the frame rate.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) feeds: Vec<Arc<ChannelFeed>>,
    pub(crate) fps: u32,
}

impl ScreenSources {
    pub(crate) fn new(gate: Arc<EventGate>) -> Self {
        Self { gate, sources: Mutex::default() }
    }

    /// Creates a source and returns its index. Whether the target exists shows when the capture begins.
    pub(crate) fn create(&self, target: ScreenTarget) -> Result<u32, EngineError> {
        screen::check_support()?;
        let mut sources = self.sources.lock();
        if sources.by_index.len() >= MAX_SOURCES {
            let info = format!("there are {MAX_SOURCES} screen capture sources already");
            return Err(EngineError::new(code::SCREEN_CAPTURE_EXCEED_MAX_COUNT, info));
        }
        let index = sources.next;
        sources.next += 1;
        let outlet = Outlet { index, gate: self.gate.clone(), feeds: RwLock::default() };
        let state = SourceState { settings: ScreenSettings::new(target), run: None };
        let source = ScreenSource { outlet: Arc::new(outlet), state: Mutex::new(state) };
        sources.by_index.insert(index, Arc::new(source));
        Ok(index)
    }

    pub(crate) fn get(&self, index: u32) -> Result<Arc<ScreenSource>, EngineError> {
        let source = self.sources.lock().by_index.get(&index).cloned();
        let none = || EngineError::new(code::SCREEN_CAPTURE_NO_INSTANCE, "no such screen capture source");
        source.ok_or_else(none)
    }

    /// Channels that used it get no frames until they are given another source.
    pub(crate) fn destroy(&self, index: u32) -> Result<(), EngineError> {
        let source = self.get(index)?;
        self.sources.lock().by_index.remove(&index);
        source.stop();
        Ok(())
    }

    pub(crate) fn clear(&self) {
        let sources = std::mem::take(&mut self.sources.lock().by_index);
        sources.values().for_each(|source| source.stop());
    }

    /// Sets the channels of each source; sources that are not named have none.
    pub(crate) fn route(&self, mut routes: BTreeMap<u32, Route>) {
        let sources = self.sources.lock().by_index.clone();
        for (index, source) in sources {
            source.set_route(routes.remove(&index).unwrap_or_default());
        }
    }
}

/// One source.
pub(crate) struct ScreenSource {
    outlet: Arc<Outlet>,
    state: Mutex<SourceState>,
}

struct SourceState {
    settings: ScreenSettings,
    run: Option<(Arc<Run>, ScreenCapture)>,
}

impl ScreenSource {
    /// Starts to capture, unless it does already. A missing target is reported by an event.
    pub(crate) fn start(&self) -> Result<(), EngineError> {
        let mut state = self.state.lock();
        if state.run.as_ref().is_some_and(|(run, _)| !run.is_over.load(SeqCst)) {
            return Ok(());
        }
        let run = Arc::new(Run { outlet: self.outlet.clone(), target: state.settings.target, is_over: false.into() });
        let capture = ScreenCapture::start(state.settings.clone(), run.clone())
            .map_err(|error| EngineError::new(code::SCREEN_CAPTURE_INNER_ERROR, error.to_string()))?;
        state.run = Some((run, capture));
        Ok(())
    }

    /// No frame and no event follows.
    pub(crate) fn stop(&self) {
        let Some((run, capture)) = self.state.lock().run.take() else { return };
        run.is_over.store(true, SeqCst);
        // Its thread may be in the middle of a frame; nothing has to wait for that.
        match runtime::runtime() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(capture))),
            Err(_) => drop(capture),
        }
    }

    /// Changes how it is captured, at once if it is.
    pub(crate) fn change(&self, change: impl FnOnce(&mut ScreenSettings)) {
        let mut state = self.state.lock();
        let before = state.settings.clone();
        change(&mut state.settings);
        if state.settings == before {
            return;
        }
        if let Some((_, capture)) = &state.run {
            capture.set(state.settings.clone());
        }
    }

    /// Place and size on the desktop.
    pub(crate) fn area(&self) -> Result<Area, EngineError> {
        let target = self.state.lock().settings.target;
        Ok(screen::area_of(target)?)
    }

    fn set_route(&self, route: Route) {
        let same = |one: &[Arc<ChannelFeed>], other: &[Arc<ChannelFeed>]| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
        };
        let is_new = !same(&self.outlet.feeds.read(), &route.feeds);
        if is_new {
            *self.outlet.feeds.write() = route.feeds;
        }
        if route.fps > 0 {
            self.change(|settings| settings.fps = route.fps);
        }
        if let (true, Some((_, capture))) = (is_new, &self.state.lock().run) {
            capture.refresh();
        }
    }
}

/// Where the frames and the events of a source go.
struct Outlet {
    index: u32,
    gate: Arc<EventGate>,
    feeds: RwLock<Vec<Arc<ChannelFeed>>>,
}

/// A source from one start to the next stop.
struct Run {
    outlet: Arc<Outlet>,
    target: ScreenTarget,
    /// Stopped, or ended by itself.
    is_over: AtomicBool,
}

impl Run {
    fn exception(&self, exception: i32) {
        let (_, kind) = id_and_type(self.target);
        for event in event::screen_exception(self.outlet.index, kind, exception) {
            self.outlet.gate.emit(event);
        }
    }
}

impl ScreenSink for Run {
    fn wants_frames(&self) -> bool {
        !self.outlet.feeds.read().is_empty()
    }

    fn on_frame(&self, frame: &VideoFrame) {
        let feeds = self.outlet.feeds.read();
        for feed in feeds.iter().filter(|_| !self.is_over.load(SeqCst)) {
            feed.take(VideoSource::Screen(self.outlet.index), frame);
        }
    }

    fn on_event(&self, event: ScreenEvent) {
        if self.is_over.load(SeqCst) {
            return;
        }
        let index = self.outlet.index;
        match event {
            ScreenEvent::Moved(area) => self.outlet.gate.emit(event::screen_rect(index, &area)),
            ScreenEvent::Window(state, area) => {
                let state = match state {
                    WindowState::OnScreen => 0,
                    WindowState::OffScreen => 1,
                    WindowState::Closed => 2,
                };
                self.outlet.gate.emit(event::screen_window_state(index, state, &area));
            }
            ScreenEvent::RegionOutside => self.exception(EXCEPTION_FAILED),
            ScreenEvent::PublishRegionOutside => self.exception(EXCEPTION_PUBLISH_REGION),
            ScreenEvent::Ended(error) => {
                self.is_over.store(true, SeqCst);
                tracing::info!(index, %error, "a screen capture ended");
                self.exception(if matches!(error, ScreenError::Gone(_)) {
                    EXCEPTION_INVALID
                } else {
                    EXCEPTION_FAILED
                });
            }
        }
    }
}
