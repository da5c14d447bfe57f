//! Which of a server's addresses is tried when (RFC 8305, "happy eyeballs"). No clock and no socket: both are arguments.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Time from one attempt to the next (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses that are tried; a name with more is played with, or broken.
const MAX_ADDRESSES: usize = 16;

/// The attempts to reach one server.
#[derive(Debug)]
pub(crate) struct Attempts {
    waiting: VecDeque<SocketAddr>,
    under_way: usize,
    next_at: Option<Instant>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Begin an attempt.
    Start(SocketAddr),
    /// Ask again when an attempt has failed, at the latest then.
    WaitUntil(Instant),
    /// Only the attempts under way are left.
    Wait,
    /// All have failed.
    Failed,
}

impl Attempts {
    /// Addresses in the order of preference. Families take turns, beginning with the first one's.
    pub(crate) fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let (mut first, mut second) = (VecDeque::new(), VecDeque::new());
        let mut is_v6 = None;
        // A list may be endless for what we know; twice as many are enough to see both families.
        for address in addresses.into_iter().take(MAX_ADDRESSES * 64) {
            let is_first = *is_v6.get_or_insert(address.is_ipv6()) == address.is_ipv6();
            let family = if is_first { &mut first } else { &mut second };
            if family.len() < MAX_ADDRESSES && !family.contains(&address) {
                family.push_back(address);
            }
        }
        let mut waiting = VecDeque::new();
        while waiting.len() < MAX_ADDRESSES && !(first.is_empty() && second.is_empty()) {
            waiting.extend(first.pop_front());
            waiting.extend(second.pop_front());
        }
        Self { waiting, under_way: 0, next_at: None }
    }

    /// What to do at `now`.
    pub(crate) fn next(&mut self, now: Instant) -> Step {
        if let Some(at) = self.next_at.filter(|at| *at > now && !self.waiting.is_empty()) {
            return Step::WaitUntil(at);
        }
        match self.waiting.pop_front() {
            Some(address) => {
                self.under_way += 1;
                self.next_at = Some(now + STAGGER);
                Step::Start(address)
            }
            None if self.under_way > 0 => Step::Wait,
            None => Step::Failed,
        }
    }

    /// An attempt has failed: the next one need not wait.
    pub(crate) fn failed(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.next_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn started(attempts: &mut Attempts, now: Instant) -> Option<String> {
        match attempts.next(now) {
            Step::Start(address) => Some(address.to_string()),
            _ => None,
        }
    }

    #[test]
    fn a_silent_address_holds_up_the_next_for_a_quarter_of_a_second() {
        let now = Instant::now();
        let mut attempts = Attempts::new([address("10.0.0.1:1"), address("10.0.0.2:1")]);
        assert_eq!(started(&mut attempts, now).unwrap(), "10.0.0.1:1");
        assert_eq!(attempts.next(now), Step::WaitUntil(now + STAGGER));
        assert_eq!(started(&mut attempts, now + STAGGER).unwrap(), "10.0.0.2:1");
        assert_eq!(attempts.next(now + STAGGER), Step::Wait);
    }

    #[test]
    fn a_refused_attempt_starts_the_next_at_once() {
        let now = Instant::now();
        let mut attempts = Attempts::new([address("10.0.0.1:1"), address("10.0.0.2:1")]);
        started(&mut attempts, now);
        attempts.failed();
        assert!(started(&mut attempts, now).is_some());
        attempts.failed();
        assert_eq!(attempts.next(now), Step::Failed);
    }

    #[test]
    fn families_take_turns() {
        let mut attempts = Attempts::new(["[fd::1]:1", "[fd::2]:1", "10.0.0.1:1"].map(address));
        let mut order = Vec::new();
        while let Some(address) = started(&mut attempts, Instant::now()) {
            order.push(address);
            attempts.failed();
        }
        assert_eq!(order, ["[fd::1]:1", "10.0.0.1:1", "[fd::2]:1"]);
    }

    #[test]
    fn of_ten_thousand_addresses_a_few_are_tried_each_once() {
        let many = (0..10_000u32).map(|n| SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + n / 2), 1)));
        let mut attempts = Attempts::new(many);
        let mut count = 0;
        while started(&mut attempts, Instant::now()).is_some() {
            count += 1;
            attempts.failed();
        }
        assert_eq!(count, MAX_ADDRESSES);
    }

    #[test]
    fn no_address_is_no_attempt() {
        assert_eq!(Attempts::new([]).next(Instant::now()), Step::Failed);
    }
}
