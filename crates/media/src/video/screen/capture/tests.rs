use super::super::pixels::Cursor;
use super::*;
use crossbeam_channel::{Sender, unbounded};

/// A window that does as the test says.
#[derive(Clone)]
struct FakeWindow {
    sight: Arc<Mutex<Option<Sight>>>,
    shade: Arc<Mutex<u8>>,
    excluded: Vec<Area>,
}

impl FakeWindow {
    fn new(width: u32, height: u32) -> Self {
        let sight = Sight { area: Area { x: 10, y: 20, width, height }, is_shown: true };
        Self { sight: Arc::new(Mutex::new(Some(sight))), shade: Arc::new(Mutex::new(50)), excluded: Vec::new() }
    }

    fn resize(&self, width: u32, height: u32) {
        if let Some(sight) = &mut *self.sight.lock() {
            (sight.area.width, sight.area.height) = (width, height);
        }
    }
}

const WINDOW: ScreenTarget = ScreenTarget::Window(7);

impl Grabber for FakeWindow {
    fn look(&mut self) -> Result<Sight, ScreenError> {
        self.sight.lock().ok_or(ScreenError::Gone(WINDOW))
    }

    fn grab(&mut self, part: Area, into: &mut Pixels) -> Result<bool, ScreenError> {
        into.reset(part.width, part.height).fill(*self.shade.lock());
        Ok(true)
    }

    fn cursor(&mut self) -> Option<Cursor> {
        None
    }

    fn windows(&mut self, _: &[u32]) -> Vec<Area> {
        self.excluded.clone()
    }

    fn activate(&mut self) {}
}

struct Record(Sender<VideoFrame>, Sender<ScreenEvent>);

impl ScreenSink for Record {
    fn wants_frames(&self) -> bool {
        true
    }

    fn on_frame(&self, frame: &VideoFrame) {
        self.0.send(frame.clone()).unwrap_or_default();
    }

    fn on_event(&self, event: ScreenEvent) {
        self.1.send(event).unwrap_or_default();
    }
}

struct Running {
    window: FakeWindow,
    capture: ScreenCapture,
    frames: Receiver<VideoFrame>,
    events: Receiver<ScreenEvent>,
}

const PATIENCE: Duration = Duration::from_secs(10);

fn settings() -> ScreenSettings {
    ScreenSettings { fps: 60, ..ScreenSettings::new(WINDOW) }
}

fn start(window: FakeWindow, settings: ScreenSettings) -> Running {
    let ((frame_sink, frames), (event_sink, events)) = (unbounded(), unbounded());
    let shown = window.clone();
    let open = move |_| -> Result<Box<dyn Grabber>, ScreenError> { Ok(Box::new(shown.clone())) };
    let capture = ScreenCapture::start_with(settings, Arc::new(Record(frame_sink, event_sink)), open).unwrap();
    Running { window, capture, frames, events }
}

impl Running {
    fn frame(&self, accept: impl Fn(&VideoFrame) -> bool) -> VideoFrame {
        let end = Instant::now() + PATIENCE;
        loop {
            let frame = self.frames.recv_deadline(end).unwrap();
            if accept(&frame) {
                return frame;
            }
        }
    }

    fn event(&self) -> ScreenEvent {
        self.events.recv_timeout(PATIENCE).unwrap()
    }
}

#[test]
fn a_window_at_rest_shares_its_pixels_from_frame_to_frame() {
    let running = start(FakeWindow::new(64, 48), settings());
    let (first, second) = (running.frame(|_| true), running.frame(|_| true));
    assert_eq!(first.y().as_ptr(), second.y().as_ptr());
    assert!(second.capture_time() > first.capture_time());
    *running.window.shade.lock() = 200;
    running.frame(|frame| frame.y()[0] > 150);
}

