//! JPEG pictures, from MJPEG files and cameras, to frames.

use std::time::Instant;

use yuv::{YuvConversionMode, YuvRange, YuvStandardMatrix};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::frame::{I420, VideoFrame};
use super::pool::FramePool;

/// Largest side of a picture in pixels.
const MAX_SIDE: usize = 4_096;

/// Decodes JPEGs one after the other and keeps its memory between them.
#[derive(Default)]
pub(super) struct JpegReader {
    pool: FramePool,
    rgb: Vec<u8>,
}

impl JpegReader {
    /// JPEG uses the full range of values, so the way goes through RGB. The error is a text for people.
    pub(super) fn read(&mut self, jpeg: &[u8], capture_time: Instant) -> Result<VideoFrame, String> {
        let options = DecoderOptions::new_fast()
            .set_max_width(MAX_SIDE)
            .set_max_height(MAX_SIDE)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
        decoder.decode_headers().map_err(|error| error.to_string())?;
        let info = decoder.info().ok_or("no header")?;
        let len = decoder.output_buffer_size().ok_or("no size")?;
        let (width, height) = (u32::from(info.width), u32::from(info.height));
        if width == 0 || height == 0 || len != width as usize * height as usize * 3 {
            return Err("not a colour picture".to_owned());
        }
        self.rgb.resize(len, 0);
        decoder.decode_into(&mut self.rgb).map_err(|error| error.to_string())?;
        let mut picture = self.pool.take(width, height);
        rgb_to_i420(&mut picture, &self.rgb, width as usize * 3, PixelOrder::Rgb)?;
        Ok(picture.freeze(capture_time))
    }
}

/// Which of the three bytes of a pixel is which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PixelOrder {
    Rgb,
    Bgr,
}

/// Converts rows of 3 bytes a pixel, `stride` bytes apart, in the size of the picture.
pub(super) fn rgb_to_i420(picture: &mut I420, rgb: &[u8], stride: usize, order: PixelOrder) -> Result<(), String> {
    let row = stride as u32;
    let mut image = picture.as_yuv();
    let (range, matrix, mode) = (YuvRange::Limited, YuvStandardMatrix::Bt601, YuvConversionMode::Balanced);
    match order {
        PixelOrder::Rgb => yuv::rgb_to_yuv420(&mut image, rgb, row, range, matrix, mode),
        PixelOrder::Bgr => yuv::bgr_to_yuv420(&mut image, rgb, row, range, matrix, mode),
    }
    .map_err(|error| error.to_string())
}
