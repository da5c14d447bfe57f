//! From cameras to what wants their pictures: one open camera a device, shared by the publish channels that use it.
//!
//! Opening a camera can take seconds, so a thread of its own makes the open cameras match what the channels want.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;

use media::FakeDevices;
use media::video::camera::{self, Capture, CaptureError, CaptureFormat};
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
    FirstFrame { channel: u32 },
    Size { channel: u32, width: u32, height: u32 },
    Failed { channel: u32, error: CaptureError },
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

    /// The camera was closed: its next picture is a first one again.
    fn restart_camera(&self) {
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

/// What one channel wants of the cameras.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// Empty = the default camera.
    pub(crate) device: String,
    pub(crate) format: CaptureFormat,
    pub(crate) feed: Arc<ChannelFeed>,
}

type Wants = BTreeMap<u32, Wanted>;

/// Keeps the open cameras in step with what the channels want. Dropping it closes them all.
pub(crate) struct Cameras {
    wants: crossbeam_channel::Sender<Wants>,
    thread: Option<JoinHandle<()>>,
}

impl Cameras {
    pub(crate) fn new(fakes: FakeDevices, events: CaptureEvents) -> std::io::Result<Self> {
        let (wants, receiver) = crossbeam_channel::unbounded::<Wants>();
        let thread = std::thread::Builder::new().name("zego-cameras".into()).spawn(move || {
            let mut open = BTreeMap::new();
            while let Ok(mut wants) = receiver.recv() {
                // Only the newest wish counts: a camera is slow to open.
                while let Ok(newer) = receiver.try_recv() {
                    wants = newer;
                }
                reconcile(&mut open, &wants, &fakes, &events);
            }
        })?;
        Ok(Self { wants, thread: Some(thread) })
    }

    /// Sets what is wanted from now on, by channel.
    pub(crate) fn want(&self, wants: Wants) {
        let _ = self.wants.send(wants);
    }
}

impl Drop for Cameras {
    fn drop(&mut self) {
        let (closed, _) = crossbeam_channel::bounded(0);
        self.wants = closed;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct OpenCamera {
    format: CaptureFormat,
    fan_out: Arc<FanOut>,
    _capture: Capture,
}

#[derive(Default)]
struct FanOut {
    feeds: RwLock<Vec<Arc<ChannelFeed>>>,
}

impl FrameSink for FanOut {
    fn on_frame(&self, frame: &VideoFrame) {
        for feed in self.feeds.read().iter() {
            feed.take(VideoSource::Camera, frame);
        }
    }
}

fn reconcile(open: &mut BTreeMap<String, OpenCamera>, wants: &Wants, fakes: &FakeDevices, events: &CaptureEvents) {
    let mut devices = BTreeMap::<&str, (CaptureFormat, Vec<Arc<ChannelFeed>>)>::new();
    for wanted in wants.values() {
        let entry = devices.entry(&wanted.device).or_insert_with(|| (wanted.format, Vec::new()));
        entry.0 = largest(entry.0, wanted.format);
        entry.1.push(wanted.feed.clone());
    }
    open.retain(|device, camera| {
        let keep = devices.get(device.as_str()).is_some_and(|(format, _)| *format == camera.format);
        if !keep {
            camera.fan_out.feeds.read().iter().for_each(|feed| feed.restart_camera());
        }
        keep
    });
    for (device, (format, feeds)) in devices {
        if let Some(camera) = open.get(device) {
            *camera.fan_out.feeds.write() = feeds;
            continue;
        }
        let fan_out = Arc::new(FanOut { feeds: RwLock::new(feeds.clone()) });
        let failed = failure_reporter(&feeds, events);
        match camera::open(device, format, fakes, fan_out.clone(), Box::new(failed)) {
            Ok(capture) => {
                open.insert(device.to_owned(), OpenCamera { format, fan_out, _capture: capture });
            }
            Err(error) => failure_reporter(&feeds, events)(error),
        }
    }
}

fn failure_reporter(feeds: &[Arc<ChannelFeed>], events: &CaptureEvents) -> impl Fn(CaptureError) + Send + use<> {
    let channel = feeds.first().map_or(0, |feed| feed.channel);
    let events = events.clone();
    move |error| events(CaptureEvent::Failed { channel, error })
}

fn largest(a: CaptureFormat, b: CaptureFormat) -> CaptureFormat {
    CaptureFormat { width: a.width.max(b.width), height: a.height.max(b.height), fps: a.fps.max(b.fps) }
}
