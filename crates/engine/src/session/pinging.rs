//! Pings: whether the server responds, the round trip, and its clock.

use std::collections::VecDeque;
use std::time::Instant;

use protocol::messages::{Ping, Pong, signal_request};

use super::SessionSink;
use super::run::Session;
use crate::network_time::TimeSample;
use crate::wall_clock::unix_ms;

/// Pings without an answer that are remembered.
const REMEMBERED: usize = 8;
/// A new session pings at its first ticks, so that the clock is known soon and well.
const FIRST_PINGS: u32 = 3;

/// The pings under way.
#[derive(Debug, Default)]
pub(super) struct Pings {
    under_way: VecDeque<(i64, Instant)>,
    sent: u32,
    /// Of the last answer, in milliseconds.
    round_trip_ms: i64,
}

impl Pings {
    fn sent(&mut self, timestamp: i64, now: Instant) {
        self.sent = self.sent.saturating_add(1);
        if self.under_way.len() == REMEMBERED {
            self.under_way.pop_front();
        }
        self.under_way.push_back((timestamp, now));
    }

    /// What the pong for one of our pings says.
    pub(super) fn answered(&mut self, pong: &Pong, now: Instant) -> Option<TimeSample> {
        let place = self.under_way.iter().position(|(timestamp, _)| *timestamp == pong.last_ping_timestamp)?;
        let (_, sent) = self.under_way.drain(..=place).next_back()?;
        let server_ms = u64::try_from(pong.timestamp).ok().filter(|ms| *ms > 0)?;
        self.round_trip_ms = i64::try_from(now.saturating_duration_since(sent).as_millis()).unwrap_or(i64::MAX);
        Some(TimeSample { sent, received: now, server_ms })
    }
}

impl<S: SessionSink> Session<'_, S> {
    pub(super) async fn ping(&mut self) {
        let timestamp = i64::try_from(unix_ms()).unwrap_or_default();
        self.pings.sent(timestamp, Instant::now());
        let rtt = self.pings.round_trip_ms;
        self.send(signal_request::Message::Ping(timestamp)).await;
        self.send(signal_request::Message::PingReq(Ping { timestamp, rtt })).await;
    }

    /// Pings that are due beside those that liveness asks for.
    pub(super) async fn first_pings(&mut self) {
        if self.pings.sent < FIRST_PINGS {
            self.ping().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pong(of: i64, timestamp: i64) -> Pong {
        Pong { last_ping_timestamp: of, timestamp }
    }

    #[test]
    fn a_pong_belongs_to_its_ping_and_those_before_are_given_up() {
        let (mut pings, now) = (Pings::default(), Instant::now());
        for at in 0..3 {
            pings.sent(at, now + Duration::from_millis(at as u64));
        }
        let sample = pings.answered(&pong(1, 77), now + Duration::from_millis(31)).unwrap();
        assert_eq!((sample.sent, sample.server_ms), (now + Duration::from_millis(1), 77));
        assert_eq!(pings.round_trip_ms, 30);
        assert_eq!(pings.answered(&pong(0, 78), now), None);
        assert!(pings.answered(&pong(2, 79), now + Duration::from_millis(40)).is_some());
    }

    #[test]
    fn an_invalid_answer_is_ignored() {
        let (mut pings, now) = (Pings::default(), Instant::now());
        assert_eq!(pings.answered(&pong(5, 1), now), None);
        for at in 0..100 {
            pings.sent(at, now);
        }
        assert_eq!(pings.under_way.len(), REMEMBERED);
        assert_eq!(pings.answered(&pong(99, -1), now), None);
    }
}
