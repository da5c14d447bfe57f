//! When to open routes besides plain UDP. Sans-IO: time is an argument.
//!
//! UDP is the best route wherever it works, so it gets a head start: the others cost the server connections and are not
//! opened in every call. Where UDP is known to be blocked there is no wait.

use std::time::{Duration, Instant};

/// Head start of UDP. On most paths its checks are answered by then; where they take longer, a TCP connection and a check
/// over it take twice as long.
const UDP_HEAD_START: Duration = Duration::from_millis(100);
/// Head start of TCP over TURN, which involves a third host.
const TCP_HEAD_START: Duration = Duration::from_millis(250);
/// Wait for further trickled candidates if the first is not for UDP.
const TRICKLE_WAIT: Duration = Duration::from_millis(50);
/// Time for the rest of the connection set-up after an answer over UDP has shown that UDP works.
const ANSWER_GRACE: Duration = Duration::from_millis(2500);

/// Groups of routes that are opened together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// TCP connections to the server's own candidates.
    Tcp,
    /// Relays, and TCP as before.
    Turn,
}

/// What is known about the routes before any was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prospects {
    /// The server has UDP candidates that we may use.
    pub(super) has_udp: bool,
    /// The server has TCP candidates that we may use.
    pub(super) has_tcp: bool,
    /// Another connection of this session could not use UDP.
    pub(super) is_udp_blocked: bool,
    /// Another connection of this session could not use TCP.
    pub(super) is_tcp_blocked: bool,
}

/// Schedule of the routes of one ICE session, from one change of the remote credentials to the next.
#[derive(Debug, Default)]
pub(super) struct Fallback {
    tcp_at: Option<Instant>,
    turn_at: Option<Instant>,
    has_udp: bool,
    stage_reached: Option<Stage>,
    is_connected: bool,
    is_answered: bool,
}

impl Fallback {
    /// Schedules the routes when candidates of the server become known. Further candidates change nothing once a stage has
    /// been reached.
    pub(super) fn start(&mut self, now: Instant, prospects: Prospects, more_may_come: bool) {
        if self.stage_reached.is_some() {
            return;
        }
        let head_start = match (prospects.is_udp_blocked, prospects.has_udp, more_may_come) {
            (false, true, _) => UDP_HEAD_START,
            (false, false, true) => TRICKLE_WAIT,
            _ => Duration::ZERO,
        };
        // The head start of UDP is given once, not with each candidate.
        let tcp_at = self.tcp_at.filter(|_| prospects.has_udp && self.has_udp).unwrap_or(now + head_start);
        let waits_for_tcp = prospects.has_tcp && !prospects.is_tcp_blocked;
        let turn_at = if waits_for_tcp { tcp_at + TCP_HEAD_START } else { tcp_at };
        (self.tcp_at, self.turn_at, self.has_udp) = (Some(tcp_at), Some(turn_at), prospects.has_udp);
    }

    /// Notes that the connection came up or went down.
    pub(super) fn on_connection_state(&mut self, is_connected: bool) {
        self.is_connected = is_connected;
    }

    /// Whether the connection is up.
    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Notes that a check over UDP was answered.
    pub(super) fn on_udp_answer(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.is_answered, true) && self.stage_reached.is_none() {
            self.tcp_at = self.tcp_at.map(|at| at.max(now + ANSWER_GRACE));
            self.turn_at = self.turn_at.map(|at| at.max(now + ANSWER_GRACE + TCP_HEAD_START));
        }
    }

    /// The stage to open now; `None`: nothing but UDP.
    pub(super) fn stage(&mut self, now: Instant) -> Option<Stage> {
        if !self.is_connected {
            let reached = |at: Option<Instant>, stage| at.filter(|at| now >= *at).map(|_| stage);
            let stage = reached(self.turn_at, Stage::Turn).or(reached(self.tcp_at, Stage::Tcp));
            self.stage_reached = self.stage_reached.max(stage);
        }
        self.stage_reached.filter(|_| !self.is_connected)
    }

    /// When the stage changes next.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match self.stage_reached {
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
    fn udp_is_tried_first_then_tcp_then_relays() {
        let (mut fallback, now) = started(ALL);
        assert_eq!(fallback.stage(now), None);
        assert_eq!(fallback.next_timeout(), Some(now + UDP_HEAD_START));
        assert_eq!(fallback.stage(now + UDP_HEAD_START), Some(Stage::Tcp));
        assert_eq!(fallback.next_timeout(), Some(now + UDP_HEAD_START + TCP_HEAD_START));
        assert_eq!(fallback.stage(now + UDP_HEAD_START + TCP_HEAD_START), Some(Stage::Turn));
        assert_eq!(fallback.next_timeout(), None);
    }

    #[test]
    fn a_quick_connection_opens_no_other_route() {
        let (mut fallback, now) = started(ALL);
        fallback.on_connection_state(true);
        assert_eq!(fallback.next_timeout(), None);
        assert_eq!(fallback.stage(now + Duration::from_secs(60)), None);
    }

    #[test]
    fn an_answer_over_udp_delays_the_others_for_a_while() {
        let (mut fallback, now) = started(ALL);
        let answered = now + Duration::from_millis(90);
        fallback.on_udp_answer(answered);
        fallback.on_udp_answer(answered + Duration::from_secs(1));
        assert_eq!(fallback.stage(now + Duration::from_secs(1)), None);
        assert_eq!(fallback.stage(answered + ANSWER_GRACE), Some(Stage::Tcp));
    }

    #[test]
    fn a_late_answer_over_udp_stops_no_route() {
        let (mut fallback, now) = started(ALL);
        fallback.stage(now + UDP_HEAD_START);
        fallback.on_udp_answer(now + UDP_HEAD_START);
        assert_eq!(fallback.stage(now + UDP_HEAD_START + TCP_HEAD_START), Some(Stage::Turn));
    }

    #[test]
    fn without_a_better_route_relays_do_not_wait() {
        let (mut fallback, now) = started(Prospects { has_udp: false, has_tcp: false, ..ALL });
        assert_eq!(fallback.stage(now), Some(Stage::Turn));
        let (mut fallback, now) = started(Prospects { is_udp_blocked: true, ..ALL });
        assert_eq!(fallback.stage(now), Some(Stage::Tcp));
        let (mut fallback, now) = started(Prospects { is_udp_blocked: true, is_tcp_blocked: true, ..ALL });
        assert_eq!(fallback.stage(now), Some(Stage::Turn));
    }

    #[test]
    fn trickled_candidates_give_udp_one_head_start() {
        let (mut fallback, now) = (Fallback::default(), Instant::now());
        let at = |millis| now + Duration::from_millis(millis);
        fallback.start(now, Prospects { has_udp: false, ..ALL }, true);
        assert_eq!(fallback.stage(at(20)), None);
        fallback.start(at(20), ALL, true);
        fallback.start(at(90), ALL, true);
        assert_eq!(fallback.next_timeout(), Some(at(20) + UDP_HEAD_START));
        assert_eq!(fallback.stage(at(120)), Some(Stage::Tcp));
        fallback.start(at(125), ALL, true);
        assert_eq!(fallback.stage(at(126)), Some(Stage::Tcp));
    }
}
