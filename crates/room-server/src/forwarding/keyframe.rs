//! Whether a packet is the first of a key frame.

use super::core::Codec;

/// Types of H.264 NAL units (RFC 6184, section 5.2; ITU-T H.264, table 7-1).
const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// True for the first packet of a picture that needs no other. Sound never starts one.
pub fn starts_keyframe(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Opus | Codec::RedundantOpus => false,
        Codec::Vp8 => vp8_starts_keyframe(payload).unwrap_or(false),
        Codec::Vp9 { .. } => vp9_starts_keyframe(payload).unwrap_or(false),
        Codec::Av1 => av1_starts_keyframe(payload),
        Codec::H264 { .. } => h264_starts_keyframe(payload).unwrap_or(false),
    }
}

/// Encoders put other units in front of what begins a key frame (an access unit delimiter, SEI), so all units of a packet
/// count.
fn h264_starts_keyframe(payload: &[u8]) -> Option<bool> {
    match payload.first()? & 0x1f {
        STAP_A => Some(aggregated_units(payload.get(1..)?).any(begins_keyframe)),
        FU_A => {
            let header = *payload.get(1)?;
            Some(header & 0x80 != 0 && unit_begins_keyframe(header & 0x1f, payload.get(2)))
        }
        _ => Some(begins_keyframe(payload)),
    }
}

/// Units that each have a length of two bytes in front, up to the first one that is not whole.
fn aggregated_units(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (unit, next) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = next;
        Some(unit)
    })
}

fn begins_keyframe(unit: &[u8]) -> bool {
    unit.first().is_some_and(|header| unit_begins_keyframe(header & 0x1f, unit.get(1)))
}

/// `after_header` begins the header of a slice: its first bit is set if the slice is the first one of its picture
/// (`first_mb_in_slice` is 0, H.264, section 7.3.3). The others do not begin anything.
fn unit_begins_keyframe(kind: u8, after_header: Option<&u8>) -> bool {
    match kind {
        SPS => true,
        IDR => after_header.is_some_and(|first| first & 0x80 != 0),
        _ => false,
    }
}

/// RFC 7741, sections 4.2 and 4.3.
fn vp8_starts_keyframe(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    let starts_picture = first & 0x10 != 0 && first & 0x07 == 0;
    let mut header_at = 1;
    if first & 0x80 != 0 {
        let extension = *payload.get(1)?;
        header_at += 1;
        if extension & 0x80 != 0 {
            header_at += if payload.get(2)? & 0x80 != 0 { 2 } else { 1 };
        }
        header_at += usize::from(extension & 0x40 != 0) + usize::from(extension & 0x30 != 0);
    }
    Some(starts_picture && payload.get(header_at)? & 0x01 == 0)
}

/// RFC 9628, section 4.2: begins a frame, is not predicted from another picture, and is of the lowest spatial layer.
fn vp9_starts_keyframe(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    let (has_picture, is_predicted, has_layer, begins_frame) =
        (first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0, first & 0x08 != 0);
    let mut layer_at = 1;
    if has_picture {
        layer_at += if payload.get(1)? & 0x80 != 0 { 2 } else { 1 };
    }
    let is_lowest = !has_layer || payload.get(layer_at)? & 0x0e == 0;
    Some(begins_frame && !is_predicted && is_lowest)
}

/// AV1's RTP payload format, section 4.4: the first packet of a coded video sequence has bit N set, and begins with a unit of
/// its own (bit Z is not set).
fn av1_starts_keyframe(payload: &[u8]) -> bool {
    payload.first().is_some_and(|header| header & 0x88 == 0x08)
}

#[cfg(test)]
mod tests {
    use super::*;

    const H264: Codec = Codec::H264 { profile_level_id: 0x42e01f, packetization_mode: 1 };
    const VP9: Codec = Codec::Vp9 { profile: 0 };

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

    #[test]
    fn h264_key_frames_start_with_parameter_sets_or_the_first_idr_slice() {
        for start in [SPS_UNIT, &[0x65, 0x88], &[0x7c, 0x85, 0x88], &[0x7c, 0x87, 0x42]] {
            assert!(starts_keyframe(H264, start), "{start:?}");
        }
        // A later part of a fragmented unit, another picture, a later slice of the key frame, and what is no packet at all.
        let others: [&[u8]; 7] =
            [&[0x7c, 0x05, 0x88], &[0x41, 0x9a], &[0x65, 0x12], &[0x7c, 0x85, 0x12], &[], &[0x78, 0], &[0x65]];
        for other in others {
            assert!(!starts_keyframe(H264, other), "{other:?}");
        }
    }

    #[test]
    fn h264_units_in_front_hide_no_key_frame() {
        for units in [
            &[AUD, SPS_UNIT, PPS_UNIT] as &[&[u8]],
            &[SEI, SPS_UNIT, PPS_UNIT],
            &[AUD, SEI, PPS_UNIT, SPS_UNIT],
            &[AUD, SEI, &[0x65, 0x88]],
            &[SPS_UNIT],
        ] {
            assert!(starts_keyframe(H264, &aggregate(units)), "{units:?}");
        }
        assert!(!starts_keyframe(H264, &aggregate(&[AUD, SEI, &[0x41, 0x9a]])));
        assert!(!starts_keyframe(H264, AUD));
        // A length that lies ends the search.
        let mut damaged = aggregate(&[AUD, SPS_UNIT]);
        damaged[2] = 200;
        assert!(!starts_keyframe(H264, &damaged));
    }

    #[test]
    fn vp8_key_frames_are_told_by_the_header_of_the_picture() {
        assert!(starts_keyframe(Codec::Vp8, &[0x10, 0x00]));
        assert!(!starts_keyframe(Codec::Vp8, &[0x10, 0x01]));
        assert!(!starts_keyframe(Codec::Vp8, &[0x00, 0x00]));
        assert!(starts_keyframe(Codec::Vp8, &[0x90, 0xe0, 0x80, 0x01, 0x05, 0x00, 0x10]));
        assert!(!starts_keyframe(Codec::Vp8, &[0x90, 0xe0, 0x80, 0x01, 0x05, 0x00, 0x11]));
        assert!(!starts_keyframe(Codec::Vp8, &[0x90, 0xe0]));
    }

    #[test]
    fn vp9_and_av1_key_frames_are_told_by_their_descriptors() {
        assert!(starts_keyframe(VP9, &[0x8a, 0x81, 0x02, 0x00]));
        assert!(starts_keyframe(VP9, &[0xaa, 0x01, 0x00, 0x00]));
        let others: [&[u8]; 5] = [&[0xca, 0x81, 0x02], &[0x80, 0x01], &[0xaa, 0x01, 0x02, 0x00], &[0x8a], &[]];
        for other in others {
            assert!(!starts_keyframe(VP9, other), "{other:?}");
        }
        assert!(starts_keyframe(Codec::Av1, &[0x18, 0x0a]));
        assert!(!starts_keyframe(Codec::Av1, &[0x10]));
        assert!(!starts_keyframe(Codec::Av1, &[]));
    }
}
