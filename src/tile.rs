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
    /// The picture in its own size, whatever the tile; not the vendor's. For canvases without a box, which somebody reads.
    OwnSize,
}

impl ViewMode {
    /// From the exported number; anything unknown is AspectFit, the default.
    pub fn from_number(mode: u32) -> Self {
        match mode {
            1 => Self::AspectFill,
            2 => Self::ScaleToFill,
            3 => Self::OwnSize,
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

    /// The size in which a frame is handed over: that of the tile, or what of it the picture's shape fills. The sum of
    /// all tiles is a screen, so what this costs does not grow with the number of streams, nor with the frames' sizes.
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

    /// How many pixels of the screen a picture of this shape covers here, cut off parts included; (0, 0) when hidden, `None`
    /// if all that it has are of use.
    pub fn picture_size(&self, (width, height): (u32, u32)) -> Option<(u32, u32)> {
        if self.mode == ViewMode::OwnSize {
            return None;
        }
        if self.is_hidden() {
            return Some((0, 0));
        }
        let factor = self.factor(width, height);
        Some(((f64::from(width) * factor).round() as u32, (f64::from(height) * factor).round() as u32))
    }

    /// By how much a picture is magnified to meet the box.
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

/// Whether a picture falls short of its tile by so little that only the layout's rounding can be why: bars of a pixel or
/// two beside a picture of the tile's shape would be seen.
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
    fn a_frame_has_the_size_of_its_tile() {
        for (width, height) in [(320, 180), (642, 361), (4000, 2250), (1, 1)] {
            for mode in [ViewMode::AspectFill, ViewMode::ScaleToFill] {
                assert_eq!(tile(width, height, mode).frame_size(1280, 720), (width, height));
            }
        }
        assert_eq!(tile(4000, 2250, ViewMode::AspectFit).frame_size(1280, 720), (4000, 2250));
    }

    #[test]
    fn a_whole_picture_keeps_its_shape_and_meets_two_sides_of_the_tile() {
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
    fn a_canvas_without_a_box_gets_the_picture_as_it_is() {
        let tile = tile(1, 1, ViewMode::OwnSize);
        assert_eq!((tile.frame_size(1280, 720), tile.picture_size((1280, 720))), ((1280, 720), None));
    }

    #[test]
    fn a_picture_covers_what_its_shape_leaves_of_the_tile() {
        assert_eq!(tile(320, 320, ViewMode::AspectFit).picture_size((16, 9)), Some((320, 180)));
        assert_eq!(tile(100, 180, ViewMode::AspectFill).picture_size((640, 360)), Some((320, 180)));
        assert_eq!(tile(0, 180, ViewMode::AspectFit).picture_size((16, 9)), Some((0, 0)));
    }
}
