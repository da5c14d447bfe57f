//! Overuse detection from the trend of the delay (draft-ietf-rmcat-gcc-02 section 5.4).
//!
//! The line fit is that of libwebrtc's trendline estimator and replaces the draft's Kalman filter; the adaptive
//! threshold is the draft's.

use super::inter_arrival::GroupDelta;
use std::collections::VecDeque;
use std::time::Duration;

/// Number of groups that the line is fitted through.
const WINDOW_SIZE: usize = 20;
/// Weight of the past in the smoothed delay.
const SMOOTHING_COEF: f64 = 0.9;
/// The trend times this and the number of groups is compared with the threshold, in ms.
const THRESHOLD_GAIN: f64 = 4.0;
/// Cap on the number of groups that scales the trend, so that the detector does not become ever more sensitive.
const MAX_NUM_DELTAS: usize = 60;
/// The threshold before any adaptation, in ms.
const INITIAL_THRESHOLD_MS: f64 = 12.5;
/// Lower bound of the threshold, in ms.
const MIN_THRESHOLD_MS: f64 = 6.0;
/// Upper bound of the threshold, in ms.
const MAX_THRESHOLD_MS: f64 = 600.0;
/// Rate at which the threshold rises, per ms (`K_u` of the draft's table 1).
const K_UP: f64 = 0.0087;
/// Rate at which the threshold falls, per ms (`K_d` of the draft's table 1).
const K_DOWN: f64 = 0.039;
/// A value this far above the threshold is a spike, which the threshold does not adapt to.
const MAX_ADAPT_OFFSET_MS: f64 = 15.0;
/// Longest time that one step of the adaptation covers.
const MAX_TIME_DELTA_MS: f64 = 100.0;
/// The value must stay above the threshold for this long to count as overuse.
const OVERUSING_TIME_THRESHOLD_MS: f64 = 10.0;

/// State of the path as the trend of the delay shows it (libwebrtc's `BandwidthUsage`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BandwidthUsage {
    /// The queue on the path is shrinking.
    Underuse,
    /// The delay is steady.
    #[default]
    Normal,
    /// The queue is growing: more is sent than the path carries.
    Overuse,
}

/// A group in the fitted line.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// Arrival since the first one, in ms.
    arrival_ms: f64,
    smoothed_delay_ms: f64,
}

/// Fits a line through the smoothed delay and compares its slope with an adaptive threshold.
#[derive(Debug)]
pub struct TrendlineEstimator {
    points: VecDeque<Point>,
    first_arrival: Option<Duration>,
    num_deltas: usize,
    accumulated_delay_ms: f64,
    smoothed_delay_ms: f64,
    threshold_ms: f64,
    adapted_at_ms: Option<f64>,
    overusing_for_ms: Option<f64>,
    last_trend: f64,
    usage: BandwidthUsage,
}

impl Default for TrendlineEstimator {
    fn default() -> Self {
        Self {
            points: VecDeque::with_capacity(WINDOW_SIZE),
            first_arrival: None,
            num_deltas: 0,
            accumulated_delay_ms: 0.0,
            smoothed_delay_ms: 0.0,
            threshold_ms: INITIAL_THRESHOLD_MS,
            adapted_at_ms: None,
            overusing_for_ms: None,
            last_trend: 0.0,
            usage: BandwidthUsage::Normal,
        }
    }
}

impl TrendlineEstimator {
    /// Adds the change of delay from one group to the next.
    pub fn on_delta(&mut self, delta: GroupDelta) {
        let first = *self.first_arrival.get_or_insert(delta.arrival);
        let arrival_ms = (delta.arrival.as_secs_f64() - first.as_secs_f64()) * 1000.0;
        self.num_deltas = (self.num_deltas + 1).min(MAX_NUM_DELTAS);
        self.accumulated_delay_ms += delta.delay_ms;
        self.smoothed_delay_ms =
            SMOOTHING_COEF * self.smoothed_delay_ms + (1.0 - SMOOTHING_COEF) * self.accumulated_delay_ms;
        if self.points.len() == WINDOW_SIZE {
            self.points.pop_front();
        }
        self.points.push_back(Point { arrival_ms, smoothed_delay_ms: self.smoothed_delay_ms });
        let trend = if self.points.len() == WINDOW_SIZE { self.slope() } else { 0.0 };
        self.detect(trend, delta.send_ms, arrival_ms);
    }

