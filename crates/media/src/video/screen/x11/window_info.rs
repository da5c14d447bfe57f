//! Properties of windows (Extended Window Manager Hints 1.5, ICCCM 2.0).

use x11rb::errors::ReplyError;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, GetPropertyReply, MapState, Window, WindowClass};
use x11rb::rust_connection::RustConnection;

use super::super::RgbaImage;
use super::super::pixels;
use super::compound_text;

/// Longest property that is read, in units of four bytes: an icon of 256 x 256 and smaller ones.
const MAX_WORDS: u32 = 1 << 18;

x11rb::atom_manager! {
    /// Atoms by name.
    pub(super) Atoms: AtomsCookie {
        UTF8_STRING,
        WM_STATE,
        _NET_ACTIVE_WINDOW,
        _NET_CLIENT_LIST,
        _NET_WM_ICON,
        _NET_WM_NAME,
        _NET_WM_WINDOW_TYPE,
        _NET_WM_WINDOW_TYPE_DESKTOP,
        _NET_WM_WINDOW_TYPE_DOCK,
    }
}

/// Reads properties of windows. A missing property, or a missing window, is `None`; an error is one of the connection.
pub(super) struct WindowInfo<'a> {
    connection: &'a RustConnection,
    atoms: Atoms,
}

impl<'a> WindowInfo<'a> {
    pub(super) fn new(connection: &'a RustConnection) -> Result<Self, ReplyError> {
        Ok(Self { connection, atoms: Atoms::new(connection)?.reply()? })
    }

    pub(super) fn atoms(&self) -> &Atoms {
        &self.atoms
    }

    fn property(&self, window: Window, name: u32) -> Result<Option<GetPropertyReply>, ReplyError> {
        let request = self.connection.get_property(false, window, name, AtomEnum::ANY, 0, MAX_WORDS)?;
        match request.reply() {
            Ok(reply) => Ok((reply.value_len > 0).then_some(reply)),
            Err(ReplyError::X11Error(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn numbers(&self, window: Window, name: u32) -> Result<Vec<u32>, ReplyError> {
        let property = self.property(window, name)?;
        Ok(property.and_then(|reply| reply.value32().map(Iterator::collect)).unwrap_or_default())
    }

    /// The application windows: as the window manager lists them, otherwise those on the desktop with a name.
    pub(super) fn applications(&self, root: Window) -> Result<Vec<Window>, ReplyError> {
        let mut windows = self.numbers(root, self.atoms._NET_CLIENT_LIST)?;
        if windows.is_empty() {
            for window in self.connection.query_tree(root)?.reply()?.children {
                if self.looks_like_an_application(window)? {
                    windows.push(window);
                }
            }
        }
        let mut applications = Vec::with_capacity(windows.len());
        for window in windows {
            let kinds = self.numbers(window, self.atoms._NET_WM_WINDOW_TYPE)?;
            let furniture = [self.atoms._NET_WM_WINDOW_TYPE_DESKTOP, self.atoms._NET_WM_WINDOW_TYPE_DOCK];
            if !kinds.iter().any(|kind| furniture.contains(kind)) {
                applications.push(window);
            }
        }
        Ok(applications)
    }

    fn looks_like_an_application(&self, window: Window) -> Result<bool, ReplyError> {
        if self.property(window, self.atoms.WM_STATE)?.is_some() {
            return Ok(true);
        }
        let attributes = match self.connection.get_window_attributes(window)?.reply() {
            Ok(attributes) => attributes,
            Err(ReplyError::X11Error(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let is_plain = attributes.class == WindowClass::INPUT_OUTPUT
            && attributes.map_state == MapState::VIEWABLE
            && !attributes.override_redirect;
        Ok(is_plain && self.title(window)?.is_some())
    }

    /// The text of the window's title bar.
    pub(super) fn title(&self, window: Window) -> Result<Option<String>, ReplyError> {
        for name in [self.atoms._NET_WM_NAME, AtomEnum::WM_NAME.into()] {
            let Some(reply) = self.property(window, name)? else { continue };
            let text = match reply.type_ {
                utf8 if utf8 == self.atoms.UTF8_STRING => String::from_utf8_lossy(&reply.value).into_owned(),
                // Latin-1 (`STRING`) is how Compound Text begins.
                _ => compound_text::decode(&reply.value),
            };
            let text = text.trim_matches(['\0', ' ']);
            if !text.is_empty() {
                return Ok(Some(text.to_owned()));
            }
        }
        Ok(None)
    }

    /// The icon that fits best into a box, scaled down to it.
    pub(super) fn icon(&self, window: Window, most: (u32, u32)) -> Result<Option<RgbaImage>, ReplyError> {
        if most.0 == 0 || most.1 == 0 {
            return Ok(None);
        }
        let words = self.numbers(window, self.atoms._NET_WM_ICON)?;
        Ok(best_icon(&words, most).and_then(|(size, argb)| pixels::icon(argb, size, most)))
    }
}

/// The smallest of several icons, each behind its width and height, that fills the box, otherwise the largest.
fn best_icon(mut words: &[u32], most: (u32, u32)) -> Option<((u32, u32), &[u32])> {
    let mut best: Option<((u32, u32), &[u32])> = None;
    while let [width, height, rest @ ..] = words {
        let count = (*width as usize).checked_mul(*height as usize).filter(|count| *count > 0)?;
        let Some((argb, behind)) = rest.split_at_checked(count) else { break };
        let fills = |(width, height): (u32, u32)| width >= most.0 && height >= most.1;
        let is_better = best.is_none_or(|(size, _)| match (fills(size), fills((*width, *height))) {
            (true, true) => *width < size.0,
            (false, true) => true,
            (true, false) => false,
            (false, false) => *width > size.0,
        });
        if is_better {
            best = Some(((*width, *height), argb));
        }
        words = behind;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn icons(sides: &[u32]) -> Vec<u32> {
        sides.iter().flat_map(|side| [vec![*side, *side], vec![*side; (side * side) as usize]].concat()).collect()
    }

    #[test]
    fn the_smallest_icon_that_fills_the_box_is_taken() {
        let words = icons(&[16, 64, 32]);
        let side = |most| best_icon(&words, (most, most)).unwrap().0.0;
        assert_eq!((side(10), side(20), side(40), side(100)), (16, 32, 64, 64));
    }

    #[test]
    fn a_broken_icon_is_skipped() {
        assert_eq!(best_icon(&[], (10, 10)), None);
        assert_eq!(best_icon(&[u32::MAX, u32::MAX, 1], (10, 10)), None);
        assert_eq!(best_icon(&[0, 0, 0], (10, 10)), None);
        let cut = [icons(&[4]), vec![100, 100, 1, 2]].concat();
        assert_eq!(best_icon(&cut, (10, 10)).unwrap().0, (4, 4));
    }
}
