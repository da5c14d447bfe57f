//! The capture thread: microphone ring -> 48 kHz -> 10 ms of processing -> 20 ms of Opus -> sinks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::capture_clock::CaptureClock;
use super::codec::{OpusEncoder, PACKET_SAMPLES};
use super::device_slot::{DeviceSlot, Opener};
use super::level::LevelMeter;
use super::processing::{ProcessingConfig, Processor};
use super::resample::Resampler;
use super::stream::InputStream;
use super::{AudioEvents, FRAME_SAMPLES, Frame, OpusPacket, OpusSink, SAMPLE_RATE};

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
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self { bitrate_bps: 48_000, expected_loss_percent: 5, dtx: false }
    }
}

/// What the capture thread is told.
pub(crate) enum CaptureCommand {
    Want(bool),
    Select(String),
    Processing(ProcessingConfig),
    AddEncoder(u64, Arc<dyn OpusSink>),
    ConfigureEncoder(u64, EncoderSettings),
    RemoveEncoder(u64),
}

/// What the capture thread shares with the pipeline.
#[derive(Debug, Default)]
pub(crate) struct CaptureShared {
    pub(crate) muted: AtomicBool,
    pub(crate) level: LevelMeter,
}

struct Encoder {
    id: u64,
    inner: OpusEncoder,
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
    processing: ProcessingConfig,
    processor: Option<Processor>,
    resampler: Option<Resampler>,
    clock: CaptureClock,
    encoders: Vec<Encoder>,
    raw: Vec<f32>,
    waiting: Vec<f32>,
    packet: Vec<f32>,
    packet_time: Option<Instant>,
    first_frame_pending: bool,
    /// RTP time of the next packet, and when the packet before it was recorded.
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
    ) -> Self {
        Self {
            commands,
            shared,
            slot: DeviceSlot::new(opener, events.clone()),
            events,
            reference,
            processing: ProcessingConfig::default(),
            processor: None,
            resampler: None,
            clock: CaptureClock::default(),
            encoders: Vec::new(),
            raw: Vec::new(),
            waiting: Vec::new(),
            packet: Vec::with_capacity(PACKET_SAMPLES),
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
                self.on_opened();
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
            CaptureCommand::Processing(config) => {
                self.processing = config;
                if let Some(processor) = &mut self.processor {
                    processor.configure(config);
                }
            }
            CaptureCommand::AddEncoder(id, sink) => {
                self.encoders.retain(|encoder| encoder.id != id);
                let EncoderSettings { bitrate_bps, expected_loss_percent, dtx } = EncoderSettings::default();
                match OpusEncoder::new(bitrate_bps, expected_loss_percent, dtx) {
                    Ok(inner) => self.encoders.push(Encoder { id, inner, sink }),
                    Err(error) => tracing::error!(%error, "no audio encoder"),
                }
            }
            CaptureCommand::ConfigureEncoder(id, settings) => {
                if let Some(encoder) = self.encoders.iter_mut().find(|encoder| encoder.id == id) {
                    let EncoderSettings { bitrate_bps, expected_loss_percent, dtx } = settings;
                    if let Err(error) = encoder.inner.configure(bitrate_bps, expected_loss_percent, dtx) {
                        tracing::warn!(%error, "audio encoder keeps its settings");
                    }
                }
            }
            CaptureCommand::RemoveEncoder(id) => self.encoders.retain(|encoder| encoder.id != id),
        }
    }

    fn on_opened(&mut self) {
        self.forget_partial();
        // What was played before the microphone ran is no reference for it.
        if let Ok(stale) = self.reference.read_chunk(self.reference.slots()) {
            stale.commit_all();
        }
        let Some(stream) = self.slot.stream() else { return };
        tracing::info!(sample_rate = stream.sample_rate, "microphone is open");
        self.resampler = Resampler::new(stream.sample_rate, SAMPLE_RATE);
        if self.resampler.is_none() {
            tracing::error!(sample_rate = stream.sample_rate, "the microphone's rate cannot be converted");
        }
        self.processor = (!stream.is_measuring_signal).then(|| Processor::new(self.processing));
    }

    fn forget_partial(&mut self) {
        self.clock.reset();
        self.waiting.clear();
        self.packet.clear();
    }

    /// Takes what the microphone has brought.
    fn drain(&mut self, now: Instant) {
        let Some(stream) = self.slot.stream() else { return };
        let Some(resampler) = &mut self.resampler else { return };
        let found = stream.samples.slots();
        let Ok(chunk) = stream.samples.read_chunk(found) else { return };
        self.raw.clear();
        // Devices with float samples may bring anything.
        self.raw.extend(chunk.into_iter().map(|sample| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }));
        resampler.process(&self.raw, &mut self.waiting);

        let mut used = 0;
        while self.waiting.len() - used >= FRAME_SAMPLES {
            let at = self.clock.stamp(now, self.waiting.len() - used, FRAME_SAMPLES, SAMPLE_RATE);
            let mut frame = [0.0; FRAME_SAMPLES];
            frame.copy_from_slice(&self.waiting[used..used + FRAME_SAMPLES]);
            used += FRAME_SAMPLES;
            self.on_frame(frame, at);
        }
        self.waiting.drain(..used);
    }

    fn on_frame(&mut self, mut frame: Frame, at: Instant) {
        if self.first_frame_pending {
            self.first_frame_pending = false;
            self.events.captured_first_frame();
        }
        self.feed_reference();
        if let Some(processor) = &mut self.processor {
            processor.capture(&mut frame);
        }
        // After the processing, which so keeps its knowledge of the room.
        if self.shared.muted.load(Ordering::Relaxed) {
            frame.fill(0.0);
        }
        self.shared.level.update(&frame);
        if self.packet.is_empty() {
            self.packet_time = Some(at);
        }
        self.packet.extend_from_slice(&frame);
        if self.packet.len() >= PACKET_SAMPLES {
            self.encode();
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
        let mut samples = [0.0; PACKET_SAMPLES];
        samples.copy_from_slice(&self.packet[..PACKET_SAMPLES]);
        self.packet.clear();
        for encoder in &mut self.encoders {
            match encoder.inner.encode(&samples) {
                Ok(data) => encoder.sink.on_packet(&OpusPacket { data, timestamp: self.timestamp, capture_time }),
                Err(error) => tracing::warn!(%error, "an audio packet was not encoded"),
            }
        }
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
