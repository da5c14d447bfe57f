//! Frames of window systems, four bytes a pixel: what is drawn into them, and the conversion to I420.

use std::time::Instant;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use yuv::{YuvConversionMode, YuvRange, YuvStandardMatrix};

use super::area::Area;
use crate::video::frame::VideoFrame;
use crate::video::pool::FramePool;

/// Bytes of a pixel.
const PIXEL: usize = 4;

/// A small frame for people: rows of red, green, blue, alpha without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbaImage {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// `width * height * 4` bytes.
    pub pixels: Vec<u8>,
}

/// The pointer at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The place of its frame on the desktop.
    pub(super) area: Area,
    /// Alpha, red, green, blue from the highest byte down, premultiplied; `width * height` of them.
    pub(super) argb: Vec<u32>,
}

/// Rows of blue, green, red and an unused byte, without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pixels {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

impl Pixels {
    /// Room for a frame of that size, with undefined content.
    pub(super) fn reset(&mut self, width: u32, height: u32) -> &mut [u8] {
        (self.width, self.height) = (width, height);
        self.data.resize(width as usize * height as usize * PIXEL, 0);
        &mut self.data
    }

    fn area(&self) -> Area {
        Area::of_size(self.width, self.height)
    }

    /// The bytes of one row within `part`, which lies inside.
    fn row(&mut self, part: &Area, row: u32) -> &mut [u8] {
        let start = ((part.y as u32 + row) as usize * self.width as usize + part.x as usize) * PIXEL;
        &mut self.data[start..start + part.width as usize * PIXEL]
    }

    /// Paints a rectangle black, as far as it lies within.
    pub(super) fn hide(&mut self, area: &Area) {
        let Some(part) = self.area().common(area) else { return };
        for row in 0..part.height {
            self.row(&part, row).fill(0);
        }
    }

    /// Draws the pointer. `corner` is the place of this frame on the desktop.
    pub(super) fn draw_cursor(&mut self, cursor: &Cursor, corner: (i32, i32)) {
        let place = cursor.area.moved(corner.0.saturating_neg(), corner.1.saturating_neg());
        let Some(part) = self.area().common(&place) else { return };
        let (left, top) = ((part.x - place.x) as usize, (part.y - place.y) as usize);
        for row in 0..part.height {
            let start = (top + row as usize) * place.width as usize + left;
            let Some(colours) = cursor.argb.get(start..start + part.width as usize) else { return };
            for (pixel, colour) in self.row(&part, row).as_chunks_mut::<PIXEL>().0.iter_mut().zip(colours) {
                let [alpha, red, green, blue] = colour.to_be_bytes();
                let under = |value: u8| (u16::from(value) * u16::from(255 - alpha) + 127) / 255;
                for (below, above) in pixel.iter_mut().zip([blue, green, red]) {
                    *below = (under(*below) + u16::from(above)).min(255) as u8;
                }
            }
        }
    }

    /// The same as a frame; the error is a text for people.
    pub(super) fn to_frame(&self, pool: &FramePool, capture_time: Instant) -> Result<VideoFrame, String> {
        let mut picture = pool.take(self.width, self.height);
        let (range, matrix, mode) = (YuvRange::Limited, YuvStandardMatrix::Bt601, YuvConversionMode::Balanced);
        yuv::bgra_to_yuv420(&mut picture.as_yuv(), &self.data, self.width * PIXEL as u32, range, matrix, mode)
            .map_err(|error| error.to_string())?;
        Ok(picture.freeze(capture_time))
    }

    /// A copy that fits into a box of that size; `None` for an empty one.
    pub(super) fn thumbnail(&self, most: (u32, u32)) -> Option<RgbaImage> {
        let mut image = shrink(&self.data, (self.width, self.height), most, false)?;
        for pixel in image.pixels.as_chunks_mut::<PIXEL>().0 {
            let [blue, green, red, _] = *pixel;
            *pixel = [red, green, blue, 255];
        }
        Some(image)
    }
}

/// An icon of alpha, red, green, blue from the highest byte down, made to fit into a box; `None` for an empty one.
pub(super) fn icon(argb: &[u32], size: (u32, u32), most: (u32, u32)) -> Option<RgbaImage> {
    let rgba: Vec<u8> = argb.iter().flat_map(|colour| colour.rotate_left(8).to_be_bytes()).collect();
    shrink(&rgba, size, most, true)
}

/// Made smaller until it fits, never larger, with its proportions.
fn shrink(pixels: &[u8], (width, height): (u32, u32), most: (u32, u32), has_alpha: bool) -> Option<RgbaImage> {
    let (new_width, new_height) = fitted((width, height), most)?;
    let source = ImageRef::new(width, height, pixels, PixelType::U8x4).ok()?;
    let mut small = Image::new(new_width, new_height, PixelType::U8x4);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(has_alpha);
    Resizer::new().resize(&source, &mut small, &options).ok()?;
    Some(RgbaImage { width: new_width, height: new_height, pixels: small.into_vec() })
}

