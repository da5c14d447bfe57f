//! The loss of the downlink.
//!
//! Receiver reports count what arrived in the end, retransmissions included, so they hide the loss of the path. Arrivals by
//! transport-wide sequence number do not: a retransmission has a number of its own.

use std::time::{Duration, Instant};

use congestion::PacketStatus;

/// Minimum interval of reports.
const INTERVAL: Duration = Duration::from_secs(1);

/// Losses since the last report.
#[derive(Debug)]
pub struct Losses {
    told_at: Instant,
    packets: u32,
    lost: u32,
    has_arrivals: bool,
}

impl Losses {
    /// Nothing was sent.
    pub fn new(now: Instant) -> Self {
        Self { told_at: now, packets: 0, lost: 0, has_arrivals: false }
    }

    /// Whether the client reports arrivals, so that its receiver reports are not needed.
    pub fn are_told_by_arrivals(&self) -> bool {
        self.has_arrivals
    }

    /// Adds arrivals and losses. Returns the share that was lost, 0 to 1, about once a second.
    pub fn on_arrivals(&mut self, now: Instant, arrivals: &[PacketStatus]) -> Option<f32> {
        self.has_arrivals = true;
        self.packets += u32::try_from(arrivals.len()).unwrap_or(0);
        self.lost +=
            u32::try_from(arrivals.iter().filter(|last_sent| last_sent.arrival.is_none()).count()).unwrap_or(0);
        if now < self.told_at + INTERVAL || self.packets == 0 {
            return None;
        }
        let share = self.lost as f32 / self.packets as f32;
        *self = Self { has_arrivals: true, ..Self::new(now) };
        Some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_reported_once_a_second() {
        let start = Instant::now();
        let mut losses = Losses::new(start);
        let arrivals = |lost: u16| -> Vec<PacketStatus> {
            let arrival = |sequence| (sequence >= lost).then_some(Duration::ZERO);
            (0..10).map(|sequence| PacketStatus { sequence, arrival: arrival(sequence) }).collect()
        };
        assert!(!losses.are_told_by_arrivals());
        assert_eq!(losses.on_arrivals(start + INTERVAL / 2, &arrivals(1)), None);
        assert!(losses.are_told_by_arrivals());
        assert_eq!(losses.on_arrivals(start + INTERVAL, &arrivals(3)), Some(0.2));
        assert_eq!(losses.on_arrivals(start + INTERVAL * 2, &arrivals(0)), Some(0.0));
        assert_eq!(losses.on_arrivals(start + INTERVAL * 4, &[]), None);
    }
}
