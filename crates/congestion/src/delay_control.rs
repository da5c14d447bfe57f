//! From what the delay says to a rate (draft-ietf-rmcat-gcc-02 section 5.5).
//!
//! Differs from the draft in what follows an overuse. The draft multiplies what gets through by 0.85 and
//! climbs back over many seconds. Here the queue is drained on purpose, at a rate that fits its length, and
//! then the rate returns to just below the capacity that the full queue has measured. So the queue is short
//! and the link stays in use.

use super::capacity::LinkCapacity;
use super::trendline::Usage;
use std::time::{Duration, Instant};

/// A standing queue of this length is overuse, whatever the trend.
const STANDING_LIMIT: Duration = Duration::from_millis(60);
/// A trend without any standing queue is jitter.
const TREND_NEEDS: Duration = Duration::from_millis(8);
/// With this much in the queue it was not empty for a while, so what arrived measures the capacity.
const SURELY_FULL: Duration = Duration::from_millis(40);
/// The queue counts as drained below this.
const DRAINED: Duration = Duration::from_millis(12);
/// Of a queue of so much a packet that waited less than this share of it found none. A bottleneck that queues next to
/// nothing empties that fast by itself.
const LEAST_TO_DISPROVE: Duration = Duration::from_millis(25);
const NONE: f64 = 0.25;
/// Above this the rate does not grow.
const GROWTH_NEEDS: Duration = Duration::from_millis(25);
/// A queue this long stops the sending while it drains; shorter ones slow it down in proportion.
const DRAIN_SCALE: Duration = Duration::from_millis(250);
/// Least share of the capacity while draining.
const LEAST_DRAIN: f64 = 0.15;
/// Share of the capacity while the queue drains, and after it.
const CUT: f64 = 0.85;
const RETURN: f64 = 0.95;
/// One cut leaves at least this share of the rate, since what gets through may be little for want of something to send. A
/// queue that is still there soon after is cut for again.
const MOST_CUT: f64 = 0.5;
/// Growth per second: far from the known capacity, and near it.
const BOLD_GROWTH: f64 = 0.08;
const GENTLE_GROWTH: f64 = 0.02;
/// The rate does not grow past this multiple of what gets through.
const ABOVE_THROUGHPUT: f64 = 1.5;
/// A queue that does not shrink in this time although little is sent is somebody else's.
const FOREIGN_QUEUE: Duration = Duration::from_millis(1500);
/// Longest time step of the growth.
const MAX_STEP: Duration = Duration::from_millis(500);

/// What is known at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// By the trend.
    pub usage: Usage,
    /// Queue that stood for a while.
    pub standing: Duration,
    /// Queue that the newest packet found.
    pub newest: Duration,
    /// What got through in the last moments, in bits per second.
    pub throughput_short: Option<f64>,
    /// The same over half a second.
    pub throughput: Option<f64>,
    /// The application sends less than it may.
    pub app_limited: bool,
    /// From departure to the report of arrival.
    pub response_time: Duration,
    /// A packet that left before the rate was cut for the present queue found none.
    pub passed_by: bool,
}

/// What has to be done beside taking the new rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    #[default]
    Nothing,
    /// The rate was cut.
    Cut,
    /// The queue is not ours: take it for the path's own delay.
    ForeignQueue,
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    began: Instant,
    last_cut: Instant,
    /// The capacity, if the full queue measured it.
    measured: Option<f64>,
    /// The queue that stood when it began.
    queue: Duration,
    /// Rate and known capacity before.
    rate_before: f64,
    capacity_before: LinkCapacity,
}

/// See the module.
#[derive(Debug, Default)]
pub struct DelayControl {
    capacity: LinkCapacity,
    drain: Option<Drain>,
    updated: Option<Instant>,
    last_cut: Option<Instant>,
}

