//! At which packet a receiver can begin to decode a video stream.

use std::time::Duration;

use crate::{h264, vp8};

/// Minimum time between two key frames of a stream on request: each is several times as large as another frame, and all its
/// receivers pay for it.
pub const MIN_KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);

/// Formats of RTP payloads whose key frames are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoFormat {
    /// RFC 6184.
    H264,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// The Alliance for Open Media's RTP payload format for AV1.
    Av1,
}

/// Whether a packet is the first one of a key frame, by itself: for H.264 one that has a sequence parameter set, since a
/// decoder that begins needs one.
#[must_use]
pub fn begins_keyframe(format: VideoFormat, payload: &[u8]) -> bool {
    match format {
        VideoFormat::H264 => h264::payload::has_sps(payload),
        VideoFormat::Vp8 => vp8::begins_keyframe(payload),
        VideoFormat::Vp9 => vp9_begins_keyframe(payload).unwrap_or(false),
        VideoFormat::Av1 => av1_begins_keyframe(payload),
    }
}

/// Finds the packets of one stream at which a receiver can begin.
///
/// An H.264 stream that has sent a sequence parameter set sends one with each key frame: an IDR slice whose set was lost
/// is then no beginning, since a decoder would take the set of another layer for it. In a stream that has sent none so far
/// (they came with the session description) the first slice of an IDR frame begins one.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyframeDetector {
    has_sent_sps: bool,
}

impl KeyframeDetector {
    /// Whether a receiver can begin with this packet. Packets are given in the order in which they arrive.
    pub fn begins_keyframe(&mut self, format: VideoFormat, payload: &[u8]) -> bool {
        let begins = begins_keyframe(format, payload);
        if format != VideoFormat::H264 {
            return begins;
        }
        self.has_sent_sps |= begins;
        begins || !self.has_sent_sps && h264::payload::begins_idr(payload)
    }
}

/// RFC 9628, section 4.2: begins a frame, is not predicted from another frame, and is of the lowest spatial layer.
fn vp9_begins_keyframe(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    let (has_picture_id, is_predicted, has_layer, begins_frame) =
        (first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0, first & 0x08 != 0);
    let mut layer_at = 1;
    if has_picture_id {
        layer_at += if payload.get(1)? & 0x80 != 0 { 2 } else { 1 };
    }
    let is_lowest = !has_layer || payload.get(layer_at)? & 0x0e == 0;
    Some(begins_frame && !is_predicted && is_lowest)
}

/// AV1's RTP payload format, section 4.4: the first packet of a coded video sequence has bit N set, and begins with a unit of
/// its own (bit Z is not set).
fn av1_begins_keyframe(payload: &[u8]) -> bool {
    payload.first().is_some_and(|header| header & 0x88 == 0x08)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A STAP-A of units.
    fn aggregate(units: &[&[u8]]) -> Vec<u8> {
        let mut payload = vec![0x78];
        for unit in units {
            payload.extend_from_slice(&u16::try_from(unit.len()).unwrap().to_be_bytes());
            payload.extend_from_slice(unit);
        }
        payload
    }

    const AUD: &[u8] = &[0x09, 0x10];
    const SEI: &[u8] = &[0x06, 0x05, 0x01, 0x00, 0x80];
    const SPS_UNIT: &[u8] = &[0x67, 0x42, 0xe0, 0x1f];
    const PPS_UNIT: &[u8] = &[0x68, 0xce];

    const IDR: &[u8] = &[0x65, 0x88];

    /// Whether each packet of a stream is a beginning.
    fn begins<const N: usize>(packets: [&[u8]; N]) -> [bool; N] {
        let mut detector = KeyframeDetector::default();
        packets.map(|packet| detector.begins_keyframe(VideoFormat::H264, packet))
    }

    #[test]
    fn h264_begins_at_its_parameter_sets() {
        let others: [&[u8]; 7] =
            [&[0x7c, 0x05, 0x88], &[0x41, 0x9a], &[0x65, 0x12], &[0x7c, 0x85, 0x12], &[], &[0x78, 0], &[0x65]];
        for start in [SPS_UNIT, &[0x7c, 0x87, 0x42]] {
            assert_eq!(begins([start, PPS_UNIT, IDR]), [true, false, false], "{start:?}");
        }
        for other in others {
            assert_eq!(begins([other]), [false], "{other:?}");
        }
    }

    #[test]
    fn h264_units_before_the_parameter_sets_hide_no_keyframe() {
        for units in [
            &[AUD, SPS_UNIT, PPS_UNIT] as &[&[u8]],
            &[SEI, SPS_UNIT, PPS_UNIT],
            &[AUD, SEI, PPS_UNIT, SPS_UNIT],
            &[SPS_UNIT],
        ] {
            assert_eq!(begins([&aggregate(units), IDR]), [true, false], "{units:?}");
        }
        let mut damaged = aggregate(&[AUD, SPS_UNIT]);
        damaged[2] = 200;
        assert_eq!(begins([&damaged, &aggregate(&[AUD, SEI, &[0x41, 0x9a]]), AUD]), [false; 3]);
    }

    #[test]
    fn an_idr_whose_parameter_sets_were_lost_is_no_beginning() {
        let sets = aggregate(&[AUD, SPS_UNIT, PPS_UNIT]);
        assert_eq!(begins([&sets, IDR, &[0x41, 0x9a], IDR, &sets]), [true, false, false, false, true]);
    }

    #[test]
    fn a_stream_without_parameter_sets_begins_at_the_first_idr_slice() {
        assert_eq!(begins([&[0x41, 0x9a], IDR, &[0x65, 0x12]]), [false, true, false]);
        assert_eq!(begins([&[0x7c, 0x85, 0x88], &aggregate(&[AUD, SEI, IDR])]), [true, true]);
    }

    #[test]
    fn vp8_keyframes_are_recognised_by_the_frame_header() {
        assert!(begins_keyframe(VideoFormat::Vp8, &[0x10, 0x00]));
        assert!(!begins_keyframe(VideoFormat::Vp8, &[0x10, 0x01]));
        assert!(!begins_keyframe(VideoFormat::Vp8, &[0x00, 0x00]));
        assert!(begins_keyframe(VideoFormat::Vp8, &[0x90, 0xe0, 0x80, 0x01, 0x05, 0x00, 0x10]));
        assert!(!begins_keyframe(VideoFormat::Vp8, &[0x90, 0xe0, 0x80, 0x01, 0x05, 0x00, 0x11]));
        assert!(!begins_keyframe(VideoFormat::Vp8, &[0x90, 0xe0]));
    }

    #[test]
    fn vp9_and_av1_keyframes_are_recognised_by_their_descriptors() {
        assert!(begins_keyframe(VideoFormat::Vp9, &[0x8a, 0x81, 0x02, 0x00]));
        assert!(begins_keyframe(VideoFormat::Vp9, &[0xaa, 0x01, 0x00, 0x00]));
        let others: [&[u8]; 5] = [&[0xca, 0x81, 0x02], &[0x80, 0x01], &[0xaa, 0x01, 0x02, 0x00], &[0x8a], &[]];
        for other in others {
            assert!(!begins_keyframe(VideoFormat::Vp9, other), "{other:?}");
        }
        assert!(begins_keyframe(VideoFormat::Av1, &[0x18, 0x0a]));
        assert!(!begins_keyframe(VideoFormat::Av1, &[0x10]));
        assert!(!begins_keyframe(VideoFormat::Av1, &[]));
    }
}
