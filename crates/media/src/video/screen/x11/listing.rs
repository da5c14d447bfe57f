//! The list of screens and windows.

use x11rb::protocol::xproto::Window;

use super::super::area::Area;
use super::super::pixels::Pixels;
use super::super::{Grabber, RgbaImage, ScreenError, ScreenSource, ScreenTarget};
use super::display::{Display, failed, refused};
use super::grabber::WindowGrabber;
use super::image::ImageReader;
use super::window_info::WindowInfo;

/// See [`super::list`].
pub(super) fn list(
    display: &Display,
    thumbnail: (u32, u32),
    icon: (u32, u32),
) -> Result<Vec<ScreenSource>, ScreenError> {
    let info = WindowInfo::new(&display.connection).map_err(failed)?;
    let mut sources = screens(display, thumbnail)?;
    for window in info.applications(display.root).map_err(failed)? {
        let name = info.title(window).map_err(failed)?.unwrap_or_else(|| format!("Window {window:#x}"));
        sources.push(ScreenSource {
            target: ScreenTarget::Window(window),
            name,
            thumbnail: window_thumbnail(window, thumbnail)?,
            icon: info.icon(window, icon).map_err(failed)?,
        });
    }
    Ok(sources)
}

fn screens(display: &Display, thumbnail: (u32, u32)) -> Result<Vec<ScreenSource>, ScreenError> {
    let (mut reader, mut pixels) = (ImageReader::default(), Pixels::default());
    let desktop = display.desktop()?;
    let mut screens = Vec::new();
    for (number, monitor) in (1..).zip(display.monitors()?) {
        let mut picture = None;
        if let (true, Some(part)) = (is_wanted(thumbnail), desktop.common(&monitor.area)) {
            match reader.read(&display.connection, display.root, part, &mut pixels) {
                Ok(read) => picture = read.then(|| pixels.thumbnail(thumbnail)).flatten(),
                Err(error) => refused(error)?,
            }
        }
        screens.push(ScreenSource {
            target: ScreenTarget::Screen(monitor.id),
            name: format!("Screen {number} ({})", monitor.name),
            thumbnail: picture,
            icon: None,
        });
    }
    Ok(screens)
}

fn is_wanted(size: (u32, u32)) -> bool {
    size.0 > 0 && size.1 > 0
}

/// The contents of a window; none if it is minimised, or gone meanwhile.
fn window_thumbnail(window: Window, size: (u32, u32)) -> Result<Option<RgbaImage>, ScreenError> {
    if !is_wanted(size) {
        return Ok(None);
    }
    let read = || -> Result<Option<RgbaImage>, ScreenError> {
        let mut grabber = WindowGrabber::open(Display::connect()?, window)?;
        let sight = grabber.look()?;
        let mut pixels = Pixels::default();
        let whole = Area::of_size(sight.area.width, sight.area.height);
        let read = sight.is_shown && !whole.is_empty() && grabber.grab(whole, &mut pixels)?;
        Ok(read.then(|| pixels.thumbnail(size)).flatten())
    };
    match read() {
        Err(ScreenError::Gone(_)) => Ok(None),
        other => other,
    }
}
