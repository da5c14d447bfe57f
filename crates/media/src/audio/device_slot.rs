//! A slot for one device: opens it in the background, replaces it when another one is selected, and tries again when it is
//! lost. While the selected device is absent the default one serves. Time and the opening are arguments.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};

use super::stream::DeviceStream;
use super::{AudioDeviceError, AudioEvents};

/// The result of opening a device.
pub(crate) struct Attempt<S> {
    /// Which it was, also if it was asked for as the default; empty if there is none.
    pub(crate) id: String,
    pub(crate) stream: Result<S, AudioDeviceError>,
}

/// Opens the device with this id (empty: the default). May block; runs on a thread of its own.
pub(crate) type Opener<S> = Arc<dyn Fn(&str) -> Attempt<S> + Send + Sync>;

/// A device that has not opened after this time is reported; it may still open later.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// A device that has begun and then delivers nothing for this time is lost, whatever the audio system says.
const STALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Audio servers may take seconds before they begin.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(8);
/// A device that ran for this long was a good one: trying starts afresh when it is lost.
const PROVEN_AFTER: Duration = Duration::from_secs(5);

struct Pending<S> {
    answer: Receiver<Attempt<S>>,
    since: Instant,
    /// The default is opened because the selected device is not there.
    is_fallback: bool,
}

struct Open<S> {
    stream: S,
    id: String,
    since: Instant,
    /// Callbacks seen, and when the last was new.
    progress: Option<(u64, Instant)>,
    is_fallback: bool,
}

pub(crate) struct DeviceSlot<S> {
    opener: Opener<S>,
    events: Arc<dyn AudioEvents>,
    selected: String,
    wanted: bool,
    open: Option<Open<S>>,
    pending: Option<Pending<S>>,
    /// When the selected device is tried again.
    retry_at: Option<Instant>,
    retry_delay: Duration,
    /// The errors that were reported since audio last flowed.
    reported: Vec<AudioDeviceError>,
}

impl<S: DeviceStream> DeviceSlot<S> {
    pub(crate) fn new(opener: Opener<S>, events: Arc<dyn AudioEvents>) -> Self {
        Self {
            opener,
            events,
            selected: String::new(),
            wanted: false,
            open: None,
            pending: None,
            retry_at: None,
            retry_delay: FIRST_RETRY,
            reported: Vec::new(),
        }
    }

    /// Whether the device should be open.
    pub(crate) fn want(&mut self, wanted: bool, now: Instant) {
        if wanted != self.wanted {
            self.wanted = wanted;
            self.restart(now);
        }
    }

    /// Selects another device (empty: the default); an open one is replaced. The same again counts while it is not there.
    pub(crate) fn select(&mut self, id: &str, now: Instant) {
        if id != self.selected || !self.has_selected() {
            self.selected = id.to_owned();
            self.restart(now);
        }
    }

    /// The list of devices has changed: a waiting attempt is made now.
    pub(crate) fn devices_changed(&mut self, now: Instant) {
        if self.retry_at.is_some() {
            self.retry_at = Some(now);
            self.retry_delay = FIRST_RETRY;
        }
    }

