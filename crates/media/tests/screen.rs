//! Screens and windows of a real X server: one of the test's own (Xvfb), so nobody's desktop is looked at.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "screen/painter.rs"]
mod painter;
#[path = "screen/server.rs"]
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use media::video::frame::VideoFrame;
use media::video::screen::{
    self, Area, ScreenCapture, ScreenError, ScreenEvent, ScreenSettings, ScreenSink, ScreenTarget, WindowState,
};

use painter::{BLUE, GREEN, Painter, RED};

const PATIENCE: Duration = Duration::from_secs(20);

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
    capture: ScreenCapture,
    frames: Receiver<VideoFrame>,
    events: Receiver<ScreenEvent>,
}

fn start(settings: ScreenSettings) -> Running {
    let ((frame_sink, frames), (event_sink, events)) = (unbounded(), unbounded());
    let capture = ScreenCapture::start(settings, Arc::new(Record(frame_sink, event_sink))).unwrap();
    Running { capture, frames, events }
}

impl Running {
    /// The next frame that a person would find right.
    fn frame(&self, accept: impl Fn(&VideoFrame) -> bool) -> VideoFrame {
        let end = Instant::now() + PATIENCE;
        loop {
            let frame = self.frames.recv_deadline(end).expect("no such frame came");
            if accept(&frame) {
                return frame;
            }
        }
    }

    fn event(&self, accept: impl Fn(&ScreenEvent) -> bool) -> ScreenEvent {
        let end = Instant::now() + PATIENCE;
        loop {
            let event = self.events.recv_deadline(end).expect("no such event came");
            if accept(&event) {
                return event;
            }
        }
    }
}

/// Y, U and V at a point.
fn colour(frame: &VideoFrame, x: usize, y: usize) -> [u8; 3] {
    let [luma, chroma, _] = frame.strides();
    let at = y / 2 * chroma + x / 2;
    [frame.y()[y * luma + x], frame.u()[at], frame.v()[at]]
}

fn is(frame: &VideoFrame, x: usize, y: usize, rgb: u32) -> bool {
    let expected = match rgb {
        RED => [81u8, 90, 240],
        GREEN => [145, 54, 34],
        BLUE => [41, 240, 110],
        _ => [16, 128, 128],
    };
    colour(frame, x, y).into_iter().zip(expected).all(|(value, expected)| value.abs_diff(expected) <= 4)
}

fn of_size(width: u32, height: u32) -> impl Fn(&VideoFrame) -> bool {
    move |frame| (frame.width(), frame.height()) == (width, height)
}

fn without_cursor(target: ScreenTarget) -> ScreenSettings {
    ScreenSettings { show_cursor: false, ..ScreenSettings::new(target) }
}

fn the_screen() -> ScreenTarget {
    screen::list((0, 0), (0, 0)).unwrap()[0].target
}

/// Tests in a process of their own each, with an X server of their own or none: the display is a variable of the whole
/// process, and a server that a test looks at must show nobody's desktop.
macro_rules! tests {
    ($($where:ident $name:ident $body:block)*) => { $(
        #[test]
        fn $name() {
            server::run(stringify!($name), server::Display::$where, || $body);
        }
    )* };
}

