//! One direction of a network path: loss, delay, jitter, reordering, duplication, a bottleneck with a drop-tail queue,
//! outages. One seed is one run, and time is an argument.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::loss::{Loss, LossProcess};
use crate::random::Random;

/// The properties of a link.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// The seed of all its randomness.
    pub seed: u64,
    /// Random loss.
    pub loss: Loss,
    /// Propagation delay.
    pub delay: Duration,
    /// Uniform extra delay up to this much; order is kept.
    pub jitter: Duration,
    /// Share of packets that are held back by `reorder_delay`, so that later ones overtake them.
    pub reorder: f64,
    /// How long these are held back.
    pub reorder_delay: Duration,
    /// Share of packets that arrive twice.
    pub duplicate: f64,
    /// Bits per second from this time of the run on, in order; empty means no bottleneck.
    pub capacity: Vec<(Duration, f64)>,
    /// Packets that would wait longer than this at the bottleneck are dropped.
    pub queue: Duration,
    /// Scheduling stalls of a machine on the path: one in each period of the first length, lasting up to the second; packets
    /// that arrive meanwhile are delivered at its end.
    pub stalls: Option<(Duration, Duration)>,
    /// Nothing gets through in these times of the run.
    pub outages: Vec<Range<Duration>>,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            loss: Loss::None,
            delay: Duration::from_millis(25),
            jitter: Duration::ZERO,
            reorder: 0.0,
            reorder_delay: Duration::from_millis(10),
            duplicate: 0.0,
            capacity: Vec::new(),
            queue: Duration::from_millis(300),
            stalls: None,
            outages: Vec::new(),
        }
    }
}

/// Counters of a link.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkStats {
    /// Packets sent.
    pub sent: u64,
    /// Packets lost at random or in an outage.
    pub lost: u64,
    /// Packets dropped by the full queue.
    pub overflowed: u64,
}

/// A link that carries packets of type `T`.
#[derive(Debug)]
pub struct Link<T> {
    config: LinkConfig,
    began: Instant,
    random: Random,
    loss: LossProcess,
    /// Until when the bottleneck is busy.
    busy_until: Duration,
    /// Latest arrival handed out, so that jitter does not reorder.
    last_arrival: Duration,
    in_flight: BTreeMap<(Duration, u64), T>,
    counter: u64,
    /// Arrival of each packet at the queue, and its time in there.
    pub queue_delays: Vec<(Duration, Duration)>,
    /// Counters.
    pub stats: LinkStats,
}

impl<T: Clone> Link<T> {
    /// A link whose run begins now.
    #[must_use]
    pub fn new(config: LinkConfig, began: Instant) -> Self {
        Self {
            random: Random::new(config.seed),
            loss: LossProcess::new(config.loss),
            config,
            began,
            busy_until: Duration::ZERO,
            last_arrival: Duration::ZERO,
            in_flight: BTreeMap::new(),
            counter: 0,
            queue_delays: Vec::new(),
            stats: LinkStats::default(),
        }
    }

    /// Puts a packet of this size, headers of IP and UDP included, on the link.
    pub fn send(&mut self, now: Instant, bytes: usize, packet: T) {
        self.stats.sent += 1;
        let at = now.saturating_duration_since(self.began);
        // Drawn for every packet, so that one packet more or less does not change the run of all others.
        let lost = self.loss.is_lost(&mut self.random);
        let (jitter, held, twice) =
            (self.random.unit(), self.random.chance(self.config.reorder), self.random.chance(self.config.duplicate));
        let Some(left) = self.pass_bottleneck(at, bytes) else {
            self.stats.overflowed += 1;
            return;
        };
        if lost || self.config.outages.iter().any(|outage| outage.contains(&at)) {
            self.stats.lost += 1;
            return;
        }
        let arrival = self.after_stall(left + self.config.delay + self.config.jitter.mul_f64(jitter));
        let mut arrival = arrival.max(self.last_arrival);
        self.last_arrival = arrival;
        if held {
            arrival += self.config.reorder_delay;
        }
        for _ in 0..=usize::from(twice) {
            self.counter += 1;
            self.in_flight.insert((arrival, self.counter), packet.clone());
        }
    }

    /// The next packet that has arrived by now, with the time of its arrival.
    pub fn receive(&mut self, now: Instant) -> Option<(Instant, T)> {
        let (&(arrival, _), _) = self.in_flight.first_key_value()?;
        if self.began + arrival > now {
            return None;
        }
        let (_, packet) = self.in_flight.pop_first()?;
        Some((self.began + arrival, packet))
    }

