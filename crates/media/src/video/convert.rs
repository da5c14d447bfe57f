//! From the video path's I420 to the pixels of a canvas.

use yuv::YuvPlanarImage;

use super::frame::VideoFrame;

/// Why a frame could not be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The destination is not exactly `width * height * 4` bytes.
    #[error("destination has {actual} bytes, {needed} are needed")]
    DestinationSize {
        /// Bytes that the frame takes as RGBA.
        needed: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// The converter refused the frame.
    #[error("colour conversion: {0}")]
    Converter(String),
}

/// Converts to RGBA (alpha 255) by the frame's own colours, rows tight, `dst` exactly `width * height * 4` bytes.
///
/// # Errors
/// [`ConvertError::DestinationSize`] if `dst` has another length.
pub fn to_rgba(frame: &VideoFrame, dst: &mut [u8]) -> Result<(), ConvertError> {
    let needed = frame.width() as usize * frame.height() as usize * 4;
    if dst.len() != needed {
        return Err(ConvertError::DestinationSize { needed, actual: dst.len() });
    }
    let [y_stride, u_stride, v_stride] = frame.strides().map(|stride| stride as u32);
    let image = YuvPlanarImage {
        y_plane: frame.y(),
        y_stride,
        u_plane: frame.u(),
        u_stride,
        v_plane: frame.v(),
        v_stride,
        width: frame.width(),
        height: frame.height(),
    };
    let (range, matrix) = frame.colour().for_conversion();
    yuv::yuv420_to_rgba(&image, dst, frame.width() * 4, range, matrix)
        .map_err(|error| ConvertError::Converter(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::colour::{Colour, Matrix, Range};
    use super::super::pool::FramePool;
    use super::*;
    use std::time::Instant;

    fn solid(width: u32, height: u32, colour: [u8; 3]) -> VideoFrame {
        let mut picture = FramePool::new().take(width, height);
        for (plane, value) in picture.planes_mut().into_iter().zip(colour) {
            plane.fill(value);
        }
        picture.freeze(Instant::now())
    }

    #[test]
    fn known_colours_come_out_as_rgba() {
        let known = [
            ([235, 128, 128], [255, 255, 255]),
            ([16, 128, 128], [0, 0, 0]),
            ([81, 90, 240], [255, 0, 0]),
            ([145, 54, 34], [0, 255, 0]),
            ([41, 240, 110], [0, 0, 255]),
        ];
        for (yuv, rgb) in known {
            for (width, height) in [(64, 4), (33, 3)] {
                let mut rgba = vec![0; (width * height * 4) as usize];
                to_rgba(&solid(width, height, yuv), &mut rgba).unwrap();
                for pixel in rgba.chunks_exact(4) {
                    for (channel, expected) in pixel.iter().zip(rgb) {
                        assert!(channel.abs_diff(expected) <= 2, "{yuv:?} gave {pixel:?}");
                    }
                    assert_eq!(pixel[3], 255);
                }
            }
        }
    }

    #[test]
    fn what_the_frame_says_of_its_colours_decides() {
        let known = [
            (Matrix::Bt709, Range::Limited, [63, 102, 240], [255, 0, 0]),
            (Matrix::Bt709, Range::Limited, [173, 42, 26], [0, 255, 0]),
            (Matrix::Bt709, Range::Full, [18, 255, 116], [0, 0, 255]),
            (Matrix::Bt601, Range::Full, [76, 85, 255], [254, 0, 0]),
            (Matrix::Bt2020, Range::Limited, [74, 97, 240], [255, 0, 0]),
            (Matrix::Bt601, Range::Full, [200, 128, 128], [200, 200, 200]),
        ];
        for (matrix, range, yuv, rgb) in known {
            let mut rgba = vec![0; 16 * 16 * 4];
            to_rgba(&solid(16, 16, yuv).with_colour(Colour { matrix, range }), &mut rgba).unwrap();
            for (channel, expected) in rgba.iter().zip(rgb) {
                assert!(channel.abs_diff(expected) <= 3, "{matrix:?} {range:?} {yuv:?} gave {:?}", &rgba[..4]);
            }
        }
    }

    #[test]
    fn a_destination_of_another_size_is_refused() {
        let mut rgba = vec![0; 64 * 4 * 4 - 1];
        let error = to_rgba(&solid(64, 4, [16, 128, 128]), &mut rgba).unwrap_err();
        assert_eq!(error, ConvertError::DestinationSize { needed: 1024, actual: 1023 });
    }
}
