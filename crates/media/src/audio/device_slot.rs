//! One place for one device: opens it in the background, replaces it when another is selected, and goes on trying when it
//! is lost. Time is an argument; the opening itself is a function from outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};

use super::stream::DeviceStream;
use super::{AudioDeviceError, AudioEvents};

/// Opens the device with this id (empty: the default). May block; runs on a thread of its own.
pub(crate) type Opener<S> = Arc<dyn Fn(&str) -> Result<S, AudioDeviceError> + Send + Sync>;

/// A device that has not answered for this long is reported; it may still come.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// A device that has begun and then stands still for this long is lost, whatever the audio system says.
const STALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Sound servers may take seconds before they begin.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(8);
/// A device that ran for this long was a good one: trying starts afresh when it is lost.
const PROVEN_AFTER: Duration = Duration::from_secs(5);

struct Pending<S> {
    answer: Receiver<Result<S, AudioDeviceError>>,
    since: Instant,
}

pub(crate) struct DeviceSlot<S> {
    opener: Opener<S>,
    events: Arc<dyn AudioEvents>,
    selected: String,
    wanted: bool,
    stream: Option<S>,
    opened_at: Option<Instant>,
    /// Callbacks seen, and when the last was new.
    progress: Option<(u64, Instant)>,
    pending: Option<Pending<S>>,
    /// The default is tried because the selected device is not there.
    on_default: bool,
    retry_at: Option<Instant>,
    retry_delay: Duration,
    /// The application knows already that there is no device.
    reported: bool,
}

impl<S: DeviceStream> DeviceSlot<S> {
    pub(crate) fn new(opener: Opener<S>, events: Arc<dyn AudioEvents>) -> Self {
        Self {
            opener,
            events,
            selected: String::new(),
            wanted: false,
            stream: None,
            opened_at: None,
            progress: None,
            pending: None,
            on_default: false,
            retry_at: None,
            retry_delay: FIRST_RETRY,
            reported: false,
        }
    }

    /// Whether the device should be open.
    pub(crate) fn want(&mut self, wanted: bool, now: Instant) {
        if wanted != self.wanted {
            self.wanted = wanted;
            self.restart(now);
        }
    }

    /// Selects another device (empty: the default); an open one is replaced.
    pub(crate) fn select(&mut self, id: &str, now: Instant) {
        if id != self.selected || self.on_default {
            self.selected = id.to_owned();
            self.restart(now);
        }
    }

    /// Opens the device once more, if one is open: it is wanted in another form.
    pub(crate) fn reopen(&mut self, now: Instant) {
        if self.wanted {
            self.restart(now);
        }
    }

    /// The open device.
    pub(crate) fn stream(&mut self) -> Option<&mut S> {
        self.stream.as_mut()
    }

