//! Reconciles the open cameras with what the publish channels want: one open camera a device, shared by its channels. A
//! camera that fails is tried again with growing pauses, and at once when it is chosen again or a camera appears.
//!
//! Opening a camera can take seconds, so it happens on a thread of its own. The decisions are [`Keeper`]'s, which takes
//! time and the opening as arguments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use media::FakeDevices;
use media::video::camera::{self, CameraFailure, Capture, CaptureError, CaptureFormat};
use media::video::frame::VideoFrame;
use media::video::sink::FrameSink;
use parking_lot::RwLock;

use crate::capture::{CaptureEvent, CaptureEvents, ChannelFeed};
use crate::config::VideoSource;
use crate::retry_pauses::RetryPauses;

/// A camera that ran for this long works: pauses start at their minimum when it is lost.
const PROVEN_AFTER: Duration = Duration::from_secs(5);

/// The camera that one channel wants.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// Empty = the default camera.
    pub(crate) device: String,
    pub(crate) format: CaptureFormat,
    pub(crate) feed: Arc<ChannelFeed>,
    /// Incremented when the application chooses or enables the camera: one that has failed is then tried at once.
    pub(crate) choice: u64,
}

pub(crate) type Wants = BTreeMap<u32, Wanted>;

enum Order {
    Want(Wants),
    /// The camera with this number has ended.
    Ended {
        number: u64,
        error: CaptureError,
    },
    /// The list of cameras has changed.
    DevicesChanged,
    Close,
}

