//! Congestion loss and inherent loss.
//!
//! A radio link loses packets however little is sent; a bottleneck with a short queue loses the excess. Only the second
//! is a reason to send less, and a trial tells them apart: the rate is lowered to the throughput, and if the loss stays,
//! it is inherent to the path. From then on only loss beyond it counts. (libwebrtc's loss-based estimator v2 fits the
//! same two unknowns, bandwidth and inherent loss, by maximum likelihood.)

use super::PacketResult;
use rtp::Bitrate;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Window that the loss ratio is measured over.
const OBSERVATION_WINDOW: Duration = Duration::from_millis(1000);
/// Fewer packets give no loss ratio.
const MIN_PACKETS: u32 = 30;
/// Loss beyond the inherent loss that starts a trial at once.
const HIGH_LOSS: f64 = 0.10;
/// Loss beyond the inherent loss that starts a trial if it lasts.
const LOW_LOSS: f64 = 0.03;
/// Time after which low loss starts a trial.
const LOW_LOSS_DURATION: Duration = Duration::from_secs(2);
/// A trial ends after this number of packets.
const TRIAL_PACKETS: u32 = 150;
/// A trial ends at the latest after this time.
const MAX_TRIAL_DURATION: Duration = Duration::from_secs(3);
/// The loss is inherent if this share of it stays during the trial.
const MIN_INHERENT_SHARE: f64 = 0.5;
/// Rate of a trial as a share of the throughput.
const TRIAL_FACTOR: f64 = 0.95;
/// Lower bound of a trial's rate as a share of the rate before.
const MIN_TRIAL_RATIO: f64 = 0.3;
/// Upper bound of the inherent loss.
const INHERENT_LOSS_UPPER_BOUND: f64 = 0.5;
/// Growth of the loss limit per second.
const LIMIT_INCREASE: f64 = 0.05;
/// The limit is lifted once it is above this multiple of the rate.
const LIMIT_RELEASE_RATIO: f64 = 1.2;
/// Time constant with which the inherent loss falls after the path has improved.
const INHERENT_LOSS_DECAY_S: f64 = 10.0;
/// A run of losses at least this long is an outage, not too high a rate.
const MIN_OUTAGE: Duration = Duration::from_millis(250);
/// Longest time that one step of growth or decay covers.
const MAX_STEP_S: f64 = 0.5;

#[derive(Clone, Copy, Debug)]
struct Trial {
    began: Instant,
    loss_before: f64,
    rate_before: Bitrate,
    packets: u32,
    lost: u32,
}

#[derive(Clone, Copy, Debug)]
struct Observation {
    departure: Instant,
    is_lost: bool,
}

/// Limits the rate by congestion loss, and estimates the inherent loss of the path.
#[derive(Debug, Default)]
pub struct LossControl {
    recent: VecDeque<Observation>,
    /// Lost packets in `recent`.
    lost: u32,
    inherent_loss: f64,
    trial: Option<Trial>,
    /// Rate that was found to cause less loss.
    limit: Option<Bitrate>,
    low_loss_since: Option<Instant>,
    updated: Option<Instant>,
}

impl LossControl {
    /// Counts reported packets, in the order of departure. Outages are left out.
    pub fn on_results(&mut self, results: &[PacketResult]) {
        let mut rest = results;
        while let Some(first) = rest.first() {
            let run = rest.iter().take_while(|result| result.arrival.is_none() == first.arrival.is_none()).count();
            let (run, others) = rest.split_at(run);
            rest = others;
            let length =
                run.last().map_or(Duration::ZERO, |last| last.departure.saturating_duration_since(first.departure));
            let is_lost = first.arrival.is_none();
            if !(is_lost && length >= MIN_OUTAGE) {
                run.iter().for_each(|result| self.count(result.departure, is_lost));
            }
        }
    }

