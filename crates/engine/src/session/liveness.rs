//! Whether the peer of the signalling connection is still there. Pure: both clocks are arguments.
//!
//! A machine that slept finds its sockets open although the peer has gone. Its monotonic clock may have slept along (Linux,
//! macOS) or not (Windows), so a jump of either clock causes a ping at once and a short timeout.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Interval at which [`Liveness::tick`] is called.
pub(super) const TICK: Duration = Duration::from_millis(500);
/// A gap between ticks that means that the machine, or this process, slept.
const SLEPT: Duration = Duration::from_secs(4);
/// Timeout of the pong after that.
const ANSWER_AFTER_SLEEP: Duration = Duration::from_secs(2);

/// What to do about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LivenessAction {
    Fine,
    Ping,
    Lost,
}

/// Watches one signalling connection.
#[derive(Debug)]
pub(super) struct Liveness {
    interval: Duration,
    timeout: Duration,
    heard: Instant,
    pinged: Instant,
    ticked: (Instant, SystemTime),
    /// Something has to arrive before this.
    deadline: Option<Instant>,
}

impl Liveness {
    pub(super) fn new(interval: Duration, timeout: Duration, now: Instant, wall: SystemTime) -> Self {
        Self { interval, timeout, heard: now, pinged: now, ticked: (now, wall), deadline: None }
    }

    /// A message arrived, or the connection is new.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.deadline = None;
    }

    pub(super) fn tick(&mut self, now: Instant, wall: SystemTime) -> LivenessAction {
        let (before, wall_before) = std::mem::replace(&mut self.ticked, (now, wall));
        let slept = now.duration_since(before).max(wall.duration_since(wall_before).unwrap_or_default());
        if slept >= SLEPT {
            self.deadline = Some(now + ANSWER_AFTER_SLEEP);
            self.pinged = now;
            return LivenessAction::Ping;
        }
        match self.deadline {
            Some(deadline) if now >= deadline => return LivenessAction::Lost,
            // The last message arrived before the sleep and proves nothing.
            Some(_) => return LivenessAction::Fine,
            None if now.duration_since(self.heard) >= self.timeout => return LivenessAction::Lost,
            None => {}
        }
        if now.duration_since(self.pinged) >= self.interval {
            self.pinged = now;
            return LivenessAction::Ping;
        }
        LivenessAction::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clock {
        now: Instant,
        wall: SystemTime,
        liveness: Liveness,
    }

    impl Clock {
        fn new() -> Self {
            let (now, wall) = (Instant::now(), SystemTime::now());
            let liveness = Liveness::new(Duration::from_secs(5), Duration::from_secs(15), now, wall);
            Self { now, wall, liveness }
        }

        fn after(&mut self, monotonic_s: u64, wall_s: u64) -> LivenessAction {
            self.now += Duration::from_secs(monotonic_s);
            self.wall += Duration::from_secs(wall_s);
            self.liveness.tick(self.now, self.wall)
        }
    }

    #[test]
    fn a_quiet_server_is_pinged_every_five_seconds_and_lost_after_fifteen() {
        let mut clock = Clock::new();
        let pulses: Vec<LivenessAction> = (0..15).map(|_| clock.after(1, 1)).collect();
        assert_eq!(pulses.iter().filter(|pulse| **pulse == LivenessAction::Ping).count(), 2);
        assert_eq!(pulses[4], LivenessAction::Ping);
        assert_eq!(pulses[14], LivenessAction::Lost);
    }

    #[test]
    fn a_server_that_answers_is_never_lost() {
        let mut clock = Clock::new();
        for _ in 0..100 {
            if clock.after(1, 1) == LivenessAction::Ping {
                clock.liveness.heard(clock.now);
            }
        }
        assert_ne!(clock.after(1, 1), LivenessAction::Lost);
    }

    #[test]
    fn after_a_sleep_that_stopped_the_monotonic_clock_a_dead_socket_is_noticed_within_seconds() {
        let mut clock = Clock::new();
        clock.after(1, 1);
        assert_eq!(clock.after(1, 3 * 3600), LivenessAction::Ping);
        assert_eq!(clock.after(1, 1), LivenessAction::Fine);
        assert_eq!(clock.after(1, 1), LivenessAction::Lost);
    }

    #[test]
    fn after_a_sleep_that_both_clocks_saw_the_server_gets_a_chance_to_answer() {
        let mut clock = Clock::new();
        clock.after(1, 1);
        assert_eq!(clock.after(3600, 3600), LivenessAction::Ping);
        clock.liveness.heard(clock.now);
        assert_eq!(clock.after(1, 1), LivenessAction::Fine);
        assert_eq!(clock.after(1, 1), LivenessAction::Fine);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_means_nothing() {
        let mut clock = Clock::new();
        clock.wall -= Duration::from_secs(3600);
        assert_eq!(clock.after(1, 0), LivenessAction::Fine);
    }
}
