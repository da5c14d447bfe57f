//! Reads a sequence parameter set as far as the picture's size (ITU-T H.264, section 7.3.2.1.1), so that a stream
//! cannot make the decoder allocate what we never meant to show.

use super::nal::Nal;

/// Sets longer than this are refused; the largest scaling matrices need about 800 bytes.
const MAX_BYTES: usize = 2_048;

/// What a stream says about its pictures.
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
}

/// Why a sequence parameter set was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpsError {
    /// It ends too early, or a number in it is out of its range.
    #[error("malformed sequence parameter set")]
    Malformed,
    /// Not 4:2:0 with 8 bits, which is all that the video path carries.
    #[error("not 4:2:0 with 8 bits")]
    Unsupported,
}

impl Sps {
    /// Parses a NAL unit of type 7.
    ///
    /// # Errors
    /// [`SpsError`] if it cannot be read or has a sample format that we do not carry.
    pub fn parse(nal: Nal<'_>) -> Result<Self, SpsError> {
        let payload = nal.payload(MAX_BYTES);
        let mut bits = BitReader { data: &payload, position: 0 };
        let profile = bits.bits(8)? as u8;
        bits.bits(8)?; // constraint flags
        let level = bits.bits(8)? as u8;
        bits.unsigned()?; // seq_parameter_set_id
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            read_high_profile_part(&mut bits)?;
        }
        bits.unsigned()?; // log2_max_frame_num_minus4
        match bits.unsigned()? {
            0 => drop(bits.unsigned()?),
            1 => skip_order_count_cycle(&mut bits)?,
            2 => {}
            _ => return Err(SpsError::Malformed),
        }
        bits.unsigned()?; // max_num_ref_frames
        bits.bits(1)?; // gaps_in_frame_num_value_allowed_flag
        let width_macroblocks = bits.unsigned()?;
        let height_map_units = bits.unsigned()?;
        let frames_only = bits.bits(1)? == 1;
        if !frames_only {
            bits.bits(1)?; // mb_adaptive_frame_field_flag
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
        let fields = if frames_only { 1 } else { 2 };
        let coded_width = side(width_macroblocks, 16)?;
        let coded_height = side(height_map_units, 16 * fields)?;
        let shown = |coded: u32, crop: [u32; 2], unit: u32| {
            let cut = crop[0].checked_add(crop[1]).and_then(|count| count.checked_mul(unit));
            cut.and_then(|cut| coded.checked_sub(cut)).filter(|&left| left > 0).ok_or(SpsError::Malformed)
        };
        let width = shown(coded_width, [crop[0], crop[1]], 2)?;
        let height = shown(coded_height, [crop[2], crop[3]], 2 * fields)?;
        Ok(Self { profile, level, coded_width, coded_height, width, height })
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
    if (chroma_format, luma_extra, chroma_extra) != (1, 0, 0) {
        return Err(SpsError::Unsupported);
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

/// Bits from the most significant end, and Exp-Golomb numbers (section 9.1).
struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
}

impl BitReader<'_> {
    fn bits(&mut self, count: u32) -> Result<u32, SpsError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.data.get(self.position / 8).ok_or(SpsError::Malformed)?;
            value = value << 1 | u32::from(byte >> (7 - self.position % 8) & 1);
            self.position += 1;
        }
        Ok(value)
    }

    fn unsigned(&mut self) -> Result<u32, SpsError> {
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
    use super::super::nal::nal_units;
    use super::*;

    /// Writes the same bits that the reader reads.
    #[derive(Default)]
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

    /// A baseline set for pictures of this many macroblocks (16 x 16), with its start code.
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
    fn interlaced_high_profile_with_scaling_lists_is_read() {
        let mut bits = BitWriter::default().bits(100, 8).bits(0, 8).bits(40, 8).golomb(0);
        bits = bits.golomb(1).golomb(0).golomb(0).bits(0, 1).bits(1, 1);
        bits = bits.bits(1, 1); // first list: 16 deltas of zero
        for _ in 0..16 {
            bits = bits.golomb(0);
        }
        bits = bits.bits(0, 7).golomb(0).golomb(0).golomb(4).golomb(4).bits(0, 1);
        let data = bits.golomb(119).golomb(33).bits(0b0011, 4).golomb(0).golomb(0).golomb(0).golomb(2).annex_b();
        let sps = parse(&data).unwrap();
        assert_eq!((sps.profile, sps.coded_height, sps.width, sps.height), (100, 1088, 1920, 1080));
    }

    #[test]
    fn other_sample_formats_are_unsupported() {
        for (chroma, luma_extra) in [(0, 0), (2, 0), (1, 2)] {
            let bits = BitWriter::default().bits(110, 8).bits(0, 8).bits(40, 8).golomb(0);
            let data = bits.golomb(chroma).golomb(luma_extra).golomb(luma_extra).annex_b();
            assert_eq!(parse(&data), Err(SpsError::Unsupported));
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