    /// The open device.
    pub(crate) fn stream(&mut self) -> Option<&mut S> {
        self.open.as_mut().map(|open| &mut open.stream)
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
        if self.pending.is_none() && self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.begin_open(false, now);
        }
        let Some(pending) = &self.pending else { return false };
        let (since, is_fallback) = (pending.since, pending.is_fallback);
        match pending.answer.try_recv() {
            Ok(Attempt { id, stream: Ok(stream) }) => {
                self.pending = None;
                self.open = Some(Open { stream, id, since: now, progress: None, is_fallback });
                true
            }
            Ok(Attempt { id, stream: Err(error) }) => {
                self.on_open_failed(&id, &error, is_fallback, now);
                false
            }
            Err(TryRecvError::Empty) => {
                if now.saturating_duration_since(since) > OPEN_TIMEOUT {
                    let id = if is_fallback { String::new() } else { self.selected.clone() };
                    self.report(&id, &AudioDeviceError::NotResponding);
                }
                false
            }
            Err(TryRecvError::Disconnected) => {
                self.on_open_failed("", &AudioDeviceError::NoDevice, is_fallback, now);
                false
            }
        }
    }

    fn has_selected(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.is_fallback)
    }

    fn failure(&mut self, now: Instant) -> Option<AudioDeviceError> {
        let open = self.open.as_mut()?;
        let callbacks = open.stream.callbacks();
        let failure = open.stream.failure();
        match open.progress {
            Some((seen, at)) if seen == callbacks => {
                let (limit, error) = match seen {
                    0 => (BEGIN_TIMEOUT, AudioDeviceError::NotResponding),
                    // A sound server says no more than this about a device that was taken from it.
                    _ => (STALL_TIMEOUT, AudioDeviceError::Unplugged),
                };
                let stalled = now.saturating_duration_since(at) > limit;
                failure.or_else(|| stalled.then_some(error))
            }
            _ => {
                open.progress = Some((callbacks, now));
                if failure.is_none() && callbacks > 0 && !self.reported.is_empty() {
                    self.reported.clear();
                    self.events.device_recovered(S::KIND);
                }
                failure
            }
        }
    }

    fn restart(&mut self, now: Instant) {
        self.open = None;
        self.pending = None;
        self.retry_at = None;
        self.retry_delay = FIRST_RETRY;
        if self.wanted {
            self.begin_open(false, now);
        } else if !self.reported.is_empty() {
            // The device is not wanted any more.
            self.reported.clear();
            self.events.device_recovered(S::KIND);
        }
    }

    fn begin_open(&mut self, is_fallback: bool, now: Instant) {
        let (sender, answer) = crossbeam_channel::bounded(1);
        let opener = self.opener.clone();
        let id = if is_fallback { String::new() } else { self.selected.clone() };
        // A thread for each attempt: audio systems may block for seconds. A device that is not wanted any more is dropped
        // there, which closes it.
        let thread = std::thread::Builder::new().name("audio-open".to_owned()).spawn(move || {
            let _ = sender.send(opener(&id));
        });
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread to open an audio device");
        }
        self.pending = Some(Pending { answer, since: now, is_fallback });
    }

    fn on_open_failed(&mut self, id: &str, error: &AudioDeviceError, is_fallback: bool, now: Instant) {
        self.pending = None;
        self.report(id, error);
        if !is_fallback {
            self.retry_later(now);
            if self.open.is_none() && !self.selected.is_empty() {
                self.begin_open(true, now);
            }
        }
    }

    fn on_lost(&mut self, error: &AudioDeviceError, now: Instant) {
        let Some(lost) = self.open.take() else { return };
        if now.saturating_duration_since(lost.since) > PROVEN_AFTER {
            self.retry_delay = FIRST_RETRY;
        }
        self.report(&lost.id, error);
        if lost.is_fallback {
            // The next attempt on the selected one leads to the default again.
            self.devices_changed(now + FIRST_RETRY);
            return;
        }
        self.retry_later(now);
        if !self.selected.is_empty() {
            self.begin_open(true, now);
        }
    }

    fn retry_later(&mut self, now: Instant) {
        self.retry_at = Some(now + self.retry_delay);
        self.retry_delay = (self.retry_delay * 2).min(LAST_RETRY);
    }

    /// Reports each kind of error once; none while another device serves.
    fn report(&mut self, id: &str, error: &AudioDeviceError) {
        if self.open.is_none() && !self.reported.contains(error) {
            self.reported.push(error.clone());
            tracing::warn!(kind = ?S::KIND, id, %error, "audio device");
            self.events.device_error(S::KIND, id, error);
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

    /// Errors, and how often it was well again.
    #[derive(Default)]
    struct Seen(Mutex<Vec<AudioDeviceError>>, AtomicUsize);

    impl AudioEvents for Seen {
        fn captured_first_frame(&self) {}

        fn device_error(&self, _: DeviceKind, _: &str, error: &AudioDeviceError) {
            self.0.lock().push(error.clone());
        }

        fn device_recovered(&self, _: DeviceKind) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct House {
        slot: DeviceSlot<Fake>,
        seen: Arc<Seen>,
        /// The devices that can be opened.
        present: Arc<Mutex<Vec<&'static str>>>,
        lost: Arc<AtomicBool>,
        callbacks: Arc<AtomicUsize>,
        /// Whether open devices run.
        runs: bool,
        now: Instant,
    }

    impl House {
        /// Every id in `present` can be opened.
        fn new(present: &[&'static str]) -> Self {
            let present = Arc::new(Mutex::new(present.to_vec()));
            let there = present.clone();
            let lost = Arc::new(AtomicBool::new(false));
            let flag = lost.clone();
            let callbacks = Arc::new(AtomicUsize::new(0));
            let counter = callbacks.clone();
            let opener: Opener<Fake> = Arc::new(move |id| {
                let stream = there
                    .lock()
                    .contains(&id)
                    .then(|| Fake { id: id.to_owned(), lost: flag.clone(), callbacks: counter.clone() })
                    .ok_or(AudioDeviceError::NoDevice);
                Attempt { id: id.to_owned(), stream }
            });
            let seen = Arc::new(Seen::default());
            let slot = DeviceSlot::new(opener, seen.clone());
            Self { slot, seen, present, lost, callbacks, runs: true, now: Instant::now() }
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
    fn a_machine_without_devices_is_reported_once() {
        let mut house = House::new(&[]);
        house.slot.want(true, house.now);
        assert_eq!(house.settle(Duration::from_secs(60)), None);
        assert_eq!(*house.seen.0.lock(), [AudioDeviceError::NoDevice]);
    }

    #[test]
    fn a_selected_device_that_is_not_there_is_replaced_by_the_default() {
        let mut house = House::new(&[""]);
        house.slot.select("usb", house.now);
        house.slot.want(true, house.now);
        assert_eq!(house.settle(SHORT).as_deref(), Some(""));
        assert_eq!(*house.seen.0.lock(), [AudioDeviceError::NoDevice]);
    }

    /// A headset that has been in use for a while, and was just unplugged.
    fn unplugged() -> House {
        let mut house = House::new(&["", "usb"]);
        house.slot.select("usb", house.now);
        house.slot.want(true, house.now);
        assert_eq!(house.settle(Duration::from_secs(10)).as_deref(), Some("usb"));
        *house.present.lock() = vec![""];
        house.lost.store(true, Ordering::Relaxed);
        house.slot.poll(house.now);
        house.lost.store(false, Ordering::Relaxed);
        assert_eq!(*house.seen.0.lock(), [AudioDeviceError::Unplugged]);
        house
    }

    #[test]
    fn an_unplugged_device_is_replaced_by_the_default_at_once() {
        let mut house = unplugged();
        assert_eq!(house.settle(SHORT).as_deref(), Some(""));
        assert_eq!(house.seen.1.load(Ordering::Relaxed), 1, "sound goes through again");
    }

    #[test]
    fn a_headset_that_is_plugged_in_again_is_used_again() {
        let mut house = unplugged();
        assert_eq!(house.settle(Duration::from_secs(60)).as_deref(), Some(""));
        *house.present.lock() = vec!["", "usb"];
        assert_eq!(house.settle(LAST_RETRY + SHORT).as_deref(), Some("usb"), "nobody reported us");
        assert_eq!(*house.seen.0.lock(), [AudioDeviceError::Unplugged], "what was missed meanwhile is no news");
    }

    #[test]
    fn a_headset_whose_return_is_seen_is_used_at_once() {
        let mut house = unplugged();
        house.settle(Duration::from_secs(60));
        *house.present.lock() = vec!["", "usb"];
        house.slot.devices_changed(house.now);
        assert_eq!(house.settle(SHORT).as_deref(), Some("usb"));
    }

    #[test]
    fn choosing_a_headset_again_tries_it_at_once() {
        let mut house = unplugged();
        house.settle(Duration::from_secs(60));
        *house.present.lock() = vec!["", "usb"];
        house.slot.select("usb", house.now);
        assert_eq!(house.settle(SHORT).as_deref(), Some("usb"));
    }

    #[test]
    fn a_default_that_goes_too_is_reported_and_returns() {
        let mut house = unplugged();
        house.settle(SHORT);
        house.present.lock().clear();
        house.lost.store(true, Ordering::Relaxed);
        house.slot.poll(house.now);
        house.lost.store(false, Ordering::Relaxed);
        assert_eq!(house.settle(Duration::from_secs(30)), None);
        *house.present.lock() = vec![""];
        assert_eq!(house.settle(LAST_RETRY + SHORT).as_deref(), Some(""));
        use AudioDeviceError::{NoDevice, Unplugged};
        assert_eq!(*house.seen.0.lock(), [Unplugged, Unplugged, NoDevice]);
        assert_eq!(house.seen.1.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_device_that_stops_without_a_word_is_opened_again() {
        let mut house = House::new(&[""]);
        house.slot.want(true, house.now);
        house.settle(Duration::from_secs(10));
        house.runs = false;
        house.settle(Duration::from_secs(4));
        assert_eq!(*house.seen.0.lock(), [AudioDeviceError::Unplugged]);
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
            Attempt { id: String::new(), stream: Err(AudioDeviceError::NoDevice) }
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
