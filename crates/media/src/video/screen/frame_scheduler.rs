//! When a frame of a screen is worth sending: at once when it changed, for a moment after that, then rarely.
//! Sans-IO: time is an argument.

use std::time::{Duration, Instant};

/// The encoder sharpens the frame with every repetition, so a static frame is repeated for this long.
const SETTLE: Duration = Duration::from_millis(1_000);

/// After that it is repeated at this interval: for late subscribers, and so that it is not taken for a stall, which begins
/// at half a second.
const REPEAT: Duration = Duration::from_millis(300);

/// Decides which frames are sent.
#[derive(Debug, Default)]
pub(super) struct FrameScheduler {
    changed_at: Option<Instant>,
    sent_at: Option<Instant>,
}

impl FrameScheduler {
    /// Whether the frame of this moment is sent.
    pub(super) fn is_due(&mut self, now: Instant, changed: bool) -> bool {
        let since = |then: Option<Instant>| then.map(|then| now.saturating_duration_since(then));
        if changed {
            self.changed_at = Some(now);
        }
        let settles = since(self.changed_at).is_none_or(|age| age < SETTLE);
        let due = settles || since(self.sent_at).is_none_or(|age| age >= REPEAT);
        if due {
            self.sent_at = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames sent within this many ticks of 100 ms.
    fn sent(frame_scheduler: &mut FrameScheduler, now: &mut Instant, ticks: u32, changes: bool) -> usize {
        let due = (0..ticks).filter(|_| {
            *now += Duration::from_millis(100);
            frame_scheduler.is_due(*now, changes)
        });
        due.count()
    }

    #[test]
    fn motion_is_sent_and_rest_is_repeated_slowly() {
        let (mut frame_scheduler, mut now) = (FrameScheduler::default(), Instant::now());
        assert_eq!(sent(&mut frame_scheduler, &mut now, 20, true), 20);
        assert_eq!(sent(&mut frame_scheduler, &mut now, 9, false), 9, "it settles");
        assert_eq!(sent(&mut frame_scheduler, &mut now, 60, false), 20, "every third tick");
        assert_eq!(sent(&mut frame_scheduler, &mut now, 1, true), 1, "a change is sent at once");
    }
}
