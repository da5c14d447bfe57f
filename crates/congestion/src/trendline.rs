//! Is the delay growing? (draft-ietf-rmcat-gcc-02 section 5.4, with the line fit of libwebrtc's later
//! trendline filter in the place of the Kalman filter; the adaptive threshold is the draft's.)

use super::arrival_group::GroupDelta;
use std::collections::VecDeque;
use std::time::Duration;

/// Groups the line is fitted through.
const WINDOW: usize = 20;
/// Weight of the past in the smoothed delay.
const SMOOTHING: f64 = 0.9;
/// The slope times this and the number of groups is what the threshold is compared with, in ms.
const GAIN: f64 = 4.0;
/// That number of groups is capped, so that old age does not make the filter nervous.
const MAX_COUNT: usize = 60;
/// Threshold at the beginning and its bounds, in ms.
const THRESHOLD_MS: f64 = 12.5;
const THRESHOLD_RANGE_MS: (f64, f64) = (6.0, 600.0);
/// Rates of the threshold's adaptation, upwards and downwards, per ms (draft, table 1).
const RISE_PER_MS: f64 = 0.0087;
const FALL_PER_MS: f64 = 0.039;
/// A value so far above the threshold is a spike, which the threshold does not follow.
const SPIKE_MS: f64 = 15.0;
/// Longest pause the threshold adapts over.
const MAX_ADAPT_MS: f64 = 100.0;
/// The value must stay above the threshold for this long to count as overuse.
const OVERUSE_MS: f64 = 10.0;

/// What the delay says about the use of the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// The queue on the path is shrinking.
    Under,
    /// The delay is steady.
    #[default]
    Normal,
    /// The queue is growing: more is sent than fits through.
    Over,
}

/// See the module.
#[derive(Debug)]
pub struct Trendline {
    /// Arrival in ms since the first one, and smoothed delay in ms.
    points: VecDeque<(f64, f64)>,
    first_arrival: Option<Duration>,
    count: usize,
    accumulated_ms: f64,
    smoothed_ms: f64,
    threshold_ms: f64,
    adapted_at_ms: Option<f64>,
    over_for_ms: Option<f64>,
    last_trend: f64,
    usage: Usage,
}

impl Default for Trendline {
    fn default() -> Self {
        Self {
            points: VecDeque::with_capacity(WINDOW),
            first_arrival: None,
            count: 0,
            accumulated_ms: 0.0,
            smoothed_ms: 0.0,
            threshold_ms: THRESHOLD_MS,
            adapted_at_ms: None,
            over_for_ms: None,
            last_trend: 0.0,
            usage: Usage::Normal,
        }
    }
}

impl Trendline {
    /// Takes the change of delay from one group to the next.
    pub fn add(&mut self, delta: GroupDelta) {
        let first = *self.first_arrival.get_or_insert(delta.arrival);
        let at_ms = (delta.arrival.as_secs_f64() - first.as_secs_f64()) * 1000.0;
        self.count = (self.count + 1).min(MAX_COUNT);
        self.accumulated_ms += delta.delay_ms;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.accumulated_ms;
        if self.points.len() == WINDOW {
            self.points.pop_front();
        }
        self.points.push_back((at_ms, self.smoothed_ms));
        let trend = if self.points.len() == WINDOW { self.slope() } else { 0.0 };
        self.judge(trend, delta.send_ms, at_ms);
    }

    /// The present judgement.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Least-squares slope of the points, in ms of delay per ms.
    fn slope(&self) -> f64 {
        let count = self.points.len() as f64;
        let (sum_x, sum_y) = self.points.iter().fold((0.0, 0.0), |sums, point| (sums.0 + point.0, sums.1 + point.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (rise, run) = self.points.iter().fold((0.0, 0.0), |sums, point| {
            let x = point.0 - mean_x;
            (sums.0 + x * (point.1 - mean_y), sums.1 + x * x)
        });
        if run > 0.0 { rise / run } else { self.last_trend }
    }

    fn judge(&mut self, trend: f64, send_ms: f64, at_ms: f64) {
        let value = self.count as f64 * trend * GAIN;
        if value > self.threshold_ms {
            let over_for = self.over_for_ms.map_or(send_ms / 2.0, |sum| sum + send_ms);
            self.over_for_ms = Some(over_for);
            if over_for > OVERUSE_MS && trend >= self.last_trend {
                self.usage = Usage::Over;
            }
        } else {
            self.over_for_ms = None;
            self.usage = if value < -self.threshold_ms { Usage::Under } else { Usage::Normal };
        }
        self.last_trend = trend;
        self.adapt(value, at_ms);
    }

    /// A fixed threshold would either starve beside a loss-based flow or never notice anything.
    fn adapt(&mut self, value: f64, at_ms: f64) {
        let passed = (at_ms - self.adapted_at_ms.replace(at_ms).unwrap_or(at_ms)).clamp(0.0, MAX_ADAPT_MS);
        let distance = value.abs() - self.threshold_ms;
        if distance > SPIKE_MS {
            return;
        }
        let rate = if distance < 0.0 { FALL_PER_MS } else { RISE_PER_MS };
        let (least, most) = THRESHOLD_RANGE_MS;
        self.threshold_ms = (self.threshold_ms + rate * distance * passed).clamp(least, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds one group every 20 ms whose delay changes by what `change` says for its index.
    fn run(trend: &mut Trendline, from: u64, groups: u64, change: impl Fn(u64) -> f64) -> Vec<Usage> {
        (from..from + groups)
            .map(|index| {
                let arrival = Duration::from_millis(index * 20);
                trend.add(GroupDelta { delay_ms: change(index), send_ms: 20.0, arrival });
                trend.usage()
            })
            .collect()
    }

    #[test]
    fn a_steady_path_is_normal() {
        assert!(run(&mut Trendline::default(), 0, 200, |_| 0.0).iter().all(|usage| *usage == Usage::Normal));
    }

    #[test]
    fn jitter_without_a_trend_is_normal() {
        let usages = run(&mut Trendline::default(), 0, 400, |index| if index % 2 == 0 { 6.0 } else { -6.0 });
        assert!(usages.iter().all(|usage| *usage == Usage::Normal));
    }

    #[test]
    fn a_growing_queue_is_overuse_and_a_shrinking_one_underuse() {
        let mut trend = Trendline::default();
        run(&mut trend, 0, 60, |_| 0.0);
        assert!(run(&mut trend, 60, 15, |_| 4.0).contains(&Usage::Over));
        assert!(run(&mut trend, 75, 40, |_| -3.0).contains(&Usage::Under));
        assert_eq!(run(&mut trend, 115, 60, |_| 0.0).last(), Some(&Usage::Normal));
    }
}
