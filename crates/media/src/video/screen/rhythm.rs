//! When a picture of a screen is worth sending: at once when it changed, for a moment after that, then rarely.
//! Sans-IO: time is an argument.

use std::time::{Duration, Instant};

/// The encoder makes the picture sharper with every repetition, so a picture at rest goes on for so long.
const SETTLE: Duration = Duration::from_millis(1_000);

/// After that it is repeated in this rhythm: for those who come late, and so that nobody takes the rest for a break,
/// which begins at half a second.
const REPEAT: Duration = Duration::from_millis(300);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    changed_at: Option<Instant>,
    sent_at: Option<Instant>,
}

impl Rhythm {
    /// Whether the picture of this moment goes out.
    pub(super) fn is_due(&mut self, now: Instant, changed: bool) -> bool {
        let since = |then: Option<Instant>| then.map(|then| now.saturating_duration_since(then));
        if changed {
            self.changed_at = Some(now);
        }
        let settles = since(self.changed_at).is_none_or(|age| age < SETTLE);
        let due = settles || since(self.sent_at).is_none_or(|age| age >= REPEAT);
        if due {
            self.sent_at = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures sent within so many ticks of 100 ms.
    fn sent(rhythm: &mut Rhythm, now: &mut Instant, ticks: u32, changes: bool) -> usize {
        let due = (0..ticks).filter(|_| {
            *now += Duration::from_millis(100);
            rhythm.is_due(*now, changes)
        });
        due.count()
    }

    #[test]
    fn motion_is_sent_and_rest_is_repeated_slowly() {
        let (mut rhythm, mut now) = (Rhythm::default(), Instant::now());
        assert_eq!(sent(&mut rhythm, &mut now, 20, true), 20);
        assert_eq!(sent(&mut rhythm, &mut now, 9, false), 9, "it settles");
        assert_eq!(sent(&mut rhythm, &mut now, 60, false), 20, "every third tick");
        assert_eq!(sent(&mut rhythm, &mut now, 1, true), 1, "a change is sent at once");
    }
}
