//! One screen or window that is captured.

use std::time::{Duration, Instant};

use x11rb::connection::Connection;
use x11rb::errors::{ReplyError, ReplyOrIdError};
use x11rb::protocol::composite::{ConnectionExt as _, Redirect};
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xproto::{
    ClientMessageEvent, ConfigureWindowAux, ConnectionExt as _, EventMask, MapState, Pixmap, StackMode, Window,
};

use super::super::area::Area;
use super::super::pixels::{Cursor, Pixels};
use super::super::{Grabber, ScreenError, ScreenTarget, Sight};
use super::display::{Display, failed, refused};
use super::image::ImageReader;
use super::window_info::WindowInfo;

/// How often the monitors are asked for; they rarely change.
const MONITORS_EVERY: Duration = Duration::from_secs(1);

/// Window managers put fewer windows than this around another.
const DEEPEST_WINDOW: usize = 8;

/// A window as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Without its border, on the desktop.
    area: Area,
    border: u32,
    is_shown: bool,
}

impl Display {
    /// Where a window is; `None` if it is gone.
    fn place_of(&self, window: Window) -> Result<Option<Place>, ScreenError> {
        match self.ask_place(window) {
            Ok(place) => Ok(Some(place)),
            Err(ReplyError::X11Error(_)) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn ask_place(&self, window: Window) -> Result<Place, ReplyError> {
        // All three travel together.
        let geometry = self.connection.get_geometry(window)?;
        let corner = self.connection.translate_coordinates(window, self.root, 0, 0)?;
        let attributes = self.connection.get_window_attributes(window)?;
        let (geometry, corner, attributes) = (geometry.reply()?, corner.reply()?, attributes.reply()?);
        let area = Area {
            x: corner.dst_x.into(),
            y: corner.dst_y.into(),
            width: geometry.width.into(),
            height: geometry.height.into(),
        };
        let is_shown = attributes.map_state == MapState::VIEWABLE;
        Ok(Place { area, border: geometry.border_width.into(), is_shown })
    }

    /// The window with the title bar that a window manager put around a window; without one, the window.
    fn frame_of(&self, mut window: Window) -> Result<Window, ReplyError> {
        for _ in 0..DEEPEST_WINDOW {
            let parent = self.connection.query_tree(window)?.reply()?.parent;
            if parent == self.root || parent == x11rb::NONE {
                break;
            }
            window = parent;
        }
        Ok(window)
    }

    fn windows_on_screen(&self, windows: &[u32]) -> Vec<Area> {
        let frames = windows.iter().filter_map(|window| self.frame_of(*window).ok());
        let places = frames.filter_map(|window| self.place_of(window).ok().flatten());
        places.filter(|place| place.is_shown).map(|place| place.area).collect()
    }

    fn cursor(&self) -> Option<Cursor> {
        if !self.has_cursor {
            return None;
        }
        let image = self.connection.xfixes_get_cursor_image().ok()?.reply().ok()?;
        let area = Area {
            x: i32::from(image.x) - i32::from(image.xhot),
            y: i32::from(image.y) - i32::from(image.yhot),
            width: image.width.into(),
            height: image.height.into(),
        };
        Some(Cursor { area, argb: image.cursor_image })
    }
}

/// A monitor: a part of the root window.
pub(super) struct ScreenGrabber {
    display: Display,
    reader: ImageReader,
    id: u32,
    asked: Option<(Instant, Sight)>,
}

impl ScreenGrabber {
    pub(super) fn open(display: Display, id: u32) -> Result<Self, ScreenError> {
        if display.is_xwayland {
            let reason = "under Wayland only windows of X applications can be captured";
            return Err(ScreenError::NotSupported(reason.to_owned()));
        }
        let mut grabber = Self { display, reader: ImageReader::default(), id, asked: None };
        grabber.look()?;
        Ok(grabber)
    }
}

impl Grabber for ScreenGrabber {
    fn look(&mut self) -> Result<Sight, ScreenError> {
        self.display.forget_events().map_err(failed)?;
        if let Some((at, sight)) = self.asked
            && at.elapsed() < MONITORS_EVERY
        {
            return Ok(sight);
        }
        let desktop = self.display.desktop()?;
        let monitor = self.display.monitors()?.into_iter().find(|monitor| monitor.id == self.id);
        let area = monitor.and_then(|monitor| desktop.common(&monitor.area));
        let sight = Sight { area: area.ok_or(ScreenError::Gone(ScreenTarget::Screen(self.id)))?, is_shown: true };
        self.asked = Some((Instant::now(), sight));
        Ok(sight)
    }

    fn grab(&mut self, part: Area, into: &mut Pixels) -> Result<bool, ScreenError> {
        let Some((_, sight)) = self.asked else { return Ok(false) };
        let area = part.moved(sight.area.x, sight.area.y);
        match self.reader.read(&self.display.connection, self.display.root, area, into) {
            Ok(read) => Ok(read),
            Err(error) => {
                self.asked = None; // the desktop may just have become smaller
                refused(error).map(|()| false)
            }
        }
    }

    fn cursor(&mut self) -> Option<Cursor> {
        self.display.cursor()
    }

    fn windows(&mut self, windows: &[u32]) -> Vec<Area> {
        self.display.windows_on_screen(windows)
    }

    fn activate(&mut self) {}
}

/// A window: its own memory in the server if there is one, otherwise its visible part on the screen.
pub(super) struct WindowGrabber {
    display: Display,
    reader: ImageReader,
    window: Window,
    place: Place,
    /// The window's memory, as long as it keeps its size and is shown.
    pixmap: Option<Pixmap>,
}

impl WindowGrabber {
    pub(super) fn open(mut display: Display, window: Window) -> Result<Self, ScreenError> {
        let gone = ScreenError::Gone(ScreenTarget::Window(window));
        let place = display.place_of(window)?.ok_or(gone)?;
        if display.has_composite {
            let request = display.connection.composite_redirect_window(window, Redirect::AUTOMATIC).map_err(failed)?;
            display.has_composite = request.check().is_ok();
        }
        Ok(Self { display, reader: ImageReader::default(), window, place, pixmap: None })
    }

    /// The window's memory; a new one since the last change of its size.
    fn pixmap(&mut self) -> Result<Pixmap, ReplyOrIdError> {
        if let Some(pixmap) = self.pixmap {
            return Ok(pixmap);
        }
        let pixmap = self.display.connection.generate_id()?;
        self.display.connection.composite_name_window_pixmap(self.window, pixmap)?.check()?;
        self.pixmap = Some(pixmap);
        Ok(pixmap)
    }

    fn forget_pixmap(&mut self) -> Result<(), ScreenError> {
        if let Some(pixmap) = self.pixmap.take() {
            self.display.connection.free_pixmap(pixmap).map_err(failed)?.ignore_error();
        }
        Ok(())
    }

    fn read(&mut self, part: Area, into: &mut Pixels) -> Result<bool, ReplyOrIdError> {
        if self.display.has_composite {
            let border = i32::try_from(self.place.border).unwrap_or_default();
            let pixmap = self.pixmap()?;
            return self.reader.read(&self.display.connection, pixmap, part.moved(border, border), into);
        }
        let wanted = part.moved(self.place.area.x, self.place.area.y);
        let Ok(desktop) = self.display.desktop() else { return Ok(false) };
        // What lies beyond the edge of the desktop cannot be read.
        if desktop.common(&wanted) != Some(wanted) {
            return Ok(false);
        }
        self.reader.read(&self.display.connection, self.display.root, wanted, into)
    }
}

impl Grabber for WindowGrabber {
    fn look(&mut self) -> Result<Sight, ScreenError> {
        self.display.forget_events().map_err(failed)?;
        let gone = ScreenError::Gone(ScreenTarget::Window(self.window));
        let place = self.display.place_of(self.window)?.ok_or(gone)?;
        let (now, before) = (place.area, self.place.area);
        let same_memory = (now.width, now.height, place.border, place.is_shown)
            == (before.width, before.height, self.place.border, self.place.is_shown);
        if !same_memory {
            self.forget_pixmap()?;
        }
        self.place = place;
        Ok(Sight { area: place.area, is_shown: place.is_shown })
    }

    fn grab(&mut self, part: Area, into: &mut Pixels) -> Result<bool, ScreenError> {
        match self.read(part, into) {
            Ok(read) => Ok(read),
            Err(error) => {
                // It was resized or hidden since the last check.
                self.forget_pixmap()?;
                refused(error).map(|()| false)
            }
        }
    }

    fn cursor(&mut self) -> Option<Cursor> {
        self.display.cursor()
    }

    fn windows(&mut self, windows: &[u32]) -> Vec<Area> {
        self.display.windows_on_screen(windows)
    }

    fn activate(&mut self) {
        let Ok(info) = WindowInfo::new(&self.display.connection) else { return };
        // From an application (1), at no time that we know of; a window manager does the rest.
        let message = ClientMessageEvent::new(32, self.window, info.atoms()._NET_ACTIVE_WINDOW, [1, 0, 0, 0, 0]);
        let to = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
        let raise = ConfigureWindowAux::new().stack_mode(StackMode::ABOVE);
        let connection = &self.display.connection;
        let asked = connection.send_event(false, self.display.root, to, message).map(|request| request.ignore_error());
        let raised = connection.configure_window(self.window, &raise).map(|request| request.ignore_error());
        if let Err(error) = asked.and(raised).and_then(|()| connection.flush()) {
            tracing::debug!(%error, "the window was not brought to the front");
        }
    }
}