/// The thread that opens cameras. Dropping it closes them all.
pub(crate) struct Cameras {
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Cameras {
    pub(crate) fn new(fakes: FakeDevices, events: CaptureEvents) -> std::io::Result<Self> {
        let (orders, receiver) = crossbeam_channel::unbounded::<Order>();
        let ended = orders.clone();
        let open = move |device: &str, format, sink: Arc<dyn FrameSink>, number| {
            let ended = ended.clone();
            let on_error = Box::new(move |error| drop(ended.send(Order::Ended { number, error })));
            camera::open(device, format, &fakes, sink, on_error)
        };
        let thread = std::thread::Builder::new()
            .name("zego-cameras".into())
            .spawn(move || run(&receiver, Keeper::new(events, Box::new(open))))?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Sets the wanted cameras by channel.
    pub(crate) fn want(&self, wants: Wants) {
        let _ = self.orders.send(Order::Want(wants));
    }

    /// The list of cameras has changed.
    pub(crate) fn devices_changed(&self) {
        let _ = self.orders.send(Order::DevicesChanged);
    }
}

impl Drop for Cameras {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(orders: &Receiver<Order>, mut keeper: Keeper<Capture>) {
    loop {
        let first = match keeper.next_attempt() {
            Some(at) => orders.recv_deadline(at).ok(),
            None => Some(orders.recv().unwrap_or(Order::Close)),
        };
        // Only the newest order counts: a camera is slow to open.
        for order in first.into_iter().chain(orders.try_iter()) {
            match order {
                Order::Want(wants) => keeper.want(wants),
                Order::Ended { number, error } => keeper.ended(number, error, Instant::now()),
                Order::DevicesChanged => keeper.devices_changed(Instant::now()),
                Order::Close => return,
            }
        }
        keeper.reconcile(Instant::now());
    }
}

/// Opens a camera that delivers its frames to the sink; the number identifies it when it ends.
type Open<C> = Box<dyn Fn(&str, CaptureFormat, Arc<dyn FrameSink>, u64) -> Result<C, CaptureError> + Send>;

struct OpenCamera<C> {
    number: u64,
    since: Instant,
    format: CaptureFormat,
    fan_out: Arc<FanOut>,
    _capture: C,
}

/// The attempts to open a wanted camera.
struct Attempts {
    pauses: RetryPauses,
    /// The choice of the last attempt.
    choice: u64,
    /// Why it failed, and when it is tried again.
    waits: Option<(CameraFailure, Instant)>,
    /// The reasons that were reported since frames last arrived.
    reported: Vec<CameraFailure>,
}

#[derive(Default)]
struct FanOut {
    feeds: RwLock<Vec<Arc<ChannelFeed>>>,
    has_frames: AtomicBool,
}

impl FrameSink for FanOut {
    fn on_frame(&self, frame: &VideoFrame) {
        self.has_frames.store(true, Relaxed);
        for feed in self.feeds.read().iter() {
            feed.take(VideoSource::Camera, frame);
        }
    }
}

/// The channels that want one device.
struct Need {
    format: CaptureFormat,
    feeds: Vec<Arc<ChannelFeed>>,
    choice: u64,
}

struct Keeper<C> {
    events: CaptureEvents,
    open_camera: Open<C>,
    wants: Wants,
    open: BTreeMap<String, OpenCamera<C>>,
    attempts: BTreeMap<String, Attempts>,
    last_number: u64,
}

impl<C> Keeper<C> {
    fn new(events: CaptureEvents, open_camera: Open<C>) -> Self {
        let (wants, open, attempts) = (Wants::new(), BTreeMap::new(), BTreeMap::new());
        Self { events, open_camera, wants, open, attempts, last_number: 0 }
    }

    fn want(&mut self, wants: Wants) {
        for (channel, before) in &self.wants {
            if !wants.contains_key(channel) {
                before.feed.set_failure(None);
            }
        }
        self.wants = wants;
    }

    /// The time of the next attempt.
    fn next_attempt(&self) -> Option<Instant> {
        self.attempts.values().filter_map(|attempts| attempts.waits).map(|(_, at)| at).min()
    }

    fn devices_changed(&mut self, now: Instant) {
        self.attempts.values_mut().filter_map(|attempts| attempts.waits.as_mut()).for_each(|(_, at)| *at = now);
    }

    /// The camera with this number delivers no more frames.
    fn ended(&mut self, number: u64, error: CaptureError, now: Instant) {
        let device = self.open.iter().find(|(_, camera)| camera.number == number).map(|(device, _)| device.clone());
        let Some(device) = device else { return };
        let Some(camera) = self.open.remove(&device) else { return };
        camera.fan_out.feeds.read().iter().for_each(|feed| feed.restart_camera());
        if let Some(attempts) = self.attempts.get_mut(&device) {
            if now.saturating_duration_since(camera.since) >= PROVEN_AFTER {
                attempts.pauses = RetryPauses::default();
            }
            if camera.fan_out.has_frames.load(Relaxed) {
                attempts.reported.clear();
            }
        }
        if let Some(need) = self.needs().remove(&device) {
            self.fail(&device, &need, error, now);
        }
    }

    /// Opens and closes cameras until the open ones are those that are wanted.
    fn reconcile(&mut self, now: Instant) {
        let needs = self.needs();
        self.open.retain(|device, camera| {
            let keep = needs.get(device).is_some_and(|need| need.format == camera.format);
            if !keep {
                camera.fan_out.feeds.read().iter().for_each(|feed| feed.restart_camera());
            }
            keep
        });
        self.attempts.retain(|device, _| needs.contains_key(device));
        for (device, need) in needs {
            if let Some(camera) = self.open.get(&device) {
                *camera.fan_out.feeds.write() = need.feeds;
                continue;
            }
            let attempts = self.attempts.entry(device.clone()).or_insert_with(|| Attempts {
                pauses: RetryPauses::default(),
                choice: need.choice,
                waits: None,
                reported: Vec::new(),
            });
            if std::mem::replace(&mut attempts.choice, need.choice) != need.choice {
                // A new choice is reported again.
                *attempts =
                    Attempts { pauses: RetryPauses::default(), choice: need.choice, waits: None, reported: Vec::new() };
            }
            if let Some((failure, at)) = attempts.waits
                && at > now
            {
                need.feeds.iter().for_each(|feed| feed.set_failure(Some(failure)));
                continue;
            }
            attempts.waits = None;
            self.last_number += 1;
            let (number, format) = (self.last_number, need.format);
            let fan_out =
                Arc::new(FanOut { feeds: RwLock::new(need.feeds.clone()), has_frames: AtomicBool::new(false) });
            match (self.open_camera)(&device, format, fan_out.clone(), number) {
                Ok(capture) => {
                    let camera = OpenCamera { number, since: now, format, fan_out, _capture: capture };
                    self.open.insert(device, camera);
                }
                Err(error) => self.fail(&device, &need, error, now),
            }
        }
    }

    fn needs(&self) -> BTreeMap<String, Need> {
        let mut needs = BTreeMap::<String, Need>::new();
        for wanted in self.wants.values() {
            let empty = || Need { format: wanted.format, feeds: Vec::new(), choice: 0 };
            let need = needs.entry(wanted.device.clone()).or_insert_with(empty);
            need.format = largest(need.format, wanted.format);
            need.choice = need.choice.max(wanted.choice);
            need.feeds.push(wanted.feed.clone());
        }
        needs
    }

    fn fail(&mut self, device: &str, need: &Need, error: CaptureError, now: Instant) {
        let failure = error.failure;
        need.feeds.iter().for_each(|feed| feed.set_failure(Some(failure)));
        let Some(attempts) = self.attempts.get_mut(device) else { return };
        attempts.waits = Some((failure, now + attempts.pauses.take()));
        if !attempts.reported.contains(&failure) {
            attempts.reported.push(failure);
            (self.events)(CaptureEvent::Failed { error });
        }
    }
}

fn largest(a: CaptureFormat, b: CaptureFormat) -> CaptureFormat {
    CaptureFormat { width: a.width.max(b.width), height: a.height.max(b.height), fps: a.fps.max(b.fps) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::video::pool::FramePool;
    use parking_lot::Mutex;

    const FORMAT: CaptureFormat = CaptureFormat { width: 64, height: 48, fps: 30 };

    /// The sinks of the cameras that were opened, with their numbers.
    type Sinks = Vec<(u64, Arc<dyn FrameSink>)>;

    /// One channel with one camera, as a user sees it.
    struct House {
        keeper: Keeper<()>,
        feed: Arc<ChannelFeed>,
        seen: Arc<Mutex<Vec<String>>>,
        /// Why the camera does not open, if so.
        failure: Arc<Mutex<Option<CameraFailure>>>,
        sinks: Arc<Mutex<Sinks>>,
        choice: u64,
        now: Instant,
    }

    fn error(failure: CameraFailure) -> CaptureError {
        CaptureError { device: "cam".to_owned(), failure, reason: String::new() }
    }

    impl House {
        fn new(failure: Option<CameraFailure>) -> Self {
            let seen = Arc::<Mutex<Vec<String>>>::default();
            let reported = seen.clone();
            let events: CaptureEvents = Arc::new(move |event| {
                let text = match event {
                    CaptureEvent::FirstFrame { .. } => "first frame".to_owned(),
                    CaptureEvent::Size { .. } => return,
                    CaptureEvent::Failed { error } => format!("failed: {:?}", error.failure),
                    CaptureEvent::CameraState { failure, .. } => {
                        failure.map_or("open".to_owned(), |failure| format!("{failure:?}"))
                    }
                };
                reported.lock().push(text);
            });
            let failure = Arc::new(Mutex::new(failure));
            let sinks = Arc::<Mutex<Sinks>>::default();
            let (reason, opened) = (failure.clone(), sinks.clone());
            let open: Open<()> = Box::new(move |_, _, sink, number| match *reason.lock() {
                Some(failure) => Err(error(failure)),
                None => {
                    opened.lock().push((number, sink));
                    Ok(())
                }
            });
            let feed = ChannelFeed::new(0, events.clone());
            let keeper = Keeper::new(events, open);
            Self { keeper, feed, seen, failure, sinks, choice: 0, now: Instant::now() }
        }

        fn want(&mut self) {
            let wanted =
                Wanted { device: "cam".to_owned(), format: FORMAT, feed: self.feed.clone(), choice: self.choice };
            self.keeper.want(BTreeMap::from([(0, wanted)]));
            self.keeper.reconcile(self.now);
        }

        /// Advances time, with frames from the open cameras.
        fn pass(&mut self, time: Duration) {
            let end = self.now + time;
            while self.now < end {
                self.now += Duration::from_millis(100);
                if self.keeper.next_attempt().is_some_and(|at| at <= self.now) {
                    self.keeper.reconcile(self.now);
                }
                let sink = self.sinks.lock().last().map(|(_, sink)| sink.clone());
                if let Some(sink) = sink.filter(|_| !self.keeper.open.is_empty()) {
                    sink.on_frame(&FramePool::new().take(64, 48).freeze(self.now));
                }
            }
        }

        fn lose(&mut self, failure: CameraFailure) {
            let number = self.sinks.lock().last().unwrap().0;
            self.keeper.ended(number, error(failure), self.now);
            self.keeper.reconcile(self.now);
        }

        fn seen(&self) -> Vec<String> {
            std::mem::take(&mut self.seen.lock())
        }
    }

    #[test]
    fn a_camera_that_appears_later_is_used_and_reported_once() {
        let mut house = House::new(Some(CameraFailure::NoDevice));
        house.want();
        house.pass(Duration::from_secs(60));
        assert_eq!(house.seen(), ["NoDevice", "failed: NoDevice"]);
        *house.failure.lock() = None;
        house.pass(Duration::from_secs(9));
        assert_eq!(house.seen(), ["open", "first frame"]);
    }

    #[test]
    fn a_camera_that_is_plugged_in_is_opened_at_once() {
        let mut house = House::new(Some(CameraFailure::NoDevice));
        house.want();
        house.pass(Duration::from_secs(60));
        house.seen();
        *house.failure.lock() = None;
        house.keeper.devices_changed(house.now);
        house.pass(Duration::from_millis(200));
        assert_eq!(house.seen(), ["open", "first frame"]);
    }

    #[test]
    fn an_unplugged_camera_returns_by_itself_with_a_first_frame() {
        let mut house = House::new(None);
        house.want();
        house.pass(Duration::from_secs(10));
        *house.failure.lock() = Some(CameraFailure::NoDevice);
        house.lose(CameraFailure::Unplugged);
        house.pass(Duration::from_secs(2));
        assert_eq!(house.seen(), ["first frame", "Unplugged", "failed: Unplugged", "NoDevice", "failed: NoDevice"]);
        *house.failure.lock() = None;
        house.pass(Duration::from_secs(9));
        assert_eq!(house.seen(), ["open", "first frame"]);
    }

    #[test]
    fn choosing_a_busy_camera_again_tries_and_reports_again() {
        let mut house = House::new(Some(CameraFailure::Busy));
        house.want();
        house.pass(Duration::from_secs(30));
        assert_eq!(house.seen(), ["Busy", "failed: Busy"]);
        house.choice += 1;
        house.want();
        assert_eq!(house.seen(), ["failed: Busy"]);
        *house.failure.lock() = None;
        house.choice += 1;
        house.want();
        house.pass(Duration::from_millis(100));
        assert_eq!(house.seen(), ["open", "first frame"]);
    }

    #[test]
    fn choosing_a_camera_that_runs_changes_nothing() {
        let mut house = House::new(None);
        house.want();
        house.pass(Duration::from_secs(1));
        house.choice += 1;
        house.want();
        house.pass(Duration::from_secs(1));
        assert_eq!(house.seen(), ["first frame"]);
        assert_eq!(house.sinks.lock().len(), 1);
    }

    #[test]
    fn a_disabled_camera_is_no_failure() {
        let mut house = House::new(Some(CameraFailure::Busy));
        house.want();
        house.keeper.want(BTreeMap::new());
        house.keeper.reconcile(house.now);
        assert_eq!(house.seen(), ["Busy", "failed: Busy", "open"]);
        assert_eq!(house.keeper.next_attempt(), None);
    }
}
