//! Loss that sending less would cure.
//!
//! A radio link loses packets however little is sent; a bottleneck with a short queue loses what does not
//! fit. Only the second is a reason to send less, and the difference shows by trying: the rate is lowered to
//! what gets through, and if the loss stays, it belongs to the path. It is remembered as inherent, and only
//! loss beyond it counts from then on. (libwebrtc's loss-based estimator fits the same two unknowns,
//! bandwidth and inherent loss, by likelihood.)

use super::PacketResult;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Loss is judged over this time.
const WINDOW: Duration = Duration::from_millis(1000);
/// With fewer packets there is nothing to judge.
const LEAST_PACKETS: u32 = 30;
/// Loss beyond the inherent one that is acted upon at once.
const HIGH: f64 = 0.10;
/// Loss beyond the inherent one that is acted upon if it lasts.
const LOW: f64 = 0.03;
const LASTING: Duration = Duration::from_secs(2);
/// A trial ends with so many packets, or at the latest after this time.
const TRIAL_PACKETS: u32 = 150;
const TRIAL: Duration = Duration::from_secs(3);
/// The loss belongs to the path if this share of it stays.
const STAYS: f64 = 0.5;
/// Share of what gets through that is tried.
const TRY: f64 = 0.95;
/// The trial leaves at least this share of the rate.
const MAX_CUT: f64 = 0.3;
/// Most that is believed to be inherent.
const MAX_INHERENT: f64 = 0.5;
/// Growth of a found limit per second.
const GROWTH: f64 = 0.05;
/// Time in which a better path is believed.
const FORGETTING_S: f64 = 10.0;
/// Nothing at all arrived for this long: an outage, not too high a rate.
const OUTAGE: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug)]
struct Trial {
    began: Instant,
    loss_before: f64,
    rate_before: f64,
    packets: u32,
    lost: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub struct LossControl {
    recent: VecDeque<(Instant, bool)>,
    lost: u32,
    inherent: f64,
    trial: Option<Trial>,
    limit: Option<f64>,
    high_since: Option<Instant>,
    updated: Option<Instant>,
}

impl LossControl {
    /// Takes reports in the order of departure.
    pub fn on_results(&mut self, results: &[PacketResult]) {
        let mut rest = results;
        while let Some(first) = rest.first() {
            let run = rest.iter().take_while(|result| result.arrival.is_none() == first.arrival.is_none()).count();
            let (run, others) = rest.split_at(run);
            rest = others;
            let length =
                run.last().map_or(Duration::ZERO, |last| last.departure.saturating_duration_since(first.departure));
            let lost = first.arrival.is_none();
            if !(lost && length >= OUTAGE) {
                run.iter().for_each(|result| self.count(result.departure, lost));
            }
        }
    }

    fn count(&mut self, departure: Instant, lost: bool) {
        if let Some(trial) = self.trial.as_mut().filter(|trial| departure > trial.began) {
            trial.packets += 1;
            trial.lost += u32::from(lost);
        }
        self.recent.push_back((departure, lost));
        self.lost += u32::from(lost);
        while self.recent.front().is_some_and(|(oldest, _)| departure.saturating_duration_since(*oldest) > WINDOW) {
            if let Some((_, true)) = self.recent.pop_front() {
                self.lost -= 1;
            }
        }
    }

    /// Share of packets lost in the last second, 0 to 1; `None` if there were too few.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        let packets = self.recent.len() as u32;
        (packets >= LEAST_PACKETS).then(|| f64::from(self.lost) / f64::from(packets))
    }

    /// Share of packets that the path is believed to lose whatever is sent.
    #[must_use]
    pub fn inherent(&self) -> f64 {
        self.inherent
    }

    /// Whether less loss is being tried for, or was found with a lower rate.
    #[must_use]
    pub fn is_careful(&self) -> bool {
        self.trial.is_some() || self.limit.is_some()
    }

    /// Whether growing is a risk at the present loss.
    #[must_use]
    pub fn forbids_growth(&self) -> bool {
        self.trial.is_some() || self.loss().is_some_and(|loss| loss - self.inherent > LOW)
    }

    /// Takes the present rate and what gets through, in bits per second; gives the new rate.
    /// `explained`: the delay explains the loss and was acted upon.
    pub fn update(&mut self, now: Instant, rate: f64, throughput: Option<f64>, explained: bool) -> f64 {
        let step = now.saturating_duration_since(self.updated.replace(now).unwrap_or(now)).as_secs_f64().min(0.5);
        if let Some(trial) = self.trial {
            return self.go_on_trying(now, rate, trial);
        }
        let Some(loss) = self.loss() else { return rate };
        if loss < self.inherent {
            self.inherent += (loss - self.inherent) * (step / FORGETTING_S).min(1.0);
        }
        let excess = loss - self.inherent;
        if explained || excess < LOW {
            self.high_since = None;
            return self.grow_limit(rate, step);
        }
        let since = *self.high_since.get_or_insert(now);
        if excess >= HIGH || now.saturating_duration_since(since) >= LASTING {
            self.high_since = None;
            let through = throughput.unwrap_or(rate).min(rate) * TRY;
            let tried = through.max(rate * MAX_CUT);
            self.trial = Some(Trial { began: now, loss_before: loss, rate_before: rate, packets: 0, lost: 0 });
            self.limit = Some(tried);
            return tried;
        }
        self.limit.map_or(rate, |limit| rate.min(limit))
    }

