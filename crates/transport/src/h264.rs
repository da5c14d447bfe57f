//! H.264 in RTP (RFC 6184, packetization mode 1) and in Annex B byte streams.

use crate::payload::PayloadError;
use bytes::{BufMut, BytesMut};

/// Annex B start code written in front of each NAL unit.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

const TYPE_MASK: u8 = 0x1f;
const NRI_MASK: u8 = 0xe0;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

const NAL_NON_IDR: u8 = 1;
const NAL_IDR: u8 = 5;
const NAL_SEI: u8 = 6;
const NAL_SPS: u8 = 7;
const NAL_DELIMITER: u8 = 9;
const NAL_STAP_A: u8 = 24;
const NAL_FU_A: u8 = 28;

/// Rebuilds one access unit from the payloads of its packets.
#[derive(Debug)]
pub struct AccessUnitBuilder {
    out: BytesMut,
    limit: usize,
    open_fragment: Option<u8>,
    has_idr: bool,
    has_picture: bool,
}

impl AccessUnitBuilder {
    /// Starts an access unit of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { out: BytesMut::new(), limit, open_fragment: None, has_idr: false, has_picture: false }
    }

    /// Adds the payload of the next packet. Empty payloads (padding only) are ignored.
    ///
    /// # Errors
    /// The access unit cannot be completed after any error.
    pub fn push(&mut self, payload: &[u8]) -> Result<(), PayloadError> {
        let Some(&header) = payload.first() else { return Ok(()) };
        let kind = header & TYPE_MASK;
        if kind != NAL_FU_A && self.open_fragment.is_some() {
            return Err(PayloadError::BrokenFragments);
        }
        match kind {
            1..=23 => self.unit(payload),
            NAL_STAP_A => self.aggregate(payload.get(1..).unwrap_or_default()),
            NAL_FU_A => self.fragment(payload),
            other => Err(PayloadError::UnsupportedType(other)),
        }
    }

    /// The finished access unit in Annex B form.
    ///
    /// # Errors
    /// A fragmented NAL unit has no end.
    pub fn finish(self) -> Result<BuiltAccessUnit, PayloadError> {
        if self.open_fragment.is_some() {
            return Err(PayloadError::BrokenFragments);
        }
        Ok(BuiltAccessUnit { data: self.out, is_keyframe: self.has_idr, has_picture: self.has_picture })
    }

    fn begin(&mut self, header: u8) -> Result<(), PayloadError> {
        self.reserve(START_CODE.len() + 1)?;
        self.out.put_slice(&START_CODE);
        self.out.put_u8(header);
        let kind = header & TYPE_MASK;
        self.has_idr |= kind == NAL_IDR;
        self.has_picture |= (NAL_NON_IDR..=NAL_IDR).contains(&kind);
        Ok(())
    }

    fn reserve(&self, more: usize) -> Result<(), PayloadError> {
        if self.out.len() + more > self.limit { Err(PayloadError::TooLarge) } else { Ok(()) }
    }

    fn unit(&mut self, unit: &[u8]) -> Result<(), PayloadError> {
        let Some((&header, rest)) = unit.split_first() else { return Err(PayloadError::Truncated) };
        self.reserve(START_CODE.len() + unit.len())?;
        self.begin(header)?;
        self.out.put_slice(rest);
        Ok(())
    }

    fn aggregate(&mut self, mut rest: &[u8]) -> Result<(), PayloadError> {
        if rest.is_empty() {
            return Err(PayloadError::Truncated);
        }
        while let Some((size, tail)) = rest.split_first_chunk::<2>() {
            let size = usize::from(u16::from_be_bytes(*size));
            let Some((unit, tail)) = tail.split_at_checked(size) else { return Err(PayloadError::Truncated) };
            self.unit(unit)?;
            rest = tail;
        }
        if rest.is_empty() { Ok(()) } else { Err(PayloadError::Truncated) }
    }

    fn fragment(&mut self, payload: &[u8]) -> Result<(), PayloadError> {
        let [indicator, header, rest @ ..] = payload else { return Err(PayloadError::Truncated) };
        let unit_header = (indicator & NRI_MASK) | (header & TYPE_MASK);
        if header & FU_START != 0 {
            if self.open_fragment.is_some() {
                return Err(PayloadError::BrokenFragments);
            }
            self.begin(unit_header)?;
            self.open_fragment = Some(unit_header & TYPE_MASK);
        } else if self.open_fragment != Some(unit_header & TYPE_MASK) {
            return Err(PayloadError::BrokenFragments);
        }
        self.reserve(rest.len())?;
        self.out.put_slice(rest);
        if header & FU_END != 0 {
            self.open_fragment = None;
        }
        Ok(())
    }
}

/// Result of [`AccessUnitBuilder::finish`].
#[derive(Debug)]
pub struct BuiltAccessUnit {
    /// Annex B bytes.
    pub data: BytesMut,
    /// Holds an IDR slice.
    pub is_keyframe: bool,
    /// Holds a slice at all; else it is parameter sets or SEI alone.
    pub has_picture: bool,
}

