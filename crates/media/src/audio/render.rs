//! The render thread: players -> mix -> speaker ring, in step with the speaker; without a speaker, with the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::device_slot::{DeviceSlot, Opener};
use super::mixer::Mixer;
use super::pacer::Pacer;
use super::player::Voice;
use super::resample::Resampler;
use super::stream::{OutputStream, StreamStatus};
use super::{AudioEvents, FRAME_SAMPLES, Frame, SAMPLE_RATE};

/// How often the ring is looked at.
const POLL: Duration = Duration::from_millis(4);
/// A speaker that has taken nothing for this long is not playing (yet): streams go on without it.
const STALLED_AFTER: Duration = Duration::from_millis(100);
/// What is kept in the ring beyond the next callback, milliseconds: at least, and at most after underruns.
const MIN_HEADROOM_MS: u32 = 10;
const MAX_HEADROOM_MS: u32 = 80;
/// An underrun adds this much headroom, milliseconds.
const UNDERRUN_STEP_MS: u32 = 10;
/// After this long without an underrun one step is taken back.
const CALM: Duration = Duration::from_secs(20);

/// What the render thread is told.
pub(crate) enum RenderCommand {
    AddPlayer(Box<Voice>),
    RemovePlayer(u64),
    Select(String),
}

/// What the render thread shares with the pipeline.
#[derive(Debug, Default)]
pub(crate) struct RenderShared {
    pub(crate) muted: AtomicBool,
}

/// How full the speaker's ring is kept.
struct Headroom {
    ms: u32,
    missed: u64,
    calm_since: Instant,
}

impl Headroom {
    fn new(now: Instant) -> Self {
        Self { ms: MIN_HEADROOM_MS, missed: 0, calm_since: now }
    }

    /// Frames that should be waiting, at `rate` Hz.
    fn frames(&mut self, status: &StreamStatus, rate: u32, now: Instant) -> usize {
        let missed = status.missed_frames.load(Ordering::Relaxed);
        // What was missed before the first sound was there is no underrun.
        if missed != self.missed {
            if self.missed > 0 {
                self.ms = (self.ms + UNDERRUN_STEP_MS).min(MAX_HEADROOM_MS);
            }
            self.missed = missed;
            self.calm_since = now;
        } else if now.saturating_duration_since(self.calm_since) > CALM {
            self.ms = self.ms.saturating_sub(UNDERRUN_STEP_MS).max(MIN_HEADROOM_MS);
            self.calm_since = now;
        }
        let headroom = (rate * self.ms / 1000) as usize;
        status.callback_frames.load(Ordering::Relaxed) as usize + headroom
    }
}

/// State of the thread.
pub(crate) struct RenderThread {
    commands: Receiver<RenderCommand>,
    shared: Arc<RenderShared>,
    slot: DeviceSlot<OutputStream>,
    /// What is played goes here too, for the echo canceller.
    reference: rtrb::Producer<f32>,
    voices: Vec<Voice>,
    mixer: Mixer,
    mixed: Frame,
    resampler: Option<Resampler>,
    resampled: Vec<f32>,
    headroom: Headroom,
    last_progress: Instant,
    /// Beats while no speaker does.
    pacer: Option<Pacer>,
}

impl RenderThread {
    pub(crate) fn new(
        commands: Receiver<RenderCommand>,
        shared: Arc<RenderShared>,
        events: Arc<dyn AudioEvents>,
        opener: Opener<OutputStream>,
        reference: rtrb::Producer<f32>,
    ) -> Self {
        let now = Instant::now();
        Self {
            commands,
            shared,
            slot: DeviceSlot::new(opener, events),
            reference,
            voices: Vec::new(),
            mixer: Mixer::default(),
            mixed: [0.0; FRAME_SAMPLES],
            resampler: None,
            resampled: Vec::new(),
            headroom: Headroom::new(now),
            last_progress: now,
            pacer: None,
        }
    }

    /// Runs until the pipeline and every player are gone.
    pub(crate) fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Acquire) {
            let command = if self.voices.is_empty() {
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
            if !self.voices.is_empty() {
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
        }
        self.slot.want(!self.voices.is_empty(), now);
        if self.voices.is_empty() {
            self.pacer = None;
        }
    }

    fn on_opened(&mut self) {
        let now = Instant::now();
        let Some(stream) = self.slot.stream() else { return };
        tracing::info!(sample_rate = stream.sample_rate, "speaker is open");
        self.resampler = Resampler::new(SAMPLE_RATE, stream.sample_rate);
        if self.resampler.is_none() {
            tracing::error!(sample_rate = stream.sample_rate, "the speaker's rate cannot be converted");
        }
        self.headroom = Headroom::new(now);
        self.last_progress = now;
    }

    fn play(&mut self, now: Instant) {
        if self.fill_speaker(now) {
            self.last_progress = now;
            self.pacer = None;
            return;
        }
        let has_speaker = self.slot.stream().is_some();
        if has_speaker && now.saturating_duration_since(self.last_progress) < STALLED_AFTER {
            return;
        }
        let due = self.pacer.get_or_insert_with(|| Pacer::new(now)).due(now);
        for _ in due {
            self.mix(now);
        }
    }

    /// Fills the speaker's ring; false when it wants nothing or there is none.
    fn fill_speaker(&mut self, now: Instant) -> bool {
        let mut progress = false;
        loop {
            let Some(stream) = self.slot.stream() else { return progress };
            let capacity = stream.samples.buffer().capacity();
            let waiting = capacity - stream.samples.slots();
            let wanted = self.headroom.frames(&stream.status, stream.sample_rate, now).min(capacity / 2);
            if waiting >= wanted || self.resampler.is_none() {
                return progress;
            }
            progress = true;
            self.mix(now);
            self.resampled.clear();
            if let Some(resampler) = &mut self.resampler {
                resampler.process(&self.mixed, &mut self.resampled);
            }
            if let Some(stream) = self.slot.stream() {
                // What does not fit is lost; the ring holds far more than is ever wanted.
                let _ = stream.samples.push_partial_slice(&self.resampled);
            }
        }
    }

    /// Makes the next 10 ms.
    fn mix(&mut self, now: Instant) {
        self.mixer.begin();
        for voice in &mut self.voices {
            voice.render(now, &mut self.mixer);
        }
        self.mixed = *self.mixer.finish();
        // The mute is behind the mixer, and the echo canceller hears what the room hears.
        if self.shared.muted.load(Ordering::Relaxed) {
            self.mixed.fill(0.0);
        }
        // Full while no microphone runs.
        let _ = self.reference.push_entire_slice(&self.mixed);
    }
}
