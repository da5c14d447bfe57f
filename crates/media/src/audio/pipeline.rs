//! The audio of one engine: a microphone with its encoders, a speaker with its players.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use super::capture::{CaptureCommand, CaptureShared, CaptureThread, EncoderSettings};
use super::device_slot::{Attempt, Opener};
use super::device_volumes::DeviceVolumes;
use super::fake_device::{self, FakeSpeakers};
use super::player;
use super::processing::ProcessingConfig;
use super::render::{RenderCommand, RenderShared, RenderThread};
use super::spectrum::SpectrumTap;
use super::stream::{InputStream, OutputStream, ring_capacity};
use super::{AudioEvents, AudioPlayer, DeviceKind, OpusSink, SAMPLE_RATE, device};
use crate::FakeDevices;

/// Audio capture and playout. All methods return at once; two threads do the work, and report errors by [`AudioEvents`].
/// Dropping it closes the devices and ends the threads.
pub struct AudioPipeline {
    capture: Option<Sender<CaptureCommand>>,
    render: Sender<RenderCommand>,
    capture_shared: Arc<CaptureShared>,
    render_shared: Arc<RenderShared>,
    devices: Arc<DeviceVolumes>,
    next_player: AtomicU64,
    stop: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl AudioPipeline {
    /// Makes the pipeline; no device is opened before it is needed.
    pub fn new(fakes: FakeDevices, events: Arc<dyn AudioEvents>) -> Arc<Self> {
        let (capture, capture_commands) = crossbeam_channel::unbounded();
        let (render, render_commands) = crossbeam_channel::unbounded();
        let devices = Arc::new(DeviceVolumes::default());
        let capture_shared = Arc::new(CaptureShared { devices: devices.clone(), ..CaptureShared::default() });
        let render_shared = Arc::new(RenderShared { devices: devices.clone(), ..RenderShared::default() });
        let stop = Arc::new(AtomicBool::new(false));
        let (reference_in, reference_out) = rtrb::RingBuffer::new(ring_capacity(SAMPLE_RATE));
        let (monitor_in, monitor_out) = rtrb::RingBuffer::new(ring_capacity(SAMPLE_RATE));

        let microphone = microphone_opener(fakes.microphone);
        let speaker = speaker_opener(fakes.speaker);
        let capture_thread = CaptureThread::new(
            capture_commands,
            capture_shared.clone(),
            events.clone(),
            microphone,
            reference_out,
            monitor_in,
        );
        let render_thread =
            RenderThread::new(render_commands, render_shared.clone(), events, speaker, reference_in, monitor_out);
        let render_stop = stop.clone();
        let threads = [
            std::thread::Builder::new().name("audio-capture".to_owned()).spawn(move || capture_thread.run()),
            std::thread::Builder::new().name("audio-render".to_owned()).spawn(move || render_thread.run(render_stop)),
        ]
        .into_iter()
        .filter_map(|thread| thread.inspect_err(|error| tracing::error!(%error, "no audio thread")).ok())
        .collect();
        Arc::new(Self {
            capture: Some(capture),
            render,
            capture_shared,
            render_shared,
            devices,
            next_player: AtomicU64::new(1),
            stop,
            threads: Mutex::new(threads),
        })
    }

    /// Opens the microphone. Does nothing if it is open.
    pub fn start_capture(&self) {
        self.tell_capture(CaptureCommand::Want(true));
    }

    /// Closes the microphone; no packets follow until it is started again.
    pub fn stop_capture(&self) {
        self.tell_capture(CaptureCommand::Want(false));
    }

    /// Chooses a device by its id in [`super::list`]; empty for the default, which is the fake one if there is. An open
    /// device is replaced. If the chosen one cannot be opened an error is reported and the default used.
    pub fn select_device(&self, kind: DeviceKind, id: &str) {
        match kind {
            DeviceKind::Microphone => self.tell_capture(CaptureCommand::Select(id.to_owned())),
            DeviceKind::Speaker => self.tell_render(RenderCommand::Select(id.to_owned())),
        }
    }

    /// The machine has another microphone or speaker than before: one that is missed is tried now.
    pub fn devices_changed(&self, kind: DeviceKind) {
        match kind {
            DeviceKind::Microphone => self.tell_capture(CaptureCommand::DevicesChanged),
            DeviceKind::Speaker => self.tell_render(RenderCommand::DevicesChanged),
        }
    }

    /// How loud each device is.
    pub fn devices(&self) -> &Arc<DeviceVolumes> {
        &self.devices
    }

    /// Sends silence, while the microphone stays open.
    pub fn set_microphone_muted(&self, muted: bool) {
        self.capture_shared.muted.store(muted, Ordering::Relaxed);
    }

    /// Plays silence, while all streams are still received.
    pub fn set_speaker_muted(&self, muted: bool) {
        self.render_shared.muted.store(muted, Ordering::Relaxed);
    }

    /// Switches parts of the audio processing on and off; all are on at first. The fake microphone's tone, which others
    /// measure, is never processed.
    pub fn set_processing(&self, config: ProcessingConfig) {
        self.tell_capture(CaptureCommand::Processing(config));
    }

    /// Keeps both channels of stereo microphones; by default they are mixed into one. Each encoder decides whether it sends
    /// two.
    pub fn set_capture_stereo(&self, is_stereo: bool) {
        self.tell_capture(CaptureCommand::Stereo(is_stereo));
    }

    /// Encodes the microphone for `sink`, with the default [`EncoderSettings`]; replaces an encoder with the same id.
    pub fn add_encoder(&self, id: u64, sink: Arc<dyn OpusSink>) {
        self.tell_capture(CaptureCommand::AddEncoder(id, sink));
    }

    /// Changes how a stream is encoded from the next packet on.
    pub fn configure_encoder(&self, id: u64, settings: EncoderSettings) {
        self.tell_capture(CaptureCommand::ConfigureEncoder(id, settings));
    }

    /// Ends the encoder; one more packet may follow.
    pub fn remove_encoder(&self, id: u64) {
        self.tell_capture(CaptureCommand::RemoveEncoder(id));
    }

    /// Adds a stream to the mix. The speaker is opened with the first and closed with the last.
    pub fn add_player(&self) -> AudioPlayer {
        let id = self.next_player.fetch_add(1, Ordering::Relaxed);
        let (player, voice) = player::pair(id, self.render.clone());
        match voice {
            Ok(voice) => self.tell_render(RenderCommand::AddPlayer(Box::new(voice))),
            Err(error) => tracing::error!(%error, "no audio decoder: the stream stays silent"),
        }
        player
    }

    /// How loud the microphone is sent, 0..=200 percent, 100 at first; more counts as 200. Loud peaks are cut.
    pub fn set_capture_volume(&self, percent: u32) {
        self.capture_shared.volume.store(percent.min(200), Ordering::Relaxed);
    }

    /// Plays the microphone on the speaker too. For headphones: the echo canceller does not know of it.
    pub fn set_monitored(&self, monitored: bool) {
        self.capture_shared.monitored.store(monitored, Ordering::Relaxed);
        self.tell_render(RenderCommand::Monitor(monitored));
    }

    /// How loud it then is, 0..=200 percent, 60 at first; more counts as 200.
    pub fn set_monitor_volume(&self, percent: u32) {
        self.render_shared.monitor_volume.store(percent.min(200), Ordering::Relaxed);
    }

    /// How many frames of 10 ms of the microphone held a voice, and how many there were.
    pub fn microphone_voice_counts(&self) -> (u64, u64) {
        self.capture_shared.voice.counts()
    }

    /// Whether there is a voice on the microphone.
    pub fn microphone_has_voice(&self) -> bool {
        self.capture_shared.voice.has_voice()
    }

    /// The microphone's frequencies, after processing, volume and mute.
    pub fn microphone_spectrum(&self) -> &SpectrumTap {
        &self.capture_shared.spectrum
    }

    /// Loudness of the microphone after processing, volume and mute, 0..=100.
    pub fn microphone_level(&self) -> f32 {
        self.capture_shared.level.percent()
    }

    fn tell_capture(&self, command: CaptureCommand) {
        if let Some(capture) = &self.capture {
            let _ = capture.send(command);
        }
    }

    fn tell_render(&self, command: RenderCommand) {
        let _ = self.render.send(command);
    }
}

impl Drop for AudioPipeline {
    fn drop(&mut self) {
        self.capture = None;
        self.stop.store(true, Ordering::Release);
        // Wakes the thread; there is no player with this id.
        self.tell_render(RenderCommand::RemovePlayer(0));
        for thread in self.threads.get_mut().drain(..) {
            // The last reference may be dropped by a sink or listener, on one of these threads.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

fn microphone_opener(fake: Option<String>) -> Opener<InputStream> {
    Arc::new(move |id| match &fake {
        Some(fake) if id.is_empty() || id == fake => {
            Attempt { id: fake.clone(), stream: fake_device::open_microphone(fake) }
        }
        _ => device::open_microphone(id),
    })
}

fn speaker_opener(fake: Option<String>) -> Opener<OutputStream> {
    let fakes = FakeSpeakers::default();
    Arc::new(move |id| match &fake {
        Some(fake) if id.is_empty() || id == fake => Attempt { id: fake.clone(), stream: fakes.open(fake) },
        _ => device::open_speaker(id),
    })
}
