//! A connection to the X server, and its abilities.

use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::protocol::{composite, randr, xfixes};
use x11rb::rust_connection::RustConnection;

use super::super::ScreenError;
use super::super::area::Area;
use super::pixel_layout::PixelLayout;

/// Under this extension an X server shows its windows through another window system, and has no screen of its own.
const XWAYLAND: &str = "XWAYLAND";

/// A connection for each capture: no lock is shared, and its requests end with it.
pub(super) struct Display {
    pub(super) connection: RustConnection,
    pub(super) root: Window,
    /// Windows are read although others cover them.
    pub(super) has_composite: bool,
    pub(super) has_cursor: bool,
    has_monitors: bool,
    pub(super) is_xwayland: bool,
}

/// A monitor.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    /// Derived from its name, so it stays the same when the server renumbers.
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) area: Area,
}

impl Monitor {
    fn new(name: String, area: Area) -> Self {
        // FNV-1a: names of monitors are few and short.
        let id = name.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Self { id, name, area }
    }
}

pub(super) fn failed(error: impl std::fmt::Display) -> ScreenError {
    ScreenError::Failed(error.to_string())
}

/// Whether the X server answered with an error, or does not answer at all.
pub(super) fn refused(error: ReplyOrIdError) -> Result<(), ScreenError> {
    match error {
        ReplyOrIdError::X11Error(_) => Ok(()),
        other => Err(failed(other)),
    }
}

impl Display {
    /// Connects to the display of the environment.
    pub(super) fn connect() -> Result<Self, ScreenError> {
        let not_supported = |error: ConnectError| ScreenError::NotSupported(format!("no X server: {error}"));
        let (connection, number) = x11rb::connect(None).map_err(not_supported)?;
        let setup = connection.setup();
        let screen = setup.roots.get(number).ok_or_else(|| ScreenError::NotSupported("no screen".to_owned()))?;
        let root = screen.root;
        if PixelLayout::of_depth(setup, screen.root_depth).is_none() {
            let reason = format!("the screen's pixels of {} bits are no colours", screen.root_depth);
            return Err(ScreenError::NotSupported(reason));
        }
        let mut display =
            Self { connection, root, has_composite: false, has_cursor: false, has_monitors: false, is_xwayland: false };
        display.ask_extensions().map_err(failed)?;
        Ok(display)
    }

    fn ask_extensions(&mut self) -> Result<(), ReplyError> {
        let connection = &self.connection;
        self.is_xwayland = connection.query_extension(XWAYLAND.as_bytes())?.reply()?.present;
        // XFixes and Composite answer nothing else before their versions were requested.
        if connection.extension_information(xfixes::X11_EXTENSION_NAME)?.is_some() {
            self.has_cursor = xfixes::query_version(connection, 5, 0)?.reply().is_ok();
        }
        if connection.extension_information(composite::X11_EXTENSION_NAME)?.is_some() {
            let version = composite::query_version(connection, 0, 4)?.reply();
            self.has_composite = version.is_ok_and(|version| (version.major_version, version.minor_version) >= (0, 2));
        }
        if connection.extension_information(randr::X11_EXTENSION_NAME)?.is_some() {
            let version = randr::query_version(connection, 1, 5)?.reply();
            self.has_monitors = version.is_ok_and(|version| (version.major_version, version.minor_version) >= (1, 5));
        }
        Ok(())
    }

    /// The whole desktop, all monitors together.
    pub(super) fn desktop(&self) -> Result<Area, ScreenError> {
        let geometry = self.connection.get_geometry(self.root).map_err(failed)?.reply().map_err(failed)?;
        Ok(Area::of_size(geometry.width.into(), geometry.height.into()))
    }

    /// The monitors; the whole desktop as one where the server does not distinguish them.
    pub(super) fn monitors(&self) -> Result<Vec<Monitor>, ScreenError> {
        if self.is_xwayland {
            return Ok(Vec::new());
        }
        let mut monitors = Vec::new();
        if self.has_monitors {
            let reply =
                randr::get_monitors(&self.connection, self.root, true).map_err(failed)?.reply().map_err(failed)?;
            for monitor in reply.monitors {
                let area = Area {
                    x: monitor.x.into(),
                    y: monitor.y.into(),
                    width: monitor.width.into(),
                    height: monitor.height.into(),
                };
                let name = self.connection.get_atom_name(monitor.name).map_err(failed)?.reply().map_err(failed)?;
                let name = String::from_utf8_lossy(&name.name).into_owned();
                monitors.push(Monitor::new(name, area));
            }
        }
        if monitors.is_empty() {
            monitors.push(Monitor::new("desktop".to_owned(), self.desktop()?));
        }
        Ok(monitors)
    }

    /// Discards errors and events that nothing waits for, so that they do not accumulate.
    pub(super) fn forget_events(&self) -> Result<(), ConnectionError> {
        while self.connection.poll_for_event()?.is_some() {}
        Ok(())
    }
}
