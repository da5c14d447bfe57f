//! Decoders behind one trait, whatever the codec.

use std::time::Instant;

use super::decoder::{DecodeError, VideoDecoder};
use super::frame::VideoFrame;
use super::picture_order::OrderReader;
use super::reorder::Reorder;
#[cfg(feature = "vp8")]
use super::vp8_decoder::Vp8Decoder;

/// A video codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoCodec {
    /// ITU-T H.264 in Annex B form: 4:2:0 with 8 bits, whole frames.
    H264,
    /// RFC 6386.
    Vp8,
}

/// The codecs that this build can decode. VP8 needs libvpx, which a build may omit (feature `vp8`).
pub const DECODABLE: &[VideoCodec] = &[
    VideoCodec::H264,
    #[cfg(feature = "vp8")]
    VideoCodec::Vp8,
];

/// Decodes one stream of one codec. After any input the next good key frame is shown.
pub trait Decode: Send {
    /// Decodes one frame and appends the frames to show now, in their order. A codec may hold frames back until those have
    /// arrived that are shown before them.
    ///
    /// # Errors
    /// [`DecodeError::KeyframeNeeded`] after any damage and until a key frame is decoded.
    fn decode(&mut self, data: &[u8], capture_time: Instant, shown: &mut Vec<VideoFrame>) -> Result<(), DecodeError>;

    /// Whether frames arrive in another order than they are shown in, so that they have to be decoded before they are due.
    fn reorders(&self) -> bool;
}

/// A decoder that waits for its first key frame.
///
/// # Errors
/// [`DecodeError::Codec`] if this build has no such decoder, or it cannot be set up.
pub fn decoder(codec: VideoCodec) -> Result<Box<dyn Decode>, DecodeError> {
    match codec {
        VideoCodec::H264 => Ok(Box::new(InOrder::new()?)),
        #[cfg(feature = "vp8")]
        VideoCodec::Vp8 => Ok(Box::new(Vp8Decoder::new()?)),
        #[cfg(not(feature = "vp8"))]
        VideoCodec::Vp8 => Err(DecodeError::Codec("this build has no VP8".to_owned())),
    }
}

/// H.264 in the order in which it is shown.
struct InOrder {
    decoder: VideoDecoder,
    order: OrderReader,
    reorder: Reorder,
}

impl InOrder {
    fn new() -> Result<Self, DecodeError> {
        Ok(Self { decoder: VideoDecoder::new()?, order: OrderReader::default(), reorder: Reorder::default() })
    }
}

impl Decode for InOrder {
    fn decode(&mut self, data: &[u8], capture_time: Instant, shown: &mut Vec<VideoFrame>) -> Result<(), DecodeError> {
        let place = self.order.read(data);
        if let Some(frame) = self.decoder.decode(data, capture_time)? {
            self.reorder.push(frame, place, shown);
        }
        Ok(())
    }

    fn reorders(&self) -> bool {
        self.reorder.depth() > 0
    }
}
