//! Whether media gets through, by the states of the two peer connections, and when ICE is to be restarted. No I/O: time is
//! an argument.

use std::time::Duration;

use tokio::time::Instant;
use transport::{PeerState, Role};

/// A connection that was called disconnected may recover by itself within this time.
const FRAME_TIMEOUT: Duration = Duration::from_millis(1500);
/// After a start or a restart of ICE the connection has to be up within this time.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(6);
/// The pause after the first restart that did not help; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a handshake may go on after that.
const OVERDUE: Duration = Duration::from_secs(10);
/// Unsuccessful restarts before it is reported.
const RESTARTS_BEFORE_REPORT: u32 = 1;

/// What a change of state requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaTransition {
    /// Up for the first time.
    Up,
    /// No media for a while now.
    Lost,
    /// Up again after `Lost`.
    Back,
}

#[derive(Debug, Default)]
struct Link {
    was_up: bool,
    /// From then on only a restart helps; `None`: it is up, or nothing was begun.
    restart_at: Option<Instant>,
    /// The present attempt has failed by then.
    fails_at: Option<Instant>,
    /// Restarts since it was up, or since the route changed.
    restarts: u32,
}

impl Link {
    fn state(&mut self, state: PeerState, now: Instant) -> Option<MediaTransition> {
        match state {
            PeerState::Connected => {
                let lost = self.restart_at.is_some();
                let was_up = self.was_up;
                *self = Self { was_up: true, ..Self::default() };
                match (was_up, lost) {
                    (false, _) => Some(MediaTransition::Up),
                    (true, true) => Some(MediaTransition::Back),
                    (true, false) => None,
                }
            }
            PeerState::Connecting if !self.was_up && self.restart_at.is_none() => {
                self.restart_at = Some(now + ATTEMPT_LIMIT);
                None
            }
            PeerState::Disconnected | PeerState::Failed if self.restarts > 0 => None,
            PeerState::Disconnected | PeerState::Failed if self.was_up || state == PeerState::Failed => {
                let patience = if state == PeerState::Failed { Duration::ZERO } else { FRAME_TIMEOUT };
                let first = self.was_up && self.restart_at.is_none();
                let restart_at = self.restart_at.get_or_insert(now + patience);
                *restart_at = (*restart_at).min(now + patience);
                first.then_some(MediaTransition::Lost)
            }
            _ => None,
        }
    }

    fn restarted(&mut self, now: Instant) {
        if let Some(at) = &mut self.restart_at {
            let pause = FIRST_PAUSE.saturating_mul(1 << self.restarts.min(8)).min(LONGEST_PAUSE);
            self.restarts += 1;
            self.fails_at = Some(now + ATTEMPT_LIMIT);
            *at = now + ATTEMPT_LIMIT + pause;
        }
    }

    fn has_failed(&mut self, now: Instant) -> bool {
        let failed = self.fails_at.take_if(|at| now >= *at).is_some();
        failed && self.restarts >= RESTARTS_BEFORE_REPORT
    }
}

/// Both connections.
#[derive(Debug, Default)]
pub(super) struct MediaLinks {
    publisher: Link,
    subscriber: Link,
}

impl MediaLinks {
    fn link(&mut self, role: Role) -> &mut Link {
        match role {
            Role::Publisher => &mut self.publisher,
            Role::Subscriber => &mut self.subscriber,
        }
    }

    /// Takes a change of state.
    pub(super) fn state(&mut self, role: Role, state: PeerState, now: Instant) -> Option<MediaTransition> {
        self.link(role).state(state, now)
    }

    /// Whether that connection has been up and is so, as far as we know.
    pub(super) fn is_up(&self, role: Role) -> bool {
        let link = match role {
            Role::Publisher => &self.publisher,
            Role::Subscriber => &self.subscriber,
        };
        link.was_up && link.restart_at.is_none()
    }

    /// Whether that connection was up at some time.
    pub(super) fn was_up(&self, role: Role) -> bool {
        match role {
            Role::Publisher => self.publisher.was_up,
            Role::Subscriber => self.subscriber.was_up,
        }
    }

    /// Whether ICE has to be restarted now.
    pub(super) fn needs_restart(&self, now: Instant) -> bool {
        [&self.publisher, &self.subscriber].iter().any(|link| link.restart_at.is_some_and(|at| now >= at))
    }

