//! Y4M files (`YUV4MPEG2`, as mjpegtools describe it): a line of parameters, then raw frames, each behind a line of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::time::Instant;

use super::frame::VideoFrame;
use super::planes::{Chroma, RawPlanes};
use super::pool::FramePool;

/// Parameter lines longer than this are not Y4M.
const MAX_LINE: u64 = 1_024;

/// Largest side of a frame in pixels.
const MAX_SIDE: u32 = 4_096;

/// Frames per second of a file that names none, or 0:0 for an unknown rate.
const DEFAULT_RATE: (u64, u64) = (30, 1);

/// The contents of the header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    width: u32,
    height: u32,
    /// Frames per second as a fraction.
    rate: (u64, u64),
    chroma: Chroma,
    /// A plane of transparency behind each frame, which is ignored.
    has_alpha: bool,
    /// Luma from 0 to 255, not from 16 to 235.
    is_full_range: bool,
}

impl Header {
    /// Bytes of a frame.
    fn picture_len(&self) -> u64 {
        let luma = u64::from(self.width) * u64::from(self.height);
        let (columns, rows) = self.chroma.plane_size(self.width, self.height);
        luma * if self.has_alpha { 2 } else { 1 } + 2 * columns as u64 * rows as u64
    }
}

/// An open file with the place of each of its frames. Errors are texts for people.
pub(super) struct Y4mFile {
    reader: BufReader<File>,
    header: Header,
    offsets: Vec<u64>,
    pool: FramePool,
    buffer: Vec<u8>,
}

impl Y4mFile {
    pub(super) fn open(file: &File) -> Result<Self, String> {
        let file = file.try_clone().map_err(|error| error.to_string())?;
        let end = file.metadata().map_err(|error| error.to_string())?.len();
        let mut reader = BufReader::new(file);
        let header = parse_header(&read_line(&mut reader)?)?;
        let picture_len = header.picture_len();
        let mut offsets = Vec::new();
        // A truncated file plays as far as it goes.
        while let Ok(line) = read_line(&mut reader) {
            if line.split(' ').next() != Some("FRAME") {
                break;
            }
            let offset = reader.stream_position().map_err(|error| error.to_string())?;
            if offset + picture_len > end {
                break;
            }
            offsets.push(offset);
            reader.seek_relative(picture_len as i64).map_err(|error| error.to_string())?;
        }
        if offsets.is_empty() {
            return Err(format!("no picture of {} x {} in it", header.width, header.height));
        }
        let buffer = vec![0; picture_len as usize];
        Ok(Self { reader, header, offsets, pool: FramePool::new(), buffer })
    }

    /// Which frame is due at this tick of a camera with `fps` frames per second.
    pub(super) fn index_at(&self, tick: u64, fps: u32) -> u64 {
        let (numerator, denominator) = (u128::from(self.header.rate.0), u128::from(self.header.rate.1));
        let index = u128::from(tick) * numerator / (denominator * u128::from(fps.max(1)));
        (index % self.offsets.len() as u128) as u64
    }

    pub(super) fn read(&mut self, index: u64, capture_time: Instant) -> Result<VideoFrame, String> {
        let offset = self.offsets.get(index as usize).ok_or("no such picture")?;
        self.reader.seek(SeekFrom::Start(*offset)).map_err(|error| error.to_string())?;
        self.reader.read_exact(&mut self.buffer).map_err(|error| error.to_string())?;
        let Header { width, height, chroma, is_full_range, .. } = self.header;
        let mut picture = self.pool.take(width, height);
        RawPlanes { data: &self.buffer, chroma, is_full_range }.write_to(&mut picture)?;
        Ok(picture.freeze(capture_time))
    }
}

fn read_line(reader: &mut BufReader<File>) -> Result<String, String> {
    let mut line = Vec::new();
    reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    if line.pop() != Some(b'\n') {
        return Err("does not begin with YUV4MPEG2".to_owned());
    }
    String::from_utf8(line).map_err(|_| "does not begin with YUV4MPEG2".to_owned())
}