    fn count(&mut self, departure: Instant, is_lost: bool) {
        if let Some(trial) = self.trial.as_mut().filter(|trial| departure > trial.began) {
            trial.packets += 1;
            trial.lost += u32::from(is_lost);
        }
        self.recent.push_back(Observation { departure, is_lost });
        self.lost += u32::from(is_lost);
        let is_old = |oldest: &Observation| departure.saturating_duration_since(oldest.departure) > OBSERVATION_WINDOW;
        while let Some(oldest) = self.recent.front().copied().filter(is_old) {
            self.recent.pop_front();
            self.lost -= u32::from(oldest.is_lost);
        }
    }

    /// Share of packets lost in the last second, 0 to 1; `None` if there were too few.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        let packets = self.recent.len() as u32;
        (packets >= MIN_PACKETS).then(|| f64::from(self.lost) / f64::from(packets))
    }

    /// Share of packets that the path is believed to lose at any rate.
    #[must_use]
    pub fn inherent_loss(&self) -> f64 {
        self.inherent_loss
    }

    /// Whether a lower rate is being tried, or has been found to cause less loss.
    #[must_use]
    pub fn is_limiting(&self) -> bool {
        self.trial.is_some() || self.limit.is_some()
    }

    /// Whether the present loss forbids the rate to grow.
    #[must_use]
    pub fn forbids_increase(&self) -> bool {
        self.trial.is_some() || self.loss().is_some_and(|loss| loss - self.inherent_loss > LOW_LOSS)
    }

    /// Returns the new rate for the present rate and throughput. `is_explained`: a queue explains the
    /// loss, and the rate has been decreased for it.
    pub fn update(&mut self, now: Instant, rate: Bitrate, throughput: Option<Bitrate>, is_explained: bool) -> Bitrate {
        let elapsed = now.saturating_duration_since(self.updated.replace(now).unwrap_or(now));
        let step_s = elapsed.as_secs_f64().min(MAX_STEP_S);
        if let Some(trial) = self.trial {
            return self.continue_trial(now, rate, trial);
        }
        let Some(loss) = self.loss() else { return rate };
        if loss < self.inherent_loss {
            self.inherent_loss += (loss - self.inherent_loss) * (step_s / INHERENT_LOSS_DECAY_S).min(1.0);
        }
        let excess = loss - self.inherent_loss;
        if is_explained || excess < LOW_LOSS {
            self.low_loss_since = None;
            return self.grow_limit(rate, step_s);
        }
        let since = *self.low_loss_since.get_or_insert(now);
        if excess >= HIGH_LOSS || now.saturating_duration_since(since) >= LOW_LOSS_DURATION {
            self.low_loss_since = None;
            let trial_rate = (throughput.unwrap_or(rate).min(rate) * TRIAL_FACTOR).max(rate * MIN_TRIAL_RATIO);
            self.trial = Some(Trial { began: now, loss_before: loss, rate_before: rate, packets: 0, lost: 0 });
            self.limit = Some(trial_rate);
            return trial_rate;
        }
        self.limit.map_or(rate, |limit| rate.min(limit))
    }

    fn continue_trial(&mut self, now: Instant, rate: Bitrate, trial: Trial) -> Bitrate {
        let limited = self.limit.map_or(rate, |limit| rate.min(limit));
        let is_late = now.saturating_duration_since(trial.began) >= MAX_TRIAL_DURATION;
        if trial.packets < TRIAL_PACKETS && !is_late {
            return limited;
        }
        self.trial = None;
        if trial.packets < MIN_PACKETS {
            return limited;
        }
        let loss = f64::from(trial.lost) / f64::from(trial.packets);
        if loss >= trial.loss_before * MIN_INHERENT_SHARE {
            self.inherent_loss = loss.max(self.inherent_loss).min(INHERENT_LOSS_UPPER_BOUND);
            self.limit = None;
            // The rate of before, unless delay control has lowered it in the meantime.
            return if rate >= limited { trial.rate_before } else { rate };
        }
        limited
    }

    fn grow_limit(&mut self, rate: Bitrate, step_s: f64) -> Bitrate {
        let Some(limit) = &mut self.limit else { return rate };
        *limit = *limit * (1.0 + LIMIT_INCREASE * step_s);
        let limit = *limit;
        if limit > rate * LIMIT_RELEASE_RATIO {
            self.limit = None;
        }
        rate.min(limit)
    }

    /// Raises the limit: a probe has shown that the path carries `rate`.
    pub fn on_probed(&mut self, rate: Bitrate) {
        if self.limit.is_some_and(|limit| limit < rate) {
            self.limit = Some(rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp::DataSize;

    /// A sender of 100 packets a second at 1 Mbit/s; `is_lost` decides from the rate and the packet's number.
    fn send(
        control: &mut LossControl,
        from: Instant,
        seconds: u32,
        rate: &mut Bitrate,
        is_lost: impl Fn(Bitrate, u32) -> bool,
    ) -> Instant {
        let mut now = from;
        for tick in 0..seconds * 20 {
            let results: Vec<PacketResult> = (0..5)
                .map(|index| {
                    now += Duration::from_millis(10);
                    let is_lost = is_lost(*rate, tick * 5 + index);
                    PacketResult {
                        departure: now,
                        arrival: (!is_lost).then_some(Duration::ZERO),
                        size: DataSize::bytes(1250),
                    }
                })
                .collect();
            control.on_results(&results);
            let throughput = *rate * (1.0 - control.loss().unwrap_or(0.0));
            *rate = control.update(now, *rate, Some(throughput), false);
        }
        now
    }

    #[test]
    fn inherent_loss_costs_one_trial_and_no_rate() {
        for share in [20, 10, 7] {
            let (mut control, mut rate) = (LossControl::default(), Bitrate::mbps(1));
            send(&mut control, Instant::now(), 20, &mut rate, |_, index| index % share == 3);
            assert_eq!(rate, Bitrate::mbps(1), "1 in {share}");
            assert!((control.inherent_loss() - 1.0 / f64::from(share)).abs() < 0.03);
            assert!(!control.forbids_increase());
        }
    }

    /// A bottleneck of 0.7 Mbit/s without a queue.
    fn exceeds_capacity(rate: Bitrate, index: u32) -> bool {
        f64::from(index * 37 % 100) / 100.0 > 0.7e6 / rate.as_bps()
    }

    #[test]
    fn congestion_loss_lowers_the_rate_to_the_capacity() {
        let (mut control, mut rate) = (LossControl::default(), Bitrate::mbps(1));
        let now = send(&mut control, Instant::now(), 3, &mut rate, exceeds_capacity);
        assert!((0.6e6..0.75e6).contains(&rate.as_bps()), "{rate}");
        send(&mut control, now, 10, &mut rate, exceeds_capacity);
        assert!((0.6e6..0.8e6).contains(&rate.as_bps()), "{rate}");
        assert!(control.inherent_loss() < 0.05);
    }

    #[test]
    fn an_outage_does_not_lower_the_rate() {
        let (mut control, mut rate) = (LossControl::default(), Bitrate::mbps(1));
        let now = send(&mut control, Instant::now(), 3, &mut rate, |_, _| false);
        let outage: Vec<PacketResult> = (0..100)
            .map(|index| PacketResult {
                departure: now + Duration::from_millis(index * 10),
                arrival: None,
                size: DataSize::bytes(1250),
            })
            .collect();
        control.on_results(&outage);
        send(&mut control, now + Duration::from_secs(1), 3, &mut rate, |_, _| false);
        assert_eq!(rate, Bitrate::mbps(1));
    }

    #[test]
    fn inherent_loss_is_forgotten_after_the_path_improves() {
        let (mut control, mut rate) = (LossControl::default(), Bitrate::mbps(1));
        let now = send(&mut control, Instant::now(), 10, &mut rate, |_, index| index % 10 == 3);
        assert!(control.inherent_loss() > 0.08);
        send(&mut control, now, 30, &mut rate, |_, _| false);
        assert!(control.inherent_loss() < 0.02);
    }
}
