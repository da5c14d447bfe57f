//! One played stream: a decoder thread for its video, a jitter buffer in the mixer for its audio.
//!
//! Tracks change with sessions; the view, the volume and the counters last as long as the stream is played.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{TrySendError, bounded};
use media::audio::spectrum::SpectrumTap;
use media::audio::{AudioPacket, AudioPipeline, AudioPlayer, AudioPlayerStats};
use media::video::frame::VideoFrame;
use media::video::sink::FrameSink;
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;
use transport::{AudioReceiver, AudioReceiverHandle, ReceiverStats, VideoReceiver, VideoReceiverHandle};

use crate::sei;
use crate::session::TrackKind;
use crate::snapshot::SnapshotRequests;
use crate::undecodable::{ArrivalWatch, EncryptedAudioDetector, Reason, Sound};
use crate::video_playback::{BufferRange, Timing, TimingStats, VideoPlayback};

/// Upper bound of access units that wait for the decoder; more than a second of them means that it cannot keep up.
const DECODER_QUEUE: usize = 64;
/// Interval of the checks on what arrives.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// Minimum time without a frame that counts as a stall.
const STALL: Duration = Duration::from_millis(500);

/// An event of a player, from its threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlayerEvent {
    AudioFirstFrame,
    VideoFirstFrame,
    Size {
        width: u32,
        height: u32,
    },
    RenderedFirstFrame,
    /// An SEI message of a frame.
    Sei(Vec<u8>),
    /// A half of the stream cannot be decoded, or can be again.
    Decodability {
        kind: TrackKind,
        reason: Option<Reason>,
    },
}

/// Receives player events; must not block.
pub(crate) type PlayerEvents = Arc<dyn Fn(PlayerEvent) + Send + Sync>;

/// Counters of one player, written by its threads and read by anyone.
#[derive(Debug, Default)]
pub(crate) struct PlayerCounters {
    pub(crate) received_frames: AtomicU64,
    pub(crate) decoded_frames: AtomicU64,
    pub(crate) rendered_frames: AtomicU64,
    pub(crate) video_bytes: AtomicU64,
    pub(crate) audio_packets: AtomicU64,
    pub(crate) audio_bytes: AtomicU64,
    pub(crate) breaks: AtomicU64,
    pub(crate) break_ms: AtomicU64,
}

/// Shared by the decoder threads of one stream.
pub(crate) struct Output {
    view: RwLock<Option<Arc<dyn FrameSink>>>,
    events: PlayerEvents,
    size: Mutex<(u32, u32)>,
    last_picture: Mutex<Option<Instant>>,
    counters: Arc<PlayerCounters>,
    wishes: SnapshotRequests,
    obstacles: Mutex<Obstacles>,
    video_codec: AtomicU8,
}

/// Why the halves of a stream cannot be decoded.
#[derive(Default)]
struct Obstacles {
    audio: Option<Reason>,
    video: Option<Reason>,
}

impl Obstacles {
    fn of(&mut self, kind: TrackKind) -> &mut Option<Reason> {
        match kind {
            TrackKind::Audio => &mut self.audio,
            TrackKind::Video => &mut self.video,
        }
    }
}

/// The media of one played stream.
pub(crate) struct PlayerMedia {
    output: Arc<Output>,
    audio: Arc<AudioPlayer>,
    timing: Arc<Timing>,
    video_handle: Mutex<Option<VideoReceiverHandle>>,
    audio_handle: Mutex<Option<AudioReceiverHandle>>,
}

impl PlayerMedia {
    pub(crate) fn new(pipeline: &AudioPipeline, view: Option<Arc<dyn FrameSink>>, events: PlayerEvents) -> Self {
        let output = Output {
            view: RwLock::new(view),
            events,
            size: Mutex::new((0, 0)),
            last_picture: Mutex::new(None),
            counters: Arc::default(),
            wishes: SnapshotRequests::default(),
            obstacles: Mutex::default(),
            video_codec: AtomicU8::new(0),
        };
        let audio = Arc::new(pipeline.add_player());
        Self {
            output: Arc::new(output),
            timing: Timing::new(audio.clone()),
            audio,
            video_handle: Mutex::new(None),
            audio_handle: Mutex::new(None),
        }
    }

    pub(crate) fn set_view(&self, view: Option<Arc<dyn FrameSink>>) {
        *self.output.view.write() = view;
    }

