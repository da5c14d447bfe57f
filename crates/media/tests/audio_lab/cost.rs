//! What a step costs although other work runs on the machine: the median is hardly ever an interrupted one.

use std::time::{Duration, Instant};

/// Times of the steps so far.
#[derive(Debug, Default)]
pub struct Cost(Vec<Duration>);

impl Cost {
    /// Runs a step and takes its time.
    pub fn of<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = step();
        self.0.push(began.elapsed());
        result
    }

    /// Of the step in the middle, microseconds.
    pub fn median_us(mut self) -> f64 {
        self.0.sort();
        self.0.get(self.0.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }
}
