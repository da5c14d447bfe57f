//! The render thread: streams -> mix -> speaker ring, paced by the speaker; without a speaker, by the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::device_slot::{DeviceSlot, Opener};
use super::device_volumes::DeviceVolumes;
use super::frame_ticker::FrameTicker;
use super::mixer::{Mixer, gain_of_volume, ramp};
use super::output_buffer_target::OutputBufferTarget;
use super::player::Voice;
use super::resample::Resampler;
use super::stereo::{StereoFrame, interleave};
use super::stream::{CHANNELS, OutputStream};
use super::{AudioEvents, DeviceKind, FRAME_SAMPLES, SAMPLE_RATE};

/// How often the ring is looked at.
const POLL: Duration = Duration::from_millis(4);
/// A speaker that has pulled nothing for this long is not playing (yet): streams continue without it.
const STALLED_AFTER: Duration = Duration::from_millis(100);
/// A command for the render thread.
pub(crate) enum RenderCommand {
    AddPlayer(Box<Voice>),
    RemovePlayer(u64),
    Select(String),
    DevicesChanged,
    /// Whether the microphone is played too.
    Monitor(bool),
}

/// State that the render thread shares with the pipeline.
#[derive(Debug)]
pub(crate) struct RenderShared {
    pub(crate) muted: AtomicBool,
    /// How loud the own microphone is heard, percent.
    pub(crate) monitor_volume: AtomicU32,
    pub(crate) devices: Arc<DeviceVolumes>,
}

impl Default for RenderShared {
    fn default() -> Self {
        let monitor_volume = AtomicU32::new(DEFAULT_MONITOR_VOLUME);
        Self { muted: AtomicBool::new(false), monitor_volume, devices: Arc::default() }
    }
}

/// Percent.
const DEFAULT_MONITOR_VOLUME: u32 = 60;
/// More than this of the own microphone is not kept waiting: a late echo of oneself is worse than a gap.
const MAX_MONITOR_FRAMES: usize = 3;

/// State of the thread.
pub(crate) struct RenderThread {
    commands: Receiver<RenderCommand>,
    shared: Arc<RenderShared>,
    slot: DeviceSlot<OutputStream>,
    /// The played audio, for the echo canceller.
    reference: rtrb::Producer<f32>,
    /// The own microphone.
    monitor: rtrb::Consumer<f32>,
    monitoring: bool,
    /// Gain of the monitor at the end of the last frame.
    monitor_gain: f32,
    /// Gain of the speaker at the end of the last frame.
    device_gain: f32,
    voices: Vec<Voice>,
    mixer: Mixer,
    monitor_mixer: Mixer,
    mixed: StereoFrame,
    /// One for each side.
    resamplers: Option<[Resampler; 2]>,
    resampled: [Vec<f32>; 2],
    interleaved: Vec<f32>,
    output_buffer_target: OutputBufferTarget,
    last_progress: Instant,
    /// Beats while no speaker does.
    ticker: Option<FrameTicker>,
}

impl RenderThread {
    pub(crate) fn new(
        commands: Receiver<RenderCommand>,
        shared: Arc<RenderShared>,
        events: Arc<dyn AudioEvents>,
        opener: Opener<OutputStream>,
        reference: rtrb::Producer<f32>,
        monitor: rtrb::Consumer<f32>,
    ) -> Self {
        let now = Instant::now();
        Self {
            commands,
            shared,
            slot: DeviceSlot::new(opener, events),
            reference,
            monitor,
            monitoring: false,
            monitor_gain: 0.0,
            device_gain: 1.0,
            voices: Vec::new(),
            mixer: Mixer::default(),
            monitor_mixer: Mixer::default(),
            mixed: StereoFrame::SILENCE,
            resamplers: None,
            resampled: [Vec::new(), Vec::new()],
            interleaved: Vec::new(),
            output_buffer_target: OutputBufferTarget::new(now),
            last_progress: now,
            ticker: None,
        }
    }