/// The largest size with the aspect of `size` within `most`, and within itself.
fn fitted(size: (u32, u32), most: (u32, u32)) -> Option<(u32, u32)> {
    if size.0 == 0 || size.1 == 0 || most.0 == 0 || most.1 == 0 {
        return None;
    }
    let (width, height) = (u64::from(size.0), u64::from(size.1));
    let (most_width, most_height) = (u64::from(most.0.min(size.0)), u64::from(most.1.min(size.1)));
    let (new_width, new_height) = if width * most_height > height * most_width {
        (most_width, height * most_width / width)
    } else {
        (width * most_height / height, most_height)
    };
    Some((new_width.max(1) as u32, new_height.max(1) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: [u8; 4] = [100, 100, 100, 0];

    fn grey(width: u32, height: u32) -> Pixels {
        let mut pixels = Pixels::default();
        pixels.reset(width, height).as_chunks_mut::<PIXEL>().0.fill(GREY);
        pixels
    }

    fn at(pixels: &Pixels, x: usize, y: usize) -> [u8; 3] {
        let start = (y * pixels.width as usize + x) * PIXEL;
        [pixels.data[start], pixels.data[start + 1], pixels.data[start + 2]]
    }

    fn cursor(x: i32, y: i32, colour: u32) -> Cursor {
        Cursor { area: Area { x, y, width: 4, height: 4 }, argb: vec![colour; 16] }
    }

    #[test]
    fn the_pointer_lies_over_the_frame_as_far_as_it_covers() {
        let mut pixels = grey(16, 16);
        pixels.draw_cursor(&cursor(102, 203, 0xffff_0000), (100, 200));
        assert_eq!((at(&pixels, 2, 3), at(&pixels, 5, 6)), ([0, 0, 255], [0, 0, 255]), "opaque red");
        assert_eq!((at(&pixels, 1, 3), at(&pixels, 6, 6)), ([100; 3], [100; 3]));
        pixels.draw_cursor(&cursor(102, 203, 0), (100, 200));
        assert_eq!(at(&pixels, 2, 3), [0, 0, 255], "a clear pointer changes nothing");
        pixels.draw_cursor(&cursor(108, 208, 0x8080_8080), (100, 200));
        assert_eq!(at(&pixels, 8, 8), [178; 3], "half white over grey");
    }

    #[test]
    fn a_pointer_at_the_edge_is_cut_off() {
        let mut pixels = grey(8, 8);
        for (x, y) in [(-2, -2), (6, 6), (-100, 3), (3, 100), (i32::MIN, i32::MAX)] {
            pixels.draw_cursor(&cursor(x, y, 0xff00_00ff), (0, 0));
        }
        assert_eq!((at(&pixels, 0, 0), at(&pixels, 7, 7), at(&pixels, 3, 3)), ([255, 0, 0], [255, 0, 0], [100; 3]));
        let broken = Cursor { argb: vec![0; 3], ..cursor(0, 0, 0) };
        pixels.draw_cursor(&broken, (0, 0));
    }

    #[test]
    fn what_is_hidden_is_black_and_nothing_else_is() {
        let mut pixels = grey(8, 8);
        pixels.hide(&Area { x: 6, y: -1, width: 10, height: 3 });
        assert_eq!((at(&pixels, 6, 0), at(&pixels, 7, 1)), ([0; 3], [0; 3]));
        assert_eq!((at(&pixels, 5, 0), at(&pixels, 6, 2)), ([100; 3], [100; 3]));
    }

    #[test]
    fn a_red_window_is_a_red_frame_and_a_red_thumbnail() {
        let mut pixels = Pixels::default();
        pixels.reset(64, 32).as_chunks_mut::<PIXEL>().0.fill([0, 0, 255, 9]);
        let frame = pixels.to_frame(&FramePool::new(), Instant::now()).unwrap();
        for (value, expected) in [frame.y()[0], frame.u()[0], frame.v()[0]].into_iter().zip([81u8, 90, 240]) {
            assert!(value.abs_diff(expected) <= 2);
        }
        let thumbnail = pixels.thumbnail((20, 20)).unwrap();
        assert_eq!((thumbnail.width, thumbnail.height), (20, 10));
        assert!(thumbnail.pixels.chunks(4).all(|pixel| pixel == [255, 0, 0, 255]));
    }

    #[test]
    fn grey_is_grey_up_to_the_edge_at_every_width() {
        for width in (2..200).step_by(2).chain((1150..1200).step_by(2)) {
            let mut pixels = Pixels::default();
            pixels.reset(width, 4).as_chunks_mut::<PIXEL>().0.fill([200, 200, 200, 0]);
            let frame = pixels.to_frame(&FramePool::new(), Instant::now()).unwrap();
            let columns = width as usize / 2;
            for row in frame.u().chunks(frame.strides()[1]).chain(frame.v().chunks(frame.strides()[2])) {
                assert!(
                    row[..columns].iter().all(|chroma| chroma.abs_diff(128) <= 1),
                    "{width}: {:?}",
                    &row[..columns]
                );
            }
        }
    }

    #[test]
    fn icons_keep_what_is_clear_and_odd_ones_are_refused() {
        let image = icon(&[0x8011_2233; 4], (2, 2), (10, 10)).unwrap();
        assert_eq!((image.width, &image.pixels[..4]), (2, &[0x11, 0x22, 0x33, 0x80][..]));
        assert_eq!(icon(&[0; 3], (2, 2), (10, 10)), None);
        assert_eq!(icon(&[0; 4], (2, 2), (0, 10)), None);
    }

    #[test]
    fn a_thumbnail_fits_and_never_grows() {
        assert_eq!(fitted((1920, 1080), (400, 400)), Some((400, 225)));
        assert_eq!(fitted((100, 1000), (400, 400)), Some((40, 400)));
        assert_eq!(fitted((100, 50), (400, 400)), Some((100, 50)));
        assert_eq!(fitted((4000, 1), (10, 10)), Some((10, 1)));
    }
}
