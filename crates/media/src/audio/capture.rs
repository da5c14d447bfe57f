//! The capture thread: microphone ring -> 48 kHz -> 10 ms of processing -> 20 ms of Opus -> sinks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::capture_clock::CaptureClock;
use super::codec::{CodecError, LOOKAHEAD, OpusEncoder, PACKET_SAMPLES};
use super::device_slot::{DeviceSlot, Opener};
use super::device_volumes::DeviceVolumes;
use super::downmix::Downmix;
use super::level::LevelMeter;
use super::mixer::{gain_of_volume, ramp};
use super::processing::{ProcessingConfig, Processor};
use super::resample::Resampler;
use super::spectrum::SpectrumTap;
use super::stereo::{StereoFrame, interleave};
use super::stream::{CHANNELS, InputStream};
use super::voice_activity::VoiceActivity;
use super::{AudioEvents, DeviceKind, FRAME_SAMPLES, Frame, OpusPacket, OpusSink, SAMPLE_RATE};

/// How often the ring is looked at.
const POLL: Duration = Duration::from_millis(4);
/// Most reference frames that are shown to the echo canceller at once; it keeps a longer past by itself.
const MAX_REFERENCE_FRAMES: usize = 20;

/// How one outgoing stream is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderSettings {
    /// 6000..=510000.
    pub bitrate_bps: u32,
    /// 0..=100; more redundancy is sent the higher it is.
    pub expected_loss_percent: u8,
    /// Sends next to nothing during silence.
    pub dtx: bool,
    /// Two channels, if the microphone gives two and [`AudioPipeline::set_capture_stereo`](super::AudioPipeline::set_capture_stereo)
    /// lets it.
    pub is_stereo: bool,
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self { bitrate_bps: 48_000, expected_loss_percent: 5, dtx: false, is_stereo: false }
    }
}

impl EncoderSettings {
    fn encoder(&self) -> Result<OpusEncoder, CodecError> {
        let make = if self.is_stereo { OpusEncoder::stereo } else { OpusEncoder::new };
        make(self.bitrate_bps, self.expected_loss_percent, self.dtx)
    }
}

/// What the capture thread is reported.
pub(crate) enum CaptureCommand {
    Want(bool),
    Select(String),
    DevicesChanged,
    Processing(ProcessingConfig),
    /// Whether both channels are taken.
    Stereo(bool),
    AddEncoder(u64, Arc<dyn OpusSink>),
    ConfigureEncoder(u64, EncoderSettings),
    RemoveEncoder(u64),
}

/// What the capture thread shares with the pipeline.
#[derive(Debug)]
pub(crate) struct CaptureShared {
    pub(crate) muted: AtomicBool,
    /// Percent.
    pub(crate) volume: AtomicU32,
    pub(crate) devices: Arc<DeviceVolumes>,
    pub(crate) level: LevelMeter,
    pub(crate) voice: VoiceActivity,
    pub(crate) spectrum: SpectrumTap,
    /// Whether the speaker wants what is captured.
    pub(crate) monitored: AtomicBool,
}

impl Default for CaptureShared {
    fn default() -> Self {
        Self {
            muted: AtomicBool::new(false),
            volume: AtomicU32::new(DEFAULT_VOLUME),
            devices: Arc::default(),
            level: LevelMeter::default(),
            voice: VoiceActivity::default(),
            spectrum: SpectrumTap::default(),
            monitored: AtomicBool::new(false),
        }
    }
}

/// Percent.
const DEFAULT_VOLUME: u32 = 100;

struct Encoder {
    id: u64,
    inner: OpusEncoder,
    settings: EncoderSettings,
    sink: Arc<dyn OpusSink>,
}