    /// Whether there is anything to wait for.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Looks after the device; true when a new one has just been opened.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        if let Some(error) = self.failure(now) {
            self.on_lost(&error, now);
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.begin_open(now);
        }
        let Some(pending) = &self.pending else { return false };
        match pending.answer.try_recv() {
            Ok(Ok(stream)) => {
                self.pending = None;
                self.stream = Some(stream);
                self.opened_at = Some(now);
                self.progress = None;
                true
            }
            Ok(Err(error)) => {
                self.on_open_failed(&error, now);
                false
            }
            Err(TryRecvError::Empty) => {
                if now.saturating_duration_since(pending.since) > OPEN_TIMEOUT {
                    self.report(&AudioDeviceError::NotResponding);
                }
                false
            }
            Err(TryRecvError::Disconnected) => {
                self.on_open_failed(&AudioDeviceError::NoDevice, now);
                false
            }
        }
    }

    fn failure(&mut self, now: Instant) -> Option<AudioDeviceError> {
        let stream = self.stream.as_ref()?;
        let callbacks = stream.callbacks();
        match self.progress {
            Some((seen, at)) if seen == callbacks => {
                let limit = if seen == 0 { BEGIN_TIMEOUT } else { STALL_TIMEOUT };
                let stalled = now.saturating_duration_since(at) > limit;
                stream.failure().or_else(|| stalled.then_some(AudioDeviceError::NotResponding))
            }
            _ => {
                self.progress = Some((callbacks, now));
                stream.failure()
            }
        }
    }

    fn restart(&mut self, now: Instant) {
        self.stream = None;
        self.pending = None;
        self.retry_at = None;
        self.retry_delay = FIRST_RETRY;
        self.on_default = false;
        self.reported = false;
        if self.wanted {
            self.begin_open(now);
        }
    }

    fn begin_open(&mut self, now: Instant) {
        let (sender, answer) = crossbeam_channel::bounded(1);
        let opener = self.opener.clone();
        let id = if self.on_default { String::new() } else { self.selected.clone() };
        // A thread for each attempt: audio systems may block for seconds. An answer that nobody waits for any more is
        // dropped there, and the device closed.
        let thread = std::thread::Builder::new().name("audio-open".to_owned()).spawn(move || {
            let _ = sender.send(opener(&id));
        });
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread to open an audio device");
        }
        self.pending = Some(Pending { answer, since: now });
    }

    fn on_open_failed(&mut self, error: &AudioDeviceError, now: Instant) {
        self.pending = None;
        self.report(error);
        if !self.on_default && !self.selected.is_empty() {
            self.on_default = true;
            self.begin_open(now);
        } else {
            self.on_default = false;
            self.retry_later(now);
        }
    }

    fn on_lost(&mut self, error: &AudioDeviceError, now: Instant) {
        self.stream = None;
        let proven = self.opened_at.is_some_and(|at| now.saturating_duration_since(at) > PROVEN_AFTER);
        if proven {
            self.reported = false;
            self.retry_delay = FIRST_RETRY;
        }
        self.report(error);
        self.on_default = !self.selected.is_empty() && !self.on_default;
        self.retry_later(now);
    }

    fn retry_later(&mut self, now: Instant) {
        self.retry_at = Some(now + self.retry_delay);
        self.retry_delay = (self.retry_delay * 2).min(LAST_RETRY);
    }

    fn report(&mut self, error: &AudioDeviceError) {
        if !self.reported {
            self.reported = true;
            tracing::warn!(kind = ?S::KIND, %error, "audio device");
            self.events.device_error(S::KIND, error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use parking_lot::Mutex;

    use super::super::DeviceKind;
    use super::*;

    struct Fake {
        id: String,
        lost: Arc<AtomicBool>,
        callbacks: Arc<AtomicUsize>,
    }

    impl DeviceStream for Fake {
        const KIND: DeviceKind = DeviceKind::Speaker;

        fn failure(&self) -> Option<AudioDeviceError> {
            self.lost.load(Ordering::Relaxed).then_some(AudioDeviceError::Unplugged)
        }

        fn callbacks(&self) -> u64 {
            self.callbacks.load(Ordering::Relaxed) as u64
        }
    }

    #[derive(Default)]
    struct Seen(Mutex<Vec<AudioDeviceError>>);

    impl AudioEvents for Seen {
        fn captured_first_frame(&self) {}

        fn device_error(&self, _: DeviceKind, error: &AudioDeviceError) {
            self.0.lock().push(error.clone());
        }
    }

    struct House {
        slot: DeviceSlot<Fake>,
        seen: Arc<Seen>,
        lost: Arc<AtomicBool>,
        callbacks: Arc<AtomicUsize>,
        /// Whether open devices run.
        runs: bool,
        now: Instant,
    }

    impl House {
        /// Every id in `present` can be opened.
        fn new(present: &'static [&'static str]) -> Self {
            let lost = Arc::new(AtomicBool::new(false));
            let flag = lost.clone();
            let callbacks = Arc::new(AtomicUsize::new(0));
            let counter = callbacks.clone();
            let opener: Opener<Fake> = Arc::new(move |id| {
                let there = present.contains(&id);
                there
                    .then(|| Fake { id: id.to_owned(), lost: flag.clone(), callbacks: counter.clone() })
                    .ok_or(AudioDeviceError::NoDevice)
            });
            let seen = Arc::new(Seen::default());
            Self { slot: DeviceSlot::new(opener, seen.clone()), seen, lost, callbacks, runs: true, now: Instant::now() }
        }

        /// Lets the opening threads answer, and time pass.
        fn settle(&mut self, time: Duration) -> Option<String> {
            let end = self.now + time;
            while self.now < end {
                if let Some(pending) = &self.slot.pending {
                    while pending.answer.is_empty() {
                        std::thread::yield_now();
                    }
                }
                self.callbacks.fetch_add(usize::from(self.runs), Ordering::Relaxed);
                self.slot.poll(self.now);
                self.now += Duration::from_millis(50);
            }
            self.slot.stream().map(|stream| stream.id.clone())
        }
    }

    const SHORT: Duration = Duration::from_millis(300);

    #[test]
    fn nothing_is_open_until_it_is_wanted() {
        let mut house = House::new(&["", "usb"]);
        assert_eq!(house.settle(SHORT), None);
        house.slot.want(true, house.now);
        assert_eq!(house.settle(SHORT).as_deref(), Some(""));
        house.slot.select("usb", house.now);
        assert_eq!(house.settle(SHORT).as_deref(), Some("usb"));
        house.slot.want(false, house.now);
        assert_eq!(house.settle(SHORT), None);
        assert!(house.seen.0.lock().is_empty());
    }

    #[test]
    fn a_machine_without_devices_is_told_once() {
        let mut house = House::new(&[]);
        house.slot.want(true, house.now);
        assert_eq!(house.settle(Duration::from_secs(60)), None);
        assert_eq!(*house.seen.0.lock(), [AudioDeviceError::NoDevice]);
    }

    #[test]
    fn a_selected_device_that_is_not_there_gives_way_to_the_default() {
        let mut house = House::new(&[""]);
        house.slot.select("usb", house.now);
        house.slot.want(true, house.now);
        assert_eq!(house.settle(SHORT).as_deref(), Some(""));
        assert_eq!(*house.seen.0.lock(), [AudioDeviceError::NoDevice]);
    }

    #[test]
    fn an_unplugged_device_gives_way_to_the_default() {
        let mut house = House::new(&["", "usb"]);
        house.slot.select("usb", house.now);
        house.slot.want(true, house.now);
        assert_eq!(house.settle(Duration::from_secs(10)).as_deref(), Some("usb"));
        house.lost.store(true, Ordering::Relaxed);
        house.slot.poll(house.now);
        house.lost.store(false, Ordering::Relaxed);
        assert_eq!(*house.seen.0.lock(), [AudioDeviceError::Unplugged]);
        assert_eq!(house.settle(Duration::from_secs(3)).as_deref(), Some(""));
    }

    #[test]
    fn a_device_that_stops_without_a_word_is_opened_again() {
        let mut house = House::new(&[""]);
        house.slot.want(true, house.now);
        house.settle(Duration::from_secs(10));
        house.runs = false;
        house.settle(Duration::from_secs(4));
        assert_eq!(*house.seen.0.lock(), [AudioDeviceError::NotResponding]);
        house.runs = true;
        assert_eq!(house.settle(Duration::from_secs(3)).as_deref(), Some(""));
    }

    #[test]
    fn a_device_that_hangs_is_reported() {
        let opened = Arc::new(AtomicUsize::new(0));
        let (release, hold) = crossbeam_channel::bounded::<()>(0);
        let count = opened.clone();
        let opener: Opener<Fake> = Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = hold.recv();
            Err(AudioDeviceError::NoDevice)
        });
        let seen = Arc::new(Seen::default());
        let mut slot = DeviceSlot::new(opener, seen.clone());
        let now = Instant::now();
        slot.want(true, now);
        slot.poll(now + Duration::from_secs(1));
        assert!(seen.0.lock().is_empty());
        slot.poll(now + Duration::from_secs(6));
        assert_eq!(*seen.0.lock(), [AudioDeviceError::NotResponding]);
        drop(release);
    }
}