    /// The present state of the detector.
    #[must_use]
    pub fn usage(&self) -> BandwidthUsage {
        self.usage
    }

    /// Least-squares slope of the points, in ms of delay per ms.
    fn slope(&self) -> f64 {
        let count = self.points.len() as f64;
        let (sum_x, sum_y) = self
            .points
            .iter()
            .fold((0.0, 0.0), |(sum_x, sum_y), point| (sum_x + point.arrival_ms, sum_y + point.smoothed_delay_ms));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (rise, run) = self.points.iter().fold((0.0, 0.0), |(rise, run), point| {
            let x = point.arrival_ms - mean_x;
            (rise + x * (point.smoothed_delay_ms - mean_y), run + x * x)
        });
        if run > 0.0 { rise / run } else { self.last_trend }
    }

    fn detect(&mut self, trend: f64, send_ms: f64, arrival_ms: f64) {
        let modified_trend = self.num_deltas as f64 * trend * THRESHOLD_GAIN;
        if modified_trend > self.threshold_ms {
            let overusing_for = self.overusing_for_ms.map_or(send_ms / 2.0, |sum| sum + send_ms);
            self.overusing_for_ms = Some(overusing_for);
            if overusing_for > OVERUSING_TIME_THRESHOLD_MS && trend >= self.last_trend {
                self.usage = BandwidthUsage::Overuse;
            }
        } else {
            self.overusing_for_ms = None;
            let is_under = modified_trend < -self.threshold_ms;
            self.usage = if is_under { BandwidthUsage::Underuse } else { BandwidthUsage::Normal };
        }
        self.last_trend = trend;
        self.adapt_threshold(modified_trend, arrival_ms);
    }

    /// Adapts the threshold: a fixed one would either starve beside a loss-based flow or never detect anything.
    fn adapt_threshold(&mut self, modified_trend: f64, arrival_ms: f64) {
        let last = self.adapted_at_ms.replace(arrival_ms).unwrap_or(arrival_ms);
        let elapsed_ms = (arrival_ms - last).clamp(0.0, MAX_TIME_DELTA_MS);
        let distance = modified_trend.abs() - self.threshold_ms;
        if distance > MAX_ADAPT_OFFSET_MS {
            return;
        }
        let k = if distance < 0.0 { K_DOWN } else { K_UP };
        self.threshold_ms = (self.threshold_ms + k * distance * elapsed_ms).clamp(MIN_THRESHOLD_MS, MAX_THRESHOLD_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds one group every 20 ms whose delay changes by `change(index)` ms.
    fn add_groups(
        trendline: &mut TrendlineEstimator,
        from: u64,
        groups: u64,
        change: impl Fn(u64) -> f64,
    ) -> Vec<BandwidthUsage> {
        (from..from + groups)
            .map(|index| {
                let arrival = Duration::from_millis(index * 20);
                trendline.on_delta(GroupDelta { delay_ms: change(index), send_ms: 20.0, arrival });
                trendline.usage()
            })
            .collect()
    }

    #[test]
    fn a_steady_path_is_normal() {
        let usages = add_groups(&mut TrendlineEstimator::default(), 0, 200, |_| 0.0);
        assert!(usages.iter().all(|usage| *usage == BandwidthUsage::Normal));
    }

    #[test]
    fn jitter_without_a_trend_is_normal() {
        let jitter = |index| if index % 2 == 0 { 6.0 } else { -6.0 };
        let usages = add_groups(&mut TrendlineEstimator::default(), 0, 400, jitter);
        assert!(usages.iter().all(|usage| *usage == BandwidthUsage::Normal));
    }

    #[test]
    fn a_growing_queue_is_overuse_and_a_shrinking_one_underuse() {
        let mut trendline = TrendlineEstimator::default();
        add_groups(&mut trendline, 0, 60, |_| 0.0);
        assert!(add_groups(&mut trendline, 60, 15, |_| 4.0).contains(&BandwidthUsage::Overuse));
        assert!(add_groups(&mut trendline, 75, 40, |_| -3.0).contains(&BandwidthUsage::Underuse));
        assert_eq!(add_groups(&mut trendline, 115, 60, |_| 0.0).last(), Some(&BandwidthUsage::Normal));
    }
}
