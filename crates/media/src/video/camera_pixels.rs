//! What cameras deliver, converted to I420.

use std::time::Instant;

use nokhwa::utils::FrameFormat;
use yuv::YuvPackedImage;

use super::frame::VideoFrame;
use super::jpeg::{JpegReader, PixelOrder, rgb_to_i420};
use super::pool::FramePool;

/// Converts pictures one after the other and keeps its memory between them.
#[derive(Default)]
pub(super) struct PixelReader {
    pool: FramePool,
    jpeg: JpegReader,
}

impl PixelReader {
    /// `data` has tight rows; a longer buffer than the size needs is fine. The error is a text for people.
    pub(super) fn read(
        &mut self,
        format: FrameFormat,
        (width, height): (u32, u32),
        data: &[u8],
        capture_time: Instant,
    ) -> Result<VideoFrame, String> {
        if format == FrameFormat::MJPEG {
            return self.jpeg.read(data, capture_time);
        }
        let (columns, rows) = (width as usize, height as usize);
        let needed = match format {
            FrameFormat::YUYV => columns.next_multiple_of(2) * rows * 2,
            FrameFormat::NV12 => columns * rows + columns.next_multiple_of(2) * rows.div_ceil(2),
            FrameFormat::RAWRGB | FrameFormat::RAWBGR => columns * rows * 3,
            other => return Err(format!("unknown pixel format {other}")),
        };
        let data = data.get(..needed).filter(|data| !data.is_empty()).ok_or("the picture is too short")?;
        let mut picture = self.pool.take(width, height);
        match format {
            FrameFormat::YUYV => {
                let packed = YuvPackedImage { yuy: data, yuy_stride: width.next_multiple_of(2) * 2, width, height };
                yuv::yuyv422_to_yuv420(&mut picture.as_yuv(), &packed).map_err(|error| error.to_string())?;
            }
            FrameFormat::NV12 => read_nv12(&mut picture, data),
            FrameFormat::RAWBGR => rgb_to_i420(&mut picture, data, PixelOrder::Bgr)?,
            _ => rgb_to_i420(&mut picture, data, PixelOrder::Rgb)?,
        }
        Ok(picture.freeze(capture_time))
    }
}

/// Takes the alternating U and V bytes apart.
fn read_nv12(picture: &mut super::frame::I420, data: &[u8]) {
    let (strides, sizes) = (picture.strides(), picture.plane_sizes());
    let (columns, rows) = sizes[0];
    let chroma_columns = sizes[1].0;
    let (luma, chroma) = data.split_at(columns * rows);
    let [y, u, v] = picture.planes_mut();
    for (to, from) in y.chunks_exact_mut(strides[0]).zip(luma.chunks_exact(columns)) {
        to[..columns].copy_from_slice(from);
    }
    let rows = u.chunks_exact_mut(strides[1]).zip(v.chunks_exact_mut(strides[2]));
    for ((u, v), from) in rows.zip(chroma.chunks_exact(2 * chroma_columns)) {
        let samples = u[..chroma_columns].iter_mut().zip(&mut v[..chroma_columns]);
        for ((u, v), pair) in samples.zip(from.as_chunks::<2>().0) {
            [*u, *v] = *pair;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Luma and chroma of the first and the last sample.
    fn read(format: FrameFormat, size: (u32, u32), data: &[u8]) -> Result<[[u8; 3]; 2], String> {
        let frame = PixelReader::default().read(format, size, data, Instant::now())?;
        let last = |plane: usize, samples: &[u8]| {
            let (columns, rows) = frame.plane_sizes()[plane];
            samples[(rows - 1) * frame.strides()[plane] + columns - 1]
        };
        let ends = [last(0, frame.y()), last(1, frame.u()), last(2, frame.v())];
        Ok([[frame.y()[0], frame.u()[0], frame.v()[0]], ends])
    }

    #[test]
    fn yuyv_is_read() {
        let data = [50, 100, 60, 200].repeat(16 * 4);
        assert_eq!(read(FrameFormat::YUYV, (32, 4), &data), Ok([[50, 100, 200], [60, 100, 200]]));
    }

    #[test]
    fn nv12_is_read() {
        let mut data = vec![77; 32 * 4];
        data.extend([100, 200].repeat(16 * 2));
        assert_eq!(read(FrameFormat::NV12, (32, 4), &data), Ok([[77, 100, 200]; 2]));
        let mut odd = vec![77; 3 * 3];
        odd.extend([100, 200].repeat(2 * 2));
        assert_eq!(read(FrameFormat::NV12, (3, 3), &odd), Ok([[77, 100, 200]; 2]));
    }

    #[test]
    fn red_is_red_in_both_byte_orders() {
        for (format, pixel) in [(FrameFormat::RAWRGB, [255, 0, 0]), (FrameFormat::RAWBGR, [0, 0, 255])] {
            for sample in read(format, (32, 4), &pixel.repeat(32 * 4)).unwrap() {
                for (value, expected) in sample.iter().zip([81u8, 90, 240]) {
                    assert!(value.abs_diff(expected) <= 2, "{format}: {sample:?}");
                }
            }
        }
    }

    #[test]
    fn short_and_unknown_pictures_are_errors() {
        for format in [FrameFormat::YUYV, FrameFormat::NV12, FrameFormat::RAWRGB, FrameFormat::MJPEG] {
            assert!(read(format, (32, 4), &[0; 100]).is_err(), "{format}");
            assert!(read(format, (0, 0), &[]).is_err(), "{format}");
        }
        assert!(read(FrameFormat::GRAY, (4, 4), &[0; 100]).is_err());
    }
}
