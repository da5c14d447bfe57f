//! NAL units in an Annex B byte stream (ITU-T H.264, section 7.3.1 and annex B).

use super::{TYPE_MASK, nal_type};

/// What a NAL unit holds, as far as it is told apart here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalKind {
    /// A slice of a frame that refers to earlier ones (type 1).
    Slice,
    /// A slice of an IDR frame (type 5).
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
pub struct Nal<'a> {
    header: u8,
    bytes: &'a [u8],
}

impl<'a> Nal<'a> {
    /// A unit that begins with its header byte; `None` if there is none.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { header: *bytes.first()?, bytes })
    }

    /// The kind by the header byte.
    #[must_use]
    pub fn kind(self) -> NalKind {
        match self.header & TYPE_MASK {
            nal_type::SLICE => NalKind::Slice,
            nal_type::IDR => NalKind::IdrSlice,
            nal_type::SPS => NalKind::Sps,
            nal_type::PPS => NalKind::Pps,
            other => NalKind::Other(other),
        }
    }

    /// Whether other frames refer to it (`nal_ref_idc`).
    #[must_use]
    pub fn is_reference(self) -> bool {
        self.header & 0x60 != 0
    }

    /// Header byte and payload, emulation prevention bytes included.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The payload behind the header byte without emulation prevention bytes, at most `limit` bytes of it.
    #[must_use]
    pub fn payload(self, limit: usize) -> Vec<u8> {
        let mut payload = Vec::with_capacity(limit.min(self.bytes.len()));
        let mut zeros = 0;
        for &byte in self.bytes.iter().skip(1) {
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

/// The NAL units of an Annex B byte stream. Bytes before the first start code belong to none.
pub fn nal_units(annex_b: &[u8]) -> impl Iterator<Item = Nal<'_>> {
    let mut rest = split_at_start_code(annex_b).1;
    std::iter::from_fn(move || {
        loop {
            let (unit, next) = split_at_start_code(rest?);
            rest = next;
            // Zeros before a start code belong to it or are padding, never to the unit.
            let length = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if let Some(nal) = unit.get(..length).and_then(Nal::new) {
                return Some(nal);
            }
        }
    })
}

/// Whether an access unit can be decoded without earlier ones: it holds a slice of an IDR frame.
#[must_use]
pub fn is_keyframe(annex_b: &[u8]) -> bool {
    nal_units(annex_b).any(|nal| nal.kind() == NalKind::IdrSlice)
}

/// What stands before the next `00 00 01`, and what behind it, if there is one.
fn split_at_start_code(data: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut end = 2;
    while let Some(&byte) = data.get(end) {
        match byte {
            // The third byte decides how far to jump: it can be the end, or the second zero, or no part at all.
            1 if matches!(data.get(end - 2..end), Some([0, 0])) => {
                return (data.get(..end - 2).unwrap_or_default(), data.get(end + 1..));
            }
            0 => end += 1,
            _ => end += 3,
        }
    }
    (data, None)
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