    pub(crate) fn view(&self) -> Option<Arc<dyn FrameSink>> {
        self.output.view.read().clone()
    }

    /// The audio or video of the stream cannot be decoded, or can be again. Emitted on changes.
    pub(crate) fn set_obstacle(&self, kind: TrackKind, reason: Option<Reason>) {
        self.output.set_obstacle(kind, reason);
    }

    /// What is announced about audio and video; what arrives may differ.
    pub(crate) fn announced(&self, obstacles: [(TrackKind, Option<Reason>); 2]) {
        for (kind, reason) in obstacles.into_iter().filter(|(_, reason)| reason.is_some()) {
            let has_come = match kind {
                TrackKind::Audio => false,
                TrackKind::Video => self.counters().decoded_frames.load(Relaxed) > 0,
            };
            if !has_come {
                self.set_obstacle(kind, reason);
            }
        }
    }

    /// The first obstacle to decoding, video before audio.
    pub(crate) fn obstacle(&self) -> Option<(TrackKind, Reason)> {
        let obstacles = self.output.obstacles.lock();
        let video = obstacles.video.clone().map(|reason| (TrackKind::Video, reason));
        video.or_else(|| obstacles.audio.clone().map(|reason| (TrackKind::Audio, reason)))
    }

    /// Whether audio, and whether video cannot be decoded.
    pub(crate) fn undecodable(&self) -> (bool, bool) {
        let obstacles = self.output.obstacles.lock();
        (obstacles.audio.is_some(), obstacles.video.is_some())
    }

    /// `ZegoVideoCodecID` of what arrives.
    pub(crate) fn video_codec_id(&self) -> i32 {
        i32::from(self.output.video_codec.load(Relaxed))
    }

    /// The next frame.
    pub(crate) fn next_frame(&self) -> oneshot::Receiver<VideoFrame> {
        self.output.wishes.next()
    }

    pub(crate) fn set_volume(&self, volume: u32) {
        self.audio.set_volume(volume);
    }

    /// Keeps the playout delay within this range.
    pub(crate) fn set_buffer_range(&self, range: BufferRange) {
        self.timing.set_range(range);
    }

    pub(crate) fn timing_stats(&self) -> TimingStats {
        self.timing.stats()
    }

    pub(crate) fn set_audio_muted(&self, muted: bool) {
        self.audio.set_muted(muted);
    }

    /// Loudness of the stream, 0 to 100.
    pub(crate) fn sound_level(&self) -> f32 {
        self.audio.sound_level()
    }

    /// Whether there is voice activity in the stream.
    pub(crate) fn has_voice(&self) -> bool {
        self.audio.has_voice()
    }

    pub(crate) fn spectrum(&self) -> &SpectrumTap {
        self.audio.spectrum()
    }

    pub(crate) fn counters(&self) -> &Arc<PlayerCounters> {
        &self.output.counters
    }

    pub(crate) fn audio_stats(&self) -> AudioPlayerStats {
        self.audio.stats()
    }

    pub(crate) fn video_receiver_stats(&self) -> ReceiverStats {
        self.video_handle.lock().as_ref().map(VideoReceiverHandle::stats).unwrap_or_default()
    }

    pub(crate) fn audio_receiver_stats(&self) -> ReceiverStats {
        self.audio_handle.lock().as_ref().map(AudioReceiverHandle::stats).unwrap_or_default()
    }