    /// Whether a restart is long overdue.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        now.checked_sub(OVERDUE).is_some_and(|then| self.needs_restart(then))
    }

    /// ICE is being restarted: what is down gets time to come up.
    pub(super) fn restarted(&mut self, now: Instant) {
        self.publisher.restarted(now);
        self.subscriber.restarted(now);
    }

    /// The connections for which a restart has just turned out not to help, each time one does.
    pub(super) fn failed(&mut self, now: Instant) -> Vec<Role> {
        let roles = [Role::Publisher, Role::Subscriber];
        roles.into_iter().filter(|role| self.link(*role).has_failed(now)).collect()
    }

    /// The machine's network has changed: what failed on the old one may work now.
    pub(super) fn network_changed(&mut self, now: Instant) {
        for link in [&mut self.publisher, &mut self.subscriber] {
            if let Some(at) = &mut link.restart_at {
                (*at, link.restarts) = ((*at).min(now), 0);
            }
        }
    }

    /// Whether nothing is down.
    pub(super) fn all_well(&self) -> bool {
        self.publisher.restart_at.is_none() && self.subscriber.restart_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(now: Instant) -> MediaLinks {
        let mut links = MediaLinks::default();
        assert_eq!(links.state(Role::Publisher, PeerState::Connected, now), Some(MediaTransition::Up));
        links.state(Role::Subscriber, PeerState::Connected, now);
        links
    }

    #[test]
    fn a_connection_that_wavers_for_a_moment_is_left_alone() {
        let now = Instant::now();
        let mut links = up(now);
        assert_eq!(links.state(Role::Publisher, PeerState::Disconnected, now), Some(MediaTransition::Lost));
        assert!(!links.needs_restart(now + Duration::from_secs(1)));
        assert_eq!(links.state(Role::Publisher, PeerState::Connected, now), Some(MediaTransition::Back));
        assert!(!links.needs_restart(now + Duration::from_secs(10)));
    }

    #[test]
    fn a_lost_connection_is_restarted_twice() {
        let now = Instant::now();
        let mut links = up(now);
        links.state(Role::Subscriber, PeerState::Disconnected, now);
        assert!(links.needs_restart(now + FRAME_TIMEOUT));
        links.restarted(now + FRAME_TIMEOUT);
        links.state(Role::Subscriber, PeerState::Connecting, now + FRAME_TIMEOUT);
        assert!(!links.needs_restart(now + FRAME_TIMEOUT + Duration::from_secs(5)));
        assert!(links.needs_restart(now + FRAME_TIMEOUT + ATTEMPT_LIMIT + FIRST_PAUSE));
    }

    #[test]
    fn retries_do_not_wait_after_a_failure() {
        let now = Instant::now();
        let mut links = up(now);
        links.state(Role::Publisher, PeerState::Disconnected, now);
        assert_eq!(links.state(Role::Publisher, PeerState::Failed, now), None);
        assert!(links.needs_restart(now));
    }

    #[test]
    fn a_restart_of_a_healthy_connection_is_not_reported() {
        let now = Instant::now();
        let mut links = up(now);
        assert_eq!(links.state(Role::Publisher, PeerState::Connecting, now), None);
        assert_eq!(links.state(Role::Publisher, PeerState::Connected, now), None);
        assert!(links.all_well());
    }

    /// Seconds at which ICE is restarted, and at which the failure is reported.
    fn hopeless(mut links: MediaLinks, start: Instant, seconds: u64) -> (Vec<u64>, Vec<u64>) {
        let (mut restarts, mut news) = (Vec::new(), Vec::new());
        for second in 0..seconds {
            let now = start + Duration::from_secs(second);
            if !links.failed(now).is_empty() {
                news.push(second);
            }
            if links.needs_restart(now) {
                restarts.push(second);
                links.restarted(now);
                links.state(Role::Publisher, PeerState::Connecting, now);
            }
        }
        (restarts, news)
    }

    #[test]
    fn restarts_of_a_connection_that_never_comes_up_back_off() {
        let (mut links, start) = (MediaLinks::default(), Instant::now());
        assert_eq!(links.state(Role::Publisher, PeerState::Connecting, start), None);
        let (restarts, news) = hopeless(links, start, 300);
        assert_eq!(restarts, [6, 14, 24, 38, 60, 98, 164, 230, 296]);
        assert_eq!(news[..3], [12, 20, 30]);
    }

    #[test]
    fn a_connection_that_does_not_recover_is_reported() {
        let start = Instant::now();
        let mut links = up(start);
        links.state(Role::Publisher, PeerState::Failed, start);
        let (restarts, news) = hopeless(links, start, 20);
        assert_eq!(restarts, [0, 8, 18]);
        assert_eq!(news, [6, 14]);
    }

    #[test]
    fn another_network_is_tried_at_once_and_success_begins_from_the_start() {
        let (mut links, start) = (MediaLinks::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        links.state(Role::Publisher, PeerState::Connecting, start);
        for seconds in [6, 14, 24] {
            links.restarted(at(seconds));
        }
        assert!(!links.needs_restart(at(30)));
        links.network_changed(at(30));
        assert!(links.needs_restart(at(30)));
        links.restarted(at(30));
        assert_eq!(links.state(Role::Publisher, PeerState::Connected, at(31)), Some(MediaTransition::Up));
        assert!(links.all_well() && links.failed(at(60)).is_empty());
    }
}
