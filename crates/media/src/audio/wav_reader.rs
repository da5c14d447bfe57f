//! Reads WAV files as tools write them, also through pipes, where they do not know how long a file gets.
//!
//! RIFF/WAVE as Microsoft's "Multiple Channel Audio Data and WAVE Files" describes it, and RF64 (EBU Tech 3306).

use std::io::{Read, Seek, SeekFrom};

/// Upper bound of plausible channels.
const MAX_CHANNELS: u16 = 64;
/// Samples of all channels that are read at once.
const BLOCK_FRAMES: usize = 4_096;
/// A channel that is this much weaker than the loudest one carries nothing (40 dB, as a ratio of powers).
const REST: f64 = 1e-4;
/// Writers that cannot seek back leave one of these as the size.
const UNKNOWN_SIZES: [u32; 2] = [0, u32::MAX];

/// Audio with one or two channels, -1 to 1.
#[derive(Debug, PartialEq)]
pub(super) struct Sound {
    /// Samples a second.
    pub(super) sample_rate: u32,
    /// Or the only one.
    pub(super) left: Vec<f32>,
    /// As long as `left`.
    pub(super) right: Option<Vec<f32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    /// Whole numbers; those of one byte without a sign.
    Integer,
    Float,
}

/// The contents of the `fmt ` chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Format {
    coding: Coding,
    channels: usize,
    sample_rate: u32,
    /// Bytes of a sample. Where fewer bits are valid they are the upper ones, so the whole container counts.
    sample_bytes: usize,
}

/// Reads at most `max_seconds` of a file. More than two channels become one: the mean of those with a signal. Errors are
/// texts for people.
pub(super) fn read(file: &mut (impl Read + Seek), max_seconds: u32) -> Result<Sound, String> {
    let (format, len) = find_data(file)?;
    let start = file.stream_position().map_err(|error| error.to_string())?;
    let frame_bytes = (format.channels * format.sample_bytes) as u64;
    let frames = (len / frame_bytes).min(u64::from(format.sample_rate) * u64::from(max_seconds));
    if frames == 0 {
        return Err("no samples".to_owned());
    }
    let mut sound = Sound { sample_rate: format.sample_rate, left: Vec::new(), right: None };
    match format.channels {
        1 => for_each_frame(file, format, frames, |frame| sound.left.push(frame[0]))?,
        2 => {
            let mut right = Vec::new();
            for_each_frame(file, format, frames, |frame| {
                sound.left.push(frame[0]);
                right.push(frame[1]);
            })?;
            sound.right = Some(right);
        }
        channels => {
            let mut powers = vec![0.0f64; channels];
            for_each_frame(file, format, frames, |frame| {
                powers.iter_mut().zip(frame).for_each(|(power, sample)| *power += f64::from(*sample).powi(2));
            })?;
            file.seek(SeekFrom::Start(start)).map_err(|error| error.to_string())?;
            let loudest = powers.iter().copied().fold(0.0, f64::max);
            let carries: Vec<bool> = powers.iter().map(|power| *power >= loudest * REST).collect();
            let count = carries.iter().filter(|carries| **carries).count() as f32;
            for_each_frame(file, format, frames, |frame| {
                let sum: f32 =
                    frame.iter().zip(&carries).filter(|(_, carries)| **carries).map(|(sample, _)| sample).sum();
                sound.left.push(sum / count);
            })?;
        }
    }
    Ok(sound)
}

