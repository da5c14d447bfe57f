//! Runs a source of pictures on a thread of its own, paced by the clock.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::camera::CaptureError;
use super::frame::VideoFrame;
use super::sink::FrameSink;

/// How long dropping a [`Capture`] waits for a device driver that does not come back.
const JOIN_PATIENCE: Duration = Duration::from_secs(2);

/// The moment for which a picture is asked.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Becomes the frame's capture time.
    pub instant: Instant,
    /// The wall clock, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// Frame intervals since the start; a number is left out when the clock has run past it.
    pub tick: u64,
}

/// Something that gives a picture whenever it is asked: the fake cameras.
pub trait Source: Send {
    /// The picture of this moment.
    ///
    /// # Errors
    /// A [`CaptureError`] ends the capture.
    fn frame(&mut self, moment: Moment) -> Result<VideoFrame, CaptureError>;
}

/// A running source, real or fake. Dropping it stops the pictures: none is delivered once the drop has returned.
#[derive(Debug)]
pub struct Capture {
    /// Its disconnection is the sign to stop.
    stop: Option<Sender<()>>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Starts `body` on a thread of that name; it must return soon after the receiver is disconnected.
    pub(super) fn spawn(name: &str, body: impl FnOnce(&Receiver<()>) + Send + 'static) -> Result<Self, CaptureError> {
        let (stop, stopped) = bounded::<()>(0);
        let (done_guard, done) = bounded::<()>(0);
        let run = move || {
            body(&stopped);
            drop(done_guard);
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| CaptureError::Failed { device: "thread".to_owned(), reason: error.to_string() })?;
        Ok(Self { stop: Some(stop), done, thread: Some(thread) })
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        if thread.thread().id() == std::thread::current().id() {
            return; // dropped by the sink itself: the thread ends when the sink returns
        }
        if self.done.recv_timeout(JOIN_PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a source of pictures did not stop in time and is left behind");
            return;
        }
        if thread.join().is_err() {
            tracing::error!("the thread of a source of pictures panicked");
        }
    }
}

/// When frames are due. Counts from the start, so that rounding never adds up.
#[derive(Debug)]
struct Ticker {
    start: Instant,
    fps: u32,
    next: u64,
}

impl Ticker {
    fn new(start: Instant, fps: u32) -> Self {
        Self { start, fps: fps.max(1), next: 0 }
    }

    fn due(&self) -> Instant {
        self.start + Duration::from_nanos((u128::from(self.next) * 1_000_000_000 / u128::from(self.fps)) as u64)
    }

    /// The tick to show now, once it is due; ticks that were missed are left out instead of made up for.
    fn take(&mut self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start).as_nanos();
        let current = (elapsed * u128::from(self.fps) / 1_000_000_000) as u64;
        let tick = current.max(self.next);
        self.next = tick + 1;
        tick
    }
}

/// Asks the source for a picture `fps` times a second until the [`Capture`] is dropped or the source fails.
pub(super) fn run_paced(
    mut source: Box<dyn Source>,
    fps: u32,
    sink: Arc<dyn FrameSink>,
    on_error: Box<dyn Fn(CaptureError) + Send>,
) -> Result<Capture, CaptureError> {
    Capture::spawn("camera", move |stopped| {
        let mut ticker = Ticker::new(Instant::now(), fps);
        while stopped.recv_deadline(ticker.due()) == Err(RecvTimeoutError::Timeout) {
            let instant = Instant::now();
            let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64);
            match source.frame(Moment { instant, unix_ms, tick: ticker.take(instant) }) {
                Ok(frame) => sink.on_frame(&frame),
                Err(error) => return on_error(error),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::pool::FramePool;
    use parking_lot::Mutex;

    struct Blank(FramePool);

    impl Source for Blank {
        fn frame(&mut self, moment: Moment) -> Result<VideoFrame, CaptureError> {
            if moment.tick >= 1_000 {
                return Err(CaptureError::NoDevice);
            }
            Ok(self.0.take(16, 16).freeze(moment.instant))
        }
    }

    fn blank() -> Box<dyn Source> {
        Box::new(Blank(FramePool::new()))
    }

    #[test]
    fn frames_are_due_without_drift() {
        let start = Instant::now();
        let mut ticker = Ticker::new(start, 30);
        for second in 0..3_600u64 {
            ticker.next = second * 30;
            assert_eq!(ticker.due() - start, Duration::from_secs(second));
        }
        ticker.next = 1;
        assert_eq!(ticker.due() - start, Duration::from_nanos(33_333_333));
    }

    #[test]
    fn a_late_source_leaves_frames_out() {
        let start = Instant::now();
        let mut ticker = Ticker::new(start, 10);
        assert_eq!(ticker.take(start), 0);
        assert_eq!(ticker.take(start + Duration::from_millis(101)), 1);
        assert_eq!(ticker.take(start + Duration::from_millis(450)), 4);
        assert_eq!(ticker.due() - start, Duration::from_millis(500));
    }

    #[test]
    fn no_frame_comes_after_the_capture_is_dropped() {
        let (sender, receiver) = bounded(1_000);
        let sink = Arc::new(move |frame: &VideoFrame| sender.try_send(frame.capture_time()).unwrap_or_default());
        let capture = run_paced(blank(), 120, sink, Box::new(|_| ())).unwrap();
        receiver.recv_timeout(Duration::from_secs(5)).unwrap();
        drop(capture);
        let stopped = Instant::now();
        assert!(receiver.iter().all(|captured| captured <= stopped), "the sink is gone, so this loop ends");
    }

    #[test]
    fn a_source_that_fails_reports_once_and_ends() {
        struct Broken;
        impl Source for Broken {
            fn frame(&mut self, _: Moment) -> Result<VideoFrame, CaptureError> {
                Err(CaptureError::NoDevice)
            }
        }
        let (sender, receiver) = bounded(10);
        let on_error = Box::new(move |error| drop(sender.send(error)));
        let _capture = run_paced(Box::new(Broken), 30, Arc::new(|_: &VideoFrame| ()), on_error).unwrap();
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [CaptureError::NoDevice]);
    }

    #[test]
    fn the_sink_may_drop_the_capture_itself() {
        let slot: Arc<Mutex<Option<Capture>>> = Arc::default();
        let (sender, receiver) = bounded::<()>(0);
        let sink = {
            let slot = slot.clone();
            Arc::new(move |_: &VideoFrame| {
                let _held = &sender;
                drop(slot.lock().take());
            })
        };
        let mut guard = slot.lock();
        *guard = Some(run_paced(blank(), 120, sink, Box::new(|_| ())).unwrap());
        drop(guard);
        assert!(receiver.recv_timeout(Duration::from_secs(5)).is_err_and(|error| error.is_disconnected()));
    }
}