impl DelayControl {
    /// Takes an observation; gives the new rate in bits per second.
    pub fn update(&mut self, now: Instant, rate: f64, seen: &Observation) -> (f64, Verdict) {
        let step = now.saturating_duration_since(self.updated.replace(now).unwrap_or(now)).min(MAX_STEP);
        if let Some(drain) = self.drain {
            return self.go_on_draining(now, rate, seen, drain);
        }
        let trend = seen.usage == Usage::Over && seen.standing >= TREND_NEEDS;
        let spaced = self.last_cut.is_none_or(|cut| now.saturating_duration_since(cut) >= seen.response_time);
        if (trend || seen.standing >= STANDING_LIMIT) && spaced {
            self.drain = Some(Drain {
                began: now,
                last_cut: now,
                measured: None,
                queue: seen.standing,
                rate_before: rate,
                capacity_before: self.capacity,
            });
            return (self.cut(now, rate, seen), Verdict::Cut);
        }
        if let Some(throughput) = seen.throughput {
            self.capacity.passed(throughput);
        }
        if seen.usage != Usage::Normal || seen.standing > GROWTH_NEEDS || seen.app_limited {
            return (rate, Verdict::Nothing);
        }
        let grown = if self.capacity.is_near(rate) {
            rate + self.capacity.bps().unwrap_or(rate) * GENTLE_GROWTH * step.as_secs_f64()
        } else {
            rate * (1.0 + BOLD_GROWTH).powf(step.as_secs_f64())
        };
        let bound = seen.throughput.map_or(rate, |throughput| throughput * ABOVE_THROUGHPUT);
        (grown.min(bound).max(rate), Verdict::Nothing)
    }

    fn cut(&mut self, now: Instant, rate: f64, seen: &Observation) -> f64 {
        self.last_cut = Some(now);
        let full = seen.standing >= SURELY_FULL;
        let through = if full { seen.throughput_short.or(seen.throughput) } else { seen.throughput };
        let Some(through) = through else { return rate * CUT };
        // An application that sends little does not measure anything, unless what it sends does fill a queue.
        if seen.app_limited && !full {
            return rate * CUT;
        }
        if let Some(drain) = &mut self.drain {
            drain.measured = Some(through);
            drain.last_cut = now;
        }
        self.capacity.measured(through);
        let least = if full { rate * MOST_CUT } else { 0.0 };
        (through * CUT).max(least).min(rate)
    }

    fn go_on_draining(&mut self, now: Instant, rate: f64, seen: &Observation, drain: Drain) -> (f64, Verdict) {
        if seen.passed_by {
            // Sending less is not what emptied it: somebody had no time for a moment, here or on the way.
            self.drain = None;
            self.capacity = drain.capacity_before;
            return (rate.max(drain.rate_before), Verdict::Nothing);
        }
        if seen.newest <= DRAINED || seen.standing <= DRAINED {
            self.drain = None;
            let back = drain.measured.and(self.capacity.bps()).map_or(rate, |capacity| capacity * RETURN);
            return (rate.max(back), Verdict::Nothing);
        }
        if now.saturating_duration_since(drain.began) >= FOREIGN_QUEUE {
            self.drain = None;
            return (rate, Verdict::ForeignQueue);
        }
        let spaced = now.saturating_duration_since(drain.last_cut) >= seen.response_time / 2;
        // Still full: what arrives now measures the capacity better than what arrived at first.
        if seen.standing >= SURELY_FULL && spaced {
            return (self.cut(now, rate, seen), Verdict::Cut);
        }
        (rate, Verdict::Nothing)
    }

    /// A probe found that this much fits through. `saturated`: and no more.
    pub fn probed(&mut self, bps: f64, saturated: bool) {
        self.capacity.passed(bps);
        if saturated {
            self.capacity.measured(bps);
        }
    }

    /// Whether a queue is being drained.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Share of the rate to send at with this queue: 1, and less while draining.
    #[must_use]
    pub fn share(&self, queue: Duration) -> f64 {
        if self.drain.is_none() {
            return 1.0;
        }
        (1.0 - queue.as_secs_f64() / DRAIN_SCALE.as_secs_f64()).clamp(LEAST_DRAIN, 1.0)
    }

    /// Whether a packet that left then and waited so long shows that the queue being drained is none.
    #[must_use]
    pub fn is_disproved_by(&self, departure: Instant, wait: Duration) -> bool {
        self.drain.is_some_and(|drain| {
            let found_none = wait <= DRAINED.min(drain.queue.mul_f64(NONE));
            drain.queue >= LEAST_TO_DISPROVE && departure <= drain.began && found_none
        })
    }

