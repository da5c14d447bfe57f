//! Screens and windows of an X server.

mod compound_text;
mod display;
mod grabber;
mod image;
mod listing;
mod pixel_layout;
mod window_info;

use super::{Grabber, ScreenError, ScreenSource, ScreenTarget};
use display::Display;

/// See [`super::check_support`].
pub(super) fn check() -> Result<(), ScreenError> {
    Display::connect().map(drop)
}

/// See [`super::list`].
pub(super) fn list(thumbnail: (u32, u32), icon: (u32, u32)) -> Result<Vec<ScreenSource>, ScreenError> {
    listing::list(&Display::connect()?, thumbnail, icon)
}

/// Gets ready to capture a target that is there.
pub(super) fn open(target: ScreenTarget) -> Result<Box<dyn Grabber>, ScreenError> {
    let display = Display::connect()?;
    Ok(match target {
        ScreenTarget::Screen(id) => Box::new(grabber::ScreenGrabber::open(display, id)?),
        ScreenTarget::Window(id) => Box::new(grabber::WindowGrabber::open(display, id)?),
    })
}
