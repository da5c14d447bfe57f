//! Parses a sequence parameter set (ITU-T H.264, sections 7.3.2.1.1 and E.1.1): the frame's size, so that a stream cannot
//! make the decoder allocate more than is ever shown, its colours, and the order in which frames are shown.

use super::colour::{Colour, Matrix, Range};
use rtp::h264::annex_b::Nal;

/// Sets longer than this are refused; the largest scaling matrices need about 800 bytes.
const MAX_BYTES: usize = 2_048;

/// The properties of a stream's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`: 66 = Baseline, 77 = Main, 100 = High.
    pub profile: u8,
    /// `level_idc`: ten times the level.
    pub level: u8,
    /// Coded width in luma samples, a multiple of 16.
    pub coded_width: u32,
    /// Coded height in luma samples, a multiple of 16.
    pub coded_height: u32,
    /// Width that is shown.
    pub width: u32,
    /// Height that is shown.
    pub height: u32,
    /// The meaning of the samples.
    pub colour: Colour,
    /// How frames are numbered in the order in which they are shown.
    pub order: PictureOrder,
}

/// The fields that the slices' picture order counts are parsed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureOrder {
    /// `seq_parameter_set_id`.
    pub id: u32,
    /// Bits of `frame_num`.
    pub frame_number_bits: u32,
    /// Bits of `pic_order_cnt_lsb`; `None` if frames are numbered in another way, or shown as they are decoded.
    pub count_bits: Option<u32>,
    /// `max_num_reorder_frames`, where present: this many frames may come before one that is shown earlier.
    pub reordered: Option<u32>,
}

/// Why a sequence parameter set was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpsError {
    /// It ends too early, or a number in it is out of its range.
    #[error("malformed sequence parameter set")]
    Malformed,
    /// Something that the video path does not carry, in words: a sample format other than 4:2:0 with 8 bits, or fields.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl Sps {
    /// Parses a NAL unit of type 7.
    ///
    /// # Errors
    /// [`SpsError`] if it cannot be read or has a sample format that we do not carry.
    pub fn parse(nal: Nal<'_>) -> Result<Self, SpsError> {
        let payload = nal.payload(MAX_BYTES);
        let mut bits = BitReader::new(&payload);
        let profile = bits.bits(8)? as u8;
        bits.bits(8)?; // constraint flags
        let level = bits.bits(8)? as u8;
        let id = bits.unsigned()?;
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            read_high_profile_part(&mut bits)?;
        }
        let frame_number_bits = bits.length()?;
        let count_bits = match bits.unsigned()? {
            0 => Some(bits.length()?),
            1 => {
                skip_order_count_cycle(&mut bits)?;
                None
            }
            2 => None,
            _ => return Err(SpsError::Malformed),
        };
        bits.unsigned()?; // max_num_ref_frames
        bits.bits(1)?; // gaps_in_frame_num_value_allowed_flag
        let width_macroblocks = bits.unsigned()?;
        let height_map_units = bits.unsigned()?;
        let frames_only = bits.bits(1)? == 1;
        if !frames_only {
            return Err(SpsError::Unsupported("interlaced"));
        }
        bits.bits(1)?; // direct_8x8_inference_flag
        let crop = if bits.bits(1)? == 1 {
            [bits.unsigned()?, bits.unsigned()?, bits.unsigned()?, bits.unsigned()?]
        } else {
            [0; 4]
        };
        let side = |count_minus_1: u32, unit: u32| {
            count_minus_1.checked_add(1).and_then(|count| count.checked_mul(unit)).ok_or(SpsError::Malformed)
        };
        let coded_width = side(width_macroblocks, 16)?;
        let coded_height = side(height_map_units, 16)?;
        let shown = |coded: u32, crop: [u32; 2], unit: u32| {
            let cut = crop[0].checked_add(crop[1]).and_then(|count| count.checked_mul(unit));
            cut.and_then(|cut| coded.checked_sub(cut)).filter(|&left| left > 0).ok_or(SpsError::Malformed)
        };
        let width = shown(coded_width, [crop[0], crop[1]], 2)?;
        let height = shown(coded_height, [crop[2], crop[3]], 2)?;
        // The fields behind the size only say how to show it: a set that ends there is one without them.
        let usability = if bits.bits(1) == Ok(1) { read_usability(&mut bits) } else { Usability::default() };
        let order = PictureOrder { id, frame_number_bits, count_bits, reordered: usability.reordered };
        Ok(Self { profile, level, coded_width, coded_height, width, height, colour: usability.colour, order })
    }
}

