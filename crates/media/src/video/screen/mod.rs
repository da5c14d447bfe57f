//! Screens and windows as sources of frames: the list of them, and capturing one.
//!
//! Linux with an X server so far (also the windows of X applications under Wayland); elsewhere everything answers
//! [`ScreenError::NotSupported`].

mod area;
mod capture;
mod frame_scheduler;
mod pixels;
#[cfg(target_os = "linux")]
mod x11;

pub use area::Area;
pub use capture::{ScreenCapture, ScreenSink};
pub use pixels::RgbaImage;

use pixels::{Cursor, Pixels};

/// What is captured, by an ID of the list. IDs are those of the window system and stay as long as the target exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScreenTarget {
    /// A window of an application.
    Window(u32),
    /// A monitor with all that it shows.
    Screen(u32),
}

/// An entry of the list.
#[derive(Clone, Debug)]
pub struct ScreenSource {
    /// The target to capture.
    pub target: ScreenTarget,
    /// For people: a window's title, a monitor's name.
    pub name: String,
    /// Its present contents; a minimised window has none.
    pub thumbnail: Option<RgbaImage>,
    /// A window's icon, if it has one.
    pub icon: Option<RgbaImage>,
}

/// How something is captured; all of it may change while it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScreenSettings {
    /// What is captured.
    pub target: ScreenTarget,
    /// The part to capture, in pixels from the target's corner; an empty one is the whole.
    pub region: Area,
    /// The part of that to deliver, in pixels from the region's corner; an empty one is the whole.
    pub publish_region: Area,
    /// Windows that are painted over where a screen shows them.
    pub excluded: Vec<u32>,
    /// Whether the pointer is in the frame.
    pub show_cursor: bool,
    /// Whether a window is raised when its capture begins.
    pub activate_window: bool,
    /// Frames per second while there is motion; kept within 1..=60.
    pub fps: u32,
}

impl ScreenSettings {
    /// The whole of it with the pointer, 15 times a second.
    pub fn new(target: ScreenTarget) -> Self {
        let (region, publish_region) = (Area::default(), Area::default());
        Self {
            target,
            region,
            publish_region,
            excluded: Vec::new(),
            show_cursor: true,
            activate_window: false,
            fps: 15,
        }
    }
}

/// An event of a captured target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScreenEvent {
    /// It moved or got another size; place and size on the desktop, in pixels.
    Moved(Area),
    /// A window was minimised, restored or closed; its last place.
    Window(WindowState, Area),
    /// The region lies outside the target; no frames follow until that changes.
    RegionOutside,
    /// The part to deliver lies outside the target; no frames follow until that changes.
    PublishRegionOutside,
    /// No more frames follow.
    Ended(ScreenError),
}

/// Whether a window is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowState {
    /// It has a place on the desktop, perhaps behind others.
    OnScreen,
    /// It is minimised or hidden.
    OffScreen,
    /// It is gone.
    Closed,
}

/// Why something is not captured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScreenError {
    /// There is no window system that this crate can capture.
    #[error("screens cannot be captured here: {0}")]
    NotSupported(String),
    /// The window or monitor is not there, or no longer.
    #[error("{0:?} is not there")]
    Gone(ScreenTarget),
    /// The window system refused or has gone.
    #[error("screen capture failed: {0}")]
    Failed(String),
}

/// All screens, then all windows of applications. Thumbnails and icons keep their aspect and are at most as large as
/// requested, in pixels; 0 omits them. Takes some milliseconds for each window.
///
/// # Errors
/// [`ScreenError::NotSupported`] without a window system, [`ScreenError::Failed`] if it breaks off.
pub fn list(thumbnail: (u32, u32), icon: (u32, u32)) -> Result<Vec<ScreenSource>, ScreenError> {
    platform::list(thumbnail, icon)
}

/// Place and size on the desktop, in pixels.
///
/// # Errors
/// As [`list`], and [`ScreenError::Gone`].
pub fn area_of(target: ScreenTarget) -> Result<Area, ScreenError> {
    platform::open(target).and_then(|mut grabber| grabber.look()).map(|sight| sight.area)
}

/// Whether there is a window system to capture from.
///
/// # Errors
/// [`ScreenError::NotSupported`] says why not.
pub fn check_support() -> Result<(), ScreenError> {
    platform::check()
}

/// The place of a target at a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    area: Area,
    /// Not minimised.
    is_shown: bool,
}

/// The window system's side of one target that is captured.
trait Grabber {
    /// Where the target is now.
    fn look(&mut self) -> Result<Sight, ScreenError>;

    /// Reads a part, in pixels from the target's corner, that lies within it. `Ok(false)`: not this time, since the target is
    /// just changing.
    fn grab(&mut self, part: Area, into: &mut Pixels) -> Result<bool, ScreenError>;

    /// The pointer as it is drawn now, if it is shown.
    fn cursor(&mut self) -> Option<Cursor>;

    /// Where these windows are on the desktop; those that are hidden are skipped.
    fn windows(&mut self, windows: &[u32]) -> Vec<Area>;

    /// Brings a window to the front.
    fn activate(&mut self);
}

#[cfg(target_os = "linux")]
use x11 as platform;

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::{Grabber, ScreenError, ScreenSource, ScreenTarget};

    pub(super) fn check() -> Result<(), ScreenError> {
        Err(ScreenError::NotSupported("not built for this system yet".to_owned()))
    }

    pub(super) fn list(_: (u32, u32), _: (u32, u32)) -> Result<Vec<ScreenSource>, ScreenError> {
        check().map(|()| Vec::new())
    }

    pub(super) fn open(_: ScreenTarget) -> Result<Box<dyn Grabber>, ScreenError> {
        Err(ScreenError::NotSupported("not built for this system yet".to_owned()))
    }
}
