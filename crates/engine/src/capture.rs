//! From cameras and screens to what wants their pictures: one feed for each publish channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use media::video::camera::{CameraTrouble, CaptureError};
use media::video::frame::VideoFrame;
use media::video::scale;
use media::video::sink::FrameSink;
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use crate::config::VideoSource;
use crate::snapshot::PictureWishes;

/// What happens on the capture side, told from its threads.
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
    /// A camera does not open, or was lost. Told once until pictures come again.
    Failed {
        error: CaptureError,
    },
    /// The camera of this channel gives no pictures for this reason; `None`: it gives them again, or is not wanted.
    Trouble {
        channel: u32,
        trouble: Option<CameraTrouble>,
    },
}

/// Takes capture events; must not block.
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

/// What a channel takes pictures from, and what it got of it.
#[derive(Debug, Default)]
struct Taken {
    source: VideoSource,
    /// Of the last picture; `None` until the source gives one.
    size: Option<(u32, u32)>,
}

/// The pictures of one publish channel, on their way to its preview and its encoder.
pub(crate) struct ChannelFeed {
    channel: u32,
    events: CaptureEvents,
    preview: RwLock<Option<Arc<dyn FrameSink>>>,
    encoder: RwLock<Option<Arc<dyn FrameSink>>>,
    mirror: AtomicU32,
    taken: Mutex<Taken>,
    trouble: Mutex<Option<CameraTrouble>>,
    wishes: PictureWishes,
    /// Pictures captured since the engine began.
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
            trouble: Mutex::default(),
            wishes: PictureWishes::default(),
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

    /// The next picture, as it is sent.
    pub(crate) fn next_picture(&self) -> oneshot::Receiver<VideoFrame> {
        self.wishes.next()
    }

    pub(crate) fn set_mirror(&self, mode: MirrorMode) {
        self.mirror.store(mode as u32, Relaxed);
    }

    /// From now on only pictures of this source count: one that is slow to close must not mix its own in.
    pub(crate) fn select(&self, source: VideoSource) {
        let mut taken = self.taken.lock();
        if taken.source != source {
            *taken = Taken { source, size: None };
        }
    }

    /// What is the matter with the channel's camera, from now on.
    pub(crate) fn set_trouble(&self, trouble: Option<CameraTrouble>) {
        if std::mem::replace(&mut *self.trouble.lock(), trouble) != trouble {
            (self.events)(CaptureEvent::Trouble { channel: self.channel, trouble });
        }
    }

    /// The camera was closed: its next picture is a first one again.
    pub(crate) fn restart_camera(&self) {
        let mut taken = self.taken.lock();
        if taken.source == VideoSource::Camera {
            taken.size = None;
        }
    }

    /// Takes a picture of a source, if it is the selected one.
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
            self.set_trouble(None);
        }
        self.announce(before, size);
        // A mirrored text cannot be read.
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
        self.wishes.fulfil(pick(MirrorMode::publish(mirror)));
        // The encoder first: it only takes a reference, while the preview is converted on this thread.
        if let Some(encoder) = encoder {
            encoder.on_frame(pick(MirrorMode::publish(mirror)));
        }
        if let Some(preview) = preview {
            preview.on_frame(pick(MirrorMode::preview(mirror)));
        }
    }
}