/// State of the thread.
pub(crate) struct CaptureThread {
    commands: Receiver<CaptureCommand>,
    shared: Arc<CaptureShared>,
    events: Arc<dyn AudioEvents>,
    slot: DeviceSlot<InputStream>,
    /// 48 kHz mono that the speaker is given, for the echo canceller.
    reference: rtrb::Consumer<f32>,
    /// What is captured, for whoever listens to it himself.
    monitor: rtrb::Producer<f32>,
    /// Gains at the end of the last frame.
    gain: f32,
    device_gain: f32,
    processing: ProcessingConfig,
    processor: Option<Processor>,
    /// Both channels are taken.
    is_stereo: bool,
    downmix: Downmix,
    /// One for each channel that is taken.
    resamplers: Vec<Resampler>,
    clock: CaptureClock,
    encoders: Vec<Encoder>,
    raw: [Vec<f32>; 2],
    waiting: [Vec<f32>; 2],
    packet: [Vec<f32>; 2],
    packet_time: Option<Instant>,
    first_frame_pending: bool,
    /// RTP time of the next packet, and when the packet before it was captured.
    timestamp: u32,
    last_packet_time: Option<Instant>,
}

impl CaptureThread {
    pub(crate) fn new(
        commands: Receiver<CaptureCommand>,
        shared: Arc<CaptureShared>,
        events: Arc<dyn AudioEvents>,
        opener: Opener<InputStream>,
        reference: rtrb::Consumer<f32>,
        monitor: rtrb::Producer<f32>,
    ) -> Self {
        Self {
            commands,
            shared,
            slot: DeviceSlot::new(opener, events.clone()),
            events,
            reference,
            monitor,
            gain: 1.0,
            device_gain: 1.0,
            processing: ProcessingConfig::default(),
            processor: None,
            is_stereo: false,
            downmix: Downmix::default(),
            resamplers: Vec::new(),
            clock: CaptureClock::default(),
            encoders: Vec::new(),
            raw: Default::default(),
            waiting: Default::default(),
            packet: Default::default(),
            packet_time: None,
            first_frame_pending: false,
            timestamp: 0,
            last_packet_time: None,
        }
    }

