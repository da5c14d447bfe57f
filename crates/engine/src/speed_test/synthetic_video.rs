//! Synthetic video: looks like access units, and is only there to fill the path.

use bytes::Bytes;

/// Width in the parameter sets, in pixels.
pub(super) const WIDTH: u32 = 320;
pub(super) const HEIGHT: u32 = 180;
/// Parameter sets of H.264 Baseline, and the beginning of an IDR slice.
const HEAD: &[u8] = &[
    0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x01, 0x41, 0x9e, 0xc9, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1,
    0x65, 0x88,
];

/// Makes access units that are never decoded.
#[derive(Debug)]
pub(super) struct SyntheticVideo {
    random: u32,
}

impl Default for SyntheticVideo {
    fn default() -> Self {
        Self { random: 1 }
    }
}

impl SyntheticVideo {
    /// An access unit of this many bytes, at least its headers. Each can be decoded without the others, so that a loss
    /// causes no key-frame request.
    pub(super) fn picture(&mut self, bytes: usize) -> Bytes {
        let mut picture = Vec::with_capacity(bytes.max(HEAD.len()));
        picture.extend_from_slice(HEAD);
        while picture.len() < bytes {
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // No zeros: nothing inside may look like a start code.
            picture.push((self.random >> 24) as u8 | 1);
        }
        picture.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_unit_has_the_requested_size_and_no_start_code_inside() {
        let mut synthetic_video = SyntheticVideo::default();
        for bytes in [0, HEAD.len(), 100, 5000] {
            let picture = synthetic_video.picture(bytes);
            assert_eq!(picture.len(), bytes.max(HEAD.len()));
            let codes = picture.windows(4).filter(|window| *window == [0, 0, 0, 1]).count();
            assert_eq!(codes, 3);
        }
    }
}