/// Seeks to the first sample; returns the number of bytes from there.
fn find_data(file: &mut (impl Read + Seek)) -> Result<(Format, u64), String> {
    let end = file.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    file.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
    let head: [u8; 12] = bytes(file).ok_or("not a WAV file")?;
    let is_wide = matches!(&head[..4], b"RF64" | b"BW64");
    if !(is_wide || &head[..4] == b"RIFF") || &head[8..] != b"WAVE" {
        return Err("not a WAV file".to_owned());
    }
    let whole = u32_at(&head, 4);
    let (mut format, mut wide_len) = (None, None);
    while let Some(chunk) = next_chunk(file) {
        let (name, len) = chunk;
        let at = file.stream_position().map_err(|error| error.to_string())?;
        match &name {
            b"ds64" => {
                let sizes: [u8; 16] = bytes(file).ok_or("its ds64 chunk is cut off")?;
                wide_len = sizes[8..].first_chunk().map(|len| u64::from_le_bytes(*len));
            }
            b"fmt " => format = Some(read_format(file, len)?),
            b"data" => {
                let format = format.ok_or("no fmt chunk in front of the samples")?;
                let rest = end.saturating_sub(at);
                let is_last = UNKNOWN_SIZES.contains(&whole) || u64::from(whole) + 8 <= at;
                let len = match (wide_len, len) {
                    (Some(len), u32::MAX) if is_wide && len > 0 => len,
                    (_, u32::MAX) => rest,
                    (_, 0) if is_last => rest,
                    (_, len) => len.into(),
                };
                return Ok((format, len.min(rest)));
            }
            _ => {}
        }
        if at + u64::from(len) > end {
            break;
        }
        file.seek(SeekFrom::Start(at + u64::from(len))).map_err(|error| error.to_string())?;
        // Chunks begin at even places, but not those of every writer; no name begins with a zero.
        if !len.is_multiple_of(2) && !matches!(bytes::<1>(file), Some([0])) {
            file.seek(SeekFrom::Start(at + u64::from(len))).map_err(|error| error.to_string())?;
        }
    }
    Err("no samples".to_owned())
}

fn next_chunk(file: &mut impl Read) -> Option<([u8; 4], u32)> {
    let head: [u8; 8] = bytes(file)?;
    Some((*head.first_chunk()?, u32_at(&head, 4)))
}

