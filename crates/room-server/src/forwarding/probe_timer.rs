//! When to probe whether a narrow path has become wider: soon at first and as long as it helps, otherwise ever more rarely.

use std::time::{Duration, Instant};

/// Time between two probes: at first, and at most.
const INTERVAL: Duration = Duration::from_secs(2);
const MAX_INTERVAL: Duration = Duration::from_secs(16);
/// A probe helped when the estimate grew to this many percent.
const HELPED_PERCENT: u64 = 115;

/// Decides when the next probe is due.
#[derive(Debug, Default)]
pub struct ProbeTimer {
    last: Option<Probe>,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    at: Instant,
    estimate: u64,
    interval: Duration,
}

impl ProbeTimer {
    /// True when it is time for a probe, which then counts as made. `is_wanting`: more could be used than there is.
    pub fn take_due(&mut self, now: Instant, estimate: u64, is_wanting: bool) -> bool {
        if !is_wanting {
            self.last = None;
            return false;
        }
        // The queue that made the path narrow has to drain first.
        let last = *self.last.get_or_insert(Probe { at: now, estimate, interval: INTERVAL });
        if now.saturating_duration_since(last.at) < last.interval {
            return false;
        }
        let helped = estimate * 100 >= last.estimate * HELPED_PERCENT;
        let interval = if helped { INTERVAL } else { (last.interval * 2).min(MAX_INTERVAL) };
        self.last = Some(Probe { at: now, estimate, interval });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds at which probes are made.
    fn probes(estimate: impl Fn(u64) -> u64, seconds: u64) -> Vec<u64> {
        let (mut timer, start) = (ProbeTimer::default(), Instant::now());
        (0..seconds)
            .filter(|second| timer.take_due(start + Duration::from_secs(*second), estimate(*second), true))
            .collect()
    }

    #[test]
    fn probes_in_vain_become_rare() {
        assert_eq!(probes(|_| 100_000, 60), [2, 6, 14, 30, 46]);
    }

    #[test]
    fn probes_that_help_go_on() {
        assert_eq!(probes(|second| 100_000 << (second / 2), 12), [2, 4, 6, 8, 10]);
    }

    #[test]
    fn who_has_enough_is_not_probed() {
        let (mut timer, start) = (ProbeTimer::default(), Instant::now());
        assert!((0..60).all(|second| !timer.take_due(start + Duration::from_secs(second), 100_000, false)));
    }
}
