//! MJPEG files: JPEG frames, one after another.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::time::Instant;

use super::frame::VideoFrame;
use super::jpeg::JpegReader;

/// Larger files are refused: the whole file is held in memory.
const MAX_BYTES: u64 = 1 << 30;

/// A file in memory with the place of each of its frames. Errors are texts for people.
pub(super) struct MjpegFile {
    data: Vec<u8>,
    pictures: Vec<Range<usize>>,
    reader: JpegReader,
}

impl MjpegFile {
    pub(super) fn open(file: &File) -> Result<Self, String> {
        let mut data = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut data).map_err(|error| error.to_string())?;
        if data.len() as u64 > MAX_BYTES {
            return Err(format!("more than {MAX_BYTES} bytes"));
        }
        let pictures = find_frames(&data);
        if pictures.is_empty() {
            return Err("no picture in it".to_owned());
        }
        Ok(Self { data, pictures, reader: JpegReader::default() })
    }

    /// Number of frames, at least one.
    pub(super) fn len(&self) -> u64 {
        self.pictures.len() as u64
    }

    pub(super) fn read(&mut self, index: u64, capture_time: Instant) -> Result<VideoFrame, String> {
        let range = self.pictures.get(index as usize).ok_or("no such picture")?;
        self.reader.read(&self.data[range.clone()], capture_time)
    }
}

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;

/// Follows the markers (ITU-T T.81, annex B), since thumbnails inside a frame have starts and ends of their own.
fn find_frames(data: &[u8]) -> Vec<Range<usize>> {
    let mut pictures = Vec::new();
    let mut position = 0;
    while let Some(start) = find(data, position, |marker| marker == START_OF_IMAGE) {
        match frame_end(data, start + 2) {
            Some(end) => {
                pictures.push(start..end);
                position = end;
            }
            None => position = start + 2,
        }
    }
    pictures
}

/// The end of a frame whose first marker behind the start is at `position`; `None` if it is damaged or truncated.
fn frame_end(data: &[u8], mut position: usize) -> Option<usize> {
    loop {
        if *data.get(position)? != 0xff {
            return None;
        }
        let marker = *data.get(position + 1)?;
        match marker {
            0xff => position += 1, // padding
            END_OF_IMAGE => return Some(position + 2),
            0x01 | 0xd0..=0xd7 => position += 2, // markers without a segment
            _ => {
                let len = u16::from_be_bytes([*data.get(position + 2)?, *data.get(position + 3)?]);
                position += 2 + usize::from(len.max(2));
                if marker == START_OF_SCAN {
                    // Within coded data, 0xff is followed by zero or by a restart marker.
                    position = find(data, position, |next| !matches!(next, 0x00 | 0xff | 0xd0..=0xd7))?;
                }
            }
        }
    }
}

/// The place of the next 0xff whose follower satisfies the condition.
fn find(data: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let pairs = data.get(from..)?.windows(2);
    pairs.into_iter().position(|pair| pair[0] == 0xff && wanted(pair[1])).map(|index| from + index)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// 32 x 16, medium grey.
    pub(in super::super) const GREY: &[u8] = include_bytes!("../../seeds/grey.jpg");
    /// 32 x 16, white, progressive.
    pub(in super::super) const WHITE: &[u8] = include_bytes!("../../seeds/white.jpg");

    /// 4:2:0 colour bars.
    pub(in super::super) const BARS: &[u8] = include_bytes!("../../seeds/bars.jpg");

    #[test]
    fn frames_are_found_between_garbage() {
        let file = [b"--boundary\r\n", GREY, b"\xff\xff\r\n", WHITE, GREY].concat();
        let ranges = find_frames(&file);
        assert_eq!(ranges.len(), 3);
        assert_eq!(&file[ranges[0].clone()], GREY);
        assert_eq!(&file[ranges[1].clone()], WHITE);
    }

    #[test]
    fn a_thumbnail_inside_a_frame_does_not_end_it() {
        let mut outer = GREY[..2].to_vec();
        outer.extend([0xff, 0xe1]);
        outer.extend(u16::try_from(GREY.len() + 2).unwrap().to_be_bytes());
        outer.extend(GREY);
        outer.extend(&GREY[2..]);
        let ranges = find_frames(&outer);
        assert_eq!((ranges.len(), ranges[0].clone()), (1, 0..outer.len()));
    }

    #[test]
    fn a_frame_that_is_cut_off_is_skipped() {
        for len in 0..GREY.len() {
            assert!(find_frames(&GREY[..len]).is_empty(), "{len} bytes");
        }
    }

    #[test]
    fn damaged_frames_are_errors_or_frames_but_no_panic() {
        let mut reader = JpegReader::default();
        let mut state = 0x5eed_u32;
        let mut random = |limit: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % limit
        };
        let mut read = 0;
        for round in 0..3_000 {
            let mut jpeg = [GREY, WHITE, BARS][round % 3].to_vec();
            for _ in 0..1 + random(4) {
                let at = random(jpeg.len());
                match random(4) {
                    0 => jpeg.truncate(at.max(1)),
                    1 => jpeg[at] = random(256) as u8,
                    _ => jpeg[at] ^= 1 << random(8),
                }
            }
            for range in find_frames(&jpeg) {
                reader.read(&jpeg[range], Instant::now()).ok();
            }
            read += u32::from(reader.read(&jpeg, Instant::now()).is_ok());
        }
        assert!(read > 100, "{read} were readable");
    }

    #[test]
    fn full_range_grey_becomes_limited_range() {
        let frame = JpegReader::default().read(GREY, Instant::now()).unwrap();
        assert_eq!((frame.width(), frame.height()), (32, 16));
        assert!(frame.y()[0].abs_diff(126) <= 1, "{}", frame.y()[0]);
        let white = JpegReader::default().read(WHITE, Instant::now()).unwrap();
        assert!(white.y()[0].abs_diff(235) <= 1, "{}", white.y()[0]);
    }
}
