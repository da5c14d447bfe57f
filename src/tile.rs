//! How large a view is on the screen, and to which size a frame is scaled for it.

/// `ZegoViewMode`: how a picture meets a tile of another shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ViewMode {
    /// The whole picture, with bars.
    #[default]
    AspectFit,
    /// The whole tile, parts of the picture cut off.
    AspectFill,
    /// The whole picture on the whole tile, stretched.
    ScaleToFill,
}

impl ViewMode {
    /// From the exported number; anything unknown is AspectFit, the default.
    pub fn from_number(mode: u32) -> Self {
        match mode {
            1 => Self::AspectFill,
            2 => Self::ScaleToFill,
            _ => Self::AspectFit,
        }
    }
}

/// A view's box on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tile {
    /// Device pixels; 0 when hidden.
    pub width: u32,
    /// Device pixels; 0 when hidden.
    pub height: u32,
    /// How the picture meets the box.
    pub mode: ViewMode,
}

impl Tile {
    /// Whether nothing of it can be seen.
    pub fn is_hidden(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The size in which a frame is handed over: its own, unless the picture on the screen is at most half as wide and
    /// high. Above that the compositor scales for less than a scaler here would cost. Never larger than the frame, always
    /// of its shape (the compositor stretches); sides are even, as 4:2:0 needs them.
    pub fn frame_size(&self, width: u32, height: u32) -> (u32, u32) {
        let factor = self.factor(width, height);
        if factor > 0.5 {
            return (width, height);
        }
        (even(f64::from(width) * factor), even(f64::from(height) * factor))
    }

    /// How many pixels of the screen a picture of this shape covers here, cut off parts included; (0, 0) when hidden.
    pub fn picture_size(&self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.is_hidden() {
            return (0, 0);
        }
        let factor = self.factor(width, height);
        ((f64::from(width) * factor).round() as u32, (f64::from(height) * factor).round() as u32)
    }

    /// By how much a picture is magnified to meet the box.
    fn factor(&self, width: u32, height: u32) -> f64 {
        let (horizontal, vertical) =
            (f64::from(self.width) / f64::from(width.max(1)), f64::from(self.height) / f64::from(height.max(1)));
        match self.mode {
            ViewMode::AspectFit => horizontal.min(vertical),
            ViewMode::AspectFill | ViewMode::ScaleToFill => horizontal.max(vertical),
        }
    }
}

fn even(side: f64) -> u32 {
    (((side / 2.0).round() as u32) * 2).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(width: u32, height: u32, mode: ViewMode) -> Tile {
        Tile { width, height, mode }
    }

    #[test]
    fn a_small_tile_gets_a_small_frame() {
        assert_eq!(tile(320, 180, ViewMode::AspectFit).frame_size(1280, 720), (320, 180));
        assert_eq!(tile(640, 360, ViewMode::AspectFit).frame_size(1280, 720), (640, 360));
    }

    #[test]
    fn a_tile_above_half_the_frame_gets_the_frame() {
        assert_eq!(tile(642, 362, ViewMode::AspectFit).frame_size(1280, 720), (1280, 720));
        assert_eq!(tile(4000, 3000, ViewMode::AspectFit).frame_size(1280, 720), (1280, 720));
    }

    #[test]
    fn the_shape_of_the_picture_is_kept() {
        assert_eq!(tile(320, 320, ViewMode::AspectFit).frame_size(1280, 720), (320, 180));
        assert_eq!(tile(100, 180, ViewMode::AspectFill).frame_size(1280, 720), (320, 180));
        assert_eq!(tile(100, 180, ViewMode::ScaleToFill).frame_size(1280, 720), (320, 180));
    }

    #[test]
    fn a_picture_covers_what_its_shape_leaves_of_the_tile() {
        assert_eq!(tile(320, 320, ViewMode::AspectFit).picture_size((16, 9)), (320, 180));
        assert_eq!(tile(100, 180, ViewMode::AspectFill).picture_size((640, 360)), (320, 180));
        assert_eq!(tile(0, 180, ViewMode::AspectFit).picture_size((16, 9)), (0, 0));
    }

    #[test]
    fn sides_are_even_and_never_zero() {
        assert_eq!(tile(1, 1, ViewMode::AspectFit).frame_size(1280, 720), (2, 2));
        let (width, height) = tile(333, 187, ViewMode::AspectFit).frame_size(1280, 720);
        assert_eq!((width % 2, height % 2), (0, 0));
    }
}
