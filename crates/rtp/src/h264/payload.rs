//! Access units from the payloads of RTP packets (RFC 6184, packetization mode 1), and where they begin.

use bytes::{BufMut, BytesMut};

use super::{TYPE_MASK, nal_type};
use crate::payload::PayloadError;

/// Annex B start code written in front of each NAL unit.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

const NRI_MASK: u8 = 0xe0;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;
/// First bit behind the header of a slice: set if the slice is the first one of its frame (`first_mb_in_slice` is 0,
/// ITU-T H.264, section 7.3.3).
const FIRST_SLICE: u8 = 0x80;

/// Rebuilds one access unit from the payloads of its packets.
#[derive(Debug)]
pub struct AccessUnitBuilder {
    out: BytesMut,
    limit: usize,
    open_fragment: Option<u8>,
    has_idr: bool,
    has_frame: bool,
}

impl AccessUnitBuilder {
    /// Starts an access unit of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { out: BytesMut::new(), limit, open_fragment: None, has_idr: false, has_frame: false }
    }

    /// Adds the payload of the next packet. Empty payloads (padding only) are ignored.
    ///
    /// # Errors
    /// The access unit cannot be completed after any error.
    pub fn push(&mut self, payload: &[u8]) -> Result<(), PayloadError> {
        let Some(&header) = payload.first() else { return Ok(()) };
        let kind = header & TYPE_MASK;
        if kind != nal_type::FU_A && self.open_fragment.is_some() {
            return Err(PayloadError::BrokenFragments);
        }
        match kind {
            1..=23 => self.unit(payload),
            nal_type::STAP_A => self.aggregate(payload.get(1..).unwrap_or_default()),
            nal_type::FU_A => self.fragment(payload),
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
        Ok(BuiltAccessUnit { data: self.out, is_keyframe: self.has_idr, has_frame: self.has_frame })
    }

    fn begin(&mut self, header: u8) -> Result<(), PayloadError> {
        self.reserve(START_CODE.len() + 1)?;
        self.out.put_slice(&START_CODE);
        self.out.put_u8(header);
        let kind = header & TYPE_MASK;
        self.has_idr |= kind == nal_type::IDR;
        self.has_frame |= (nal_type::SLICE..=nal_type::IDR).contains(&kind);
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
    /// Holds a slice; otherwise it is parameter sets or SEI alone.
    pub has_frame: bool,
}

/// A unit that begins in a payload: its type, and the byte behind its header.
#[derive(Clone, Copy, Debug)]
struct Beginning {
    kind: u8,
    after_header: Option<u8>,
}

/// The NAL units that begin in a payload, in order; of a damaged aggregate those before the damage.
fn beginnings(payload: &[u8]) -> impl Iterator<Item = Beginning> + '_ {
    let (single, mut aggregated) = match payload {
        [header, fragment, rest @ ..] if header & TYPE_MASK == nal_type::FU_A => {
            let first = Beginning { kind: fragment & TYPE_MASK, after_header: rest.first().copied() };
            ((fragment & FU_START != 0).then_some(first), &[][..])
        }
        [header, rest @ ..] if header & TYPE_MASK == nal_type::STAP_A => (None, rest),
        [header, rest @ ..] => {
            (Some(Beginning { kind: header & TYPE_MASK, after_header: rest.first().copied() }), &[][..])
        }
        [] => (None, &[][..]),
    };
    let aggregated = std::iter::from_fn(move || {
        let (size, rest) = aggregated.split_first_chunk::<2>()?;
        let (unit, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        aggregated = rest;
        let kind = unit.first()? & TYPE_MASK;
        Some(Beginning { kind, after_header: unit.get(1).copied() })
    });
    single.into_iter().chain(aggregated)
}

/// Whether a sequence parameter set begins in this packet. Delimiters and SEI may stand before it.
#[must_use]
pub fn has_sps(payload: &[u8]) -> bool {
    beginnings(payload).any(|unit| unit.kind == nal_type::SPS)
}

/// Whether the first slice of an IDR frame begins in this packet.
#[must_use]
pub fn begins_idr(payload: &[u8]) -> bool {
    beginnings(payload)
        .any(|unit| unit.kind == nal_type::IDR && unit.after_header.is_some_and(|first| first & FIRST_SLICE != 0))
}

/// Whether a packet is certainly the first of its access unit: it begins with what stands before all slices (ITU-T H.264,
/// section 7.4.1.2.3): SEI, parameter sets, a delimiter.
#[must_use]
pub fn begins_access_unit(payload: &[u8]) -> bool {
    let first = beginnings(payload).next();
    first.is_some_and(|unit| (nal_type::SEI..=nal_type::DELIMITER).contains(&unit.kind)) || has_sps(payload)
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
        assert!(unit.is_keyframe && unit.has_frame);
    }

    #[test]
    fn a_fragment_without_a_beginning_is_refused() {
        assert_eq!(build(&[&[0x7c, 0x05, 8]]).unwrap_err(), PayloadError::BrokenFragments);
        assert_eq!(build(&[&[0x7c, 0x85, 8]]).unwrap_err(), PayloadError::BrokenFragments);
        assert_eq!(build(&[&[0x7c, 0x85, 8], &[0x41, 1]]).unwrap_err(), PayloadError::BrokenFragments);
    }

    #[test]
    fn truncated_payloads_and_unknown_types_are_refused() {
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
    fn parameter_sets_are_found_in_every_packet_form() {
        assert!(has_sps(&[0x67, 1]));
        assert!(has_sps(&[0x78, 0, 2, 0x67, 1]));
        assert!(has_sps(&[0x7c, 0x87, 1]));
        assert!(!has_sps(&[0x7c, 0x07, 1]));
        assert!(!has_sps(&[0x65, 1]));
        assert!(!has_sps(&[]));
    }

    #[test]
    fn a_delimiter_or_sei_before_the_parameter_sets_hides_nothing() {
        assert!(has_sps(&[0x78, 0, 2, 9, 0x10, 0, 2, 0x67, 1, 0, 2, 0x68, 2]));
        assert!(has_sps(&[0x78, 0, 2, 6, 5, 0, 1, 9, 0, 2, 0x67, 1]));
        assert!(!has_sps(&[0x78, 0, 2, 9, 0x10, 0, 2, 0x41, 1]));
        for first in [&[9, 0x10][..], &[6, 5, 1], &[0x68, 1], &[0x78, 0, 2, 9, 0x10, 0, 2, 0x41, 1], &[0x67]] {
            assert!(begins_access_unit(first), "{first:?}");
        }
        for later in [&[0x41, 1][..], &[0x65, 1], &[0x7c, 0x85, 1], &[0x7c, 0x07], &[0x78, 0, 9, 9], &[0x78, 0], &[]] {
            assert!(!begins_access_unit(later), "{later:?}");
        }
    }
}
