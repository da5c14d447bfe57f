//! Reduces a camera's frame rate.

use std::time::{Duration, Instant};

/// Passes at most `fps` frames a second, evenly spaced. Time is that of the frames.
#[derive(Clone, Copy, Debug)]
pub struct FrameRateCap {
    interval: Duration,
    due: Option<Instant>,
}

impl FrameRateCap {
    /// `fps` is at least 1.
    pub fn new(fps: u32) -> Self {
        Self { interval: Duration::from_secs(1) / fps.max(1), due: None }
    }

    /// Changes the rate; the next frame is still spaced from the last one.
    pub fn set_fps(&mut self, fps: u32) {
        let last = self.due.and_then(|due| due.checked_sub(self.interval));
        *self = Self::new(fps);
        self.due = last.map(|last| last + self.interval);
    }

    /// Whether the frame captured at this time passes.
    pub fn admit(&mut self, capture_time: Instant) -> bool {
        // A camera's frames come a little early or late; half an interval of slack keeps every frame of a camera with just the right
        // rate.
        let slack = self.interval / 2;
        match self.due {
            Some(due) if capture_time + slack < due => false,
            Some(due) if capture_time < due + self.interval => {
                self.due = Some(due + self.interval);
                true
            }
            _ => {
                self.due = Some(capture_time + self.interval); // the first one, or the first after a pause
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 10 seconds of frames from a camera with `fps` and some jitter go through.
    fn admitted(cap: &mut FrameRateCap, start: Instant, fps: u32) -> usize {
        let jitter = [0u64, 4, 1, 6, 3, 5, 2];
        let at = |index: u32| {
            let nominal = u64::from(index) * 1_000 / u64::from(fps);
            start + Duration::from_millis(nominal + jitter[index as usize % jitter.len()])
        };
        (0..10 * fps).filter(|&index| cap.admit(at(index))).count()
    }

    #[test]
    fn a_faster_camera_is_thinned_out_and_a_slower_one_is_not() {
        for (camera, cap, expected) in [(30, 15, 150), (30, 20, 200), (30, 30, 300), (15, 30, 150), (60, 1, 10)] {
            let count = admitted(&mut FrameRateCap::new(cap), Instant::now(), camera);
            assert!(count.abs_diff(expected) <= 1, "{camera} to {cap}: {count}");
        }
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let (mut cap, start) = (FrameRateCap::new(10), Instant::now());
        assert!(cap.admit(start));
        let later = start + Duration::from_secs(60);
        let burst = (0..10).filter(|index| cap.admit(later + Duration::from_millis(*index))).count();
        assert_eq!(burst, 1);
    }

    #[test]
    fn a_new_rate_holds_from_the_next_frame_on() {
        let (mut cap, start) = (FrameRateCap::new(30), Instant::now());
        admitted(&mut cap, start, 30);
        cap.set_fps(5);
        assert!(admitted(&mut cap, start + Duration::from_secs(10), 30).abs_diff(50) <= 1);
    }
}
