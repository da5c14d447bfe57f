//! Keeps the open cameras in step with what the publish channels want: one open camera a device, shared by the channels that
//! use it. One that fails is tried again, with growing pauses, at once when it is chosen again or another camera appears.
//!
//! Opening a camera can take seconds, so it happens on a thread of its own. What it does when is decided by [`Keeper`], which
//! takes time and the opening as arguments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use media::FakeDevices;
use media::video::camera::{self, CameraTrouble, Capture, CaptureError, CaptureFormat};
use media::video::frame::VideoFrame;
use media::video::sink::FrameSink;
use parking_lot::RwLock;

use crate::capture::{CaptureEvent, CaptureEvents, ChannelFeed};
use crate::config::VideoSource;
use crate::retry_pauses::RetryPauses;

/// A camera that ran for this long was a good one: pauses start afresh when it is lost.
const PROVEN_AFTER: Duration = Duration::from_secs(5);

/// What one channel wants of the cameras.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// Empty = the default camera.
    pub(crate) device: String,
    pub(crate) format: CaptureFormat,
    pub(crate) feed: Arc<ChannelFeed>,
    /// Another number than before when the application chose the camera or switched it on: one that has failed is then
    /// tried at once.
    pub(crate) choice: u64,
}

pub(crate) type Wants = BTreeMap<u32, Wanted>;

enum Order {
    Want(Wants),
    /// The camera with this number has ended by itself.
    Ended {
        number: u64,
        error: CaptureError,
    },
    /// The machine has other cameras than before.
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

    /// Sets what is wanted from now on, by channel.
    pub(crate) fn want(&self, wants: Wants) {
        let _ = self.orders.send(Order::Want(wants));
    }

