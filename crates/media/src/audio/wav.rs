//! WAV files as fake devices.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use super::resample::Resampler;
use super::stream::CHANNELS;
use super::wav_reader::{self, Sound};
use super::{AudioDeviceError, SAMPLE_RATE};
use crate::fake_file::{FakeFile, FileFailure};

/// Longest part of a file that is played, seconds: it is held in memory.
const MAX_SECONDS: u32 = 600;
/// The header is brought up to date this often, so that the file can be read while it grows.
const FLUSH_EVERY_FRAMES: u32 = 25;

fn file_error(path: &Path, reason: impl ToString) -> AudioDeviceError {
    AudioDeviceError::File { path: path.to_owned(), reason: reason.to_string() }
}

/// The audio of a fake microphone, at 48 kHz; never empty.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) left: Vec<f32>,
    /// As long as `left`; absent in mono.
    pub(crate) right: Option<Vec<f32>>,
    /// The file itself, to check whether it still exists.
    pub(crate) file: FakeFile,
}

/// Reads a WAV file, see [`wav_reader`]. At most ten minutes.
pub(crate) fn read(path: &Path) -> Result<Recording, AudioDeviceError> {
    let file = FakeFile::open(path).map_err(|(failure, reason)| match failure {
        FileFailure::Missing => AudioDeviceError::NotFound { id: path.display().to_string() },
        FileFailure::Locked => AudioDeviceError::Busy,
        FileFailure::NotAllowed => AudioDeviceError::PermissionDenied,
        FileFailure::NotAFile | FileFailure::Other => file_error(path, reason),
    })?;
    let Sound { sample_rate, left, right } =
        wav_reader::read(&mut BufReader::new(file.file()), MAX_SECONDS).map_err(|reason| file_error(path, reason))?;
    let resampled = |samples: Vec<f32>| {
        let mut out = Vec::new();
        Resampler::new(sample_rate, SAMPLE_RATE)
            .ok_or_else(|| file_error(path, format!("unusable sample rate {sample_rate} Hz")))?
            .process(&samples, &mut out);
        if out.is_empty() { Err(file_error(path, "no samples")) } else { Ok(out) }
    };
    Ok(Recording { left: resampled(left)?, right: right.map(resampled).transpose()?, file })
}

/// Writes what is played to a 16-bit WAV file, mono or stereo, that can be read while it grows.
pub(crate) struct Writer {
    path: PathBuf,
    inner: Option<hound::WavWriter<BufWriter<File>>>,
    is_stereo: bool,
    since_flush: u32,
}

impl Writer {
    /// Creates the file with 1 or 2 `channels`, or continues it if `append` (and if it exists).
    pub(crate) fn open(path: &Path, channels: u16, append: bool) -> Result<Self, AudioDeviceError> {
        // Opening a pipe would wait for a reader.
        if std::fs::metadata(path).is_ok_and(|existing| !existing.is_file()) {
            return Err(file_error(path, "not a regular file"));
        }
        let spec = hound::WavSpec {
            channels,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let appended = if append { hound::WavWriter::append(path).ok() } else { None };
        let mut inner = match appended {
            Some(writer) => writer,
            None => hound::WavWriter::create(path, spec).map_err(|error| file_error(path, error))?,
        };
        inner.flush().map_err(|error| file_error(path, error))?;
        Ok(Self { path: path.to_owned(), inner: Some(inner), is_stereo: channels == 2, since_flush: 0 })
    }

    /// Adds 10 ms, interleaved. After an error (disk full, 4 GiB reached) the rest is dropped.
    pub(crate) fn write(&mut self, interleaved: &[f32]) {
        let Some(writer) = &mut self.inner else { return };
        self.since_flush += 1;
        let flush = self.since_flush >= FLUSH_EVERY_FRAMES;
        let mut add = |sample: f32| writer.write_sample((sample.clamp(-1.0, 1.0) * 32767.0).round() as i16);
        let is_stereo = self.is_stereo;
        let result = interleaved
            .chunks_exact(CHANNELS)
            .try_for_each(|pair| match is_stereo {
                true => add(pair[0]).and_then(|()| add(pair[1])),
                false => add((pair[0] + pair[1]) / 2.0),
            })
            .and_then(|()| if flush { writer.flush() } else { Ok(()) });
        if flush {
            self.since_flush = 0;
        }
        if let Err(error) = result {
            tracing::warn!(path = %self.path.display(), %error, "the fake speaker's file ends here");
            self.inner = None;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(writer) = self.inner.take()
            && let Err(error) = writer.finalize()
        {
            tracing::warn!(path = %self.path.display(), %error, "the fake speaker's file was not closed well");
        }
    }
}
