//! Tells a publisher which layers are wanted, so that it encodes no others.
//!
//! More layers are requested at once; fewer only after a while, since subscribers often come back.

use std::time::{Duration, Instant};

use super::layer_selector::BEST;

/// How long less must be wanted before it is said.
const LOWER_AFTER: Duration = Duration::from_secs(5);

/// The layers of one track as its publisher knows them.
#[derive(Debug)]
pub struct Dynacast {
    /// Rank of the best layer that is wanted, 0 for none. Publishers begin with all.
    last_sent: u8,
    lower_since: Option<Instant>,
}

impl Default for Dynacast {
    fn default() -> Self {
        Self { last_sent: BEST, lower_since: None }
    }
}

impl Dynacast {
    /// Takes the rank that is wanted now, and returns it when the publisher has to be notified.
    pub fn update(&mut self, wanted: u8, now: Instant) -> Option<u8> {
        if wanted >= self.last_sent {
            self.lower_since = None;
        } else {
            let since = *self.lower_since.get_or_insert(now);
            if now.saturating_duration_since(since) < LOWER_AFTER {
                return None;
            }
            self.lower_since = None;
        }
        let changed = wanted != self.last_sent;
        self.last_sent = wanted;
        changed.then_some(wanted)
    }

    /// Whether it has to be looked at again although nothing changes.
    pub fn is_waiting(&self) -> bool {
        self.lower_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_said_at_once_and_less_after_a_while() {
        let (mut dynacast, now) = (Dynacast::default(), Instant::now());
        assert_eq!(dynacast.update(3, now), None);
        assert_eq!(dynacast.update(1, now), None);
        assert!(dynacast.is_waiting());
        assert_eq!(dynacast.update(1, now + LOWER_AFTER), Some(1));
        assert_eq!(dynacast.update(1, now + 2 * LOWER_AFTER), None);
        assert_eq!(dynacast.update(2, now + 2 * LOWER_AFTER), Some(2));
    }

    #[test]
    fn who_returns_in_time_is_not_noticed() {
        let (mut dynacast, now) = (Dynacast::default(), Instant::now());
        assert_eq!(dynacast.update(0, now), None);
        assert_eq!(dynacast.update(3, now + LOWER_AFTER / 2), None);
        assert_eq!(dynacast.update(0, now + LOWER_AFTER), None);
        assert!(dynacast.is_waiting());
    }
}