fn read_format(file: &mut impl Read, len: u32) -> Result<Format, String> {
    const PCM: u16 = 1;
    const FLOAT: u16 = 3;
    const EXTENSIBLE: u16 = 0xfffe;
    /// Position of an extensible format's type: the first two bytes of a GUID.
    const SUBFORMAT: usize = 24;
    if len < 16 {
        return Err("its fmt chunk is too short".to_owned());
    }
    let mut chunk = Vec::new();
    file.take(u64::from(len.min(64))).read_to_end(&mut chunk).map_err(|error| error.to_string())?;
    let u16_at = |at: usize| chunk.get(at..at + 2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let field = |at: usize| u16_at(at).ok_or("its fmt chunk is too short");
    let tag = match field(0)? {
        EXTENSIBLE => field(SUBFORMAT)?,
        tag => tag,
    };
    let (channels, block, bits) = (field(2)?, usize::from(field(12)?), usize::from(field(14)?));
    let sample_rate = u32_at(&chunk, 4);
    if channels == 0 || channels > MAX_CHANNELS {
        return Err(format!("{channels} channels"));
    }
    let channels = usize::from(channels);
    // A block that is not whole samples is a mistake of the writer.
    let sample_bytes = if block > 0 && block.is_multiple_of(channels) { block / channels } else { bits.div_ceil(8) };
    let coding = match tag {
        PCM => Coding::Integer,
        FLOAT => Coding::Float,
        tag => return Err(format!("coded as {tag:#06x}, neither PCM nor float")),
    };
    let can_be = match coding {
        Coding::Integer => (1..=4).contains(&sample_bytes),
        Coding::Float => matches!(sample_bytes, 4 | 8),
    };
    if !can_be || bits > 8 * sample_bytes {
        return Err(format!("{bits} bits in {sample_bytes} bytes"));
    }
    Ok(Format { coding, channels, sample_rate, sample_bytes })
}

/// Calls with the samples of all channels, for each moment. A missing rest is ignored.
fn for_each_frame(
    file: &mut impl Read,
    format: Format,
    frames: u64,
    mut take: impl FnMut(&[f32]),
) -> Result<(), String> {
    let frame_bytes = format.channels * format.sample_bytes;
    let mut frame = vec![0.0; format.channels];
    let mut left = frames;
    let mut block = Vec::with_capacity(BLOCK_FRAMES * frame_bytes);
    while left > 0 {
        block.clear();
        let wanted = left.min(BLOCK_FRAMES as u64) * frame_bytes as u64;
        file.take(wanted).read_to_end(&mut block).map_err(|error| error.to_string())?;
        for bytes in block.chunks_exact(frame_bytes) {
            for (sample, bytes) in frame.iter_mut().zip(bytes.chunks_exact(format.sample_bytes)) {
                *sample = sample_of(format.coding, bytes);
            }
            take(&frame);
        }
        if (block.len() as u64) < wanted {
            break;
        }
        left -= wanted / frame_bytes as u64;
    }
    Ok(())
}

fn sample_of(coding: Coding, bytes: &[u8]) -> f32 {
    let sample = match (coding, bytes) {
        (Coding::Integer, &[byte]) => (f32::from(byte) - 128.0) / 128.0,
        (Coding::Integer, bytes) => {
            // The sample at the upper end of 32 bits, whatever its own length.
            let mut wide = [0; 4];
            wide[4 - bytes.len()..].copy_from_slice(bytes);
            (f64::from(i32::from_le_bytes(wide)) / 2f64.powi(31)) as f32
        }
        (Coding::Float, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
        (Coding::Float, bytes) => bytes.first_chunk().map_or(0.0, |bytes| f64::from_le_bytes(*bytes) as f32),
    };
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

fn bytes<const N: usize>(file: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).ok().map(|()| bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let len = u32::try_from(content.len()).unwrap();
        [name.as_slice(), &len.to_le_bytes(), content, &[0][..content.len() % 2]].concat()
    }

    fn fmt(tag: u16, channels: u16, sample_bytes: u16, bits: u16) -> Vec<u8> {
        let block = channels * sample_bytes;
        let rate = 8_000u32;
        [
            &tag.to_le_bytes()[..],
            &channels.to_le_bytes(),
            &rate.to_le_bytes(),
            &(rate * u32::from(block)).to_le_bytes(),
            &block.to_le_bytes(),
            &bits.to_le_bytes(),
        ]
        .concat()
    }

    fn extensible(tag: u16, channels: u16, sample_bytes: u16, valid: u16) -> Vec<u8> {
        let guid = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71";
        let more = [&22u16.to_le_bytes()[..], &valid.to_le_bytes(), &[0; 4], &tag.to_le_bytes(), guid].concat();
        [fmt(0xfffe, channels, sample_bytes, 8 * sample_bytes), more].concat()
    }

    fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
        let content = [b"WAVE".to_vec(), chunks.concat()].concat();
        [b"RIFF".as_slice(), &u32::try_from(content.len()).unwrap().to_le_bytes(), &content].concat()
    }

    fn left(file: &[u8]) -> Result<Vec<f32>, String> {
        read(&mut Cursor::new(file), 600).map(|sound| sound.left)
    }

    #[test]
    fn half_of_full_scale_is_half_in_every_coding() {
        let cases: [(Vec<u8>, Vec<u8>); 11] = [
            (fmt(1, 1, 1, 8), vec![192]),
            (fmt(1, 1, 2, 16), 0x4000i16.to_le_bytes().to_vec()),
            (fmt(1, 1, 2, 12), 0x4000i16.to_le_bytes().to_vec()),
            (fmt(1, 1, 3, 24), vec![0, 0, 0x40]),
            (fmt(1, 1, 4, 32), 0x4000_0000i32.to_le_bytes().to_vec()),
            (fmt(3, 1, 4, 32), 0.5f32.to_le_bytes().to_vec()),
            (fmt(3, 1, 8, 64), 0.5f64.to_le_bytes().to_vec()),
            (extensible(1, 1, 4, 24), vec![0, 0, 0, 0x40]),
            (extensible(1, 1, 4, 20), vec![0, 0, 0, 0x40]),
            (extensible(1, 1, 2, 16), vec![0, 0x40]),
            (extensible(3, 1, 4, 32), 0.5f32.to_le_bytes().to_vec()),
        ];
        for (format, sample) in cases {
            let file = riff(&[chunk(b"fmt ", &format), chunk(b"data", &sample)]);
            assert_eq!(left(&file), Ok(vec![0.5]), "{format:?}");
        }
    }

    #[test]
    fn a_file_out_of_a_pipe_is_read_to_its_end() {
        for (whole, data) in [(u32::MAX, u32::MAX), (0, 0), (36, 0), (0x7fff_ffff, 0x7fff_ffdb), (u32::MAX, 0)] {
            let mut file = riff(&[chunk(b"fmt ", &fmt(1, 1, 2, 16)), chunk(b"data", &[0, 0x40, 0, 0xc0])]);
            file[4..8].copy_from_slice(&whole.to_le_bytes());
            file[40..44].copy_from_slice(&data.to_le_bytes());
            assert_eq!(left(&file), Ok(vec![0.5, -0.5]), "{whole:#x} {data:#x}");
        }
    }

    #[test]
    fn other_chunks_of_any_length_may_come_first() {
        let samples = chunk(b"data", &[0, 0x40]);
        for len in [0, 1, 2, 9] {
            let file = riff(&[
                chunk(b"LIST", &vec![b'x'; len]),
                chunk(b"fmt ", &fmt(1, 1, 2, 16)),
                chunk(b"fact", &vec![1; len]),
                samples.clone(),
                chunk(b"LIST", b"more"),
            ]);
            assert_eq!(left(&file), Ok(vec![0.5]), "{len}");
            // A writer that knows nothing of even places.
            let mut odd = chunk(b"bext", &vec![7; len]);
            odd.truncate(8 + len);
            let file = riff(&[odd, chunk(b"fmt ", &fmt(1, 1, 2, 16)), samples.clone()]);
            assert_eq!(left(&file), Ok(vec![0.5]), "{len} without padding");
        }
    }

    #[test]
    fn a_file_for_more_than_4_gib_says_its_length_elsewhere() {
        let sizes = [&100u64.to_le_bytes()[..], &2u64.to_le_bytes(), &1u64.to_le_bytes(), &[0; 4]].concat();
        let mut data = chunk(b"data", &[0, 0x40]);
        data[4..8].fill(0xff);
        let mut file =
            riff(&[chunk(b"ds64", &sizes), chunk(b"fmt ", &fmt(1, 1, 2, 16)), data, chunk(b"LIST", b"more")]);
        file[..8].copy_from_slice(b"RF64\xff\xff\xff\xff");
        assert_eq!(left(&file), Ok(vec![0.5]));
    }

    #[test]
    fn two_channels_stay_apart_and_more_become_the_mean_of_those_that_carry_anything() {
        let two = riff(&[chunk(b"fmt ", &fmt(1, 2, 1, 8)), chunk(b"data", &[192, 64])]);
        let sound = read(&mut Cursor::new(two), 600).unwrap();
        assert_eq!((sound.sample_rate, sound.left, sound.right), (8_000, vec![0.5], Some(vec![-0.5])));
        let six = riff(&[chunk(b"fmt ", &fmt(1, 6, 1, 8)), chunk(b"data", &[128, 192, 128, 128, 160, 128])]);
        assert_eq!(left(&six), Ok(vec![0.375]));
    }

    #[test]
    fn files_that_lie_or_are_something_else_are_refused_with_a_reason() {
        let data = || chunk(b"data", &[0, 0x40]);
        let cases: [(Vec<u8>, &str); 11] = [
            (b"fLaC....".to_vec(), "not a WAV"),
            (Vec::new(), "not a WAV"),
            (b"RIFX\0\0\0\0WAVE".to_vec(), "not a WAV"),
            (riff(&[data()]), "no fmt chunk"),
            (riff(&[chunk(b"fmt ", &fmt(1, 1, 2, 16))]), "no samples"),
            (riff(&[chunk(b"fmt ", &fmt(1, 1, 2, 16)), chunk(b"data", &[]), chunk(b"LIST", b"text")]), "no samples"),
            (riff(&[chunk(b"fmt ", &fmt(1, 0, 2, 16)), data()]), "0 channels"),
            (riff(&[chunk(b"fmt ", &fmt(1, 9_999, 2, 16)), data()]), "channels"),
            (riff(&[chunk(b"fmt ", &fmt(6, 1, 1, 8)), data()]), "0x0006"),
            (riff(&[chunk(b"fmt ", &fmt(1, 1, 2, 48)), data()]), "48 bits"),
            (riff(&[chunk(b"fmt ", &[1, 0, 1, 0]), data()]), "too short"),
        ];
        for (file, expected) in cases {
            let reason = left(&file).unwrap_err();
            assert!(reason.contains(expected), "{reason} is not {expected}");
        }
    }

    #[test]
    fn no_damage_makes_it_panic_or_read_for_ever() {
        let good = riff(&[chunk(b"LIST", b"abc"), chunk(b"fmt ", &extensible(1, 2, 4, 24)), chunk(b"data", &[7; 64])]);
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut file = good.clone();
                file[at] = value;
                drop(left(&file));
                drop(left(&file[..at]));
            }
        }
    }
}