/// Interlacing (`I`) and the pixel aspect (`A`) change nothing here: a frame is stored as a whole.
fn parse_header(line: &str) -> Result<Header, String> {
    let mut words = line.split(' ');
    if words.next() != Some("YUV4MPEG2") {
        return Err("does not begin with YUV4MPEG2".to_owned());
    }
    let mut header = Header {
        width: 0,
        height: 0,
        rate: DEFAULT_RATE,
        chroma: Chroma::C420,
        has_alpha: false,
        is_full_range: false,
    };
    for word in words {
        let Some((key, value)) = word.split_at_checked(1) else { continue };
        match key {
            "W" => header.width = value.parse().unwrap_or(0),
            "H" => header.height = value.parse().unwrap_or(0),
            "F" => header.rate = parse_rate(value).unwrap_or(DEFAULT_RATE),
            "C" => (header.chroma, header.has_alpha) = parse_chroma(value)?,
            // ffmpeg and others write a range of its own for each file.
            "X" => match value.to_ascii_uppercase().as_str() {
                "COLORRANGE=FULL" => header.is_full_range = true,
                "COLORRANGE=LIMITED" => header.is_full_range = false,
                _ => {}
            },
            _ => {}
        }
    }
    let (width, height) = (header.width, header.height);
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return Err(format!("unusable size {width} x {height}"));
    }
    Ok(header)
}

/// The chroma siting, and whether transparency follows. The three kinds of 4:2:0 differ by half a pixel at most.
fn parse_chroma(value: &str) -> Result<(Chroma, bool), String> {
    let chroma = match value {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Chroma::C420,
        "411" => Chroma::C411,
        "422" => Chroma::C422,
        "440" => Chroma::C440,
        "444" | "444alpha" => Chroma::C444,
        "mono" => Chroma::Mono,
        deep if deep.contains('p') || deep.starts_with("mono") => return Err(format!("{deep} is not 8 bit")),
        other => return Err(format!("{other} is no known colour format")),
    };
    Ok((chroma, value == "444alpha"))
}

fn parse_rate(value: &str) -> Option<(u64, u64)> {
    let (numerator, denominator) = value.split_once(':')?;
    let rate = (numerator.parse::<u32>().ok()?, denominator.parse::<u32>().ok()?);
    (rate.0 > 0 && rate.1 > 0).then_some((rate.0.into(), rate.1.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(words: &str) -> Result<Header, String> {
        parse_header(&format!("YUV4MPEG2 W32 H16 {words}"))
    }

    #[test]
    fn lines_as_tools_write_them_are_understood() {
        let line = "F30000:1001 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=FULL";
        let read = header(line).unwrap();
        assert_eq!((read.rate, read.chroma, read.is_full_range), ((30_000, 1_001), Chroma::C420, true));
        assert!(!header("F25:1 It A0:0 C420jpeg XCOLORRANGE=LIMITED").unwrap().is_full_range);
        assert_eq!(header("F0:0").unwrap().rate, DEFAULT_RATE);
        for (name, chroma, len) in [
            ("420jpeg", Chroma::C420, 768),
            ("420paldv", Chroma::C420, 768),
            ("411", Chroma::C411, 768),
            ("422", Chroma::C422, 1_024),
            ("440", Chroma::C440, 1_024),
            ("444", Chroma::C444, 1_536),
            ("444alpha", Chroma::C444, 2_048),
            ("mono", Chroma::Mono, 512),
        ] {
            let read = header(&format!("C{name}")).unwrap();
            assert_eq!((read.chroma, read.picture_len()), (chroma, len), "{name}");
        }
    }

    #[test]
    fn what_has_more_than_8_bits_is_refused_by_that_name() {
        for name in ["420p10", "422p12", "444p16", "mono10", "mono16"] {
            assert_eq!(header(&format!("C{name}")), Err(format!("{name} is not 8 bit")));
        }
        assert!(header("C555").unwrap_err().contains("no known colour format"));
    }
}
