//! JPEG frames, from MJPEG files and cameras.

use std::time::Instant;

use yuv::{YuvConversionMode, YuvRange, YuvStandardMatrix};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::frame::{I420, VideoFrame};
use super::pool::FramePool;

/// Largest side of a frame in pixels.
const MAX_SIDE: usize = 4_096;

/// Decodes JPEGs one after the other and keeps its memory between them.
#[derive(Default)]
pub(super) struct JpegReader {
    pool: FramePool,
    rgb: Vec<u8>,
    completed: Vec<u8>,
}

impl JpegReader {
    /// JPEG uses the full range of values, so the conversion goes through RGB. The error is a text for people.
    pub(super) fn read(&mut self, jpeg: &[u8], capture_time: Instant) -> Result<VideoFrame, String> {
        let jpeg = if has_huffman_tables(jpeg) { jpeg } else { with_default_tables(jpeg, &mut self.completed) };
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

const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];

/// Application data by which the decoder knows a frame out of an AVI file. Those skips the Huffman tables of ITU-T
/// T.81, annex K, and so do many cameras.
const OUT_OF_AVI: &[u8] = b"\xff\xe0\x00\x07AVI1\0";

/// The frame with a sign that it lacks the default tables.
fn with_default_tables<'a>(jpeg: &'a [u8], completed: &'a mut Vec<u8>) -> &'a [u8] {
    let Some(rest) = jpeg.strip_prefix(&START_OF_IMAGE) else { return jpeg };
    completed.clear();
    completed.extend_from_slice(&START_OF_IMAGE);
    completed.extend_from_slice(OUT_OF_AVI);
    completed.extend_from_slice(rest);
    completed
}

/// Whether a frame brings Huffman tables before its first scan; one that is too damaged to tell counts as well.
fn has_huffman_tables(jpeg: &[u8]) -> bool {
    const HUFFMAN_TABLES: u8 = 0xc4;
    const START_OF_SCAN: u8 = 0xda;
    let mut rest = jpeg.get(START_OF_IMAGE.len()..).unwrap_or_default();
    loop {
        match *rest {
            [0xff, 0xff, ..] => rest = &rest[1..], // padding
            [0xff, HUFFMAN_TABLES, ..] => return true,
            [0xff, START_OF_SCAN, ..] => return false,
            [0xff, _, high, low, ..] => {
                let len = usize::from(u16::from_be_bytes([high, low]).max(2));
                rest = rest.get(2 + len..).unwrap_or_default();
            }
            _ => return true,
        }
    }
}

/// Which of the three bytes of a pixel is which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PixelOrder {
    Rgb,
    Bgr,
}

/// Converts rows of 3 bytes a pixel, `stride` bytes apart, in the size of the frame.
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

#[cfg(test)]
mod tests {
    use super::super::mjpeg::tests::GREY;
    use super::*;

    /// 32 x 16, coded with the tables of T.81, annex K.
    const DEFAULTS: &[u8] = include_bytes!("../../seeds/default-tables.jpg");

    /// Without the segments of that marker.
    fn without(jpeg: &[u8], marker: u8) -> Vec<u8> {
        let (mut out, mut rest) = (jpeg[..2].to_vec(), &jpeg[2..]);
        while rest[1] != 0xda {
            let len = 2 + usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            if rest[1] != marker {
                out.extend_from_slice(&rest[..len]);
            }
            rest = &rest[len..];
        }
        out.extend_from_slice(rest);
        out
    }

    fn planes(jpeg: &[u8]) -> Result<[Vec<u8>; 3], String> {
        JpegReader::default().read(jpeg, Instant::now()).map(|frame| frame.planes().map(<[u8]>::to_vec))
    }

    #[test]
    fn a_frame_without_huffman_tables_is_the_one_with_them() {
        let bare = without(DEFAULTS, 0xc4);
        assert!(bare.len() + 400 < DEFAULTS.len() && !has_huffman_tables(&bare));
        assert_eq!(planes(&bare).unwrap(), planes(DEFAULTS).unwrap());
        // As capture cards for interlaced frames write it.
        let field = [&bare[..2], b"\xff\xe0\x00\x10AVI1\x01\0\0\0\0\0\0\0\0\0", &bare[2..]].concat();
        assert_eq!(planes(&field).unwrap(), planes(DEFAULTS).unwrap());
    }

    #[test]
    fn a_frame_without_anything_to_decode_with_is_an_error() {
        assert!(planes(&without(GREY, 0xdb)).is_err(), "no quantization");
        assert!(planes(b"").is_err() && planes(b"\xff\xd8").is_err());
    }
}
