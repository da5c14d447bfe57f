//! WAV files as fake devices.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::resample::Resampler;
use super::stream::CHANNELS;
use super::{AudioDeviceError, SAMPLE_RATE};

/// Longest part of a file that is played, seconds: it is held in memory.
const MAX_SECONDS: u64 = 600;
/// The header is brought up to date this often, so that the file can be read while it grows.
const FLUSH_EVERY_FRAMES: u32 = 25;

fn file_error(path: &Path, reason: impl ToString) -> AudioDeviceError {
    AudioDeviceError::File { path: path.to_owned(), reason: reason.to_string() }
}

/// Reads a WAV file of any usual format as 48 kHz mono. At most ten minutes; never empty.
pub(crate) fn read(path: &Path) -> Result<Vec<f32>, AudioDeviceError> {
    let mut reader = hound::WavReader::open(path).map_err(|error| file_error(path, error))?;
    let spec = reader.spec();
    let channels = usize::from(spec.channels.max(1));
    let limit = (u64::from(spec.sample_rate) * MAX_SECONDS) as usize * channels;
    let interleaved: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().take(limit).collect(),
        hound::SampleFormat::Int => {
            let full_scale = 2f32.powi(i32::from(spec.bits_per_sample.clamp(1, 32)) - 1);
            reader.samples::<i32>().take(limit).map(|sample| Ok(sample? as f32 / full_scale)).collect()
        }
    };
    let mono: Vec<f32> = interleaved
        .map_err(|error| file_error(path, error))?
        .chunks_exact(channels)
        .map(|frame| frame.iter().sum::<f32>() / channels as f32)
        .map(|sample| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 })
        .collect();
    let mut samples = Vec::new();
    Resampler::new(spec.sample_rate, SAMPLE_RATE)
        .ok_or_else(|| file_error(path, "unusable sample rate"))?
        .process(&mono, &mut samples);
    if samples.is_empty() { Err(file_error(path, "no samples")) } else { Ok(samples) }
}

/// Writes what is played to a 16-bit WAV file, mono or stereo, that can be read while it grows.
pub(crate) struct Writer {
    path: PathBuf,
    inner: Option<hound::WavWriter<BufWriter<File>>>,
    is_stereo: bool,
    since_flush: u32,
}

impl Writer {
    /// Starts the file of 1 or 2 `channels` anew, or goes on with it if `append` (and if there is one).
    pub(crate) fn open(path: &Path, channels: u16, append: bool) -> Result<Self, AudioDeviceError> {
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

    /// Adds 10 ms, left and right in turn. After an error (disk full, 4 GiB reached) the rest is left out.
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
