//! One stream that is played: the handle, and its voice on the render thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::AudioPacket;
use super::codec::CodecError;
use super::jitter_buffer::{DelayRange, JitterBuffer};
use super::level::LevelMeter;
use super::mixer::{Mixer, gain_of_volume};
use super::render::RenderCommand;
use super::spectrum::SpectrumTap;
use super::voice_activity::VoiceActivity;

/// Packets between the network and the render thread: ten seconds. More are dropped.
const QUEUE: usize = 512;
const DEFAULT_VOLUME: u32 = 100;

/// Numbers of one player since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioPlayerStats {
    /// Packets received, without duplicates.
    pub packets: u64,
    /// Those of them that carried earlier ones again.
    pub packets_with_copies: u64,
    /// Their payload.
    pub bytes: u64,
    /// Packets that have not arrived.
    pub packets_lost: u64,
    /// Packets that arrived too late.
    pub packets_late: u64,
    /// Packets that are not Opus.
    pub packets_malformed: u64,
    /// Audio decoded.
    pub decoded_ms: u64,
    /// Audio recovered from redundancy in later packets.
    pub recovered_ms: u64,
    /// Audio concealed.
    pub concealed_ms: u64,
    /// Number of times that audio was concealed, however long.
    pub gaps: u64,
    /// Audio skipped, to catch up.
    pub accelerated_ms: u64,
    /// Audio added, to fall back.
    pub expanded_ms: u64,
    /// Audio thrown away, because far too much was waiting.
    pub discarded_ms: u64,
    /// How long audio waits beyond the fastest path through the network.
    pub buffer_ms: f64,
    /// How long it should wait.
    pub target_ms: f64,
    /// Loudness before volume and mute, dBFS.
    pub level_dbfs: f32,
}

/// State that the handle and the voice share.
#[derive(Debug)]
pub(crate) struct PlayerShared {
    volume: AtomicU32,
    muted: AtomicBool,
    level: LevelMeter,
    voice: VoiceActivity,
    spectrum: SpectrumTap,
    stats: Mutex<AudioPlayerStats>,
    position: Mutex<Option<AudioPosition>>,
    range: Mutex<DelayRange>,
}

/// Which audio of a stream is played, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioPosition {
    /// RTP time in 48 kHz units.
    pub timestamp: u32,
    /// When it leaves the speaker, as far as the speaker says.
    pub heard_at: Instant,
}

/// A stream in the mix. Dropping it takes the stream out.
pub struct AudioPlayer {
    id: u64,
    packets: Sender<AudioPacket>,
    commands: Sender<RenderCommand>,
    shared: Arc<PlayerShared>,
}

impl AudioPlayer {
    /// Adds a packet from the network, in any order. Never blocks; when the render thread stalls for ten seconds the packet is
    /// dropped.
    pub fn push(&self, packet: AudioPacket) {
        let _ = self.packets.try_send(packet);
    }

    /// 0..=200 percent, 100 at first; more counts as 200.
    pub fn set_volume(&self, percent: u32) {
        self.shared.volume.store(percent.min(200), Ordering::Relaxed);
    }

    /// Mutes this stream alone; it is still received and decoded.
    pub fn set_muted(&self, muted: bool) {
        self.shared.muted.store(muted, Ordering::Relaxed);
    }

    /// Keeps the playout delay within these bounds; `extra` is added to what the network requires, within them.
    pub fn set_delay(&self, range: DelayRange) {
        *self.shared.range.lock() = range;
    }

    /// The audio that is being played; `None` while nothing plays.
    pub fn position(&self) -> Option<AudioPosition> {
        *self.shared.position.lock()
    }

    /// Numbers up to now.
    pub fn stats(&self) -> AudioPlayerStats {
        AudioPlayerStats { level_dbfs: self.shared.level.dbfs(), ..*self.shared.stats.lock() }
    }

    /// Whether there is a voice in the stream.
    pub fn has_voice(&self) -> bool {
        self.shared.voice.has_voice()
    }

    /// The stream's frequencies, before volume and mute.
    pub fn spectrum(&self) -> &SpectrumTap {
        &self.shared.spectrum
    }

    /// Loudness of the stream before volume and mute, 0..=100.
    pub fn sound_level(&self) -> f32 {
        self.shared.level.percent()
    }
}

impl Drop for AudioPlayer {
    fn drop(&mut self) {
        let _ = self.commands.send(RenderCommand::RemovePlayer(self.id));
    }
}

/// Makes the two ends of a player.
pub(crate) fn pair(id: u64, commands: Sender<RenderCommand>) -> (AudioPlayer, Result<Voice, CodecError>) {
    let (sender, packets) = crossbeam_channel::bounded(QUEUE);
    let shared = Arc::new(PlayerShared {
        volume: AtomicU32::new(DEFAULT_VOLUME),
        muted: AtomicBool::new(false),
        level: LevelMeter::default(),
        voice: VoiceActivity::default(),
        spectrum: SpectrumTap::default(),
        stats: Mutex::default(),
        position: Mutex::default(),
        range: Mutex::default(),
    });
    let voice = JitterBuffer::new().map(|buffer| Voice { id, packets, buffer, shared: shared.clone(), gain: None });
    (AudioPlayer { id, packets: sender, commands, shared }, voice)
}

/// A player's side on the render thread.
pub(crate) struct Voice {
    pub(crate) id: u64,
    packets: Receiver<AudioPacket>,
    buffer: JitterBuffer,
    shared: Arc<PlayerShared>,
    /// Gain at the end of the last frame.
    gain: Option<f32>,
}

impl Voice {
    /// Decodes what has arrived and adds the next 10 ms to the mix, which is audible at `heard_at`.
    pub(crate) fn render(&mut self, now: Instant, heard_at: Instant, mixer: &mut Mixer) {
        self.buffer.set_delay(*self.shared.range.lock());
        for packet in self.packets.try_iter() {
            self.buffer.insert(packet);
        }
        *self.shared.position.lock() =
            self.buffer.next_timestamp().map(|timestamp| AudioPosition { timestamp, heard_at });
        let frame = self.buffer.pull_stereo(now);
        let mono = frame.mono();
        self.shared.level.update(&mono);
        self.shared.voice.update(&mono);
        self.shared.spectrum.update(&mono);
        let muted = self.shared.muted.load(Ordering::Relaxed);
        let gain = if muted { 0.0 } else { gain_of_volume(self.shared.volume.load(Ordering::Relaxed)) };
        mixer.add(&frame, self.gain.unwrap_or(gain), gain);
        self.gain = Some(gain);
        *self.shared.stats.lock() = self.stats();
    }

    fn stats(&self) -> AudioPlayerStats {
        let stats = self.buffer.stats();
        let ms = |samples: u64| samples / 48;
        AudioPlayerStats {
            packets: stats.packets,
            packets_with_copies: stats.with_copies,
            bytes: stats.bytes,
            packets_lost: stats.lost,
            packets_late: stats.late,
            packets_malformed: stats.malformed,
            decoded_ms: ms(stats.decoded_samples),
            recovered_ms: ms(stats.recovered_samples),
            concealed_ms: ms(stats.concealed_samples),
            gaps: stats.gaps,
            accelerated_ms: ms(stats.accelerated_samples),
            expanded_ms: ms(stats.expanded_samples),
            discarded_ms: ms(stats.discarded_samples),
            buffer_ms: self.buffer.delay_ms(),
            target_ms: self.buffer.target_ms(),
            level_dbfs: 0.0,
        }
    }
}
