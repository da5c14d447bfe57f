//! What the frame assembler knows of the video codecs: where frames begin, which are key frames, and how the payloads of
//! one become the frame.

use bytes::BytesMut;
use rtp::h264::payload::{AccessUnitBuilder, begins_access_unit};
use rtp::vp8::{self, TemporalPlace};
use rtp::{PayloadError, VideoFormat, keyframe};

/// A video codec whose RTP payloads are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// RFC 6184, packetization mode 1; frames are Annex B access units.
    H264,
    /// RFC 7741; frames are those of RFC 6386.
    Vp8,
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

    /// Whether this is certainly the first payload of its frame.
    pub(crate) fn begins_frame(self, payload: &[u8]) -> bool {
        match self {
            Self::H264 => begins_access_unit(payload),
            Self::Vp8 => vp8::begins_frame(payload),
        }
    }

    /// Whether a key frame begins with this payload.
    pub(crate) fn begins_keyframe(self, payload: &[u8]) -> bool {
        let format = match self {
            Self::H264 => VideoFormat::H264,
            Self::Vp8 => VideoFormat::Vp8,
        };
        keyframe::begins_keyframe(format, payload)
    }

    /// The place among temporal layers of the frame that begins with this payload.
    pub(crate) fn place(self, payload: &[u8]) -> Option<TemporalPlace> {
        match self {
            Self::H264 => None,
            Self::Vp8 => vp8::Descriptor::parse(payload).ok().filter(vp8::Descriptor::begins_frame)?.place(),
        }
    }
}

/// Rebuilds one frame from its payloads.
#[derive(Debug)]
pub(crate) enum FrameBuilder {
    H264(AccessUnitBuilder),
    Vp8(vp8::FrameBuilder),
}

/// A frame rebuilt from all of its payloads.
#[derive(Debug)]
pub(crate) struct BuiltFrame {
    pub(crate) data: BytesMut,
    /// It can be decoded without earlier frames.
    pub(crate) is_keyframe: bool,
    /// It holds a frame; otherwise it is parameter sets, SEI or padding.
    pub(crate) has_frame: bool,
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
                Ok(BuiltFrame { data: unit.data, is_keyframe: unit.is_keyframe, has_frame: unit.has_frame })
            }
            Self::Vp8(builder) => {
                let data = builder.finish();
                Ok(BuiltFrame { is_keyframe: vp8::is_keyframe(&data), has_frame: !data.is_empty(), data })
            }
        }
    }
}