    fn go_on_trying(&mut self, now: Instant, rate: f64, trial: Trial) -> f64 {
        let limited = self.limit.map_or(rate, |limit| rate.min(limit));
        let late = now.saturating_duration_since(trial.began) >= TRIAL;
        if trial.packets < TRIAL_PACKETS && !late {
            return limited;
        }
        self.trial = None;
        if trial.packets < LEAST_PACKETS {
            return limited;
        }
        let loss = f64::from(trial.lost) / f64::from(trial.packets);
        if loss >= trial.loss_before * STAYS {
            self.inherent = loss.max(self.inherent).min(MAX_INHERENT);
            self.limit = None;
            // Unless the delay has found a limit in the meantime.
            let untouched = rate >= limited;
            return if untouched { trial.rate_before } else { rate };
        }
        limited
    }

    fn grow_limit(&mut self, rate: f64, step: f64) -> f64 {
        let Some(limit) = &mut self.limit else { return rate };
        *limit *= 1.0 + GROWTH * step;
        let limit = *limit;
        if limit > rate * 1.2 {
            self.limit = None;
        }
        rate.min(limit)
    }

    /// Something proved that more gets through.
    pub fn lift(&mut self, bps: f64) {
        if self.limit.is_some_and(|limit| limit < bps) {
            self.limit = Some(bps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender of 100 packets a second at 1 Mbit/s; `fate` says from the rate and the packet's number
    /// whether it is lost.
    fn run(
        control: &mut LossControl,
        from: Instant,
        seconds: u32,
        rate: &mut f64,
        fate: impl Fn(f64, u32) -> bool,
    ) -> Instant {
        let mut now = from;
        for tick in 0..seconds * 20 {
            let results: Vec<PacketResult> = (0..5)
                .map(|index| {
                    now += Duration::from_millis(10);
                    let lost = fate(*rate, tick * 5 + index);
                    PacketResult { departure: now, arrival: (!lost).then_some(Duration::ZERO), bytes: 1250 }
                })
                .collect();
            control.on_results(&results);
            let through = *rate * (1.0 - control.loss().unwrap_or(0.0));
            *rate = control.update(now, *rate, Some(through), false);
        }
        now
    }

    #[test]
    fn loss_of_the_path_costs_one_trial_and_then_nothing() {
        for share in [20, 10, 7] {
            let (mut control, mut rate) = (LossControl::default(), 1e6);
            run(&mut control, Instant::now(), 20, &mut rate, |_, index| index % share == 3);
            assert_eq!(rate, 1e6, "1 in {share}");
            assert!((control.inherent() - 1.0 / f64::from(share)).abs() < 0.03);
            assert!(!control.forbids_growth());
        }
    }

    /// 0.7 Mbit/s fit, and what does not is lost here and there.
    fn does_not_fit(rate: f64, index: u32) -> bool {
        f64::from(index * 37 % 100) / 100.0 > 0.7e6 / rate
    }

    #[test]
    fn what_does_not_fit_is_no_longer_sent() {
        let (mut control, mut rate) = (LossControl::default(), 1e6);
        let now = run(&mut control, Instant::now(), 3, &mut rate, does_not_fit);
        assert!((0.6e6..0.75e6).contains(&rate), "{rate}");
        run(&mut control, now, 10, &mut rate, does_not_fit);
        assert!((0.6e6..0.8e6).contains(&rate), "{rate}");
        assert!(control.inherent() < 0.05);
    }

    #[test]
    fn an_outage_is_no_reason_to_send_less() {
        let (mut control, mut rate) = (LossControl::default(), 1e6);
        let now = run(&mut control, Instant::now(), 3, &mut rate, |_, _| false);
        let gone: Vec<PacketResult> = (0..100)
            .map(|index| PacketResult {
                departure: now + Duration::from_millis(index * 10),
                arrival: None,
                bytes: 1250,
            })
            .collect();
        control.on_results(&gone);
        run(&mut control, now + Duration::from_secs(1), 3, &mut rate, |_, _| false);
        assert_eq!(rate, 1e6);
    }

    #[test]
    fn a_path_that_got_better_is_believed_in_time() {
        let (mut control, mut rate) = (LossControl::default(), 1e6);
        let now = run(&mut control, Instant::now(), 10, &mut rate, |_, index| index % 10 == 3);
        assert!(control.inherent() > 0.08);
        run(&mut control, now, 30, &mut rate, |_, _| false);
        assert!(control.inherent() < 0.02);
    }
}