    /// When [`Self::receive`] has something next.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.first_key_value().map(|((arrival, _), _)| self.began + *arrival)
    }

    /// Each period has a stall somewhere in it, of a length of its own.
    fn after_stall(&self, arrival: Duration) -> Duration {
        let Some((period, longest)) = self.config.stalls else { return arrival };
        let number = (arrival.as_secs_f64() / period.as_secs_f64()) as u64;
        let mut random = Random::new(self.config.seed.wrapping_mul(7919).wrapping_add(number));
        let length = longest.mul_f64(random.unit());
        let begin = period.mul_f64(number as f64) + period.saturating_sub(length).mul_f64(random.unit());
        if (begin..begin + length).contains(&arrival) { begin + length } else { arrival }
    }

    /// When the packet has passed the bottleneck; `None` if its queue is full.
    fn pass_bottleneck(&mut self, at: Duration, bytes: usize) -> Option<Duration> {
        if self.config.capacity.is_empty() {
            return Some(at);
        }
        let start = self.busy_until.max(at);
        let wait = start - at;
        if wait > self.config.queue {
            return None;
        }
        self.queue_delays.push((at, wait));
        self.busy_until = self.transmit(start, bytes as f64 * 8.0);
        Some(self.busy_until)
    }

    /// When this many bits that begin at `start` have been sent.
    fn transmit(&self, start: Duration, mut bits: f64) -> Duration {
        let mut from = start;
        loop {
            let rate = self.capacity(from);
            let next = self.config.capacity.iter().map(|step| step.0).find(|step| *step > from);
            let time = Duration::from_secs_f64(bits / rate);
            match next {
                Some(next) if from + time > next => {
                    bits -= (next - from).as_secs_f64() * rate;
                    from = next;
                }
                _ => return from + time,
            }
        }
    }

    /// Bits per second at this time of the run.
    #[must_use]
    pub fn capacity(&self, at: Duration) -> f64 {
        let step = self.config.capacity.iter().rev().find(|step| step.0 <= at);
        step.map_or(f64::INFINITY, |step| step.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Sends `count` packets of 1250 bytes (10 kbit), one a `gap`, and returns the arrivals after the begin.
    fn run(config: LinkConfig, count: u32, gap: Duration) -> (Vec<(Duration, u32)>, LinkStats) {
        let began = Instant::now();
        let mut link = Link::new(config, began);
        for index in 0..count {
            link.send(began + gap * index, 1250, index);
        }
        let mut arrivals = Vec::new();
        while let Some((arrival, index)) = link.receive(began + Duration::from_secs(3600)) {
            arrivals.push((arrival - began, index));
        }
        (arrivals, link.stats)
    }

    fn open() -> LinkConfig {
        LinkConfig { delay: ms(20), ..LinkConfig::default() }
    }

    #[test]
    fn an_open_link_only_delays() {
        let (arrivals, _) = run(open(), 3, ms(10));
        assert_eq!(arrivals, [(ms(20), 0), (ms(30), 1), (ms(40), 2)]);
    }

    #[test]
    fn a_seed_is_a_run() {
        let config = LinkConfig { loss: Loss::Uniform(0.3), jitter: ms(9), ..open() };
        assert_eq!(run(config.clone(), 200, ms(1)).0, run(config.clone(), 200, ms(1)).0);
        assert_ne!(run(config.clone(), 200, ms(1)).0, run(LinkConfig { seed: 2, ..config }, 200, ms(1)).0);
    }

    #[test]
    fn the_bottleneck_spreads_a_burst_and_drops_what_its_queue_does_not_hold() {
        // 10 ms a packet, and room for 25 ms.
        let config = LinkConfig { capacity: vec![(ms(0), 1e6)], queue: ms(25), ..open() };
        let (arrivals, stats) = run(config, 5, ms(0));
        assert_eq!(arrivals, [(ms(30), 0), (ms(40), 1), (ms(50), 2)]);
        assert_eq!(stats.overflowed, 2);
    }

    #[test]
    fn a_step_of_the_capacity_counts_for_the_packet_under_way() {
        let config = LinkConfig { capacity: vec![(ms(0), 1e6), (ms(5), 0.5e6)], ..open() };
        assert_eq!(run(config, 1, ms(0)).0, [(ms(35), 0)]);
    }

    #[test]
    fn loss_comes_at_the_rate_asked_for() {
        for loss in [Loss::Uniform(0.1), Loss::Bursts { rate: 0.1, mean_burst: 4.0 }] {
            let (arrivals, _) = run(LinkConfig { loss, ..open() }, 50_000, ms(1));
            let rate = 1.0 - arrivals.len() as f64 / 50_000.0;
            assert!((0.09..0.11).contains(&rate), "{loss:?}: {rate}");
        }
    }

    #[test]
    fn bursts_have_the_mean_length_asked_for() {
        let (arrivals, _) =
            run(LinkConfig { loss: Loss::Bursts { rate: 0.1, mean_burst: 4.0 }, ..open() }, 50_000, ms(1));
        let bursts: Vec<u32> =
            arrivals.windows(2).map(|pair| pair[1].1 - pair[0].1 - 1).filter(|lost| *lost > 0).collect();
        let mean = bursts.iter().sum::<u32>() as f64 / bursts.len() as f64;
        assert!((3.5..4.5).contains(&mean), "{mean}");
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let in_order = |config| run(config, 500, ms(2)).0.windows(2).all(|pair| pair[0].1 < pair[1].1);
        assert!(in_order(LinkConfig { jitter: ms(15), ..open() }));
        assert!(!in_order(LinkConfig { reorder: 0.05, ..open() }));
    }

    #[test]
    fn what_comes_in_a_stall_goes_on_at_its_end() {
        let config = LinkConfig { stalls: Some((ms(100), ms(60))), ..open() };
        let (arrivals, _) = run(config, 1000, ms(1));
        let gaps: Vec<Duration> = arrivals.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert_eq!(arrivals.len(), 1000);
        assert!(gaps.iter().filter(|gap| **gap > ms(5)).count() >= 5 && gaps.iter().all(|gap| *gap <= ms(121)));
    }

    #[test]
    fn an_outage_lets_nothing_through_and_duplicates_come_twice() {
        let (arrivals, _) = run(LinkConfig { outages: vec![ms(10)..ms(30)], duplicate: 1.0, ..open() }, 4, ms(10));
        let indices: Vec<u32> = arrivals.iter().map(|arrival| arrival.1).collect();
        assert_eq!(indices, [0, 0, 3, 3]);
    }
}
