//! Delay-based rate control (draft-ietf-rmcat-gcc-02 section 5.5).
//!
//! Differs from the draft in what follows an overuse. The draft (and libwebrtc's `AimdRateControl`) multiplies the
//! throughput by 0.85 and climbs back over many seconds. Here the queue is drained on purpose, at a rate that depends on
//! its length, and then the rate returns to just below the capacity that the full queue has measured. So the queue stays
//! short and the link stays in use.

use super::link_capacity::LinkCapacity;
use super::trendline::BandwidthUsage;
use rtp::Bitrate;
use std::time::{Duration, Instant};

/// A longer standing queue is overuse, whatever the trend.
const MAX_STANDING_QUEUE: Duration = Duration::from_millis(60);
/// A trend with a shorter standing queue is jitter.
const MIN_OVERUSE_QUEUE: Duration = Duration::from_millis(8);
/// A queue this long has not been empty for a while, so the throughput is the capacity.
const SATURATED_QUEUE: Duration = Duration::from_millis(40);
/// A shorter queue counts as drained.
const DRAINED_QUEUE: Duration = Duration::from_millis(12);
/// Shorter queues are not disproved by a single packet: a bottleneck that queues next to nothing empties that fast.
const MIN_DISPROVABLE_QUEUE: Duration = Duration::from_millis(25);
/// A packet that waited less than this share of the queue has met none.
const DISPROVING_SHARE: f64 = 0.25;
/// The rate does not grow above this standing queue.
const MAX_INCREASE_QUEUE: Duration = Duration::from_millis(25);
/// A queue this long stops the sending while it drains; shorter ones slow it down in proportion.
const DRAIN_FULL_QUEUE: Duration = Duration::from_millis(250);
/// Lower bound of the rate while draining, as a share of the capacity.
const MIN_DRAIN_FACTOR: f64 = 0.15;
/// The rate after an overuse, as a share of the throughput (libwebrtc's `beta`).
const BACKOFF_FACTOR: f64 = 0.85;
/// The rate after the queue has drained, as a share of the measured capacity.
const RECOVERY_FACTOR: f64 = 0.95;
/// Lower bound of one decrease, as a share of the rate: the throughput may be low for want of something to send. A queue
/// that is still there soon after causes a further decrease.
const MIN_DECREASE_RATIO: f64 = 0.5;
/// Growth per second while the rate is far from the known capacity.
const MULTIPLICATIVE_INCREASE: f64 = 0.08;
/// Growth per second near the known capacity, as a share of the capacity.
const ADDITIVE_INCREASE: f64 = 0.02;
/// The rate does not grow past this multiple of the throughput.
const MAX_THROUGHPUT_RATIO: f64 = 1.5;
/// A queue that does not shrink within this time although little is sent is cross traffic.
const CROSS_TRAFFIC_TIMEOUT: Duration = Duration::from_millis(1500);
/// Longest time that one step of the growth covers.
const MAX_STEP: Duration = Duration::from_millis(500);

/// The state of the path at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// State of the trend.
    pub usage: BandwidthUsage,
    /// The standing queue.
    pub standing: Duration,
    /// The queue that the newest packet met.
    pub newest: Duration,
    /// Throughput of the last moments.
    pub throughput_short: Option<Bitrate>,
    /// Throughput of the last half second.
    pub throughput: Option<Bitrate>,
    /// Whether the application sends less than it may.
    pub is_app_limited: bool,
    /// Time from a departure to the report of the arrival.
    pub response_time: Duration,
    /// Whether a packet that left before the rate was decreased for the present queue has met none.
    pub is_queue_disproved: bool,
}

/// What happened in an update besides growth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DelayEvent {
    /// Nothing.
    #[default]
    None,
    /// The rate was decreased for a queue.
    Decrease,
    /// The queue is a standing one caused by other flows; the base delay has to be measured again.
    CrossTraffic,
}

/// The result of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DelayUpdate {
    /// The new rate.
    pub rate: Bitrate,
    /// What happened.
    pub event: DelayEvent,
}

impl DelayUpdate {
    fn quiet(rate: Bitrate) -> Self {
        Self { rate, event: DelayEvent::None }
    }
}

/// A queue being drained.
#[derive(Clone, Copy, Debug)]
struct Drain {
    began: Instant,
    last_decrease: Instant,
    /// The capacity, if the full queue has measured it.
    measured: Option<Bitrate>,
    /// The standing queue when draining began.
    queue: Duration,
    rate_before: Bitrate,
    capacity_before: LinkCapacity,
}

/// Adapts the rate to the queue on the path.
#[derive(Debug, Default)]
pub struct DelayControl {
    capacity: LinkCapacity,
    drain: Option<Drain>,
    updated: Option<Instant>,
    last_decrease: Option<Instant>,
}

