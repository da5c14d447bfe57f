//! Size of a view on the screen, and the size to which a frame is scaled for it.

/// `ZegoViewMode`: how a frame is fitted into a tile of another aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ViewMode {
    /// The whole frame, with bars.
    #[default]
    AspectFit,
    /// The whole tile, with the frame cropped.
    AspectFill,
    /// The whole frame, stretched to the tile.
    ScaleToFill,
    /// The frame in its own size, for canvases that are read without being displayed. Not the vendor's.
    OwnSize,
}

impl ViewMode {
    /// Converts the exported number; an unknown one is AspectFit, the default.
    pub fn from_number(mode: u32) -> Self {
        match mode {
            1 => Self::AspectFill,
            2 => Self::ScaleToFill,
            3 => Self::OwnSize,
            _ => Self::AspectFit,
        }
    }
}

/// The area of a view on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tile {
    /// Device pixels; 0 when hidden.
    pub width: u32,
    /// Device pixels; 0 when hidden.
    pub height: u32,
    /// How the frame is fitted into the area.
    pub mode: ViewMode,
}

impl Tile {
    /// Whether the view is not visible.
    pub fn is_hidden(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Size to which a frame is scaled: that of the tile, or the part of it that the frame's shape fills. The sum of
    /// all tiles is a screen, so the cost does not grow with the number of streams or the size of their frames.
    pub fn frame_size(&self, width: u32, height: u32) -> (u32, u32) {
        match self.mode {
            ViewMode::OwnSize => (width, height),
            ViewMode::AspectFill | ViewMode::ScaleToFill => (self.width, self.height),
            ViewMode::AspectFit => {
                let factor = self.factor(width, height);
                let side = |side: u32, most: u32| ((f64::from(side) * factor).round() as u32).clamp(1, most.max(1));
                let (fit_width, fit_height) = (side(width, self.width), side(height, self.height));
                if is_rounding(fit_width, self.width) && is_rounding(fit_height, self.height) {
                    return (self.width, self.height);
                }
                (fit_width, fit_height)
            }
        }
    }

    /// Number of device pixels that a frame of this shape covers, cropped parts included; (0, 0) when hidden, `None`
    /// if the frame is used in its own size.
    pub fn covered_size(&self, (width, height): (u32, u32)) -> Option<(u32, u32)> {
        if self.mode == ViewMode::OwnSize {
            return None;
        }
        if self.is_hidden() {
            return Some((0, 0));
        }
        let factor = self.factor(width, height);
        Some(((f64::from(width) * factor).round() as u32, (f64::from(height) * factor).round() as u32))
    }

    /// Scale factor from the frame to the tile.
    fn factor(&self, width: u32, height: u32) -> f64 {
        let (horizontal, vertical) =
            (f64::from(self.width) / f64::from(width.max(1)), f64::from(self.height) / f64::from(height.max(1)));
        match self.mode {
            ViewMode::OwnSize => 1.0,
            ViewMode::AspectFit => horizontal.min(vertical),
            ViewMode::AspectFill | ViewMode::ScaleToFill => horizontal.max(vertical),
        }
    }
}

/// Whether a frame is smaller than its tile only by rounding of the layout: bars of a pixel or
/// two beside a frame of the tile's shape would be visible.
fn is_rounding(side: u32, tile: u32) -> bool {
    let missing = tile - side.min(tile);
    missing <= 2 && u64::from(missing) * 100 <= u64::from(tile)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(width: u32, height: u32, mode: ViewMode) -> Tile {
        Tile { width, height, mode }
    }

    #[test]
    fn a_frame_is_scaled_to_its_tile() {
        for (width, height) in [(320, 180), (642, 361), (4000, 2250), (1, 1)] {
            for mode in [ViewMode::AspectFill, ViewMode::ScaleToFill] {
                assert_eq!(tile(width, height, mode).frame_size(1280, 720), (width, height));
            }
        }
        assert_eq!(tile(4000, 2250, ViewMode::AspectFit).frame_size(1280, 720), (4000, 2250));
    }

    #[test]
    fn aspect_fit_keeps_the_shape_and_touches_two_sides() {
        let fit = |width, height| tile(width, height, ViewMode::AspectFit).frame_size(1280, 720);
        assert_eq!(fit(320, 320), (320, 180));
        assert_eq!(fit(333, 100), (178, 100));
        assert_eq!(fit(1, 300), (1, 1));
        // 16:9 in whole pixels.
        assert_eq!(fit(491, 275), (491, 275));
        assert_eq!(fit(491, 270), (480, 270));
        for width in 1..200 {
            for height in 1..200 {
                let (fit_width, fit_height) = fit(width, height);
                assert!(fit_width == width || fit_height == height);
                assert!(fit_width <= width && fit_height <= height);
            }
        }
    }

    #[test]
    fn a_canvas_without_a_box_gets_frames_in_their_own_size() {
        let tile = tile(1, 1, ViewMode::OwnSize);
        assert_eq!((tile.frame_size(1280, 720), tile.covered_size((1280, 720))), ((1280, 720), None));
    }

    #[test]
    fn the_covered_size_depends_on_the_view_mode() {
        assert_eq!(tile(320, 320, ViewMode::AspectFit).covered_size((16, 9)), Some((320, 180)));
        assert_eq!(tile(100, 180, ViewMode::AspectFill).covered_size((640, 360)), Some((320, 180)));
        assert_eq!(tile(0, 180, ViewMode::AspectFit).covered_size((16, 9)), Some((0, 0)));
    }
}