    /// Decodes and shows this track from now on. Must be called on the runtime.
    pub(crate) fn attach_video(&self, mut receiver: VideoReceiver) {
        let handle = receiver.handle();
        // It is only sent if it is not announced as encrypted any more.
        let was_encrypted = self.output.obstacles.lock().video == Some(Reason::Encrypted);
        if was_encrypted {
            self.set_obstacle(TrackKind::Video, None);
        }
        *self.video_handle.lock() = Some(handle.clone());
        let (units, queue) = bounded(DECODER_QUEUE);
        let playback = VideoPlayback::new(queue, self.output.clone(), handle.clone(), self.timing.clone());
        if let Err(error) = std::thread::Builder::new().name("zego-decoder".into()).spawn(move || playback.run()) {
            tracing::error!(%error, "no decoder thread");
            return;
        }
        let output = self.output.clone();
        tokio::spawn(async move {
            // After an overflow everything up to the next key frame is useless to the decoder.
            let mut wait_for_keyframe = false;
            let (mut watch, mut looks) = (ArrivalWatch::default(), tokio::time::interval(CHECK_INTERVAL));
            loop {
                let unit = tokio::select! {
                    unit = receiver.recv() => unit,
                    _ = looks.tick() => {
                        let frames = output.counters.received_frames.load(Relaxed);
                        if let Some(reason) = watch.look(frames, &handle.unreadable(), Instant::now()) {
                            output.set_obstacle(TrackKind::Video, Some(reason));
                        }
                        continue;
                    }
                };
                let Some(unit) = unit else { return };
                if output.counters.received_frames.fetch_add(1, Relaxed) == 0 {
                    (output.events)(PlayerEvent::VideoFirstFrame);
                }
                output.counters.video_bytes.fetch_add(unit.data.len() as u64, Relaxed);
                if wait_for_keyframe && !unit.is_keyframe {
                    continue;
                }
                match units.try_send(unit) {
                    Ok(()) => wait_for_keyframe = false,
                    Err(TrySendError::Full(_)) => {
                        wait_for_keyframe = true;
                        handle.request_keyframe();
                    }
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
        });
    }

    /// Mixes this track in from now on. Must be called on the runtime.
    pub(crate) fn attach_audio(&self, mut receiver: AudioReceiver) {
        self.set_obstacle(TrackKind::Audio, None);
        *self.audio_handle.lock() = Some(receiver.handle());
        self.timing.set_audio_clock(receiver.handle());
        let (audio, output) = (self.audio.clone(), self.output.clone());
        tokio::spawn(async move {
            let mut watch = EncryptedAudioDetector::default();
            while let Some(packet) = receiver.recv().await {
                if output.counters.audio_packets.fetch_add(1, Relaxed) == 0 {
                    (output.events)(PlayerEvent::AudioFirstFrame);
                }
                output.counters.audio_bytes.fetch_add(packet.payload.len() as u64, Relaxed);
                let (sound, news) = watch.take(&packet.payload);
                if let Some(is_encrypted) = news {
                    output.set_obstacle(TrackKind::Audio, is_encrypted.then_some(Reason::Encrypted));
                }
                if sound == Sound::Drop {
                    continue;
                }
                audio.push(AudioPacket {
                    sequence: packet.sequence,
                    timestamp: packet.timestamp,
                    payload: packet.payload,
                    is_redundant: packet.is_redundant,
                    arrival: packet.arrival,
                });
            }
        });
    }
}

impl Drop for PlayerMedia {
    fn drop(&mut self) {
        // Threads of tracks that are still being torn down must not draw any more.
        self.set_view(None);
        self.audio.set_muted(true);
    }
}

impl Output {
    pub(crate) fn set_obstacle(&self, kind: TrackKind, reason: Option<Reason>) {
        let mut obstacles = self.obstacles.lock();
        let known = obstacles.of(kind);
        if *known != reason {
            known.clone_from(&reason);
            drop(obstacles);
            (self.events)(PlayerEvent::Decodability { kind, reason });
        }
    }

    pub(crate) fn set_video_codec(&self, id: u8) {
        self.video_codec.store(id, Relaxed);
    }

    pub(crate) fn show(&self, frame: &VideoFrame) {
        self.counters.decoded_frames.fetch_add(1, Relaxed);
        let size = (frame.width(), frame.height());
        if std::mem::replace(&mut *self.size.lock(), size) != size {
            (self.events)(PlayerEvent::Size { width: size.0, height: size.1 });
        }
        self.count_breaks(Instant::now());
        self.wishes.answer_all(frame);
        let Some(view) = self.view.read().clone() else { return };
        view.on_frame(frame);
        if self.counters.rendered_frames.fetch_add(1, Relaxed) == 0 {
            (self.events)(PlayerEvent::RenderedFirstFrame);
        }
    }

    /// Emits the SEI messages of a frame when it is shown.
    pub(crate) fn emit_sei(&self, access_unit: &[u8]) {
        for message in sei::read(access_unit) {
            (self.events)(PlayerEvent::Sei(message));
        }
    }

    fn count_breaks(&self, now: Instant) {
        if let Some(last) = self.last_picture.lock().replace(now) {
            let gap = now.duration_since(last);
            if gap > STALL {
                self.counters.breaks.fetch_add(1, Relaxed);
                self.counters.break_ms.fetch_add(u64::try_from(gap.as_millis()).unwrap_or(u64::MAX), Relaxed);
            }
        }
    }
}