tests! {
    Own everything_has_its_place_in_the_list {
        let painter = Painter::new();
        let window = painter.window("A red window ö", Area { x: 40, y: 30, width: 320, height: 240 }, RED);
        let sources = screen::list((100, 100), (32, 32)).unwrap();
        assert!(matches!(sources[0].target, ScreenTarget::Screen(_)));
        let thumbnail = sources[0].thumbnail.as_ref().unwrap();
        assert_eq!((thumbnail.width, thumbnail.height), (100, 75));
        let found = sources.iter().find(|source| source.target == ScreenTarget::Window(window)).unwrap();
        assert_eq!(found.name, "A red window ö");
        let thumbnail = found.thumbnail.as_ref().unwrap();
        assert_eq!((thumbnail.width, thumbnail.height), (100, 75));
        assert_eq!(thumbnail.pixels[..4], [255, 0, 0, 255]);
        assert_eq!(screen::area_of(found.target).unwrap(), Area { x: 40, y: 30, width: 320, height: 240 });
        assert_eq!(screen::area_of(sources[0].target).unwrap(), Area { x: 0, y: 0, width: 800, height: 600 });
    }

    Own a_screen_shows_its_windows_and_the_pointer {
        let painter = Painter::new();
        painter.window("green", Area { x: 100, y: 100, width: 200, height: 100 }, GREEN);
        let running = start(without_cursor(the_screen()));
        let frame = running.frame(|frame| is(frame, 150, 150, GREEN));
        assert_eq!((frame.width(), frame.height()), (800, 600));
        painter.point_at(200, 150);
        let is_covered =
            |frame: &VideoFrame| (190..230).any(|x| (140..180).any(|y| colour(frame, x, y)[0].abs_diff(145) > 30));
        assert!(!is_covered(&frame));
        running.capture.set(ScreenSettings::new(the_screen()));
        running.frame(is_covered);
        let region = Area { x: 90, y: 90, width: 20, height: 20 };
        running.capture.set(ScreenSettings { region, ..without_cursor(the_screen()) });
        running.frame(|frame| of_size(20, 20)(frame) && is(frame, 12, 12, GREEN) && !is(frame, 8, 8, GREEN));
    }

    Own a_covered_window_is_captured_whole {
        let painter = Painter::new();
        let below = painter.window("below", Area { x: 50, y: 50, width: 300, height: 200 }, RED);
        painter.window("above", Area { x: 0, y: 0, width: 400, height: 300 }, BLUE);
        let running = start(without_cursor(ScreenTarget::Window(below)));
        let frame = running.frame(|frame| is(frame, 150, 100, RED));
        assert!(is(&frame, 0, 0, RED) && is(&frame, 298, 198, RED) && of_size(300, 200)(&frame));
    }

    Own a_window_that_changes_its_size_is_followed {
        let painter = Painter::new();
        let window = painter.window("sizes", Area { x: 50, y: 50, width: 300, height: 200 }, RED);
        let running = start(without_cursor(ScreenTarget::Window(window)));
        running.frame(of_size(300, 200));
        for (width, height) in [(401, 301), (60, 40), (900, 700)] {
            painter.resize(window, width, height);
            running.frame(|frame| of_size(width & !1, height & !1)(frame) && is(frame, 50, 30, RED));
            running.event(|event| *event == ScreenEvent::Moved(Area { x: 50, y: 50, width, height }));
        }
    }

    Own a_window_that_is_hidden_and_closed_is_told_of {
        let painter = Painter::new();
        let area = Area { x: 50, y: 50, width: 300, height: 200 };
        let window = painter.window("short-lived", area, GREEN);
        let running = start(without_cursor(ScreenTarget::Window(window)));
        running.frame(|frame| is(frame, 10, 10, GREEN));
        painter.hide(window);
        running.event(|event| *event == ScreenEvent::Window(WindowState::OffScreen, area));
        painter.show(window);
        running.event(|event| *event == ScreenEvent::Window(WindowState::OnScreen, area));
        painter.close(window);
        running.event(|event| *event == ScreenEvent::Window(WindowState::Closed, area));
        let gone = ScreenError::Gone(ScreenTarget::Window(window));
        running.event(|event| *event == ScreenEvent::Ended(gone.clone()));
    }

    Own excluded_windows_are_black_on_the_screen {
        let painter = Painter::new();
        let window = painter.window("secret", Area { x: 100, y: 100, width: 200, height: 100 }, RED);
        let settings = ScreenSettings { excluded: vec![window, 1, u32::MAX], ..without_cursor(the_screen()) };
        let running = start(settings);
        running.frame(|frame| is(frame, 150, 150, 0) && is(frame, 299, 199, 0));
        running.capture.set(without_cursor(the_screen()));
        running.frame(|frame| is(frame, 150, 150, RED));
    }

    Own things_that_are_not_there_are_errors {
        for target in [ScreenTarget::Window(0x0dea_dbee), ScreenTarget::Window(0), ScreenTarget::Screen(u32::MAX)] {
            assert_eq!(screen::area_of(target), Err(ScreenError::Gone(target)));
            start(without_cursor(target)).event(|event| *event == ScreenEvent::Ended(ScreenError::Gone(target)));
        }
    }

    Depth16 a_display_of_16_bits_a_pixel_is_captured_in_its_colours {
        let painter = Painter::new();
        // 299 columns: rows have a gap at their end.
        let window = painter.window("red", Area { x: 101, y: 100, width: 299, height: 100 }, 0xf800);
        let screen = start(without_cursor(the_screen()));
        screen.frame(|frame| of_size(800, 600)(frame) && is(frame, 150, 150, RED) && is(frame, 398, 198, RED));
        let running = start(without_cursor(ScreenTarget::Window(window)));
        running.frame(|frame| of_size(298, 100)(frame) && is(frame, 0, 0, RED) && is(frame, 297, 99, RED));
        painter.window("green", Area { x: 0, y: 0, width: 80, height: 80 }, 0x07e0);
        screen.frame(|frame| is(frame, 40, 40, GREEN));
        let listed = screen::list((50, 50), (0, 0)).unwrap();
        let found = listed.iter().find(|source| source.target == ScreenTarget::Window(window)).unwrap();
        assert_eq!(found.thumbnail.as_ref().unwrap().pixels[..4], [255, 0, 0, 255]);
    }

    None without_a_server_there_is_a_reason {
        let error = screen::list((0, 0), (0, 0)).unwrap_err();
        assert!(matches!(error, ScreenError::NotSupported(_)), "{error}");
        assert_eq!(screen::check_support(), Err(error.clone()));
        let running = start(ScreenSettings::new(ScreenTarget::Screen(1)));
        running.event(|event| *event == ScreenEvent::Ended(error.clone()));
    }
}
