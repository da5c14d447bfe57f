//! Microphones and speakers that are not there: a tone or a file that plays, nothing or a file that listens.
//!
//! Each has a thread of its own that beats by the clock, as a real device would.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{RecvTimeoutError, Sender};

use super::frame_ticker::{FRAME_INTERVAL, FrameTicker};
use super::stereo::{StereoFrame, interleave};
use super::stream::{CHANNELS, InputStream, OutputStream, StreamStatus, stereo_ring_capacity};
use super::wav::{self, Recording};
use super::{AudioDeviceError, DeviceKind, FRAME_SAMPLES, SAMPLE_RATE, tone};
use crate::fake_file;

/// `ZEGO_FAKE_MICROPHONE` with this value hums; any other is a file.
pub(crate) const TONE: &str = "tone";
/// And with this value hums differently on both sides.
pub(crate) const STEREO_TONE: &str = "stereo-tone";
/// Before the file's name in `ZEGO_FAKE_SPEAKER`: it gets both channels.
const STEREO_FILE: &str = "stereo:";
/// `ZEGO_FAKE_SPEAKER` with this value throws away; any other is a file.
pub(crate) const NULL: &str = "null";

/// How often a device's file is looked for, in beats of 10 ms.
const LOOK_EVERY_BEATS: u64 = 25;

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
            let mut ticker = FrameTicker::new(Instant::now());
            while stopped.recv_deadline(ticker.next()) == Err(RecvTimeoutError::Timeout) {
                ticker.due(Instant::now()).for_each(&mut beat);
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
    File { recording: Recording, position: usize },
}

impl Source {
    fn fill(&mut self, beat: u64, frame: &mut StereoFrame) {
        match self {
            Self::Tone { start, started, is_stereo } => {
                let at =
                    |start: Duration| start + FRAME_INTERVAL.saturating_mul(u32::try_from(beat).unwrap_or(u32::MAX));
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
            Self::File { recording, position } => {
                let right = recording.right.as_ref().unwrap_or(&recording.left);
                for at in 0..FRAME_SAMPLES {
                    (frame.left[at], frame.right[at]) = (recording.left[*position], right[*position]);
                    *position = (*position + 1) % recording.left.len();
                }
            }
        }
    }

    /// False once it was unplugged.
    fn is_there(&self) -> bool {
        match self {
            Self::Tone { .. } => true,
            Self::File { recording, .. } => recording.file.is_there(),
        }
    }
}

/// Whether this fake device is plugged in: a microphone's file is there, or a speaker's folder.
pub(crate) fn is_there(kind: DeviceKind, spec: &str) -> bool {
    match kind {
        DeviceKind::Microphone => spec == TONE || spec == STEREO_TONE || fake_file::is_there(Path::new(spec)),
        DeviceKind::Speaker => spec == NULL || folder_is_there(speaker_file(spec).1),
    }
}

fn folder_is_there(file: &Path) -> bool {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.is_none_or(Path::is_dir)
}

/// Channels and path of a fake speaker's file.
fn speaker_file(spec: &str) -> (u16, &Path) {
    spec.strip_prefix(STEREO_FILE).map_or((1, Path::new(spec)), |path| (2, Path::new(path)))
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
        Source::File { recording: wav::read(Path::new(spec))?, position: 0 }
    };
    let (mut producer, samples) = rtrb::RingBuffer::new(stereo_ring_capacity(SAMPLE_RATE));
    let status = Arc::new(StreamStatus::default());
    let reported = status.clone();
    let mut interleaved = Vec::with_capacity(FRAME_SAMPLES * CHANNELS);
    let device = PacedThread::spawn("fake-microphone", move |beat| {
        if beat.is_multiple_of(LOOK_EVERY_BEATS) && !source.is_there() {
            reported.unplug();
        }
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

/// Opens fake speakers of one pipeline. A file is started again the first time and continued after that.
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
            let (channels, path) = speaker_file(spec);
            if !folder_is_there(path) {
                return Err(AudioDeviceError::NotFound { id: spec.to_owned() });
            }
            let writer = wav::Writer::open(path, channels, self.written.load(Ordering::Relaxed))?;
            self.written.store(true, Ordering::Relaxed);
            Some(writer)
        };
        let spec = spec.to_owned();
        let (samples, mut consumer) = rtrb::RingBuffer::new(stereo_ring_capacity(SAMPLE_RATE));
        let status = Arc::new(StreamStatus::default());
        let reported = status.clone();
        let device = PacedThread::spawn("fake-speaker", move |beat| {
            if beat.is_multiple_of(LOOK_EVERY_BEATS) && !is_there(DeviceKind::Speaker, &spec) {
                reported.unplug();
            }
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

    /// A WAV file of three samples for each ear, at 48 kHz.
    fn recording(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("media-{}-{name}.wav", std::process::id()));
        let mut writer = wav::Writer::open(&path, 2, false).unwrap();
        writer.write(&[0.1, -0.1, 0.2, -0.2, 0.3, -0.3]);
        path
    }

    #[test]
    fn a_file_loops_on_both_sides() {
        let path = recording("loops");
        let mut source = Source::File { recording: wav::read(&path).unwrap(), position: 0 };
        let mut frame = StereoFrame::SILENCE;
        source.fill(0, &mut frame);
        let near = |side: &[f32], expected: [f32; 4]| side.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(near(&frame.left, [0.1, 0.2, 0.3, 0.1]) && near(&frame.right, [-0.1, -0.2, -0.3, -0.1]));
        assert!(source.is_there() && is_there(DeviceKind::Microphone, &path.display().to_string()));
        std::fs::remove_file(&path).unwrap();
        assert!(!source.is_there() && !is_there(DeviceKind::Microphone, &path.display().to_string()));
    }

    #[test]
    fn a_missing_file_or_folder_is_a_device_that_is_not_there() {
        let error = |id: &str| Some(AudioDeviceError::NotFound { id: id.to_owned() });
        assert_eq!(open_microphone("no/such.wav").err(), error("no/such.wav"));
        assert_eq!(FakeSpeakers::default().open("no/such.wav").err(), error("no/such.wav"));
    }

    #[test]
    fn a_file_that_another_process_locks_is_a_busy_microphone() {
        let path = recording("busy");
        let other = std::fs::File::open(&path).unwrap();
        other.lock().unwrap();
        assert_eq!(open_microphone(&path.display().to_string()).err(), Some(AudioDeviceError::Busy));
        std::fs::remove_file(&path).unwrap();
    }
}