    /// The machine has other cameras than before.
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
        // Only the newest wish counts: a camera is slow to open.
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

/// Opens a camera that gives its pictures to the sink; the number is for telling later that it has ended.
type Open<C> = Box<dyn Fn(&str, CaptureFormat, Arc<dyn FrameSink>, u64) -> Result<C, CaptureError> + Send>;

struct OpenCamera<C> {
    number: u64,
    since: Instant,
    format: CaptureFormat,
    fan_out: Arc<FanOut>,
    _capture: C,
}

/// How it went with a camera that is wanted.
struct Attempts {
    pauses: RetryPauses,
    /// The choice that the last attempt was made for.
    choice: u64,
    /// It does not work, for this reason, and is tried again then.
    waits: Option<(CameraTrouble, Instant)>,
    /// The application knows of these, since pictures last came.
    told: Vec<CameraTrouble>,
}

#[derive(Default)]
struct FanOut {
    feeds: RwLock<Vec<Arc<ChannelFeed>>>,
    has_pictures: AtomicBool,
}

impl FrameSink for FanOut {
    fn on_frame(&self, frame: &VideoFrame) {
        self.has_pictures.store(true, Relaxed);
        for feed in self.feeds.read().iter() {
            feed.take(VideoSource::Camera, frame);
        }
    }
}

/// All channels that want one device.
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
                before.feed.set_trouble(None);
            }
        }
        self.wants = wants;
    }

    /// When there is something to do although nothing happens.
    fn next_attempt(&self) -> Option<Instant> {
        self.attempts.values().filter_map(|attempts| attempts.waits).map(|(_, at)| at).min()
    }

    fn devices_changed(&mut self, now: Instant) {
        self.attempts.values_mut().filter_map(|attempts| attempts.waits.as_mut()).for_each(|(_, at)| *at = now);
    }

    /// The camera of that number gives no more pictures.
    fn ended(&mut self, number: u64, error: CaptureError, now: Instant) {
        let device = self.open.iter().find(|(_, camera)| camera.number == number).map(|(device, _)| device.clone());
        let Some(device) = device else { return };
        let Some(camera) = self.open.remove(&device) else { return };
        camera.fan_out.feeds.read().iter().for_each(|feed| feed.restart_camera());
        if let Some(attempts) = self.attempts.get_mut(&device) {
            if now.saturating_duration_since(camera.since) >= PROVEN_AFTER {
                attempts.pauses = RetryPauses::default();
            }
            if camera.fan_out.has_pictures.load(Relaxed) {
                attempts.told.clear();
            }
        }
        if let Some(need) = self.needs().remove(&device) {
            self.fail(&device, &need, error, now);
        }
    }

    /// Makes the open cameras what is wanted now.
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
                told: Vec::new(),
            });
            if std::mem::replace(&mut attempts.choice, need.choice) != need.choice {
                // Who chooses it again wants to hear what comes of it.
                *attempts =
                    Attempts { pauses: RetryPauses::default(), choice: need.choice, waits: None, told: Vec::new() };
            }
            if let Some((trouble, at)) = attempts.waits
                && at > now
            {
                need.feeds.iter().for_each(|feed| feed.set_trouble(Some(trouble)));
                continue;
            }
            attempts.waits = None;
            self.last_number += 1;
            let (number, format) = (self.last_number, need.format);
            let fan_out =
                Arc::new(FanOut { feeds: RwLock::new(need.feeds.clone()), has_pictures: AtomicBool::new(false) });
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
        let trouble = error.trouble;
        need.feeds.iter().for_each(|feed| feed.set_trouble(Some(trouble)));
        let Some(attempts) = self.attempts.get_mut(device) else { return };
        attempts.waits = Some((trouble, now + attempts.pauses.take()));
        if !attempts.told.contains(&trouble) {
            attempts.told.push(trouble);
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

    /// Of the cameras that were opened, with their numbers.
    type Sinks = Vec<(u64, Arc<dyn FrameSink>)>;

    /// What a user would see of one channel with one camera.
    struct House {
        keeper: Keeper<()>,
        feed: Arc<ChannelFeed>,
        seen: Arc<Mutex<Vec<String>>>,
        /// Why the camera does not open, if it does not.
        trouble: Arc<Mutex<Option<CameraTrouble>>>,
        sinks: Arc<Mutex<Sinks>>,
        choice: u64,
        now: Instant,
    }

    fn error(trouble: CameraTrouble) -> CaptureError {
        CaptureError { device: "cam".to_owned(), trouble, reason: String::new() }
    }

    impl House {
        fn new(trouble: Option<CameraTrouble>) -> Self {
            let seen = Arc::<Mutex<Vec<String>>>::default();
            let told = seen.clone();
            let events: CaptureEvents = Arc::new(move |event| {
                let text = match event {
                    CaptureEvent::FirstFrame { .. } => "first frame".to_owned(),
                    CaptureEvent::Size { .. } => return,
                    CaptureEvent::Failed { error } => format!("failed: {:?}", error.trouble),
                    CaptureEvent::Trouble { trouble, .. } => {
                        trouble.map_or("open".to_owned(), |trouble| format!("{trouble:?}"))
                    }
                };
                told.lock().push(text);
            });
            let trouble = Arc::new(Mutex::new(trouble));
            let sinks = Arc::<Mutex<Sinks>>::default();
            let (reason, opened) = (trouble.clone(), sinks.clone());
            let open: Open<()> = Box::new(move |_, _, sink, number| match *reason.lock() {
                Some(trouble) => Err(error(trouble)),
                None => {
                    opened.lock().push((number, sink));
                    Ok(())
                }
            });
            let feed = ChannelFeed::new(0, events.clone());
            let keeper = Keeper::new(events, open);
            Self { keeper, feed, seen, trouble, sinks, choice: 0, now: Instant::now() }
        }

        fn want(&mut self) {
            let wanted =
                Wanted { device: "cam".to_owned(), format: FORMAT, feed: self.feed.clone(), choice: self.choice };
            self.keeper.want(BTreeMap::from([(0, wanted)]));
            self.keeper.reconcile(self.now);
        }

        /// Lets time pass, and pictures come from what is open.
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

        fn lose(&mut self, trouble: CameraTrouble) {
            let number = self.sinks.lock().last().unwrap().0;
            self.keeper.ended(number, error(trouble), self.now);
            self.keeper.reconcile(self.now);
        }

        fn seen(&self) -> Vec<String> {
            std::mem::take(&mut self.seen.lock())
        }
    }

    #[test]
    fn a_camera_that_appears_later_is_used_and_told_once() {
        let mut house = House::new(Some(CameraTrouble::NoDevice));
        house.want();
        house.pass(Duration::from_secs(60));
        assert_eq!(house.seen(), ["NoDevice", "failed: NoDevice"]);
        *house.trouble.lock() = None;
        house.pass(Duration::from_secs(9));
        assert_eq!(house.seen(), ["open", "first frame"]);
    }

    #[test]
    fn a_camera_whose_arrival_is_seen_is_used_at_once() {
        let mut house = House::new(Some(CameraTrouble::NoDevice));
        house.want();
        house.pass(Duration::from_secs(60));
        house.seen();
        *house.trouble.lock() = None;
        house.keeper.devices_changed(house.now);
        house.pass(Duration::from_millis(200));
        assert_eq!(house.seen(), ["open", "first frame"]);
    }

    #[test]
    fn an_unplugged_camera_comes_back_by_itself_with_a_first_frame() {
        let mut house = House::new(None);
        house.want();
        house.pass(Duration::from_secs(10));
        *house.trouble.lock() = Some(CameraTrouble::NoDevice);
        house.lose(CameraTrouble::Unplugged);
        house.pass(Duration::from_secs(2));
        assert_eq!(house.seen(), ["first frame", "Unplugged", "failed: Unplugged", "NoDevice", "failed: NoDevice"]);
        *house.trouble.lock() = None;
        house.pass(Duration::from_secs(9));
        assert_eq!(house.seen(), ["open", "first frame"]);
    }

    #[test]
    fn choosing_a_busy_camera_again_tries_it_at_once_and_tells_again() {
        let mut house = House::new(Some(CameraTrouble::Busy));
        house.want();
        house.pass(Duration::from_secs(30));
        assert_eq!(house.seen(), ["Busy", "failed: Busy"]);
        house.choice += 1;
        house.want();
        assert_eq!(house.seen(), ["failed: Busy"]);
        *house.trouble.lock() = None;
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
    fn a_camera_that_is_switched_off_is_no_trouble() {
        let mut house = House::new(Some(CameraTrouble::Busy));
        house.want();
        house.keeper.want(BTreeMap::new());
        house.keeper.reconcile(house.now);
        assert_eq!(house.seen(), ["Busy", "failed: Busy", "open"]);
        assert_eq!(house.keeper.next_attempt(), None);
    }
}