    /// Runs until the pipeline and every player are gone.
    pub(crate) fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Acquire) {
            let command = if self.is_idle() {
                self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.commands.recv_timeout(POLL)
            };
            match command {
                Ok(command) => self.on_command(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.slot.poll(Instant::now()) {
                self.on_opened();
            }
            if !self.is_idle() {
                self.play(Instant::now());
            }
        }
    }

    fn on_command(&mut self, command: RenderCommand) {
        let now = Instant::now();
        match command {
            RenderCommand::AddPlayer(voice) => self.voices.push(*voice),
            RenderCommand::RemovePlayer(id) => self.voices.retain(|voice| voice.id != id),
            RenderCommand::Select(id) => self.slot.select(&id, now),
            RenderCommand::DevicesChanged => self.slot.devices_changed(now),
            RenderCommand::Monitor(on) => {
                self.monitoring = on;
                self.monitor_gain = 0.0;
            }
        }
        self.slot.want(!self.is_idle(), now);
        if self.is_idle() {
            self.ticker = None;
        }
    }

    fn is_idle(&self) -> bool {
        self.voices.is_empty() && !self.monitoring
    }

    fn on_opened(&mut self) {
        let now = Instant::now();
        let Some(stream) = self.slot.stream() else { return };
        tracing::info!(sample_rate = stream.sample_rate, "speaker is open");
        let resampler = || Resampler::new(SAMPLE_RATE, stream.sample_rate);
        self.resamplers = resampler().zip(resampler()).map(|(left, right)| [left, right]);
        if self.resamplers.is_none() {
            tracing::error!(sample_rate = stream.sample_rate, "the speaker's rate cannot be converted");
        }
        self.output_buffer_target = OutputBufferTarget::new(now);
        self.last_progress = now;
    }

    fn play(&mut self, now: Instant) {
        if self.fill_speaker(now) {
            self.last_progress = now;
            self.ticker = None;
            return;
        }
        let has_speaker = self.slot.stream().is_some();
        if has_speaker && now.saturating_duration_since(self.last_progress) < STALLED_AFTER {
            return;
        }
        let due = self.ticker.get_or_insert_with(|| FrameTicker::new(now)).due(now);
        for _ in due {
            self.mix(now, now);
        }
    }

    /// Fills the speaker's ring; false when it wants nothing or there is none.
    fn fill_speaker(&mut self, now: Instant) -> bool {
        let mut progress = false;
        loop {
            let Some(stream) = self.slot.stream() else { return progress };
            let capacity = stream.samples.buffer().capacity() / CHANNELS;
            let waiting = capacity - stream.samples.slots() / CHANNELS;
            let output_buffer_target =
                self.output_buffer_target.update(stream.status.missed_frames.load(Ordering::Relaxed), now);
            let output_buffer_target = (output_buffer_target.as_secs_f64() * f64::from(stream.sample_rate)) as usize;
            let callback = stream.status.callback_frames.load(Ordering::Relaxed) as usize;
            let wanted = (callback + output_buffer_target).min(capacity / 2);
            if waiting >= wanted || self.resamplers.is_none() {
                return progress;
            }
            progress = true;
            let held = if stream.holds_callback { callback } else { 0 };
            let ahead = waiting + held;
            let heard_at = now + Duration::from_secs_f64(ahead as f64 / f64::from(stream.sample_rate.max(1)));
            self.mix(now, heard_at);
            for ((side, resampler), out) in
                self.mixed.sides().into_iter().zip(self.resamplers.iter_mut().flatten()).zip(&mut self.resampled)
            {
                out.clear();
                resampler.process(side, out);
            }
            self.interleaved.clear();
            interleave(&self.resampled[0], &self.resampled[1], &mut self.interleaved);
            if let Some(stream) = self.slot.stream() {
                // Samples that do not fit are dropped; the ring holds far more than is ever wanted.
                let room = stream.samples.slots() / CHANNELS * CHANNELS;
                let _ = stream.samples.push_partial_slice(&self.interleaved[..room.min(self.interleaved.len())]);
            }
        }
    }

    /// Makes the next 10 ms.
    fn mix(&mut self, now: Instant, heard_at: Instant) {
        self.mixer.begin();
        for voice in &mut self.voices {
            voice.render(now, heard_at, &mut self.mixer);
        }
        let mut others = *self.mixer.finish();
        self.mixed = others;
        self.add_monitor();
        let gain = self.shared.devices.gain(DeviceKind::Speaker);
        let before = std::mem::replace(&mut self.device_gain, gain);
        self.mixed.sides().into_iter().for_each(|side| ramp(side, before, gain));
        others.sides().into_iter().for_each(|side| ramp(side, before, gain));
        // Volume and mute are behind the mixer, and the echo canceller gets what the room hears.
        let is_muted = self.shared.muted.load(Ordering::Relaxed);
        if is_muted {
            self.mixed = StereoFrame::SILENCE;
        }
        // Full while no microphone runs. Without the monitor, which is for headphones: in the room it would be taken for an echo
        // of the voice.
        let _ = self.reference.push_entire_slice(&if is_muted { self.mixed } else { others }.mono());
    }

    /// Adds the own microphone to the mix.
    fn add_monitor(&mut self) {
        while self.monitor.slots() > MAX_MONITOR_FRAMES * FRAME_SAMPLES {
            if let Ok(old) = self.monitor.read_chunk(FRAME_SAMPLES) {
                old.commit_all();
            }
        }
        let mut own = [0.0; FRAME_SAMPLES];
        if !self.monitoring || self.monitor.pop_entire_slice(&mut own).is_err() {
            return;
        }
        let gain = gain_of_volume(self.shared.monitor_volume.load(Ordering::Relaxed));
        self.monitor_mixer.begin();
        self.monitor_mixer.add(&self.mixed, 1.0, 1.0);
        self.monitor_mixer.add(&StereoFrame::both(&own), self.monitor_gain, gain);
        self.monitor_gain = gain;
        self.mixed = *self.monitor_mixer.finish();
    }
}
