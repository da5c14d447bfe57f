//! Raw planes of any chroma resolution and range, converted to limited-range 4:2:0.

use super::frame::I420;

/// How many samples of colour there are for the luma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chroma {
    /// Half in both directions.
    C420,
    /// A quarter in each row.
    C411,
    /// Half in each row.
    C422,
    /// All in each row, half of the rows.
    C440,
    /// Full chroma resolution.
    C444,
    /// None.
    Mono,
}

impl Chroma {
    /// Luma columns and rows for each sample of colour; `None` without colour.
    fn steps(self) -> Option<(usize, usize)> {
        match self {
            Self::C420 => Some((2, 2)),
            Self::C411 => Some((4, 1)),
            Self::C422 => Some((2, 1)),
            Self::C440 => Some((1, 2)),
            Self::C444 => Some((1, 1)),
            Self::Mono => None,
        }
    }

    /// Columns and rows of a plane of colour.
    pub(super) fn plane_size(self, width: u32, height: u32) -> (usize, usize) {
        let size =
            |(across, down): (usize, usize)| ((width as usize).div_ceil(across), (height as usize).div_ceil(down));
        self.steps().map_or((0, 0), size)
    }
}

/// Tight planes of Y, U and V, one after another.
pub(super) struct RawPlanes<'a> {
    pub(super) data: &'a [u8],
    pub(super) chroma: Chroma,
    /// Values from 0 to 255; otherwise luma from 16 to 235, colour from 16 to 240.
    pub(super) is_full_range: bool,
}

impl RawPlanes<'_> {
    /// Fills a frame of the same size. The error is a text for people.
    pub(super) fn write_to(&self, picture: &mut I420) -> Result<(), String> {
        let (width, height) = (picture.width(), picture.height());
        let luma_len = width as usize * height as usize;
        let (columns, rows) = self.chroma.plane_size(width, height);
        let chroma_len = columns * rows;
        let (y, rest) = self.data.split_at_checked(luma_len).ok_or("the picture is too short")?;
        let (u, rest) = rest.split_at_checked(chroma_len).ok_or("the picture is too short")?;
        let v = rest.get(..chroma_len).ok_or("the picture is too short")?;
        let averaged: [Vec<u8>; 2];
        let half = (width as usize).div_ceil(2);
        let (u, v) = match self.chroma.steps() {
            Some((2, 2)) => (u, v),
            steps => {
                averaged = [u, v].map(|plane| resample(plane, columns, steps, (width as usize, height as usize)));
                (averaged[0].as_slice(), averaged[1].as_slice())
            }
        };
        picture.copy_from([y, u, v], [width as usize, half, half]).map_err(|error| error.to_string())?;
        if self.is_full_range {
            limit_range(picture);
        }
        Ok(())
    }
}

/// A chroma plane with half the luma's samples in both directions: each the mean of those in its square.
fn resample(plane: &[u8], columns: usize, steps: Option<(usize, usize)>, (width, height): (usize, usize)) -> Vec<u8> {
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let Some((across, down)) = steps else { return vec![128; half_width * half_height] };
    let mut out = Vec::with_capacity(half_width * half_height);
    // The luma pixels of a square, at the edges of odd frames those that there are.
    let places = |at: usize, end: usize, step: usize| [(2 * at) / step, (2 * at + 1).min(end - 1) / step];
    for row in 0..half_height {
        let rows = places(row, height, down);
        for column in 0..half_width {
            let across = places(column, width, across);
            let sum: u32 =
                rows.iter().flat_map(|row| across.map(|column| u32::from(plane[row * columns + column]))).sum();
            out.push(((sum + 2) / 4) as u8);
        }
    }
    out
}

/// Luma 0..=255 becomes 16..=235, colour 0..=255 becomes 16..=240 (ITU-T H.273, the two values of the range flag).
fn limit_range(picture: &mut I420) {
    let table = |span: u32, middle: bool| -> [u8; 256] {
        std::array::from_fn(|value| {
            let value = value as f32;
            let limited =
                if middle { 128.0 + (value - 128.0) * span as f32 / 255.0 } else { 16.0 + value * span as f32 / 255.0 };
            limited.round() as u8
        })
    };
    let (luma, colour) = (table(219, false), table(224, true));
    for (plane, table) in picture.planes_mut().into_iter().zip([&luma, &colour, &colour]) {
        plane.iter_mut().for_each(|sample| *sample = table[usize::from(*sample)]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::FramePool;
    use super::*;

    /// Y, U and V of the first and of the last pixel.
    fn ends(data: &[u8], (width, height): (u32, u32), chroma: Chroma, is_full_range: bool) -> [[u8; 3]; 2] {
        let mut picture = FramePool::new().take(width, height);
        RawPlanes { data, chroma, is_full_range }.write_to(&mut picture).unwrap();
        let (sizes, strides) = (picture.plane_sizes(), picture.strides());
        let last = |plane: usize| picture.planes()[plane][(sizes[plane].1 - 1) * strides[plane] + sizes[plane].0 - 1];
        [picture.planes().map(|plane| plane[0]), [last(0), last(1), last(2)]]
    }

    #[test]
    fn colour_of_any_resolution_is_that_of_its_place() {
        for chroma in [Chroma::C420, Chroma::C411, Chroma::C422, Chroma::C440, Chroma::C444] {
            for size in [(8, 4), (7, 5), (1, 1), (2, 3)] {
                let (columns, rows) = chroma.plane_size(size.0, size.1);
                // The last row and column of colour are another one, and large enough to fill the last square.
                let plane = |first: u8, last: u8| -> Vec<u8> {
                    let edge = |at: usize, end: usize, step: usize| at + (2 / step).max(1) >= end;
                    let (across, down) = chroma.steps().unwrap();
                    (0..columns * rows)
                        .map(|at| {
                            let is_last = edge(at % columns, columns, across) && edge(at / columns, rows, down);
                            if is_last { last } else { first }
                        })
                        .collect()
                };
                let luma = vec![77; (size.0 * size.1) as usize];
                let data = [luma, plane(100, 110), plane(150, 160)].concat();
                let [first, last] = ends(&data, size, chroma, false);
                assert_eq!(last, [77, 110, 160], "{chroma:?} {size:?}");
                if size == (8, 4) {
                    assert_eq!(first, [77, 100, 150], "{chroma:?}");
                }
            }
        }
    }

    #[test]
    fn a_frame_without_colour_is_grey() {
        assert_eq!(ends(&[50; 15], (5, 3), Chroma::Mono, false), [[50, 128, 128]; 2]);
    }

    #[test]
    fn the_full_range_is_narrowed() {
        let black = [vec![0; 4], vec![0], vec![255]].concat();
        assert_eq!(ends(&black, (2, 2), Chroma::C420, true)[0], [16, 16, 240]);
        let white = [vec![255; 4], vec![128], vec![128]].concat();
        assert_eq!(ends(&white, (2, 2), Chroma::C420, true)[0], [235, 128, 128]);
    }

    #[test]
    fn short_data_is_an_error() {
        let mut picture = FramePool::new().take(4, 4);
        let raw = RawPlanes { data: &[0; 20], chroma: Chroma::C420, is_full_range: false };
        assert!(raw.write_to(&mut picture).is_err());
    }
}
