//! Microphones and speakers that are not there: a tone or a file that plays, nothing or a file that listens.
//!
//! Each has a thread of its own that beats by the clock, as a real device would.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{RecvTimeoutError, Sender};

use super::pacer::{BEAT, Pacer};
use super::stereo::{StereoFrame, interleave};
use super::stream::{CHANNELS, InputStream, OutputStream, StreamStatus, stereo_ring_capacity};
use super::{AudioDeviceError, FRAME_SAMPLES, SAMPLE_RATE, tone, wav};

/// `ZEGO_FAKE_MICROPHONE` with this value hums; any other is a file.
pub(crate) const TONE: &str = "tone";
/// And with this value hums differently on both sides.
pub(crate) const STEREO_TONE: &str = "stereo-tone";
/// Before the file's name in `ZEGO_FAKE_SPEAKER`: it gets both channels.
const STEREO_FILE: &str = "stereo:";
/// `ZEGO_FAKE_SPEAKER` with this value throws away; any other is a file.
pub(crate) const NULL: &str = "null";

/// The wall clock may be set while the tone runs; a jump over this is followed.
const CLOCK_STEP: Duration = Duration::from_millis(5);

/// Runs `beat` with the number of every beat until it is dropped.
struct PacedThread {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PacedThread {
    fn spawn(name: &str, mut beat: impl FnMut(u64) + Send + 'static) -> Result<Self, AudioDeviceError> {
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let run = move || {
            let mut pacer = Pacer::new(Instant::now());
            while stopped.recv_deadline(pacer.next()) == Err(RecvTimeoutError::Timeout) {
                pacer.due(Instant::now()).for_each(&mut beat);
            }
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| AudioDeviceError::Backend(error.to_string()))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for PacedThread {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Source {
    Tone { start: Duration, started: Instant, is_stereo: bool },
    File { samples: Vec<f32>, position: usize },
}

impl Source {
    fn fill(&mut self, beat: u64, frame: &mut StereoFrame) {
        match self {
            Self::Tone { start, started, is_stereo } => {
                let at = |start: Duration| start + BEAT.saturating_mul(u32::try_from(beat).unwrap_or(u32::MAX));
                let actual = since_epoch().saturating_sub(started.elapsed());
                if actual.abs_diff(*start) > CLOCK_STEP {
                    *start = actual;
                }
                tone::fill(at(*start), &mut frame.left);
                if *is_stereo {
                    tone::fill_right(at(*start), &mut frame.right);
                } else {
                    frame.right = frame.left;
                }
            }
            Self::File { samples, position } => {
                for sample in &mut frame.left {
                    *sample = samples[*position];
                    *position = (*position + 1) % samples.len();
                }
                frame.right = frame.left;
            }
        }
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Opens the fake microphone `spec`: [`TONE`], [`STEREO_TONE`] or a WAV file, which loops.
pub(crate) fn open_microphone(spec: &str) -> Result<InputStream, AudioDeviceError> {
    let is_tone = spec == TONE || spec == STEREO_TONE;
    let mut source = if is_tone {
        Source::Tone { start: since_epoch(), started: Instant::now(), is_stereo: spec == STEREO_TONE }
    } else {
        Source::File { samples: wav::read(Path::new(spec))?, position: 0 }
    };
    let (mut producer, samples) = rtrb::RingBuffer::new(stereo_ring_capacity(SAMPLE_RATE));
    let status = Arc::new(StreamStatus::default());
    let reported = status.clone();
    let mut interleaved = Vec::with_capacity(FRAME_SAMPLES * CHANNELS);
    let device = PacedThread::spawn("fake-microphone", move |beat| {
        let mut frame = StereoFrame::SILENCE;
        source.fill(beat, &mut frame);
        interleaved.clear();
        interleave(&frame.left, &frame.right, &mut interleaved);
        let lost = producer.push_partial_slice(&interleaved).1.len();
        reported.on_callback(FRAME_SAMPLES, lost / CHANNELS);
    })?;
    Ok(InputStream {
        samples,
        sample_rate: SAMPLE_RATE,
        is_measuring_signal: is_tone,
        status,
        _device: Box::new(device),
    })
}

/// Opens fake speakers of one pipeline. A file is started anew the first time and continued after that.
#[derive(Debug, Default)]
pub(crate) struct FakeSpeakers {
    written: AtomicBool,
}

impl FakeSpeakers {
    /// Opens the fake speaker `spec`: [`NULL`] or a WAV file that takes what would have been played, as mono, or
    /// as stereo after `stereo:`.
    pub(crate) fn open(&self, spec: &str) -> Result<OutputStream, AudioDeviceError> {
        let mut file = if spec == NULL {
            None
        } else {
            let (channels, path) = spec.strip_prefix(STEREO_FILE).map_or((1, spec), |path| (2, path));
            let writer = wav::Writer::open(&PathBuf::from(path), channels, self.written.load(Ordering::Relaxed))?;
            self.written.store(true, Ordering::Relaxed);
            Some(writer)
        };
        let (samples, mut consumer) = rtrb::RingBuffer::new(stereo_ring_capacity(SAMPLE_RATE));
        let status = Arc::new(StreamStatus::default());
        let reported = status.clone();
        let device = PacedThread::spawn("fake-speaker", move |_| {
            let mut interleaved = [0.0; FRAME_SAMPLES * CHANNELS];
            let missing = consumer.pop_partial_slice(&mut interleaved).1.len();
            reported.on_callback(FRAME_SAMPLES, missing / CHANNELS);
            if let Some(file) = &mut file {
                file.write(&interleaved);
            }
        })?;
        Ok(OutputStream { samples, sample_rate: SAMPLE_RATE, holds_callback: false, status, _device: Box::new(device) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_loops() {
        let mut source = Source::File { samples: vec![0.1, 0.2, 0.3], position: 0 };
        let mut frame = StereoFrame::SILENCE;
        source.fill(0, &mut frame);
        assert_eq!(frame.left[..4], [0.1, 0.2, 0.3, 0.1]);
    }

    #[test]
    fn a_missing_file_is_an_error() {
        assert!(matches!(open_microphone("no/such.wav"), Err(AudioDeviceError::File { .. })));
        assert!(matches!(FakeSpeakers::default().open("no/such.wav"), Err(AudioDeviceError::File { .. })));
    }
}
