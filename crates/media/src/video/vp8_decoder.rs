//! VP8 decoder for live video: errors never leave it, a damaged stream just waits for its next key frame.

use std::time::Instant;

use super::codec::Decode;
use super::decoder::{DecodeError, check_size};
use super::frame::VideoFrame;
use super::pool::FramePool;
use super::vp8_library::Library;

/// Frame tag and start code of a key frame, and its sides (RFC 6386, section 9.1).
const KEYFRAME_HEADER: usize = 10;
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
/// The upper two bits are a hint for scaling, which is ignored.
const SIDE_MASK: u16 = 0x3fff;

/// Decodes one stream. Its colours are those of BT.601 with limited range, as RFC 6386 has them.
pub struct Vp8Decoder {
    library: Library,
    pool: FramePool,
    keyframe_needed: bool,
}

impl Vp8Decoder {
    /// A decoder that waits for its first key frame.
    ///
    /// # Errors
    /// [`DecodeError::Codec`] if the library cannot be set up.
    pub fn new() -> Result<Self, DecodeError> {
        Ok(Self { library: build()?, pool: FramePool::new(), keyframe_needed: true })
    }

    fn decode_frame(&mut self, data: &[u8], capture_time: Instant) -> Result<Option<VideoFrame>, DecodeError> {
        let Some(first) = data.first() else { return Ok(None) };
        let is_keyframe = first & 1 == 0;
        if is_keyframe {
            let (width, height) = sides(data).ok_or(DecodeError::KeyframeNeeded).inspect_err(|_| self.lose())?;
            check_size(width, height).inspect_err(|_| self.lose())?;
        } else if self.keyframe_needed {
            return Err(DecodeError::KeyframeNeeded);
        }
        let decoded = match self.library.decode(data) {
            Ok(decoded) => decoded,
            Err(error) => {
                tracing::debug!(error, "a VP8 frame was refused");
                self.lose();
                self.library = build()?;
                return Err(DecodeError::KeyframeNeeded);
            }
        };
        self.keyframe_needed = false;
        let Some(decoded) = decoded else { return Ok(None) };
        let mut picture = self.pool.take(decoded.width, decoded.height);
        let copied = picture.copy_from(decoded.planes, decoded.strides);
        Ok(copied.ok().map(|()| picture.freeze(capture_time)))
    }

    fn lose(&mut self) {
        self.keyframe_needed = true;
    }
}

impl Decode for Vp8Decoder {
    fn decode(&mut self, data: &[u8], capture_time: Instant, shown: &mut Vec<VideoFrame>) -> Result<(), DecodeError> {
        shown.extend(self.decode_frame(data, capture_time)?);
        Ok(())
    }

    fn reorders(&self) -> bool {
        false
    }
}

fn build() -> Result<Library, DecodeError> {
    Library::new().map_err(DecodeError::Codec)
}

/// Width and height that a key frame has.
fn sides(keyframe: &[u8]) -> Option<(u32, u32)> {
    let [_, _, _, a, b, c, width_low, width_high, height_low, height_high] =
        *keyframe.first_chunk::<KEYFRAME_HEADER>()?;
    let side = |bytes| u32::from(u16::from_le_bytes(bytes) & SIDE_MASK);
    let sides = (side([width_low, width_high]), side([height_low, height_high]));
    ([a, b, c] == START_CODE && sides.0 > 0 && sides.1 > 0).then_some(sides)
}

#[cfg(test)]
mod tests {
    use super::super::decoder::{MAX_AREA, MAX_SIDE};
    use super::*;

    fn header(width: u16, height: u16) -> Vec<u8> {
        let (width, height) = (width.to_le_bytes(), height.to_le_bytes());
        [&[0x10, 0, 0], &START_CODE[..], &width, &height].concat()
    }

    fn decode(data: &[u8]) -> Result<(), DecodeError> {
        Vp8Decoder::new().unwrap().decode(data, Instant::now(), &mut Vec::new())
    }

    #[test]
    fn frames_larger_than_allowed_never_reach_the_library() {
        for (width, height) in [(MAX_SIDE + 1, 16), (16, MAX_SIDE + 1), (MAX_SIDE, MAX_AREA / MAX_SIDE + 1)] {
            assert_eq!(decode(&header(width as u16, height as u16)), Err(DecodeError::TooLarge { width, height }));
        }
    }

    #[test]
    fn a_frame_that_is_none_asks_for_a_key_frame() {
        for data in [&[1u8][..], &[0], &[0x10, 0, 0, 1, 2, 3, 4, 0, 4, 0], &header(0, 4), &header(64, 64)] {
            assert_eq!(decode(data), Err(DecodeError::KeyframeNeeded), "{data:?}");
        }
        assert_eq!(decode(&[]), Ok(()));
    }
}