#[test]
fn a_window_that_grows_gives_larger_frames_and_says_so() {
    let running = start(FakeWindow::new(64, 48), settings());
    running.frame(|_| true);
    running.window.resize(101, 77);
    running.frame(|frame| (frame.width(), frame.height()) == (100, 76));
    assert_eq!(running.event(), ScreenEvent::Moved(Area { x: 10, y: 20, width: 101, height: 77 }));
}

#[test]
fn a_minimised_window_pauses_and_returns() {
    let running = start(FakeWindow::new(64, 48), settings());
    running.frame(|_| true);
    let show = |is_shown| running.window.sight.lock().as_mut().unwrap().is_shown = is_shown;
    let area = Area { x: 10, y: 20, width: 64, height: 48 };
    show(false);
    assert_eq!(running.event(), ScreenEvent::Window(WindowState::OffScreen, area));
    while running.frames.try_recv().is_ok() {}
    show(true);
    assert_eq!(running.event(), ScreenEvent::Window(WindowState::OnScreen, area));
    running.frame(|_| true);
}

#[test]
fn a_window_that_is_minimised_from_the_start_is_reported() {
    let window = FakeWindow::new(64, 48);
    window.sight.lock().as_mut().unwrap().is_shown = false;
    let running = start(window, settings());
    let area = Area { x: 10, y: 20, width: 64, height: 48 };
    assert_eq!(running.event(), ScreenEvent::Window(WindowState::OffScreen, area));
}

#[test]
fn a_closed_window_is_reported_and_ends_the_frames() {
    let running = start(FakeWindow::new(64, 48), settings());
    running.frame(|_| true);
    *running.window.sight.lock() = None;
    let area = Area { x: 10, y: 20, width: 64, height: 48 };
    assert_eq!(running.event(), ScreenEvent::Window(WindowState::Closed, area));
    assert_eq!(running.event(), ScreenEvent::Ended(ScreenError::Gone(WINDOW)));
    assert!(running.events.recv_timeout(PATIENCE).is_err(), "the thread is gone");
}

#[test]
fn regions_cut_the_frame_and_one_outside_is_reported_once() {
    let running = start(FakeWindow::new(64, 48), settings());
    let area = |x, y, width, height| Area { x, y, width, height };
    running.capture.set(ScreenSettings { region: area(10, 10, 40, 20), ..settings() });
    running.frame(|frame| (frame.width(), frame.height()) == (40, 20));
    let publish_region = area(30, 0, 20, 20);
    running.capture.set(ScreenSettings { region: area(10, 10, 40, 20), publish_region, ..settings() });
    running.frame(|frame| (frame.width(), frame.height()) == (10, 20));
    running.capture.set(ScreenSettings { region: area(64, 0, 10, 10), ..settings() });
    assert_eq!(running.event(), ScreenEvent::RegionOutside);
    running.capture.set(ScreenSettings { publish_region: area(0, 48, 10, 10), ..settings() });
    assert_eq!(running.event(), ScreenEvent::PublishRegionOutside);
    running.capture.set(settings());
    running.frame(|frame| frame.width() == 64);
    assert!(running.events.try_recv().is_err());
}

#[test]
fn excluded_windows_are_painted_over_on_a_screen() {
    let mut window = FakeWindow::new(64, 48);
    *window.shade.lock() = 255;
    window.excluded = vec![Area { x: 10, y: 20, width: 16, height: 16 }];
    let settings = ScreenSettings { target: ScreenTarget::Screen(1), excluded: vec![5], fps: 60, ..settings() };
    let frame = start(window, settings).frame(|_| true);
    assert!(frame.y()[0] < 20 && frame.y()[40] > 230);
}

#[test]
fn a_target_that_is_not_there_is_reported() {
    let ((frame_sink, _frames), (event_sink, events)) = (unbounded(), unbounded());
    let open = |target| Err(ScreenError::Gone(target));
    let _capture = ScreenCapture::start_with(settings(), Arc::new(Record(frame_sink, event_sink)), open).unwrap();
    assert_eq!(events.recv_timeout(PATIENCE), Ok(ScreenEvent::Ended(ScreenError::Gone(WINDOW))));
}
