//! H.264 NAL units in an Annex B byte stream (ITU-T H.264, section 7.3.1 and annex B).

/// What a NAL unit holds, as far as this crate tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NalKind {
    /// A slice of a picture that refers to earlier ones (type 1).
    Slice,
    /// A slice of a picture that stands alone (type 5).
    IdrSlice,
    /// Sequence parameter set (type 7).
    Sps,
    /// Picture parameter set (type 8).
    Pps,
    /// Anything else, with its type 0..=31.
    Other(u8),
}

/// One NAL unit without its start code; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nal<'a>(&'a [u8]);

impl<'a> Nal<'a> {
    /// The kind by the header byte.
    pub fn kind(self) -> NalKind {
        match self.0[0] & 0x1f {
            1 => NalKind::Slice,
            5 => NalKind::IdrSlice,
            7 => NalKind::Sps,
            8 => NalKind::Pps,
            other => NalKind::Other(other),
        }
    }

    /// Whether other pictures refer to it (`nal_ref_idc`).
    pub fn is_reference(self) -> bool {
        self.0[0] & 0x60 != 0
    }

    /// Header byte and payload, emulation prevention bytes included.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The payload behind the header byte without emulation prevention bytes, at most `limit` bytes of it.
    pub fn payload(self, limit: usize) -> Vec<u8> {
        let mut payload = Vec::with_capacity(limit.min(self.0.len()));
        let mut zeros = 0;
        for &byte in &self.0[1..] {
            if payload.len() == limit {
                break;
            }
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            payload.push(byte);
        }
        payload
    }
}

/// The NAL units of an Annex B byte stream; what stands before the first start code is left out.
pub fn nal_units(annex_b: &[u8]) -> impl Iterator<Item = Nal<'_>> {
    let mut rest = find_start_code(annex_b).map(|(_, after)| &annex_b[after..]);
    std::iter::from_fn(move || {
        loop {
            let unit = rest?;
            let (end, next) = match find_start_code(unit) {
                Some((start, after)) => (start, Some(&unit[after..])),
                None => (unit.len(), None),
            };
            rest = next;
            let unit = &unit[..end];
            // Zeros before a start code belong to it or are padding, never to the unit.
            let len = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if len > 0 {
                return Some(Nal(&unit[..len]));
            }
        }
    })
}

/// Whether the access unit stands alone: it holds a slice of an IDR picture.
pub fn is_keyframe(annex_b: &[u8]) -> bool {
    nal_units(annex_b).any(|nal| nal.kind() == NalKind::IdrSlice)
}

/// Where the next `00 00 01` begins and ends.
fn find_start_code(data: &[u8]) -> Option<(usize, usize)> {
    let mut index = 2;
    while let Some(&byte) = data.get(index) {
        match byte {
            // The third byte decides how far to jump: it can be the end, or the second zero, or no part at all.
            1 if data[index - 1] == 0 && data[index - 2] == 0 => return Some((index - 2, index + 1)),
            0 => index += 1,
            _ => index += 3,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(data: &[u8]) -> Vec<&[u8]> {
        nal_units(data).map(Nal::bytes).collect()
    }

    #[test]
    fn units_are_found_behind_short_and_long_start_codes() {
        let data = [9, 0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 2, 0, 0, 0, 1, 0x65, 0, 3, 0, 0];
        assert_eq!(units(&data), [&[0x67, 1][..], &[0x68, 2, 2], &[0x65, 0, 3]]);
        assert!(is_keyframe(&data));
        assert_eq!(
            nal_units(&data).map(Nal::kind).collect::<Vec<_>>(),
            [NalKind::Sps, NalKind::Pps, NalKind::IdrSlice]
        );
    }

    #[test]
    fn start_codes_are_found_at_every_offset() {
        for padding in 0..9 {
            let mut data = vec![0xaa; padding];
            data.extend([0, 0, 1, 0x41, 5, 6, 7, 8]);
            assert_eq!(units(&data), [&[0x41, 5, 6, 7, 8][..]], "after {padding} bytes");
        }
    }

    #[test]
    fn empty_and_broken_streams_have_no_units() {
        for data in [&[][..], &[0], &[0, 0], &[0, 0, 1], &[0, 0, 1, 0, 0, 1], &[1, 2, 3, 4]] {
            assert!(units(data).is_empty(), "{data:?}");
            assert!(!is_keyframe(data));
        }
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        let data = [0, 0, 1, 0x67, 0, 0, 3, 1, 0, 0, 3, 0, 3, 4];
        let nal = nal_units(&data).next().unwrap();
        assert_eq!(nal.payload(100), [0, 0, 1, 0, 0, 0, 3, 4]);
        assert_eq!(nal.payload(3), [0, 0, 1]);
    }
}
