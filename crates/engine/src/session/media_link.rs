//! Whether media gets through, by the states of the two peer connections. No I/O: time is an argument.

use std::time::Duration;

use tokio::time::Instant;
use transport::{PeerState, Role};

/// A connection that was called disconnected may recover by itself within this time.
const PATIENCE: Duration = Duration::from_millis(1500);
/// After a restart of ICE the connection has to be up again within this time.
const RESTART_LIMIT: Duration = Duration::from_secs(6);

/// What a change of state means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaNews {
    /// Up for the first time.
    Up,
    /// No media for a while now.
    Lost,
    /// Up again after `Lost`.
    Back,
    /// It never came up, and will not.
    Hopeless,
}

#[derive(Debug, Default)]
struct Link {
    was_up: bool,
    /// From then on only a restart helps.
    restart_at: Option<Instant>,
}

impl Link {
    fn state(&mut self, state: PeerState, now: Instant) -> Option<MediaNews> {
        match state {
            PeerState::Connected => {
                let lost = self.restart_at.take().is_some();
                match (std::mem::replace(&mut self.was_up, true), lost) {
                    (false, _) => Some(MediaNews::Up),
                    (true, true) => Some(MediaNews::Back),
                    (true, false) => None,
                }
            }
            PeerState::Failed if !self.was_up => Some(MediaNews::Hopeless),
            PeerState::Disconnected | PeerState::Failed if self.was_up => {
                let patience = if state == PeerState::Failed { Duration::ZERO } else { PATIENCE };
                let first = self.restart_at.is_none();
                let restart_at = self.restart_at.get_or_insert(now + patience);
                *restart_at = (*restart_at).min(now + patience);
                first.then_some(MediaNews::Lost)
            }
            _ => None,
        }
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
    pub(super) fn state(&mut self, role: Role, state: PeerState, now: Instant) -> Option<MediaNews> {
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

    /// Whether ICE has to be restarted now.
    pub(super) fn needs_restart(&self, now: Instant) -> bool {
        [&self.publisher, &self.subscriber].iter().any(|link| link.restart_at.is_some_and(|at| now >= at))
    }

    /// ICE is being restarted: whatever is down gets its time to come up.
    pub(super) fn restarted(&mut self, now: Instant) {
        for link in [&mut self.publisher, &mut self.subscriber] {
            if let Some(at) = &mut link.restart_at {
                *at = now + RESTART_LIMIT;
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
        assert_eq!(links.state(Role::Publisher, PeerState::Connected, now), Some(MediaNews::Up));
        links.state(Role::Subscriber, PeerState::Connected, now);
        links
    }

    #[test]
    fn a_connection_that_wavers_for_a_moment_is_left_alone() {
        let now = Instant::now();
        let mut links = up(now);
        assert_eq!(links.state(Role::Publisher, PeerState::Disconnected, now), Some(MediaNews::Lost));
        assert!(!links.needs_restart(now + Duration::from_secs(1)));
        assert_eq!(links.state(Role::Publisher, PeerState::Connected, now), Some(MediaNews::Back));
        assert!(!links.needs_restart(now + Duration::from_secs(10)));
    }

    #[test]
    fn a_connection_that_stays_away_is_restarted_and_once_more_if_that_did_not_help() {
        let now = Instant::now();
        let mut links = up(now);
        links.state(Role::Subscriber, PeerState::Disconnected, now);
        assert!(links.needs_restart(now + PATIENCE));
        links.restarted(now + PATIENCE);
        links.state(Role::Subscriber, PeerState::Connecting, now + PATIENCE);
        assert!(!links.needs_restart(now + PATIENCE + Duration::from_secs(5)));
        assert!(links.needs_restart(now + PATIENCE + RESTART_LIMIT));
    }

    #[test]
    fn a_failure_leaves_no_patience() {
        let now = Instant::now();
        let mut links = up(now);
        links.state(Role::Publisher, PeerState::Disconnected, now);
        assert_eq!(links.state(Role::Publisher, PeerState::Failed, now), None);
        assert!(links.needs_restart(now));
    }

    #[test]
    fn a_restart_of_a_healthy_connection_is_no_news() {
        let now = Instant::now();
        let mut links = up(now);
        assert_eq!(links.state(Role::Publisher, PeerState::Connecting, now), None);
        assert_eq!(links.state(Role::Publisher, PeerState::Connected, now), None);
        assert!(links.all_well());
    }

    #[test]
    fn a_connection_that_never_came_up_is_hopeless() {
        let mut links = MediaLinks::default();
        assert_eq!(links.state(Role::Publisher, PeerState::Failed, Instant::now()), Some(MediaNews::Hopeless));
    }
}
