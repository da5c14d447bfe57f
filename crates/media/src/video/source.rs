//! Runs a source of frames on a thread of its own, paced by the clock.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::camera::{CameraFailure, CaptureError};
use super::frame::VideoFrame;
use super::sink::FrameSink;

/// How long dropping a [`Capture`] waits for a device driver that hangs.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A source without a good frame for this long is lost; until then a damaged one is only skipped.
pub(super) const SILENCE: Duration = Duration::from_secs(3);

/// How often a source is asked whether it is still there.
const LOOK: Duration = Duration::from_millis(250);

/// The failure, and a text for people.
pub(super) type SourceError = (CameraFailure, String);

/// The moment for which a frame is asked.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Becomes the frame's capture time.
    pub instant: Instant,
    /// The wall clock, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// Frame intervals since the start; a number is skipped when the clock has run past it.
    pub tick: u64,
}

/// A source that makes a frame on demand: the fake cameras.
pub(super) trait Source: Send {
    /// The frame of this moment.
    ///
    /// # Errors
    /// There is no good frame for this moment; the next may be good.
    fn frame(&mut self, moment: Moment) -> Result<VideoFrame, SourceError>;

    /// False once it was unplugged.
    fn is_there(&self) -> bool {
        true
    }
}

/// A running source, real or fake. Dropping it stops the frames: none is delivered once the drop has returned.
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
            .map_err(|error| CaptureError::new("", CameraFailure::Failed, error))?;
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
        if self.done.recv_timeout(JOIN_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
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

    /// The tick to show now, once it is due; ticks that were missed are skipped instead of made up for.
    fn take(&mut self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start).as_nanos();
        let current = (elapsed * u128::from(self.fps) / 1_000_000_000) as u64;
        let tick = current.max(self.next);
        self.next = tick + 1;
        tick
    }
}

/// Asks the source for a frame `fps` times a second until the [`Capture`] is dropped or the source is lost. `device` is
/// its name in errors.
pub(super) fn run_paced(
    device: &str,
    source: Box<dyn Source>,
    fps: u32,
    sink: Arc<dyn FrameSink>,
    on_error: Box<dyn Fn(CaptureError) + Send>,
) -> Result<Capture, CaptureError> {
    run_patient(device, source, fps, SILENCE, sink, on_error)
}

fn run_patient(
    device: &str,
    mut source: Box<dyn Source>,
    fps: u32,
    patience: Duration,
    sink: Arc<dyn FrameSink>,
    on_error: Box<dyn Fn(CaptureError) + Send>,
) -> Result<Capture, CaptureError> {
    let device = device.to_owned();
    Capture::spawn("camera", move |stopped| {
        let mut ticker = Ticker::new(Instant::now(), fps);
        let (mut last_good, mut looked) = (Instant::now(), Instant::now());
        while stopped.recv_deadline(ticker.due()) == Err(RecvTimeoutError::Timeout) {
            let instant = Instant::now();
            if instant.saturating_duration_since(looked) >= LOOK {
                looked = instant;
                if !source.is_there() {
                    return on_error(CaptureError::new(&device, CameraFailure::Unplugged, "it is gone"));
                }
            }
            let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64);
            match source.frame(Moment { instant, unix_ms, tick: ticker.take(instant) }) {
                Ok(frame) => {
                    last_good = instant;
                    sink.on_frame(&frame);
                }
                Err((failure, reason)) if instant.saturating_duration_since(last_good) >= patience => {
                    return on_error(CaptureError::new(&device, failure, reason));
                }
                Err((_, reason)) => tracing::debug!(device, reason, "a picture is left out"),
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
        fn frame(&mut self, moment: Moment) -> Result<VideoFrame, SourceError> {
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
        let capture = run_paced("", blank(), 120, sink, Box::new(|_| ())).unwrap();
        receiver.recv_timeout(Duration::from_secs(5)).unwrap();
        drop(capture);
        let stopped = Instant::now();
        assert!(receiver.iter().all(|captured| captured <= stopped), "the sink is gone, so this loop ends");
    }

    /// Every third frame is damaged, or all of them.
    struct Damaged {
        pool: FramePool,
        all: bool,
        asked: u32,
        there: bool,
    }

    impl Source for Damaged {
        fn frame(&mut self, moment: Moment) -> Result<VideoFrame, SourceError> {
            self.asked += 1;
            if self.all || self.asked.is_multiple_of(3) {
                return Err((CameraFailure::Failed, "damaged".to_owned()));
            }
            Ok(self.pool.take(16, 16).freeze(moment.instant))
        }

        fn is_there(&self) -> bool {
            self.there
        }
    }

    fn damaged(all: bool, there: bool) -> Box<dyn Source> {
        Box::new(Damaged { pool: FramePool::new(), all, asked: 0, there })
    }

    /// The errors that a source reports until it ends.
    fn reported(source: Box<dyn Source>, patience: Duration) -> Vec<CaptureError> {
        let (sender, receiver) = bounded(10);
        let on_error = Box::new(move |error| drop(sender.send(error)));
        let sink = Arc::new(|_: &VideoFrame| ());
        let _capture = run_patient("it", source, 120, patience, sink, on_error).unwrap();
        receiver.iter().collect()
    }

    #[test]
    fn a_damaged_frame_is_skipped_and_does_not_end_the_source() {
        let (sender, receiver) = bounded(20);
        let sink = Arc::new(move |_: &VideoFrame| sender.try_send(()).unwrap_or_default());
        let on_error = Box::new(|error| panic!("{error}"));
        let _capture = run_patient("it", damaged(false, true), 120, SILENCE, sink, on_error).unwrap();
        (0..20).for_each(|_| receiver.recv_timeout(Duration::from_secs(5)).unwrap());
    }

    #[test]
    fn a_source_of_damaged_frames_alone_reports_once_and_ends() {
        let lost = CaptureError::new("it", CameraFailure::Failed, "damaged");
        assert_eq!(reported(damaged(true, true), Duration::ZERO), [lost]);
    }

    #[test]
    fn a_source_that_is_gone_was_unplugged() {
        let errors = reported(damaged(false, false), SILENCE);
        assert_eq!(errors.iter().map(|error| error.failure).collect::<Vec<_>>(), [CameraFailure::Unplugged]);
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
        *guard = Some(run_paced("", blank(), 120, sink, Box::new(|_| ())).unwrap());
        drop(guard);
        assert!(receiver.recv_timeout(Duration::from_secs(5)).is_err_and(|error| error.is_disconnected()));
    }
}
