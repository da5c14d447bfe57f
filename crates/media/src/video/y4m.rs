//! Y4M files (`YUV4MPEG2`): a line of parameters, then raw pictures, each behind a line of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Instant;

use super::frame::VideoFrame;
use super::pool::FramePool;

/// Parameter lines longer than this are not Y4M.
const MAX_LINE: u64 = 1_024;

/// Largest side of a picture in pixels.
const MAX_SIDE: u32 = 4_096;

/// An open file with the place of each of its pictures. Errors are texts for people.
pub(super) struct Y4mFile {
    reader: BufReader<File>,
    width: u32,
    height: u32,
    /// Frames per second as a fraction.
    rate: (u64, u64),
    offsets: Vec<u64>,
    pool: FramePool,
    buffer: Vec<u8>,
}

impl Y4mFile {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let end = file.metadata().map_err(|error| error.to_string())?.len();
        let mut reader = BufReader::new(file);
        let header = read_line(&mut reader)?;
        let (width, height, rate) = parse_header(&header)?;
        let chroma = u64::from(width.div_ceil(2)) * u64::from(height.div_ceil(2));
        let picture_len = u64::from(width) * u64::from(height) + 2 * chroma;
        let mut offsets = Vec::new();
        // A file that was cut off plays as far as it goes.
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
            return Err("no picture in it".to_owned());
        }
        let buffer = vec![0; picture_len as usize];
        Ok(Self { reader, width, height, rate, offsets, pool: FramePool::new(), buffer })
    }

    /// Which picture is due at this tick of a camera with `fps` frames per second.
    pub(super) fn index_at(&self, tick: u64, fps: u32) -> u64 {
        let (numerator, denominator) = (u128::from(self.rate.0), u128::from(self.rate.1));
        let index = u128::from(tick) * numerator / (denominator * u128::from(fps.max(1)));
        (index % self.offsets.len() as u128) as u64
    }

    pub(super) fn read(&mut self, index: u64, capture_time: Instant) -> Result<VideoFrame, String> {
        let offset = self.offsets.get(index as usize).ok_or("no such picture")?;
        self.reader.seek(SeekFrom::Start(*offset)).map_err(|error| error.to_string())?;
        self.reader.read_exact(&mut self.buffer).map_err(|error| error.to_string())?;
        let (width, chroma_width) = (self.width as usize, self.width.div_ceil(2) as usize);
        let (y, chroma) = self.buffer.split_at(width * self.height as usize);
        let (u, v) = chroma.split_at(chroma.len() / 2);
        let mut picture = self.pool.take(self.width, self.height);
        picture.copy_from([y, u, v], [width, chroma_width, chroma_width]).map_err(|error| error.to_string())?;
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

/// Width, height and frame rate.
fn parse_header(line: &str) -> Result<(u32, u32, (u64, u64)), String> {
    let mut words = line.split(' ');
    if words.next() != Some("YUV4MPEG2") {
        return Err("does not begin with YUV4MPEG2".to_owned());
    }
    let (mut width, mut height, mut rate) = (0u32, 0u32, (30u64, 1u64));
    for word in words {
        let Some((key, value)) = word.split_at_checked(1) else { continue };
        match key {
            "W" => width = value.parse().unwrap_or(0),
            "H" => height = value.parse().unwrap_or(0),
            "F" => rate = parse_rate(value).unwrap_or(rate),
            "C" if !value.starts_with("420") => return Err(format!("{value} is not 4:2:0")),
            "C" if value.starts_with("420p1") => return Err(format!("{value} is not 8 bit")),
            _ => {} // interlacing, pixel aspect and comments change nothing here
        }
    }
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return Err(format!("unusable size {width} x {height}"));
    }
    Ok((width, height, rate))
}

fn parse_rate(value: &str) -> Option<(u64, u64)> {
    let (numerator, denominator) = value.split_once(':')?;
    let rate = (numerator.parse::<u32>().ok()?, denominator.parse::<u32>().ok()?);
    (rate.0 > 0 && rate.1 > 0).then_some((rate.0.into(), rate.1.into()))
}