impl DelayControl {
    /// Returns the new rate for the present rate and state of the path.
    pub fn update(&mut self, now: Instant, rate: Bitrate, seen: &Observation) -> DelayUpdate {
        let step = now.saturating_duration_since(self.updated.replace(now).unwrap_or(now)).min(MAX_STEP);
        if let Some(drain) = self.drain {
            return self.continue_drain(now, rate, seen, drain);
        }
        let is_growing = seen.usage == BandwidthUsage::Overuse && seen.standing >= MIN_OVERUSE_QUEUE;
        let is_response_seen =
            self.last_decrease.is_none_or(|last| now.saturating_duration_since(last) >= seen.response_time);
        if (is_growing || seen.standing >= MAX_STANDING_QUEUE) && is_response_seen {
            self.drain = Some(Drain {
                began: now,
                last_decrease: now,
                measured: None,
                queue: seen.standing,
                rate_before: rate,
                capacity_before: self.capacity,
            });
            return self.decrease(now, rate, seen);
        }
        if let Some(throughput) = seen.throughput {
            self.capacity.on_throughput(throughput);
        }
        if seen.usage != BandwidthUsage::Normal || seen.standing > MAX_INCREASE_QUEUE || seen.is_app_limited {
            return DelayUpdate::quiet(rate);
        }
        let grown = if self.capacity.is_near(rate) {
            rate + self.capacity.rate().unwrap_or(rate) * ADDITIVE_INCREASE * step.as_secs_f64()
        } else {
            rate * (1.0 + MULTIPLICATIVE_INCREASE).powf(step.as_secs_f64())
        };
        let bound = seen.throughput.map_or(rate, |throughput| throughput * MAX_THROUGHPUT_RATIO);
        DelayUpdate::quiet(grown.min(bound).max(rate))
    }

    fn decrease(&mut self, now: Instant, rate: Bitrate, seen: &Observation) -> DelayUpdate {
        DelayUpdate { rate: self.decreased_rate(now, rate, seen), event: DelayEvent::Decrease }
    }

    fn decreased_rate(&mut self, now: Instant, rate: Bitrate, seen: &Observation) -> Bitrate {
        self.last_decrease = Some(now);
        let is_saturated = seen.standing >= SATURATED_QUEUE;
        let throughput = if is_saturated { seen.throughput_short.or(seen.throughput) } else { seen.throughput };
        let Some(throughput) = throughput else { return rate * BACKOFF_FACTOR };
        // An application that sends little measures nothing, unless even that fills a queue.
        if seen.is_app_limited && !is_saturated {
            return rate * BACKOFF_FACTOR;
        }
        if let Some(drain) = &mut self.drain {
            drain.measured = Some(throughput);
            drain.last_decrease = now;
        }
        self.capacity.on_measured(throughput);
        let min_rate = if is_saturated { rate * MIN_DECREASE_RATIO } else { Bitrate::ZERO };
        (throughput * BACKOFF_FACTOR).max(min_rate).min(rate)
    }

    fn continue_drain(&mut self, now: Instant, rate: Bitrate, seen: &Observation, drain: Drain) -> DelayUpdate {
        if seen.is_queue_disproved {
            // Sending less is not what emptied the queue: it was a scheduling stall.
            self.drain = None;
            self.capacity = drain.capacity_before;
            return DelayUpdate::quiet(rate.max(drain.rate_before));
        }
        if seen.newest <= DRAINED_QUEUE || seen.standing <= DRAINED_QUEUE {
            self.drain = None;
            let recovered = drain.measured.and(self.capacity.rate()).map(|capacity| capacity * RECOVERY_FACTOR);
            return DelayUpdate::quiet(recovered.map_or(rate, |recovered| rate.max(recovered)));
        }
        if now.saturating_duration_since(drain.began) >= CROSS_TRAFFIC_TIMEOUT {
            self.drain = None;
            return DelayUpdate { rate, event: DelayEvent::CrossTraffic };
        }
        let is_response_seen = now.saturating_duration_since(drain.last_decrease) >= seen.response_time / 2;
        // Still saturated: the present throughput measures the capacity better than the first one did.
        if seen.standing >= SATURATED_QUEUE && is_response_seen {
            return self.decrease(now, rate, seen);
        }
        DelayUpdate::quiet(rate)
    }

    /// Adds the result of a probe: the path carries `rate`, and no more if the probe saturated it.
    pub fn on_probed(&mut self, rate: Bitrate, is_saturated: bool) {
        self.capacity.on_throughput(rate);
        if is_saturated {
            self.capacity.on_measured(rate);
        }
    }

    /// Whether a queue is being drained.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Share of the rate to send at with this queue: 1, and less while draining.
    #[must_use]
    pub fn send_share(&self, queue: Duration) -> f64 {
        if self.drain.is_none() {
            return 1.0;
        }
        (1.0 - queue.as_secs_f64() / DRAIN_FULL_QUEUE.as_secs_f64()).clamp(MIN_DRAIN_FACTOR, 1.0)
    }

    /// Whether a packet with this departure and wait shows that the queue being drained does not exist.
    #[must_use]
    pub fn is_disproved_by(&self, departure: Instant, wait: Duration) -> bool {
        self.drain.is_some_and(|drain| {
            let met_no_queue = wait <= DRAINED_QUEUE.min(drain.queue.mul_f64(DISPROVING_SHARE));
            drain.queue >= MIN_DISPROVABLE_QUEUE && departure <= drain.began && met_no_queue
        })
    }

