//! What the assembler has to know of a video codec: where its frames begin, which of them stand alone, and how the
//! payloads of one become the frame.

use crate::h264::{self, AccessUnitBuilder};
use crate::vp8::{self, TemporalPlace};
use bytes::BytesMut;

/// A video codec whose RTP payloads are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// RFC 6184, packetization mode 1; frames are Annex B access units.
    H264,
    /// RFC 7741; frames are those of RFC 6386.
    Vp8,
}

/// Why a payload could not be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The payload ends before its own lengths say.
    #[error("payload is truncated")]
    Truncated,
    /// A fragment without its beginning, or a beginning within another unit.
    #[error("fragments do not fit together")]
    BrokenFragments,
    /// A packet type outside packetization mode 1.
    #[error("NAL unit type {0} is not used in packetization mode 1")]
    UnsupportedType(u8),
    /// The frame is larger than the limit.
    #[error("frame is too large")]
    TooLarge,
}

impl VideoCodec {
    /// Its encoding name in SDP.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
        }
    }

    /// Whether this is the first payload of its frame beyond doubt.
    pub(crate) fn begins_frame(self, payload: &[u8]) -> bool {
        match self {
            Self::H264 => h264::begins_access_unit(payload),
            Self::Vp8 => vp8::begins_frame(payload),
        }
    }

    /// Whether a key frame can be read from this payload on.
    pub(crate) fn begins_keyframe(self, payload: &[u8]) -> bool {
        match self {
            Self::H264 => h264::begins_keyframe(payload),
            Self::Vp8 => vp8::begins_keyframe(payload),
        }
    }

    /// The place among temporal layers of the frame that begins with this payload.
    pub(crate) fn place(self, payload: &[u8]) -> Option<TemporalPlace> {
        match self {
            Self::H264 => None,
            Self::Vp8 => vp8::place(payload).filter(|_| vp8::begins_frame(payload)),
        }
    }
}

/// Puts one frame together, whatever its codec.
#[derive(Debug)]
pub(crate) enum FrameBuilder {
    H264(AccessUnitBuilder),
    Vp8(vp8::FrameBuilder),
}

/// A frame from all of its payloads.
#[derive(Debug)]
pub(crate) struct BuiltFrame {
    pub(crate) data: BytesMut,
    /// It stands alone.
    pub(crate) is_keyframe: bool,
    /// There is a picture in it at all; else it is parameter sets, messages or padding.
    pub(crate) has_picture: bool,
}

impl FrameBuilder {
    pub(crate) fn new(codec: VideoCodec, limit: usize) -> Self {
        match codec {
            VideoCodec::H264 => Self::H264(AccessUnitBuilder::new(limit)),
            VideoCodec::Vp8 => Self::Vp8(vp8::FrameBuilder::new(limit)),
        }
    }

    pub(crate) fn push(&mut self, payload: &[u8]) -> Result<(), PayloadError> {
        match self {
            Self::H264(builder) => builder.push(payload),
            Self::Vp8(builder) => builder.push(payload),
        }
    }

    pub(crate) fn finish(self) -> Result<BuiltFrame, PayloadError> {
        match self {
            Self::H264(builder) => {
                let unit = builder.finish()?;
                Ok(BuiltFrame { data: unit.data, is_keyframe: unit.is_keyframe, has_picture: unit.has_picture })
            }
            Self::Vp8(builder) => {
                let data = builder.finish();
                Ok(BuiltFrame { is_keyframe: vp8::is_keyframe(&data), has_picture: !data.is_empty(), data })
            }
        }
    }
}
