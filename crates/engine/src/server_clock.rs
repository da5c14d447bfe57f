//! The room server's clock as far as tokens need it: how far this computer's clock is off. Sans-IO: both clocks' times are
//! arguments, in milliseconds since the Unix epoch.

/// Clocks that differ by less count as equal: dates of HTTP have whole seconds, and answers take time.
const TOLERANCE_MS: u64 = 5_000;

/// What is known of the server's clock; nothing at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerClock {
    /// What has to be added to this computer's clock.
    offset_ms: Option<i64>,
}

impl ServerClock {
    /// Takes a reading of the server's clock at `own_ms` of this computer's.
    pub(crate) fn note(&mut self, server_ms: u64, own_ms: u64) {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        self.offset_ms = Some(signed(server_ms).saturating_sub(signed(own_ms)));
    }

    /// The server's clock, or our own while nothing is known of it.
    pub(crate) fn now_ms(&self, own_ms: u64) -> u64 {
        own_ms.saturating_add_signed(self.offset_ms.unwrap_or(0))
    }

    /// The same in whole seconds.
    pub(crate) fn now_s(&self, own_ms: u64) -> u64 {
        self.now_ms(own_ms) / 1000
    }

    /// Whether anything is known.
    pub(crate) fn is_known(&self) -> bool {
        self.offset_ms.is_some()
    }

    /// Whether a token that was minted with what `earlier` knew is worth minting again.
    pub(crate) fn contradicts(&self, earlier: Self) -> bool {
        self.is_known() && self.offset_ms.unwrap_or(0).abs_diff(earlier.offset_ms.unwrap_or(0)) > TOLERANCE_MS
    }

    /// A sentence about our own clock, if it is off.
    pub(crate) fn complaint(&self) -> Option<String> {
        let offset = self.offset_ms.filter(|offset| offset.unsigned_abs() > TOLERANCE_MS)?;
        let side = if offset > 0 { "behind" } else { "ahead of" };
        Some(format!("this computer's clock is {} {side} the room server's", in_words(offset.unsigned_abs())))
    }
}

fn in_words(ms: u64) -> String {
    let (days, hours, minutes, seconds) = (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1000 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn off_by(ms: i64) -> ServerClock {
        let mut clock = ServerClock::default();
        clock.note(NOW, NOW.saturating_add_signed(ms));
        clock
    }

    #[test]
    fn the_own_clock_counts_until_the_servers_is_known() {
        let clock = ServerClock::default();
        assert_eq!((clock.now_ms(NOW), clock.complaint()), (NOW, None));
        assert!(!clock.contradicts(off_by(99_999_999)));
    }

    #[test]
    fn a_clock_wrong_by_a_day_in_either_direction_is_made_up_for_and_named() {
        let ahead = off_by(86_340_000);
        assert_eq!(ahead.now_ms(NOW + 86_340_000 + 7), NOW + 7);
        assert_eq!(ahead.complaint().unwrap(), "this computer's clock is 23 h 59 min ahead of the room server's");
        let behind = off_by(-86_400_000);
        assert_eq!(behind.now_ms(NOW - 86_400_000), NOW);
        assert_eq!(behind.complaint().unwrap(), "this computer's clock is 1 d 0 h behind the room server's");
        assert!(ahead.contradicts(ServerClock::default()) && ahead.contradicts(behind) && !ahead.contradicts(ahead));
    }

    #[test]
    fn a_clock_difference_of_seconds_is_ignored() {
        assert_eq!(off_by(4_000).complaint(), None);
        assert!(!off_by(-4_000).contradicts(ServerClock::default()));
    }

    #[test]
    fn clocks_that_cannot_be_are_borne() {
        for (server, own) in [(0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX)] {
            let mut clock = ServerClock::default();
            clock.note(server, own);
            let _ = (clock.now_ms(0), clock.now_ms(u64::MAX), clock.complaint(), clock.contradicts(off_by(1)));
        }
    }
}