fn read_high_profile_part(bits: &mut BitReader<'_>) -> Result<(), SpsError> {
    let (chroma_format, luma_extra, chroma_extra);
    chroma_format = bits.unsigned()?;
    if chroma_format == 3 {
        bits.bits(1)?; // separate_colour_plane_flag
    }
    luma_extra = bits.unsigned()?;
    chroma_extra = bits.unsigned()?;
    let extra = luma_extra.max(chroma_extra);
    match (chroma_format, extra) {
        (1, 0) => {}
        (0, _) => return Err(SpsError::Unsupported("monochrome")),
        (2, _) => return Err(SpsError::Unsupported("4:2:2")),
        (3, _) => return Err(SpsError::Unsupported("4:4:4")),
        (1, 2) => return Err(SpsError::Unsupported("10 bit")),
        (1, 1..=6) => return Err(SpsError::Unsupported("more than 8 bits")),
        _ => return Err(SpsError::Malformed),
    }
    bits.bits(1)?; // qpprime_y_zero_transform_bypass_flag
    if bits.bits(1)? == 1 {
        for list in 0..8 {
            if bits.bits(1)? == 1 {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(())
}

fn skip_scaling_list(bits: &mut BitReader<'_>, size: usize) -> Result<(), SpsError> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + i64::from(bits.signed()?)).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

/// `pic_order_cnt_type` 1.
fn skip_order_count_cycle(bits: &mut BitReader<'_>) -> Result<(), SpsError> {
    bits.bits(1)?;
    bits.signed()?;
    bits.signed()?;
    let count = bits.unsigned()?;
    if count > 255 {
        return Err(SpsError::Malformed);
    }
    for _ in 0..count {
        bits.signed()?;
    }
    Ok(())
}

/// The fields beyond the size (annex E).
#[derive(Default)]
struct Usability {
    colour: Colour,
    reordered: Option<u32>,
}

fn read_usability(bits: &mut BitReader<'_>) -> Usability {
    let mut usability = Usability::default();
    // The fields before a truncation count.
    let _ = fill_usability(bits, &mut usability);
    usability
}

fn fill_usability(bits: &mut BitReader<'_>, usability: &mut Usability) -> Result<(), SpsError> {
    const EXTENDED_ASPECT: u32 = 255;
    if bits.bits(1)? == 1 && bits.bits(8)? == EXTENDED_ASPECT {
        bits.bits(32)?;
    }
    if bits.bits(1)? == 1 {
        bits.bits(1)?; // overscan_appropriate_flag
    }
    if bits.bits(1)? == 1 {
        bits.bits(3)?; // video_format
        usability.colour.range = if bits.bits(1)? == 1 { Range::Full } else { Range::Limited };
        if bits.bits(1)? == 1 {
            bits.bits(16)?; // primaries, transfer
            usability.colour.matrix = Matrix::from_h264(bits.bits(8)?);
        }
    }
    if bits.bits(1)? == 1 {
        bits.unsigned()?; // chroma sample location, of both fields
        bits.unsigned()?;
    }
    if bits.bits(1)? == 1 {
        bits.bits(32)?; // timing
        bits.bits(32)?;
        bits.bits(1)?;
    }
    let (nal, vcl) = (read_buffering(bits)?, read_buffering(bits)?);
    if nal || vcl {
        bits.bits(1)?; // low_delay_hrd_flag
    }
    bits.bits(1)?; // pic_struct_present_flag
    if bits.bits(1)? == 1 {
        bits.bits(1)?; // motion_vectors_over_pic_boundaries_flag
        for _ in 0..4 {
            bits.unsigned()?;
        }
        usability.reordered = Some(bits.unsigned()?);
    }
    Ok(())
}

/// Buffering parameters (E.1.2) and whether they are there.
fn read_buffering(bits: &mut BitReader<'_>) -> Result<bool, SpsError> {
    if bits.bits(1)? == 0 {
        return Ok(false);
    }
    let count = bits.unsigned()?;
    if count > 31 {
        return Err(SpsError::Malformed);
    }
    bits.bits(8)?; // scales
    for _ in 0..=count {
        bits.unsigned()?;
        bits.unsigned()?;
        bits.bits(1)?;
    }
    bits.bits(20)?; // lengths
    Ok(true)
}

/// Bits from the most significant end, and Exp-Golomb numbers (section 9.1).
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// A number of bits, coded as that number less four.
    fn length(&mut self) -> Result<u32, SpsError> {
        self.unsigned()?.checked_add(4).filter(|bits| *bits <= 16).ok_or(SpsError::Malformed)
    }

    pub(super) fn bits(&mut self, count: u32) -> Result<u32, SpsError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.data.get(self.position / 8).ok_or(SpsError::Malformed)?;
            value = value << 1 | u32::from(byte >> (7 - self.position % 8) & 1);
            self.position += 1;
        }
        Ok(value)
    }

    pub(super) fn unsigned(&mut self) -> Result<u32, SpsError> {
        let mut zeros = 0;
        while self.bits(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return Err(SpsError::Malformed);
            }
        }
        Ok((1u32 << zeros) - 1 + self.bits(zeros)?)
    }

    fn signed(&mut self) -> Result<i32, SpsError> {
        let code = self.unsigned()?;
        let magnitude = (code / 2 + code % 2) as i32;
        Ok(if code % 2 == 1 { magnitude } else { -magnitude })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rtp::h264::annex_b::nal_units;

    /// Writes the same bits that the reader reads.
    #[derive(Clone, Default)]
    struct BitWriter(Vec<bool>);

    impl BitWriter {
        fn bits(mut self, value: u32, count: u32) -> Self {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn golomb(self, value: u32) -> Self {
            let len = 32 - (value + 1).leading_zeros();
            self.bits(0, len - 1).bits(value + 1, len)
        }

        fn annex_b(self) -> Vec<u8> {
            let mut data = vec![0, 0, 1, 0x67];
            for chunk in self.bits(1, 1).0.chunks(8) {
                let byte = chunk.iter().enumerate().fold(0, |byte, (index, &bit)| byte | u8::from(bit) << (7 - index));
                if data.ends_with(&[0, 0]) && byte <= 3 {
                    data.push(3);
                }
                data.push(byte);
            }
            data
        }
    }

    fn parse(data: &[u8]) -> Result<Sps, SpsError> {
        Sps::parse(nal_units(data).next().unwrap())
    }

    /// Baseline up to and without the size.
    fn baseline() -> BitWriter {
        BitWriter::default().bits(66, 8).bits(0xc0, 8).bits(31, 8).golomb(0).golomb(0).golomb(2).golomb(1).bits(0, 1)
    }

    /// A baseline set for frames of this many macroblocks (16 x 16), with its start code.
    pub(in super::super) fn baseline_set(columns: u32, rows: u32) -> Vec<u8> {
        baseline().golomb(columns - 1).golomb(rows - 1).bits(0b1100, 4).annex_b()
    }

    #[test]
    fn a_baseline_size_is_read() {
        let sps = parse(&baseline_set(80, 45)).unwrap();
        assert_eq!((sps.profile, sps.level, sps.width, sps.height), (66, 31, 1280, 720));
    }

    #[test]
    fn cropping_gives_the_size_that_is_shown() {
        let data = baseline().golomb(119).golomb(67).bits(0b111, 3).golomb(0).golomb(0).golomb(0).golomb(4).annex_b();
        let sps = parse(&data).unwrap();
        assert_eq!((sps.coded_width, sps.coded_height, sps.width, sps.height), (1920, 1088, 1920, 1080));
    }

    #[test]
    fn a_high_profile_with_scaling_lists_is_read_and_fields_are_refused() {
        let mut bits = BitWriter::default().bits(100, 8).bits(0, 8).bits(40, 8).golomb(0);
        bits = bits.golomb(1).golomb(0).golomb(0).bits(0, 1).bits(1, 1);
        bits = bits.bits(1, 1); // first list: 16 deltas of zero
        for _ in 0..16 {
            bits = bits.golomb(0);
        }
        bits = bits.bits(0, 7).golomb(0).golomb(0).golomb(4).golomb(4).bits(0, 1);
        let sized = |frames| bits.clone().golomb(119).golomb(67).bits(frames, 1).bits(0b11, 2);
        let cropped = |frames| sized(frames).golomb(0).golomb(0).golomb(0).golomb(4).annex_b();
        let sps = parse(&cropped(1)).unwrap();
        assert_eq!((sps.profile, sps.coded_height, sps.width, sps.height), (100, 1088, 1920, 1080));
        assert_eq!((sps.order.frame_number_bits, sps.order.count_bits), (4, Some(8)));
        assert_eq!(parse(&cropped(0)), Err(SpsError::Unsupported("interlaced")));
    }

    /// A set for 96 x 64, its usability information behind it.
    fn with_usability(bits: impl FnOnce(BitWriter) -> BitWriter) -> Sps {
        parse(&bits(baseline().golomb(5).golomb(3).bits(0b1101, 4)).annex_b()).unwrap()
    }

    #[test]
    fn colours_and_the_order_of_frames_are_read() {
        let sps = with_usability(|bits| {
            let signal =
                bits.bits(0b00, 2).bits(1, 1).bits(5, 3).bits(1, 1).bits(1, 1).bits(1, 8).bits(1, 8).bits(1, 8);
            let rest = signal.bits(0, 1).bits(1, 1).bits(1, 32).bits(60, 32).bits(1, 1).bits(0b000, 3).bits(1, 1);
            rest.bits(1, 1).golomb(2).golomb(1).golomb(16).golomb(16).golomb(2).golomb(4)
        });
        assert_eq!(sps.colour, Colour { matrix: Matrix::Bt709, range: Range::Full });
        assert_eq!(sps.order.reordered, Some(2));
    }

    #[test]
    fn a_set_without_word_of_its_colours_means_the_usual_ones() {
        assert_eq!(parse(&baseline_set(80, 45)).unwrap().colour, Colour::default());
        // Unspecified (2), and a set that breaks off behind the size.
        let unspecified = |bits: BitWriter| bits.bits(0b001, 3).bits(5, 3).bits(0, 1).bits(1, 1).bits(2, 24);
        assert_eq!(with_usability(unspecified).colour, Colour::default());
        assert_eq!(with_usability(|bits| bits).colour, Colour::default());
    }

    #[test]
    fn other_sample_formats_are_unsupported() {
        for (chroma, luma_extra, name) in [(0, 0, "monochrome"), (2, 0, "4:2:2"), (3, 0, "4:4:4"), (1, 2, "10 bit")] {
            let bits = BitWriter::default().bits(110, 8).bits(0, 8).bits(40, 8).golomb(0);
            // 4:4:4 has a flag of its own.
            let bits = bits.golomb(chroma).bits(0, u32::from(chroma == 3));
            let data = bits.golomb(luma_extra).golomb(luma_extra).annex_b();
            assert_eq!(parse(&data), Err(SpsError::Unsupported(name)));
        }
    }

    #[test]
    fn sizes_that_overflow_or_vanish_are_malformed() {
        assert_eq!(parse(&baseline_set(u32::MAX / 2, 45)), Err(SpsError::Malformed));
        let cropped = baseline().golomb(0).golomb(0).bits(0b111, 3).golomb(4).golomb(4).golomb(0).golomb(0).annex_b();
        assert_eq!(parse(&cropped), Err(SpsError::Malformed));
    }

    #[test]
    fn a_truncated_set_is_malformed_at_every_length() {
        let data = baseline_set(80, 45);
        for len in 4..data.len() - 1 {
            assert_eq!(parse(&data[..len]), Err(SpsError::Malformed), "{len} bytes");
        }
    }
}
