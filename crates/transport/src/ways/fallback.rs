//! When the ways beside plain UDP are begun. No I/O: time is an argument.
//!
//! UDP is the better way wherever it works, so it gets a head start; the others cost the server connections and are not
//! begun for everybody. Where it is known not to work there is nothing to wait for.

use std::time::{Duration, Instant};

/// UDP's head start. On most ways its checks are answered by then; where they take longer, a TCP connection and a check
/// over it take twice as long as theirs.
const HEAD_START: Duration = Duration::from_millis(100);
/// Head start of TCP over TURN, which has a third party in it.
const TURN_AFTER: Duration = Duration::from_millis(250);
/// Where candidates come one by one and the first is not UDP's, the next ones may be.
const MORE_MAY_COME: Duration = Duration::from_millis(50);
/// An answer over UDP means that it works: what is left to do gets this time.
const ANSWER_COUNTS: Duration = Duration::from_millis(2500);

/// Ways that are begun together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// TCP connections to the server's own candidates.
    Tcp,
    /// Relays, and TCP as before.
    Turn,
}

/// What is known before anything was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prospects {
    /// The server has UDP candidates that we may use.
    pub(super) has_udp: bool,
    /// It has TCP candidates that we may use.
    pub(super) has_tcp: bool,
    /// Another connection of this session could not use UDP.
    pub(super) is_udp_blocked: bool,
    /// Nor TCP.
    pub(super) is_tcp_blocked: bool,
}

/// One ICE session: from a remote description with new credentials to the next.
#[derive(Debug, Default)]
pub(super) struct Fallback {
    tcp_at: Option<Instant>,
    turn_at: Option<Instant>,
    has_udp: bool,
    begun: Option<Stage>,
    is_connected: bool,
    is_answered: bool,
}

impl Fallback {
    /// Candidates of the server are known, or more of them. Once something has begun they change nothing.
    pub(super) fn start(&mut self, now: Instant, prospects: Prospects, more_may_come: bool) {
        if self.begun.is_some() {
            return;
        }
        let head_start = match (prospects.is_udp_blocked, prospects.has_udp, more_may_come) {
            (false, true, _) => HEAD_START,
            (false, false, true) => MORE_MAY_COME,
            _ => Duration::ZERO,
        };
        // Whatever UDP was given before is not taken from it, nor given again with each candidate.
        let tcp_at = self.tcp_at.filter(|_| prospects.has_udp && self.has_udp).unwrap_or(now + head_start);
        let waits_for_tcp = prospects.has_tcp && !prospects.is_tcp_blocked;
        let turn_at = if waits_for_tcp { tcp_at + TURN_AFTER } else { tcp_at };
        (self.tcp_at, self.turn_at, self.has_udp) = (Some(tcp_at), Some(turn_at), prospects.has_udp);
    }

    /// The connection came up or went down.
    pub(super) fn connected(&mut self, is_connected: bool) {
        self.is_connected = is_connected;
    }

    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// A check over UDP was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.is_answered, true) && self.begun.is_none() {
            self.tcp_at = self.tcp_at.map(|at| at.max(now + ANSWER_COUNTS));
            self.turn_at = self.turn_at.map(|at| at.max(now + ANSWER_COUNTS + TURN_AFTER));
        }
    }

    /// What has to be under way by now; `None`: nothing but UDP.
    pub(super) fn stage(&mut self, now: Instant) -> Option<Stage> {
        if !self.is_connected {
            let reached = |at: Option<Instant>, stage| at.filter(|at| now >= *at).map(|_| stage);
            let stage = reached(self.turn_at, Stage::Turn).or(reached(self.tcp_at, Stage::Tcp));
            self.begun = self.begun.max(stage);
        }
        self.begun.filter(|_| !self.is_connected)
    }

    /// When to ask again.
    pub(super) fn next(&self) -> Option<Instant> {
        match self.begun {
            _ if self.is_connected => None,
            None => self.tcp_at.min(self.turn_at),
            Some(Stage::Tcp) => self.turn_at,
            Some(Stage::Turn) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Prospects = Prospects { has_udp: true, has_tcp: true, is_udp_blocked: false, is_tcp_blocked: false };

    fn started(prospects: Prospects) -> (Fallback, Instant) {
        let (mut fallback, now) = (Fallback::default(), Instant::now());
        fallback.start(now, prospects, false);
        (fallback, now)
    }

    #[test]
    fn udp_comes_first_then_tcp_then_relays() {
        let (mut fallback, now) = started(ALL);
        assert_eq!(fallback.stage(now), None);
        assert_eq!(fallback.next(), Some(now + HEAD_START));
        assert_eq!(fallback.stage(now + HEAD_START), Some(Stage::Tcp));
        assert_eq!(fallback.next(), Some(now + HEAD_START + TURN_AFTER));
        assert_eq!(fallback.stage(now + HEAD_START + TURN_AFTER), Some(Stage::Turn));
        assert_eq!(fallback.next(), None);
    }

    #[test]
    fn a_connection_in_time_begins_nothing() {
        let (mut fallback, now) = started(ALL);
        fallback.connected(true);
        assert_eq!(fallback.next(), None);
        assert_eq!(fallback.stage(now + Duration::from_secs(60)), None);
    }

    #[test]
    fn an_answer_over_udp_holds_the_others_back_but_not_for_ever() {
        let (mut fallback, now) = started(ALL);
        let answered = now + Duration::from_millis(90);
        fallback.answered(answered);
        fallback.answered(answered + Duration::from_secs(1));
        assert_eq!(fallback.stage(now + Duration::from_secs(1)), None);
        assert_eq!(fallback.stage(answered + ANSWER_COUNTS), Some(Stage::Tcp));
    }

    #[test]
    fn an_answer_that_comes_late_ends_nothing_that_has_begun() {
        let (mut fallback, now) = started(ALL);
        fallback.stage(now + HEAD_START);
        fallback.answered(now + HEAD_START);
        assert_eq!(fallback.stage(now + HEAD_START + TURN_AFTER), Some(Stage::Turn));
    }

    #[test]
    fn where_there_is_nothing_better_relays_do_not_wait() {
        let (mut fallback, now) = started(Prospects { has_udp: false, has_tcp: false, ..ALL });
        assert_eq!(fallback.stage(now), Some(Stage::Turn));
        let (mut fallback, now) = started(Prospects { is_udp_blocked: true, ..ALL });
        assert_eq!(fallback.stage(now), Some(Stage::Tcp));
        let (mut fallback, now) = started(Prospects { is_udp_blocked: true, is_tcp_blocked: true, ..ALL });
        assert_eq!(fallback.stage(now), Some(Stage::Turn));
    }

    #[test]
    fn candidates_that_come_one_by_one_give_udp_its_chance_once() {
        let (mut fallback, now) = (Fallback::default(), Instant::now());
        let at = |millis| now + Duration::from_millis(millis);
        fallback.start(now, Prospects { has_udp: false, ..ALL }, true);
        assert_eq!(fallback.stage(at(20)), None);
        fallback.start(at(20), ALL, true);
        fallback.start(at(90), ALL, true);
        assert_eq!(fallback.next(), Some(at(20) + HEAD_START));
        assert_eq!(fallback.stage(at(120)), Some(Stage::Tcp));
        fallback.start(at(125), ALL, true);
        assert_eq!(fallback.stage(at(126)), Some(Stage::Tcp));
    }
}