    /// When the rate was last decreased.
    #[must_use]
    pub fn last_decrease(&self) -> Option<Instant> {
        self.last_decrease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mbit(bps: f64) -> Bitrate {
        Bitrate::bps(bps)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn no_queue(throughput: Bitrate) -> Observation {
        Observation {
            usage: BandwidthUsage::Normal,
            standing: Duration::ZERO,
            newest: Duration::ZERO,
            throughput_short: Some(throughput),
            throughput: Some(throughput),
            is_app_limited: false,
            response_time: ms(100),
            is_queue_disproved: false,
        }
    }

    fn queue(millis: u64, throughput: Bitrate) -> Observation {
        Observation { standing: ms(millis), newest: ms(millis), ..no_queue(throughput) }
    }

    fn decreased(rate: Bitrate) -> DelayUpdate {
        DelayUpdate { rate, event: DelayEvent::Decrease }
    }

    #[test]
    fn without_a_queue_the_rate_grows_to_one_and_a_half_times_the_throughput() {
        let (mut control, mut now, mut rate) = (DelayControl::default(), Instant::now(), mbit(1e6));
        for _ in 0..200 {
            now += ms(50);
            rate = control.update(now, rate, &no_queue(mbit(1e6))).rate;
        }
        assert!((1.49e6..=1.5e6).contains(&rate.as_bps()), "{rate}");
    }

    #[test]
    fn overuse_lowers_the_rate_and_the_drained_queue_restores_it() {
        let (mut control, now) = (DelayControl::default(), Instant::now());
        let update = control.update(now, mbit(3e6), &queue(80, mbit(1e6)));
        assert_eq!(update, decreased(mbit(1.5e6)), "at most by half at once");
        let update = control.update(now + ms(50), update.rate, &queue(90, mbit(1e6)));
        assert_eq!(update, decreased(mbit(0.85e6)));
        assert!(control.send_share(ms(80)) < 0.7);
        let update = control.update(now + ms(200), update.rate, &queue(5, mbit(0.7e6)));
        assert_eq!(update, DelayUpdate::quiet(mbit(0.95e6)));
        assert_eq!(control.send_share(ms(80)), 1.0);
    }

    #[test]
    fn a_queue_that_vanished_before_less_was_sent_was_a_stall() {
        let (mut control, now) = (DelayControl::default(), Instant::now());
        control.update(now, mbit(3e6), &queue(80, mbit(1e6)));
        assert!(control.is_disproved_by(now - ms(20), ms(5)));
        assert!(!control.is_disproved_by(now - ms(20), ms(30)), "still there");
        assert!(!control.is_disproved_by(now + ms(20), ms(5)), "sent after the decrease");
        let seen = Observation { is_queue_disproved: true, ..queue(5, mbit(1e6)) };
        assert_eq!(control.update(now + ms(50), mbit(1.5e6), &seen), DelayUpdate::quiet(mbit(3e6)));
        assert!(!control.is_draining());
    }

    #[test]
    fn a_trend_without_a_queue_is_ignored() {
        let (mut control, now) = (DelayControl::default(), Instant::now());
        let seen = Observation { usage: BandwidthUsage::Overuse, ..queue(3, mbit(1e6)) };
        assert_eq!(control.update(now, mbit(1e6), &seen), DelayUpdate::quiet(mbit(1e6)));
    }

    #[test]
    fn a_queue_that_does_not_drain_is_cross_traffic() {
        let (mut control, now) = (DelayControl::default(), Instant::now());
        control.update(now, mbit(1e6), &queue(80, mbit(1e6)));
        let update = control.update(now + ms(1600), mbit(0.85e6), &queue(80, mbit(0.85e6)));
        assert_eq!(update.event, DelayEvent::CrossTraffic);
        assert!(!control.is_draining());
    }

    #[test]
    fn near_the_known_capacity_the_rate_grows_slowly() {
        let (mut control, mut now) = (DelayControl::default(), Instant::now());
        control.update(now, mbit(1e6), &queue(80, mbit(1e6)));
        let mut rate = control.update(now + ms(100), mbit(0.85e6), &queue(0, mbit(0.85e6))).rate;
        let began = rate;
        now += ms(100);
        for _ in 0..20 {
            now += ms(50);
            rate = control.update(now, rate, &no_queue(rate)).rate;
        }
        assert!((0.01..0.03).contains(&(rate - began).ratio(began)), "{began} {rate}");
    }

    #[test]
    fn an_app_limited_sender_keeps_most_of_its_rate_after_a_short_queue() {
        let (mut control, now) = (DelayControl::default(), Instant::now());
        let seen = Observation { usage: BandwidthUsage::Overuse, is_app_limited: true, ..queue(20, mbit(50e3)) };
        assert_eq!(control.update(now, mbit(1e6), &seen).rate, mbit(0.85e6));
    }
}
