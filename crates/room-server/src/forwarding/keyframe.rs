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
        Codec::H264 { .. } => h264_starts_keyframe(payload).unwrap_or(false),
    }
}

fn h264_starts_keyframe(payload: &[u8]) -> Option<bool> {
    let kind = match payload.first()? & 0x1f {
        // A two-byte length stands before each unit.
        STAP_A => payload.get(3)? & 0x1f,
        FU_A if payload.get(1)? & 0x80 != 0 => payload.get(1)? & 0x1f,
        kind => kind,
    };
    Some(matches!(kind, IDR | SPS))
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

#[cfg(test)]
mod tests {
    use super::*;

    const H264: Codec = Codec::H264 { profile_level_id: 0x42e01f, packetization_mode: 1 };

    #[test]
    fn h264_key_frames_start_with_parameter_sets_or_an_idr_slice() {
        assert!(starts_keyframe(H264, &[0x67, 0x42]));
        assert!(starts_keyframe(H264, &[0x78, 0, 9, 0x67]));
        assert!(starts_keyframe(H264, &[0x7c, 0x85]));
        assert!(!starts_keyframe(H264, &[0x7c, 0x05]));
        assert!(!starts_keyframe(H264, &[0x41]));
        assert!(!starts_keyframe(H264, &[]));
        assert!(!starts_keyframe(H264, &[0x78, 0]));
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
}
