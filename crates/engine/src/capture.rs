//! Frames from cameras and screens to their sinks: one feed for each publish channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use media::video::camera::{CameraFailure, CaptureError};
use media::video::frame::VideoFrame;
use media::video::scale;
use media::video::sink::FrameSink;
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use crate::config::VideoSource;
use crate::snapshot::SnapshotRequests;

/// An event of the capture side, from its threads.
#[derive(Debug)]
pub(crate) enum CaptureEvent {
    FirstFrame {
        channel: u32,
    },
    Size {
        channel: u32,
        width: u32,
        height: u32,
    },
    /// A camera does not open, or was lost. Reported once until frames arrive again.
    Failed {
        error: CaptureError,
    },
    /// The camera of this channel delivers no frames for this reason; `None`: it delivers them again, or is not wanted.
    CameraState {
        channel: u32,
        failure: Option<CameraFailure>,
    },
}

/// Receives capture events; must not block.
pub(crate) type CaptureEvents = Arc<dyn Fn(CaptureEvent) + Send + Sync>;

/// `ZegoVideoMirrorMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MirrorMode {
    OnlyPreview = 0,
    Both = 1,
    None = 2,
    OnlyPublish = 3,
}

impl MirrorMode {
    pub(crate) fn from_number(mode: u32) -> Option<Self> {
        match mode {
            0 => Some(Self::OnlyPreview),
            1 => Some(Self::Both),
            2 => Some(Self::None),
            3 => Some(Self::OnlyPublish),
            _ => None,
        }
    }

    fn preview(mode: u32) -> bool {
        matches!(Self::from_number(mode), Some(Self::OnlyPreview | Self::Both))
    }

    fn publish(mode: u32) -> bool {
        matches!(Self::from_number(mode), Some(Self::OnlyPublish | Self::Both))
    }
}

/// The source of a channel and the state of its frames.
#[derive(Debug, Default)]
struct Taken {
    source: VideoSource,
    /// Size of the last frame; `None` until the source delivers one.
    size: Option<(u32, u32)>,
}

/// The frames of one publish channel, on their way to its preview and its encoder.
pub(crate) struct ChannelFeed {
    channel: u32,
    events: CaptureEvents,
    preview: RwLock<Option<Arc<dyn FrameSink>>>,
    encoder: RwLock<Option<Arc<dyn FrameSink>>>,
    mirror: AtomicU32,
    taken: Mutex<Taken>,
    failure: Mutex<Option<CameraFailure>>,
    wishes: SnapshotRequests,
    /// Frames captured since the engine began.
    pub(crate) captured: AtomicU64,
}

impl ChannelFeed {
    pub(crate) fn new(channel: u32, events: CaptureEvents) -> Arc<Self> {
        Arc::new(Self {
            channel,
            events,
            preview: RwLock::new(None),
            encoder: RwLock::new(None),
            mirror: AtomicU32::new(MirrorMode::OnlyPreview as u32),
            taken: Mutex::default(),
            failure: Mutex::default(),
            wishes: SnapshotRequests::default(),
            captured: AtomicU64::new(0),
        })
    }

    pub(crate) fn set_preview(&self, sink: Option<Arc<dyn FrameSink>>) {
        *self.preview.write() = sink;
    }

    pub(crate) fn preview(&self) -> Option<Arc<dyn FrameSink>> {
        self.preview.read().clone()
    }

    pub(crate) fn set_encoder(&self, sink: Option<Arc<dyn FrameSink>>) {
        *self.encoder.write() = sink;
    }

    /// The next frame, as it is sent.
    pub(crate) fn next_frame(&self) -> oneshot::Receiver<VideoFrame> {
        self.wishes.next()
    }

    pub(crate) fn set_mirror(&self, mode: MirrorMode) {
        self.mirror.store(mode as u32, Relaxed);
    }

    /// Selects the source: frames of another one that is slow to close are dropped.
    pub(crate) fn select(&self, source: VideoSource) {
        let mut taken = self.taken.lock();
        if taken.source != source {
            *taken = Taken { source, size: None };
        }
    }

    /// Sets why the channel's camera delivers no frames.
    pub(crate) fn set_failure(&self, failure: Option<CameraFailure>) {
        if std::mem::replace(&mut *self.failure.lock(), failure) != failure {
            (self.events)(CaptureEvent::CameraState { channel: self.channel, failure });
        }
    }

    /// The camera was closed: its next frame is a first one again.
    pub(crate) fn restart_camera(&self) {
        let mut taken = self.taken.lock();
        if taken.source == VideoSource::Camera {
            taken.size = None;
        }
    }

    /// Takes a frame of a source, if it is the selected one.
    pub(crate) fn take(&self, source: VideoSource, frame: &VideoFrame) {
        let size = (frame.width(), frame.height());
        let before = {
            let mut taken = self.taken.lock();
            if taken.source != source {
                return;
            }
            taken.size.replace(size)
        };
        self.captured.fetch_add(1, Relaxed);
        if before.is_none() && source == VideoSource::Camera {
            self.set_failure(None);
        }
        self.announce(before, size);
        // Mirrored text cannot be read.
        let mirror = if source == VideoSource::Camera { self.mirror.load(Relaxed) } else { MirrorMode::None as u32 };
        self.pass_on(frame, mirror);
    }

    fn announce(&self, before: Option<(u32, u32)>, size: (u32, u32)) {
        if before.is_none() {
            (self.events)(CaptureEvent::FirstFrame { channel: self.channel });
        }
        if before != Some(size) {
            (self.events)(CaptureEvent::Size { channel: self.channel, width: size.0, height: size.1 });
        }
    }

    fn pass_on(&self, frame: &VideoFrame, mirror: u32) {
        let preview = self.preview();
        let encoder = self.encoder.read().clone();
        let mirrors = (preview.is_some() && MirrorMode::preview(mirror)) || MirrorMode::publish(mirror);
        let mirrored = mirrors.then(|| scale::mirror(frame));
        let pick = |wanted: bool| if wanted { mirrored.as_ref().unwrap_or(frame) } else { frame };
        self.wishes.answer_all(pick(MirrorMode::publish(mirror)));
        // The encoder first: it only takes a reference, while the preview is converted on this thread.
        if let Some(encoder) = encoder {
            encoder.on_frame(pick(MirrorMode::publish(mirror)));
        }
        if let Some(preview) = preview {
            preview.on_frame(pick(MirrorMode::preview(mirror)));
        }
    }
}