    /// When the rate was last cut.
    #[must_use]
    pub fn last_cut(&self) -> Option<Instant> {
        self.last_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn calm(throughput: f64) -> Observation {
        Observation {
            usage: Usage::Normal,
            standing: Duration::ZERO,
            newest: Duration::ZERO,
            throughput_short: Some(throughput),
            throughput: Some(throughput),
            app_limited: false,
            response_time: ms(100),
            passed_by: false,
        }
    }

    fn queue(millis: u64, throughput: f64) -> Observation {
        Observation { standing: ms(millis), newest: ms(millis), ..calm(throughput) }
    }

    #[test]
    fn a_calm_path_lets_the_rate_grow_up_to_what_gets_through_and_a_half() {
        let (mut control, mut now, mut rate) = (DelayControl::default(), Instant::now(), 1e6);
        for _ in 0..200 {
            now += ms(50);
            rate = control.update(now, rate, &calm(1e6)).0;
        }
        assert!((1.49e6..=1.5e6).contains(&rate), "{rate}");
    }

    #[test]
    fn an_overuse_cuts_to_below_what_gets_through_and_the_drained_queue_brings_it_back() {
        let (mut control, now) = (DelayControl::default(), Instant::now());
        let (rate, verdict) = control.update(now, 3e6, &queue(80, 1e6));
        assert_eq!((rate, verdict), (1.5e6, Verdict::Cut), "half of it at once");
        let (rate, verdict) = control.update(now + ms(50), rate, &queue(90, 1e6));
        assert_eq!((rate, verdict), (0.85e6, Verdict::Cut));
        assert!(control.share(ms(80)) < 0.7);
        let (rate, _) = control.update(now + ms(200), rate, &queue(5, 0.7e6));
        assert_eq!(rate, 0.95e6);
        assert_eq!(control.share(ms(80)), 1.0);
    }

    #[test]
    fn a_queue_that_was_gone_before_less_was_sent_was_none() {
        let (mut control, now) = (DelayControl::default(), Instant::now());
        control.update(now, 3e6, &queue(80, 1e6));
        assert!(control.is_disproved_by(now - ms(20), ms(5)));
        assert!(!control.is_disproved_by(now - ms(20), ms(30)), "still there");
        assert!(!control.is_disproved_by(now + ms(20), ms(5)), "sent less by then");
        let seen = Observation { passed_by: true, ..queue(5, 1e6) };
        assert_eq!(control.update(now + ms(50), 1.5e6, &seen), (3e6, Verdict::Nothing));
        assert!(!control.is_draining());
    }

    #[test]
    fn a_trend_without_a_queue_is_not_believed() {
        let (mut control, now) = (DelayControl::default(), Instant::now());
        let seen = Observation { usage: Usage::Over, ..queue(3, 1e6) };
        assert_eq!(control.update(now, 1e6, &seen), (1e6, Verdict::Nothing));
    }

    #[test]
    fn a_queue_that_does_not_drain_is_told_to_be_foreign() {
        let (mut control, now) = (DelayControl::default(), Instant::now());
        control.update(now, 1e6, &queue(80, 1e6));
        assert_eq!(control.update(now + ms(1600), 0.85e6, &queue(80, 0.85e6)).1, Verdict::ForeignQueue);
        assert!(!control.is_draining());
    }

    #[test]
    fn near_the_known_capacity_the_rate_grows_gently() {
        let (mut control, mut now) = (DelayControl::default(), Instant::now());
        control.update(now, 1e6, &queue(80, 1e6));
        let mut rate = control.update(now + ms(100), 0.85e6, &queue(0, 0.85e6)).0;
        let began = rate;
        now += ms(100);
        for _ in 0..20 {
            now += ms(50);
            rate = control.update(now, rate, &calm(rate)).0;
        }
        assert!((0.01..0.03).contains(&((rate - began) / began)), "{began} {rate}");
    }

    #[test]
    fn an_application_that_sends_little_keeps_most_of_its_rate_at_a_hiccup() {
        let (mut control, now) = (DelayControl::default(), Instant::now());
        let seen = Observation { usage: Usage::Over, app_limited: true, ..queue(20, 50e3) };
        assert_eq!(control.update(now, 1e6, &seen).0, 0.85e6);
    }
}