/// Types of the NAL units in a payload; of a fragmented unit only if it begins here.
fn units(payload: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let (single, mut aggregated) = match payload {
        [header, fragment, ..] if header & TYPE_MASK == NAL_FU_A => {
            ((fragment & FU_START != 0).then_some(fragment & TYPE_MASK), &[][..])
        }
        [header, rest @ ..] if header & TYPE_MASK == NAL_STAP_A => (None, rest),
        [header, ..] => (Some(header & TYPE_MASK), &[][..]),
        [] => (None, &[][..]),
    };
    let aggregated = std::iter::from_fn(move || {
        let (size, rest) = aggregated.split_first_chunk::<2>()?;
        let unit = rest.get(..usize::from(u16::from_be_bytes(*size)))?;
        aggregated = &rest[unit.len()..];
        unit.first().map(|header| header & TYPE_MASK)
    });
    single.into_iter().chain(aggregated)
}

/// Whether a packet holds a sequence parameter set, which opens a key frame and nothing else. Delimiters and messages may
/// stand before it.
#[must_use]
pub fn begins_keyframe(payload: &[u8]) -> bool {
    units(payload).any(|kind| kind == NAL_SPS)
}

/// Whether a packet is the first of its access unit beyond doubt: it begins with what stands before all slices (ITU-T H.264,
/// 7.4.1.2.3): messages, parameter sets, a delimiter.
#[must_use]
pub fn begins_access_unit(payload: &[u8]) -> bool {
    units(payload).next().is_some_and(|kind| (NAL_SEI..=NAL_DELIMITER).contains(&kind)) || begins_keyframe(payload)
}

/// Whether an Annex B access unit holds an IDR slice.
#[must_use]
pub fn contains_idr(annex_b: &[u8]) -> bool {
    annex_b.windows(4).any(|w| matches!(w, [0, 0, 1, header] if header & TYPE_MASK == NAL_IDR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(payloads: &[&[u8]]) -> Result<BuiltAccessUnit, PayloadError> {
        let mut builder = AccessUnitBuilder::new(1000);
        for payload in payloads {
            builder.push(payload)?;
        }
        builder.finish()
    }

    #[test]
    fn parameter_sets_in_an_aggregate_and_a_fragmented_idr_become_one_annex_b_unit() {
        let unit =
            build(&[&[0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2], &[0x7c, 0x85, 9], &[0x7c, 0x05, 8], &[0x7c, 0x45, 7]])
                .unwrap();
        assert_eq!(unit.data, [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 9, 8, 7].as_slice());
        assert!(unit.is_keyframe && unit.has_picture);
    }

    #[test]
    fn a_fragment_without_a_beginning_is_refused() {
        assert_eq!(build(&[&[0x7c, 0x05, 8]]).unwrap_err(), PayloadError::BrokenFragments);
        assert_eq!(build(&[&[0x7c, 0x85, 8]]).unwrap_err(), PayloadError::BrokenFragments);
        assert_eq!(build(&[&[0x7c, 0x85, 8], &[0x41, 1]]).unwrap_err(), PayloadError::BrokenFragments);
    }

    #[test]
    fn truncated_and_foreign_payloads_are_refused() {
        assert_eq!(build(&[&[0x78, 0]]).unwrap_err(), PayloadError::Truncated);
        assert_eq!(build(&[&[0x78, 0, 9, 0x67]]).unwrap_err(), PayloadError::Truncated);
        assert_eq!(build(&[&[0x7c]]).unwrap_err(), PayloadError::Truncated);
        assert_eq!(build(&[&[0x7d, 0x85, 1]]).unwrap_err(), PayloadError::UnsupportedType(29));
    }

    #[test]
    fn an_endless_fragment_stops_at_the_limit() {
        let mut builder = AccessUnitBuilder::new(100);
        builder.push(&[0x7c, 0x85, 0]).unwrap();
        let result = (0..100).find_map(|_| builder.push(&[0x7c, 0x05, 1, 2, 3, 4]).err());
        assert_eq!(result, Some(PayloadError::TooLarge));
    }

    #[test]
    fn the_start_of_a_key_frame_is_recognised_in_every_packet_form() {
        assert!(begins_keyframe(&[0x67, 1]));
        assert!(begins_keyframe(&[0x78, 0, 2, 0x67, 1]));
        assert!(begins_keyframe(&[0x7c, 0x87, 1]));
        assert!(!begins_keyframe(&[0x7c, 0x07, 1]));
        assert!(!begins_keyframe(&[0x65, 1]));
        assert!(!begins_keyframe(&[]));
    }

    #[test]
    fn a_delimiter_or_a_message_before_the_parameter_sets_hides_no_key_frame() {
        assert!(begins_keyframe(&[0x78, 0, 2, 9, 0x10, 0, 2, 0x67, 1, 0, 2, 0x68, 2]));
        assert!(begins_keyframe(&[0x78, 0, 2, 6, 5, 0, 1, 9, 0, 2, 0x67, 1]));
        assert!(!begins_keyframe(&[0x78, 0, 2, 9, 0x10, 0, 2, 0x41, 1]));
        for first in [&[9, 0x10][..], &[6, 5, 1], &[0x68, 1], &[0x78, 0, 2, 9, 0x10, 0, 2, 0x41, 1], &[0x67]] {
            assert!(begins_access_unit(first), "{first:?}");
        }
        for later in [&[0x41, 1][..], &[0x65, 1], &[0x7c, 0x85, 1], &[0x7c, 0x07], &[0x78, 0, 9, 9], &[0x78, 0], &[]] {
            assert!(!begins_access_unit(later), "{later:?}");
        }
    }

    #[test]
    fn an_idr_is_found_in_annex_b() {
        assert!(contains_idr(&[0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 2]));
        assert!(!contains_idr(&[0, 0, 0, 1, 0x41, 5, 0x65]));
    }
}
