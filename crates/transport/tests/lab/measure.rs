//! Measures of a call as its user would see it.

use super::call::CallReport;
use std::time::Duration;

impl CallReport {
    /// Mean bits per second of all datagrams, and of video payload, between two times of the run.
    pub fn received_bps(&self, from: f64, to: f64) -> (f64, f64) {
        let (from_at, to_at) = (Duration::from_secs_f64(from), Duration::from_secs_f64(to));
        let inside = self.arrivals.iter().filter(|arrival| (from_at..to_at).contains(&arrival.0));
        let (all, video) = inside.fold((0, 0), |sums, arrival| (sums.0 + arrival.1, sums.1 + arrival.2));
        (all as f64 * 8.0 / (to - from), video as f64 * 8.0 / (to - from))
    }

    /// Longest time between two delivered frames, between two times of the run.
    pub fn longest_gap(&self, from: f64, to: f64) -> Duration {
        let (from, to) = (Duration::from_secs_f64(from), Duration::from_secs_f64(to));
        let mut times: Vec<Duration> = self.frames.iter().filter_map(|frame| frame.delivered).collect();
        times.retain(|at| (from..to).contains(at));
        times.push(from);
        times.push(to);
        times.sort();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Percentile of the queueing delay at the bottleneck, between two times of the run.
    pub fn queue_percentile(&self, share: f64, from: f64, to: f64) -> Duration {
        let (from, to) = (Duration::from_secs_f64(from), Duration::from_secs_f64(to));
        let waits = self.queue_delays.iter().filter(|wait| (from..to).contains(&wait.0)).map(|wait| wait.1).collect();
        percentile(waits, share)
    }

    /// Times from capture to delivery of the frames captured between two times of the run.
    pub fn latencies(&self, from: f64, to: f64) -> Vec<Duration> {
        let (from, to) = (Duration::from_secs_f64(from), Duration::from_secs_f64(to));
        let inside = self.frames.iter().filter(|frame| (from..to).contains(&frame.captured));
        inside.filter_map(|frame| Some(frame.delivered? - frame.captured)).collect()
    }

    /// When the received bitrate over a second first reached `bps`.
    pub fn reached(&self, bps: f64) -> Option<Duration> {
        let end = self.samples.last()?.at.as_secs_f64();
        let mut from = 0.0;
        while from + 1.0 <= end {
            if self.received_bps(from, from + 1.0).0 >= bps {
                return Some(Duration::from_secs_f64(from + 1.0));
            }
            from += 0.1;
        }
        None
    }
}

/// A percentile; zero without values.
pub fn percentile(mut values: Vec<Duration>, share: f64) -> Duration {
    values.sort();
    let index = (values.len() as f64 * share) as usize;
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}
