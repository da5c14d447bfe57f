//! Pixel formats of cameras, converted to I420.

use std::time::Instant;

use yuv::YuvPackedImage;

use super::frame::{I420, VideoFrame};
use super::jpeg::{JpegReader, PixelOrder, rgb_to_i420};
use super::pool::FramePool;

/// Pixel formats that we convert, the cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PixelFormat {
    /// Planes of Y, U and V.
    I420,
    /// A plane of Y and one of alternating U and V.
    Nv12,
    /// Y U Y V, full chroma vertically.
    Yuyv,
    /// A JPEG frame.
    Mjpeg,
    /// 3 bytes a pixel.
    Rgb,
    /// 3 bytes a pixel.
    Bgr,
}

/// A frame as the camera delivered it.
pub(super) struct RawFrame<'a> {
    pub(super) format: PixelFormat,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bytes from one row (of the first plane) to the next; less than a row means tight rows.
    pub(super) stride: usize,
    /// May be longer than the size needs.
    pub(super) data: &'a [u8],
}

/// Converts frames and keeps its memory between them.
#[derive(Default)]
pub(super) struct PixelReader {
    pool: FramePool,
    jpeg: JpegReader,
}

impl PixelReader {
    /// The error is a text for people.
    pub(super) fn read(&mut self, raw: &RawFrame<'_>, capture_time: Instant) -> Result<VideoFrame, String> {
        if raw.format == PixelFormat::Mjpeg {
            return self.jpeg.read(raw.data, capture_time);
        }
        let (columns, rows) = (raw.width as usize, raw.height as usize);
        let row = match raw.format {
            PixelFormat::Yuyv => columns.next_multiple_of(2) * 2,
            PixelFormat::Rgb | PixelFormat::Bgr => columns * 3,
            _ => columns,
        };
        let stride = raw.stride.max(row);
        let chroma_rows = rows.div_ceil(2);
        let needed = match raw.format {
            PixelFormat::I420 => stride * rows + 2 * chroma_rows * stride.div_ceil(2),
            PixelFormat::Nv12 => stride * rows + chroma_rows * stride.next_multiple_of(2),
            _ => stride * rows,
        };
        let data = raw.data.get(..needed).filter(|data| !data.is_empty()).ok_or("the picture is too short")?;
        let mut picture = self.pool.take(raw.width, raw.height);
        match raw.format {
            PixelFormat::I420 => {
                let (y, chroma) = data.split_at(stride * rows);
                let (u, v) = chroma.split_at(chroma.len() / 2);
                let chroma_stride = stride.div_ceil(2);
                picture.copy_from([y, u, v], [stride, chroma_stride, chroma_stride]).map_err(|e| e.to_string())?;
            }
            PixelFormat::Nv12 => read_nv12(&mut picture, data, stride),
            PixelFormat::Yuyv => {
                let (width, height) = (raw.width, raw.height);
                let packed = YuvPackedImage { yuy: data, yuy_stride: stride as u32, width, height };
                yuv::yuyv422_to_yuv420(&mut picture.as_yuv(), &packed).map_err(|error| error.to_string())?;
            }
            PixelFormat::Bgr => rgb_to_i420(&mut picture, data, stride, PixelOrder::Bgr)?,
            _ => rgb_to_i420(&mut picture, data, stride, PixelOrder::Rgb)?,
        }
        Ok(picture.freeze(capture_time))
    }
}

/// Separates the alternating U and V bytes.
fn read_nv12(picture: &mut I420, data: &[u8], stride: usize) {
    let (strides, sizes) = (picture.strides(), picture.plane_sizes());
    let (columns, rows) = sizes[0];
    let chroma_columns = sizes[1].0;
    let (luma, chroma) = data.split_at(stride * rows);
    let [y, u, v] = picture.planes_mut();
    for (to, from) in y.chunks_exact_mut(strides[0]).zip(luma.chunks_exact(stride)) {
        to[..columns].copy_from_slice(&from[..columns]);
    }
    let rows = u.chunks_exact_mut(strides[1]).zip(v.chunks_exact_mut(strides[2]));
    for ((u, v), from) in rows.zip(chroma.chunks_exact(stride.next_multiple_of(2))) {
        let samples = u[..chroma_columns].iter_mut().zip(&mut v[..chroma_columns]);
        for ((u, v), pair) in samples.zip(from.as_chunks::<2>().0) {
            [*u, *v] = *pair;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Y, U and V of the first and the last sample.
    fn read(
        format: PixelFormat,
        (width, height): (u32, u32),
        stride: usize,
        data: &[u8],
    ) -> Result<[[u8; 3]; 2], String> {
        let raw = RawFrame { format, width, height, stride, data };
        let frame = PixelReader::default().read(&raw, Instant::now())?;
        let last = |plane: usize, samples: &[u8]| {
            let (columns, rows) = frame.plane_sizes()[plane];
            samples[(rows - 1) * frame.strides()[plane] + columns - 1]
        };
        let ends = [last(0, frame.y()), last(1, frame.u()), last(2, frame.v())];
        Ok([[frame.y()[0], frame.u()[0], frame.v()[0]], ends])
    }

    #[test]
    fn yuyv_is_read_with_and_without_padding() {
        let row = [50, 100, 60, 200].repeat(16);
        assert_eq!(read(PixelFormat::Yuyv, (32, 4), 0, &row.repeat(4)), Ok([[50, 100, 200], [60, 100, 200]]));
        let padded = [row, vec![0; 16]].concat().repeat(4);
        assert_eq!(read(PixelFormat::Yuyv, (32, 4), 80, &padded), Ok([[50, 100, 200], [60, 100, 200]]));
    }

    #[test]
    fn nv12_and_i420_are_read_with_and_without_padding() {
        for (stride, row) in [(0, 32), (40, 40)] {
            let luma = vec![77; row * 4];
            let nv12 = [luma.clone(), [100, 200].repeat(row)].concat();
            assert_eq!(read(PixelFormat::Nv12, (32, 4), stride, &nv12), Ok([[77, 100, 200]; 2]));
            let i420 = [luma, vec![100; row], vec![200; row]].concat();
            assert_eq!(read(PixelFormat::I420, (32, 4), stride, &i420), Ok([[77, 100, 200]; 2]));
        }
        let odd = [vec![77; 3 * 3], [100, 200].repeat(2 * 2)].concat();
        assert_eq!(read(PixelFormat::Nv12, (3, 3), 0, &odd), Ok([[77, 100, 200]; 2]));
    }

    #[test]
    fn red_is_red_in_both_byte_orders() {
        for (format, pixel) in [(PixelFormat::Rgb, [255, 0, 0]), (PixelFormat::Bgr, [0, 0, 255])] {
            for sample in read(format, (32, 4), 0, &pixel.repeat(32 * 4)).unwrap() {
                for (value, expected) in sample.into_iter().zip([81u8, 90, 240]) {
                    assert!(value.abs_diff(expected) <= 2, "{format:?}: {sample:?}");
                }
            }
        }
    }

    #[test]
    fn short_frames_are_errors() {
        use PixelFormat::{Bgr, I420, Mjpeg, Nv12, Rgb, Yuyv};
        for format in [I420, Nv12, Yuyv, Mjpeg, Rgb, Bgr] {
            assert!(read(format, (32, 4), 0, &[0; 100]).is_err(), "{format:?}");
            assert!(read(format, (0, 0), 0, &[]).is_err(), "{format:?}");
        }
    }
}
