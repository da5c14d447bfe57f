//! Whether media really arrives, though the connection says it is up. Pure: time and counters are arguments.
//!
//! A router that drops its mapping gives our packets a new source address. ICE's checks then still succeed, since the
//! server answers where they come from, but its media goes to the old address until ICE is restarted. If checks are
//! answered and nothing else arrives, that has happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::messages::{ParticipantInfo, participant_info::State};
use tokio::time::Instant;

/// Silence where packets should arrive every few milliseconds. Long enough for ICE to notice first if it can.
const STALLED_AFTER: Duration = Duration::from_secs(6);
/// The same where ICE will not notice, since its checks are answered all the while,
const FORGOTTEN_AFTER: Duration = Duration::from_millis(1400);
/// by more than the one that may have been read late.
const FORGOTTEN_ANSWERS: u64 = 2;
/// Wait before a restart that did not help is tried again; doubles.
const FIRST_WAIT: Duration = Duration::from_secs(15);
const LONGEST_WAIT: Duration = Duration::from_secs(240);

/// Tracks that others send now, by the sid of the participant.
#[derive(Debug, Default)]
pub(super) struct SentTracks {
    by_participant: BTreeMap<String, Vec<String>>,
}

impl SentTracks {
    /// Applies an update about participants.
    pub(super) fn update(&mut self, participants: &[ParticipantInfo]) {
        for info in participants {
            if info.state == State::Disconnected as i32 {
                self.by_participant.remove(&info.sid);
                continue;
            }
            let sent = info.tracks.iter().filter(|track| !track.muted).map(|track| track.sid.clone());
            self.by_participant.insert(info.sid.clone(), sent.collect());
        }
    }

    /// Whether one of these is among them.
    pub(super) fn has_any(&self, wanted: &BTreeSet<String>) -> bool {
        self.by_participant.values().flatten().any(|sid| wanted.contains(sid))
    }
}

/// The packets that arrive over one connection.
#[derive(Debug)]
pub(super) struct Flow {
    count: u64,
    /// Answered checks before the silence.
    answered: u64,
    /// When packets should have begun to arrive.
    silent_since: Option<Instant>,
    wait: Duration,
    not_before: Option<Instant>,
}

impl Default for Flow {
    fn default() -> Self {
        Self { count: 0, answered: 0, silent_since: None, wait: FIRST_WAIT, not_before: None }
    }
}

impl Flow {
    /// Takes the counts of packets and of answered checks so far, about every second. True: restart ICE.
    pub(super) fn is_stalled(&mut self, count: u64, answered: u64, is_expected: bool, now: Instant) -> bool {
        if std::mem::replace(&mut self.count, count) != count {
            self.answered = answered;
            self.wait = FIRST_WAIT;
            self.silent_since = is_expected.then_some(now);
            return false;
        }
        if !is_expected {
            self.silent_since = None;
            return false;
        }
        let since = *self.silent_since.get_or_insert(now);
        let is_forgotten = answered >= self.answered + FORGOTTEN_ANSWERS;
        let patience = if is_forgotten { FORGOTTEN_AFTER } else { STALLED_AFTER };
        if now.duration_since(since) < patience || self.not_before.is_some_and(|at| now < at) {
            return false;
        }
        self.not_before = Some(now + self.wait);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::messages::TrackInfo;

    /// Calls once a second from `from` on; returns the seconds at which a restart was requested.
    fn restarts(
        flow: &mut Flow,
        start: Instant,
        seconds: std::ops::Range<u64>,
        count: impl Fn(u64) -> u64,
    ) -> Vec<u64> {
        seconds.filter(|s| flow.is_stalled(count(*s), 0, true, start + Duration::from_secs(*s))).collect()
    }

    #[test]
    fn a_flow_that_stops_is_restarted_after_six_seconds_and_then_ever_more_rarely() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        assert!(restarts(&mut flow, start, 0..10, |s| s + 1).is_empty());
        assert_eq!(restarts(&mut flow, start, 10..70, |_| 10), [15, 30, 60]);
    }

    #[test]
    fn a_flow_that_stops_although_checks_are_answered_is_restarted_soon() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(!flow.is_stalled(5, 10, true, at(0)));
        assert!(!flow.is_stalled(5, 11, true, at(500)));
        assert!(!flow.is_stalled(5, 12, true, at(1000)), "too soon");
        assert!(flow.is_stalled(5, 12, true, at(1500)));
        assert!(!flow.is_stalled(5, 20, true, at(10_000)), "and not again at once");
    }

    #[test]
    fn an_answer_from_before_the_silence_does_not_count() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        flow.is_stalled(5, 10, true, start);
        assert!(!flow.is_stalled(5, 11, true, start + Duration::from_secs(4)));
    }

    #[test]
    fn a_flow_that_came_back_is_watched_as_before() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        assert_eq!(restarts(&mut flow, start, 0..9, |_| 5), [6]);
        restarts(&mut flow, start, 9..30, |s| s);
        assert_eq!(restarts(&mut flow, start, 30..40, |_| 29), [35]);
    }

    #[test]
    fn where_nothing_is_expected_silence_means_nothing() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        for s in 0..60 {
            assert!(!flow.is_stalled(7, s, false, start + Duration::from_secs(s)));
        }
        assert!(!flow.is_stalled(7, 60, true, start + Duration::from_secs(60)));
    }

    #[test]
    fn only_tracks_that_are_sent_and_wanted_are_expected() {
        let wanted = BTreeSet::from(["TR_1".to_owned()]);
        let mut info = ParticipantInfo {
            sid: "PA_1".into(),
            tracks: vec![TrackInfo { sid: "TR_1".into(), ..TrackInfo::default() }],
            ..ParticipantInfo::default()
        };
        let mut sent = SentTracks::default();
        assert!(!sent.has_any(&wanted));
        sent.update(&[info.clone()]);
        assert!(sent.has_any(&wanted));
        info.tracks[0].muted = true;
        sent.update(&[info.clone()]);
        assert!(!sent.has_any(&wanted));
        info.tracks[0].muted = false;
        sent.update(&[info.clone()]);
        info.state = State::Disconnected as i32;
        sent.update(&[info]);
        assert!(!sent.has_any(&wanted));
    }
}
