//! Fake cameras that play a file in a loop: raw frames (Y4M) or concatenated JPEGs (MJPEG).

use std::path::Path;

use super::camera::{CameraFailure, CaptureFormat};
use super::frame::VideoFrame;
use super::mjpeg::MjpegFile;
use super::scale;
use super::source::{Moment, Source, SourceError};
use super::y4m::Y4mFile;
use crate::fake_file::{FakeFile, FileFailure};

/// Opens a file by its extension, `.y4m`, `.mjpeg` or `.mjpg`.
///
/// Frames get the aspect ratio of `format` (what is too much is cut) and at most its size. A Y4M file plays at its
/// own speed, an MJPEG file, which knows none, one frame for each frame of `format`.
pub(super) fn open(path: &Path, format: CaptureFormat) -> Result<Box<dyn Source>, SourceError> {
    let failed = |reason: String| (CameraFailure::Failed, reason);
    let held = FakeFile::open(path).map_err(|(failure, reason)| (camera_trouble(failure), reason))?;
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    let file = match extension.as_deref().and_then(|extension| extension.to_str()) {
        Some("y4m") => File::Y4m(Y4mFile::open(held.file()).map_err(failed)?),
        Some("mjpeg" | "mjpg") => File::Mjpeg(MjpegFile::open(held.file()).map_err(failed)?),
        _ => return Err(failed("neither .y4m nor .mjpeg".to_owned())),
    };
    Ok(Box::new(FileSource { held, file, format, last: None }))
}

fn camera_trouble(failure: FileFailure) -> CameraFailure {
    match failure {
        FileFailure::Missing => CameraFailure::NoDevice,
        FileFailure::Locked => CameraFailure::Busy,
        FileFailure::NotAllowed => CameraFailure::NotAllowed,
        FileFailure::NotAFile | FileFailure::Other => CameraFailure::Failed,
    }
}

enum File {
    Y4m(Y4mFile),
    Mjpeg(MjpegFile),
}

struct FileSource {
    held: FakeFile,
    file: File,
    format: CaptureFormat,
    /// The frame shown last and its index, since a slow file is asked for the same one more than once.
    last: Option<(u64, VideoFrame)>,
}

impl Source for FileSource {
    fn frame(&mut self, moment: Moment) -> Result<VideoFrame, SourceError> {
        let index = match &self.file {
            File::Y4m(file) => file.index_at(moment.tick, self.format.fps),
            File::Mjpeg(file) => moment.tick % file.len(),
        };
        if let Some((last, frame)) = &self.last
            && *last == index
        {
            return Ok(frame.at(moment.instant));
        }
        let read = match &mut self.file {
            File::Y4m(file) => file.read(index, moment.instant),
            File::Mjpeg(file) => file.read(index, moment.instant),
        };
        let frame = read.map_err(|reason| (CameraFailure::Failed, reason))?;
        let frame = scale::fit(&frame, self.format.width, self.format.height);
        self.last = Some((index, frame.clone()));
        Ok(frame)
    }

