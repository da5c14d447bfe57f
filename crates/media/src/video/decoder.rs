//! H.264 decoder for live video: errors end nothing, a damaged stream waits for its next IDR frame.

use std::time::Instant;

use openh264::OpenH264API;
use openh264::decoder::{Decoder, DecoderConfig};
use openh264::formats::YUVSource;

use super::colour::Colour;
use super::frame::VideoFrame;
use super::pool::FramePool;
use super::sps::{Sps, SpsError};
use rtp::h264::annex_b::{Nal, NalKind, nal_units};

/// Largest coded side in pixels.
pub const MAX_SIDE: u32 = 4_096;

/// Largest coded area in pixels: level 5.1.
pub const MAX_AREA: u32 = 4_096 * 2_304;

/// Codes from here up (out of memory, not initialised, invalid argument) mean that the library itself is stuck.
const STUCK: i64 = 0x1000;

/// Why there is no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Nothing can be shown until the next IDR frame: the stream has just begun or something was lost. Request one.
    #[error("a keyframe is needed")]
    KeyframeNeeded,
    /// The stream's frames are larger than [`MAX_SIDE`] or [`MAX_AREA`]; the decoder has not seen them.
    #[error("{width} x {height} is too large")]
    TooLarge {
        /// Coded width in pixels.
        width: u32,
        /// Coded height in pixels.
        height: u32,
    },
    /// The stream has a sample format that the video path does not carry, or broken parameter sets.
    #[error("{0}")]
    ParameterSet(#[from] SpsError),
    /// The codec library could not be set up.
    #[error("decoder: {0}")]
    Codec(String),
}

/// Decodes one stream.
pub struct VideoDecoder {
    decoder: Decoder,
    pool: FramePool,
    keyframe_needed: bool,
    colour: Colour,
    /// Access units without the units that the decoder must not see; kept for its memory.
    filtered: Vec<u8>,
}

impl VideoDecoder {
    /// A decoder that waits for its first IDR frame.
    ///
    /// # Errors
    /// [`DecodeError::Codec`] if the library cannot be set up.
    pub fn new() -> Result<Self, DecodeError> {
        Ok(Self {
            decoder: build()?,
            pool: FramePool::new(),
            keyframe_needed: true,
            colour: Colour::default(),
            filtered: Vec::new(),
        })
    }

    /// Decodes one access unit (Annex B, any content); the size may change with every IDR frame.
    ///
    /// `None` if it holds no frame, for example parameter sets alone.
    ///
    /// # Errors
    /// [`DecodeError::KeyframeNeeded`] after any damage and until an IDR frame is decoded.
    pub fn decode(&mut self, annex_b: &[u8], capture_time: Instant) -> Result<Option<VideoFrame>, DecodeError> {
        let (mut has_idr, mut has_slice, mut has_other) = (false, false, false);
        for nal in nal_units(annex_b) {
            match nal.kind() {
                NalKind::Sps => self.check_set(nal)?,
                NalKind::Pps => {}
                NalKind::Slice => has_slice = true,
                NalKind::IdrSlice => has_idr = true,
                NalKind::Other(_) => has_other = true,
            }
        }
        if has_slice && !has_idr && self.keyframe_needed {
            return Err(DecodeError::KeyframeNeeded);
        }
        if has_other {
            self.filter(annex_b);
        }
        let data = if has_other { &self.filtered } else { annex_b };
        if data.is_empty() {
            return Ok(None);
        }
        match decode_into(&mut self.decoder, &self.pool, data, capture_time) {
            Ok(frame) => {
                self.keyframe_needed &= !has_idr;
                Ok(frame.map(|frame| frame.with_colour(self.colour)))
            }
            Err(code) => {
                self.keyframe_needed = true;
                if code >= STUCK {
                    self.decoder = build()?;
                }
                Err(DecodeError::KeyframeNeeded)
            }
        }
    }

    fn check_set(&mut self, nal: Nal<'_>) -> Result<(), DecodeError> {
        let checked = Sps::parse(nal).map_err(DecodeError::from).and_then(|sps| {
            self.colour = sps.colour;
            check_size(sps.coded_width, sps.coded_height)
        });
        self.keyframe_needed |= checked.is_err();
        checked
    }

    /// Removes the units that the checks above do not cover (scalable and stereo extensions bring parameter sets of their own)
    /// and those that no frame needs.
    fn filter(&mut self, annex_b: &[u8]) {
        self.filtered.clear();
        for nal in nal_units(annex_b).filter(|nal| !matches!(nal.kind(), NalKind::Other(_))) {
            self.filtered.extend_from_slice(&[0, 0, 0, 1]);
            self.filtered.extend_from_slice(nal.bytes());
        }
    }
}

/// Whether frames of this size are shown at all.
pub(super) fn check_size(width: u32, height: u32) -> Result<(), DecodeError> {
    if width <= MAX_SIDE && height <= MAX_SIDE && width * height <= MAX_AREA {
        return Ok(());
    }
    Err(DecodeError::TooLarge { width, height })
}

fn build() -> Result<Decoder, DecodeError> {
    Decoder::with_api_config(OpenH264API::from_source(), DecoderConfig::new())
        .map_err(|error| DecodeError::Codec(error.to_string()))
}

/// The error is the library's state code.
fn decode_into(
    decoder: &mut Decoder,
    pool: &FramePool,
    data: &[u8],
    capture_time: Instant,
) -> Result<Option<VideoFrame>, i64> {
    let Some(decoded) = decoder.decode(data).map_err(|error| error.native_code())? else { return Ok(None) };
    let (width, height) = decoded.dimensions();
    let strides = decoded.strides();
    let mut picture = pool.take(width as u32, height as u32);
    let copied = picture.copy_from([decoded.y(), decoded.u(), decoded.v()], [strides.0, strides.1, strides.2]);
    Ok(copied.ok().map(|()| picture.freeze(capture_time)))
}