    /// Runs until the pipeline is gone.
    pub(crate) fn run(mut self) {
        loop {
            let command = if self.slot.is_wanted() {
                self.commands.recv_timeout(POLL)
            } else {
                self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match command {
                Ok(command) => self.on_command(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.slot.poll(Instant::now()) {
                self.prepare();
            }
            self.drain(Instant::now());
        }
    }

    fn on_command(&mut self, command: CaptureCommand) {
        match command {
            CaptureCommand::Want(wanted) => {
                self.first_frame_pending = wanted && (self.first_frame_pending || !self.slot.is_wanted());
                self.slot.want(wanted, Instant::now());
                if !wanted {
                    self.processor = None;
                    self.shared.level.reset();
                    self.forget_partial();
                }
            }
            CaptureCommand::Select(id) => self.slot.select(&id, Instant::now()),
            CaptureCommand::DevicesChanged => self.slot.devices_changed(Instant::now()),
            CaptureCommand::Processing(config) => {
                self.processing = config;
                if let Some(processor) = &mut self.processor {
                    processor.configure(config);
                }
            }
            CaptureCommand::Stereo(is_stereo) => {
                if is_stereo != self.is_stereo {
                    self.is_stereo = is_stereo;
                    self.prepare();
                }
            }
            CaptureCommand::AddEncoder(id, sink) => {
                self.encoders.retain(|encoder| encoder.id != id);
                let settings = EncoderSettings::default();
                match settings.encoder() {
                    Ok(inner) => self.encoders.push(Encoder { id, inner, settings, sink }),
                    Err(error) => tracing::error!(%error, "no audio encoder"),
                }
            }
            CaptureCommand::ConfigureEncoder(id, settings) => {
                if let Some(encoder) = self.encoders.iter_mut().find(|encoder| encoder.id == id) {
                    let EncoderSettings { bitrate_bps, expected_loss_percent, dtx, is_stereo } = settings;
                    let changed = if is_stereo == encoder.settings.is_stereo {
                        encoder.inner.configure(bitrate_bps, expected_loss_percent, dtx)
                    } else {
                        settings.encoder().map(|inner| encoder.inner = inner)
                    };
                    match changed {
                        Ok(()) => encoder.settings = settings,
                        Err(error) => tracing::warn!(%error, "audio encoder keeps its settings"),
                    }
                }
            }
            CaptureCommand::RemoveEncoder(id) => self.encoders.retain(|encoder| encoder.id != id),
        }
    }

    /// Gets ready for what the open microphone gives.
    fn prepare(&mut self) {
        self.forget_partial();
        // What was played before the microphone ran is no reference for it.
        if let Ok(stale) = self.reference.read_chunk(self.reference.slots()) {
            stale.commit_all();
        }
        let Some(stream) = self.slot.stream() else { return };
        tracing::info!(sample_rate = stream.sample_rate, stereo = self.is_stereo, "sound comes from a microphone");
        let lanes = if self.is_stereo { 2 } else { 1 };
        self.resamplers = (0..lanes).filter_map(|_| Resampler::new(stream.sample_rate, SAMPLE_RATE)).collect();
        if self.resamplers.is_empty() {
            tracing::error!(sample_rate = stream.sample_rate, "the microphone's rate cannot be converted");
        }
        let make = if self.is_stereo { Processor::stereo } else { Processor::new };
        self.processor = (!stream.is_measuring_signal).then(|| make(self.processing));
    }

    fn forget_partial(&mut self) {
        self.clock.reset();
        self.waiting.iter_mut().chain(&mut self.packet).for_each(Vec::clear);
    }

    /// Takes what the microphone has brought.
    fn drain(&mut self, now: Instant) {
        let Some(stream) = self.slot.stream() else { return };
        if self.resamplers.is_empty() {
            return;
        }
        let pairs = stream.samples.slots() / CHANNELS;
        let Ok(chunk) = stream.samples.read_chunk(pairs * CHANNELS) else { return };
        self.raw.iter_mut().for_each(Vec::clear);
        // Devices with float samples may bring anything.
        let sane = |sample: f32| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        let (first, second) = chunk.as_slices();
        let mut samples = first.iter().chain(second).map(|sample| sane(*sample));
        while let (Some(left), Some(right)) = (samples.next(), samples.next()) {
            if self.is_stereo {
                self.raw[0].push(left);
                self.raw[1].push(right);
            } else {
                self.raw[0].push(self.downmix.mix(left, right));
            }
        }
        chunk.commit_all();
        for ((resampler, raw), waiting) in self.resamplers.iter_mut().zip(&self.raw).zip(&mut self.waiting) {
            resampler.process(raw, waiting);
        }

        let mut used = 0;
        while self.waiting[0].len() - used >= FRAME_SAMPLES {
            let at = self.clock.stamp(now, self.waiting[0].len() - used, FRAME_SAMPLES, SAMPLE_RATE);
            let range = used..used + FRAME_SAMPLES;
            let mut frame = StereoFrame::SILENCE;
            frame.left.copy_from_slice(&self.waiting[0][range.clone()]);
            match self.waiting[1].get(range) {
                Some(right) => frame.right.copy_from_slice(right),
                None => frame.right = frame.left,
            }
            used += FRAME_SAMPLES;
            self.on_frame(frame, at);
        }
        self.waiting.iter_mut().for_each(|waiting| drop(waiting.drain(..used.min(waiting.len()))));
    }

    fn on_frame(&mut self, mut frame: StereoFrame, at: Instant) {
        if self.first_frame_pending {
            self.first_frame_pending = false;
            self.events.captured_first_frame();
        }
        let device_gain = self.shared.devices.gain(DeviceKind::Microphone);
        let before = std::mem::replace(&mut self.device_gain, device_gain);
        self.each_side(&mut frame, |side| ramp(side, before, device_gain));
        self.feed_reference();
        match &mut self.processor {
            Some(processor) if processor.is_stereo() => processor.capture_stereo(&mut frame),
            Some(processor) => processor.capture(&mut frame.left),
            None => {}
        }
        // After the processing, which so keeps its knowledge of the room.
        let gain = gain_of_volume(self.shared.volume.load(Ordering::Relaxed));
        let before = std::mem::replace(&mut self.gain, gain);
        self.each_side(&mut frame, |side| ramp(side, before, gain));
        if !self.is_stereo {
            frame.right = frame.left;
        }
        if self.shared.monitored.load(Ordering::Relaxed) {
            // Full while nothing is played.
            let _ = self.monitor.push_entire_slice(&frame.mono());
        }
        if self.shared.muted.load(Ordering::Relaxed) {
            frame = StereoFrame::SILENCE;
        }
        let mono = frame.mono();
        self.shared.level.update(&mono);
        self.shared.voice.update(&mono);
        self.shared.spectrum.update(&mono);
        if self.packet[0].is_empty() {
            self.packet_time = Some(at);
        }
        self.packet[0].extend_from_slice(&frame.left);
        self.packet[1].extend_from_slice(&frame.right);
        if self.packet[0].len() >= PACKET_SAMPLES {
            self.encode();
        }
    }

    /// Does it to every channel that is taken.
    fn each_side(&self, frame: &mut StereoFrame, mut change: impl FnMut(&mut Frame)) {
        change(&mut frame.left);
        if self.is_stereo {
            change(&mut frame.right);
        }
    }

    fn feed_reference(&mut self) {
        let ready = self.reference.slots() / FRAME_SAMPLES;
        for index in 0..ready {
            let mut frame = [0.0; FRAME_SAMPLES];
            if self.reference.pop_entire_slice(&mut frame).is_err() {
                return;
            }
            if let Some(processor) = &mut self.processor
                && ready - index <= MAX_REFERENCE_FRAMES
            {
                processor.render(&frame);
            }
        }
    }

    fn encode(&mut self) {
        let capture_time = self.packet_time.take().unwrap_or_else(Instant::now);
        self.advance_timestamp(capture_time);
        let [left, right] = &self.packet;
        let mut both = Vec::new();
        if self.encoders.iter().any(|encoder| encoder.settings.is_stereo) {
            interleave(left, right, &mut both);
        }
        let mono: Vec<f32> = match self.is_stereo {
            true => left.iter().zip(right).map(|(left, right)| self.downmix.mix(*left, *right)).collect(),
            false => left.clone(),
        };
        let (timestamp, heard) = (self.timestamp, capture_time.checked_sub(LOOKAHEAD).unwrap_or(capture_time));
        for encoder in &mut self.encoders {
            match encoder.inner.encode(if encoder.settings.is_stereo { &both } else { &mono }) {
                Ok(data) => encoder.sink.on_packet(&OpusPacket { data, timestamp, capture_time: heard }),
                Err(error) => tracing::warn!(%error, "an audio packet was not encoded"),
            }
        }
        self.packet.iter_mut().for_each(Vec::clear);
        self.timestamp = self.timestamp.wrapping_add(PACKET_SAMPLES as u32);
        self.last_packet_time = Some(capture_time);
    }

    /// Lets the RTP time pass while there was no microphone, so that receivers see a pause and not a late packet.
    fn advance_timestamp(&mut self, capture_time: Instant) {
        const PACKET: Duration = Duration::from_millis(20);
        let Some(last) = self.last_packet_time else { return };
        let pause = capture_time.saturating_duration_since(last + PACKET);
        if pause >= Duration::from_millis(100) {
            let packets = (pause.as_millis() / PACKET.as_millis()) as u32;
            self.timestamp = self.timestamp.wrapping_add(packets.wrapping_mul(PACKET_SAMPLES as u32));
        }
    }
}