    fn is_there(&self) -> bool {
        self.held.is_there()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::PathBuf;
    use std::time::Instant;

    /// A file of the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, content: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("media-{}-{name}", std::process::id()));
            std::fs::File::create(&path).unwrap().write_all(content).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).unwrap();
        }
    }

    /// `count` frames of 32 x 16, the n-th with luma 50 + n.
    fn y4m(header: &str, count: u8) -> Vec<u8> {
        let mut file = format!("YUV4MPEG2 W32 H16 {header}\n").into_bytes();
        for picture in 0..count {
            file.extend_from_slice(if picture % 2 == 0 { b"FRAME\n".as_slice() } else { b"FRAME Ixyz\n" });
            file.extend(std::iter::repeat_n(50 + picture, 32 * 16));
            file.extend(std::iter::repeat_n(128, 32 * 16 / 2));
        }
        file
    }

    /// The first luma sample at each tick of a camera with `fps`.
    fn play(path: &Path, fps: u32, ticks: u64) -> Vec<u8> {
        let mut source = open(path, CaptureFormat { width: 32, height: 16, fps }).unwrap();
        let moment = |tick| Moment { instant: Instant::now(), unix_ms: 0, tick };
        (0..ticks).map(|tick| source.frame(moment(tick)).unwrap().y()[0]).collect()
    }

    #[test]
    fn a_y4m_file_loops() {
        let file = Scratch::new("loop.y4m", &y4m("F30:1 Ip A1:1 C420jpeg", 3));
        assert_eq!(play(&file.0, 30, 8), [50, 51, 52, 50, 51, 52, 50, 51]);
    }

    #[test]
    fn a_y4m_file_plays_at_its_own_speed() {
        let file = Scratch::new("speed.y4m", &y4m("F15:1", 3));
        assert_eq!(play(&file.0, 30, 8), [50, 50, 51, 51, 52, 52, 50, 50]);
        assert_eq!(play(&file.0, 5, 4), [50, 50, 50, 50]);
        let file = Scratch::new("ntsc.y4m", &y4m("F30000:1001", 4));
        assert_eq!(play(&file.0, 15, 4), [50, 51, 53, 51]);
    }

    #[test]
    fn frames_are_cut_to_the_aspect_ratio_asked_for() {
        let file = Scratch::new("aspect.y4m", &y4m("F30:1", 1));
        let mut source = open(&file.0, CaptureFormat { width: 64, height: 64, fps: 30 }).unwrap();
        let frame = source.frame(Moment { instant: Instant::now(), unix_ms: 0, tick: 0 }).unwrap();
        assert_eq!((frame.width(), frame.height()), (16, 16));
    }

    #[test]
    fn files_of_other_kinds_are_refused_with_a_reason() {
        let cases = [
            ("deep.y4m", y4m("F30:1 C420p10", 1), "8 bit"),
            ("lies.y4m", y4m("F30:1 C444", 1), "no picture"),
            ("huge.y4m", b"YUV4MPEG2 W99999 H99999 F30:1\nFRAME\n".to_vec(), "size"),
            ("empty.y4m", b"YUV4MPEG2 W32 H16 F30:1\n".to_vec(), "no picture"),
            ("cut.y4m", y4m("F30:1", 1)[..300].to_vec(), "no picture"),
            ("other.y4m", b"RIFF....".to_vec(), "YUV4MPEG2"),
            ("kind.y4m", y4m("F30:1 C555", 1), "colour format"),
            ("none.mjpeg", b"nothing here".to_vec(), "no picture"),
            ("clip.mp4", Vec::new(), "neither"),
        ];
        for (name, content, expected) in cases {
            let file = Scratch::new(name, &content);
            let error = open(&file.0, CaptureFormat { width: 32, height: 16, fps: 30 }).err().unwrap();
            assert_eq!(error.0, CameraFailure::Failed, "{name}");
            assert!(error.1.contains(expected), "{name}: {error:?}");
        }
    }

    #[test]
    fn a_rewound_mjpeg_file_shows_its_frames_in_turn() {
        let file =
            Scratch::new("two.mjpeg", &[super::super::mjpeg::tests::GREY, super::super::mjpeg::tests::WHITE].concat());
        let levels = play(&file.0, 30, 4);
        assert!(levels[0] < 160 && levels[1] > 220, "{levels:?}");
        assert_eq!(levels[..2], levels[2..]);
    }

    #[test]
    fn a_frame_that_is_damaged_is_skipped_of_the_loop() {
        use super::super::mjpeg::tests::{GREY, WHITE};
        let mut damaged = GREY.to_vec();
        let size = damaged.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap() + 4;
        damaged[size..size + 9].fill(0);
        let file = Scratch::new("damaged.mjpeg", &[GREY, &damaged, WHITE].concat());
        let mut source = open(&file.0, CaptureFormat { width: 32, height: 16, fps: 30 }).unwrap();
        let good = (0..6).map(|tick| source.frame(Moment { instant: Instant::now(), unix_ms: 0, tick }).is_ok());
        assert_eq!(good.collect::<Vec<_>>(), [true, false, true, true, false, true]);
    }

    #[test]
    fn a_y4m_file_of_any_colour_resolution_plays() {
        for (header, chroma_len) in [("C422", 32 * 16), ("C444 XCOLORRANGE=FULL", 2 * 32 * 16), ("Cmono", 0)] {
            let mut content = format!("YUV4MPEG2 W32 H16 F30:1 {header}\n").into_bytes();
            for luma in [50, 51] {
                content.extend_from_slice(b"FRAME\n");
                content.extend(std::iter::repeat_n(luma, 32 * 16));
                content.extend(std::iter::repeat_n(128, chroma_len));
            }
            let file = Scratch::new("colour.y4m", &content);
            let expected = if header.contains("FULL") { [59, 60] } else { [50, 51] };
            assert_eq!(play(&file.0, 30, 2), expected, "{header}");
        }
    }

    #[test]
    fn a_frame_shown_twice_has_two_capture_times() {
        let file = Scratch::new("twice.y4m", &y4m("F1:1", 1));
        let mut source = open(&file.0, CaptureFormat { width: 32, height: 16, fps: 30 }).unwrap();
        let start = Instant::now();
        for tick in 0..3 {
            let instant = start + std::time::Duration::from_millis(tick);
            assert_eq!(source.frame(Moment { instant, unix_ms: 0, tick }).unwrap().capture_time(), instant);
        }
    }
}