#[cfg(test)]
mod tests {
    use super::super::encoder::{AccessUnit, Content, EncoderConfig, VideoEncoder};
    use super::super::pattern::{Pattern, read_strip};
    use super::super::sps::tests::baseline_set;
    use super::*;
    use std::time::Duration;

    /// A stream of 320 x 180 with keyframes at these places.
    fn stream(count: u16, keyframes: &[u16]) -> Vec<AccessUnit> {
        let config =
            EncoderConfig { width: 320, height: 180, fps: 30, bitrate_bps: 2_000_000, content: Content::Camera };
        let mut encoder = VideoEncoder::new(config).unwrap();
        let (pattern, pool, start) = (Pattern::new(320, 180), FramePool::new(), Instant::now());
        let unit = |index: u16| {
            let age = Duration::from_millis(u64::from(index) * 1_000 / 30);
            let frame = pattern.draw(&pool, 1_763_971_234_000, index, start + age);
            encoder.encode(&frame, keyframes.contains(&index)).unwrap().expect("the rate is high enough for all")
        };
        (0..count).map(unit).collect()
    }

    fn decode(decoder: &mut VideoDecoder, unit: &AccessUnit) -> Result<Option<u16>, DecodeError> {
        let frame = decoder.decode(&unit.data, unit.capture_time)?;
        Ok(frame.map(|frame| read_strip(&frame).unwrap().counter))
    }

    #[test]
    fn a_stream_joined_in_the_middle_waits_for_its_key_frame() {
        let units = stream(6, &[3]);
        let mut decoder = VideoDecoder::new().unwrap();
        for unit in &units[1..3] {
            assert_eq!(decode(&mut decoder, unit), Err(DecodeError::KeyframeNeeded));
        }
        assert_eq!(decode(&mut decoder, &units[3]), Ok(Some(3)));
        assert_eq!(decode(&mut decoder, &units[4]), Ok(Some(4)));
    }

    #[test]
    fn a_lost_frame_asks_for_a_key_frame_and_recovers_with_it() {
        let units = stream(20, &[12]);
        let mut decoder = VideoDecoder::new().unwrap();
        for (index, unit) in units.iter().enumerate().filter(|(index, _)| *index != 5) {
            let expected =
                if (6..12).contains(&index) { Err(DecodeError::KeyframeNeeded) } else { Ok(Some(index as u16)) };
            assert_eq!(decode(&mut decoder, unit), expected, "frame {index}");
        }
    }

    #[test]
    fn a_damaged_frame_asks_for_a_key_frame_and_recovers_with_it() {
        let mut units = stream(12, &[8]);
        let mut cut = units[3].data.to_vec();
        cut.truncate(cut.len() / 2);
        units[3].data = cut.into();
        let mut decoder = VideoDecoder::new().unwrap();
        let results: Vec<_> = units.iter().map(|unit| decode(&mut decoder, unit)).collect();
        assert!(results[..3].iter().all(Result::is_ok));
        assert!(results[4..8].iter().all(|result| *result == Err(DecodeError::KeyframeNeeded)), "{results:?}");
        assert_eq!(results[8..], [Ok(Some(8)), Ok(Some(9)), Ok(Some(10)), Ok(Some(11))]);
    }

    #[test]
    fn parameter_sets_alone_give_no_frame_and_still_count() {
        let unit = stream(1, &[]).remove(0);
        let mut sets = Vec::new();
        let mut picture = Vec::new();
        for nal in nal_units(&unit.data) {
            let part = if nal.kind() == NalKind::IdrSlice { &mut picture } else { &mut sets };
            part.extend_from_slice(&[0, 0, 1]);
            part.extend_from_slice(nal.bytes());
        }
        let mut decoder = VideoDecoder::new().unwrap();
        assert!(decoder.decode(&sets, unit.capture_time).unwrap().is_none());
        assert!(decoder.decode(&picture, unit.capture_time).unwrap().is_some());
    }

    #[test]
    fn delimiters_and_messages_of_other_senders_do_no_harm() {
        let mut decoder = VideoDecoder::new().unwrap();
        for (index, unit) in stream(4, &[]).iter().enumerate() {
            let sei = [0, 0, 0, 1, 9, 0x10, 0, 0, 1, 6, 5, 4, 1, 2, 3, 4, 0x80];
            let data = [&sei[..], &unit.data, &[0, 0, 1, 0x6f, 0x42, 0, 0x1f, 0xff]].concat();
            let frame = decoder.decode(&data, unit.capture_time).unwrap().unwrap();
            assert_eq!(read_strip(&frame).unwrap().counter, index as u16);
        }
        assert!(decoder.decode(&[0, 0, 1, 9, 0x10], Instant::now()).unwrap().is_none());
        assert!(decoder.decode(&[], Instant::now()).unwrap().is_none());
    }

    #[test]
    fn frames_larger_than_allowed_never_reach_the_decoder() {
        for (columns, rows) in [(257, 1), (1, 257), (256, 145), (100_000, 100_000)] {
            let error = VideoDecoder::new().unwrap().decode(&baseline_set(columns, rows), Instant::now()).unwrap_err();
            assert_eq!(error, DecodeError::TooLarge { width: 16 * columns, height: 16 * rows });
        }
        assert!(VideoDecoder::new().unwrap().decode(&baseline_set(256, 144), Instant::now()).unwrap().is_none());
    }
}
