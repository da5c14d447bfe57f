//! Reception statistics of one RTP stream (RFC 3550 sections 6.4.1 and A.8).

use rtp::SequenceExtender;
use std::time::{Duration, Instant};

/// Reception statistics of one stream: packets received and lost, and the interarrival jitter.
#[derive(Debug)]
pub struct ReceptionStats {
    clock_rate: u32,
    extender: SequenceExtender,
    first: Option<u64>,
    received: u64,
    last_transit: Option<(Instant, u32)>,
    jitter_units: f64,
}

impl ReceptionStats {
    /// Statistics of a stream whose RTP clock runs at `clock_rate` hertz.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            extender: SequenceExtender::default(),
            first: None,
            received: 0,
            last_transit: None,
            jitter_units: 0.0,
        }
    }

    /// Adds a packet, in the order of arrival.
    pub fn on_packet(&mut self, sequence: u16, timestamp: u32, now: Instant) {
        let extended = self.extender.extend(sequence);
        self.first = Some(self.first.map_or(extended, |first| first.min(extended)));
        self.received += 1;
        if let Some((last_arrival, last_timestamp)) = self.last_transit {
            let arrived = now.saturating_duration_since(last_arrival).as_secs_f64() * f64::from(self.clock_rate);
            let sent = f64::from(timestamp.wrapping_sub(last_timestamp) as i32);
            self.jitter_units += ((arrived - sent).abs() - self.jitter_units) / 16.0;
        }
        self.last_transit = Some((now, timestamp));
    }

    /// Adds a lost packet that arrived as a retransmission.
    pub fn on_repair(&mut self, sequence: u16) {
        self.extender.extend(sequence);
        self.received += 1;
    }

    /// Packets that never arrived. Duplicates count against losses, as in the RFC; never negative.
    #[must_use]
    pub fn lost(&self) -> u64 {
        match (self.first, self.extender.highest()) {
            (Some(first), Some(highest)) => (highest - first + 1).saturating_sub(self.received),
            _ => 0,
        }
    }

    /// Interarrival jitter.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64((self.jitter_units / f64::from(self.clock_rate)).clamp(0.0, 60.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_packet_counts_as_lost_until_it_arrives() {
        let start = Instant::now();
        let mut stats = ReceptionStats::new(90_000);
        stats.on_packet(10, 0, start);
        stats.on_packet(12, 3000, start + Duration::from_millis(33));
        assert_eq!(stats.lost(), 1);
        stats.on_packet(11, 3000, start + Duration::from_millis(40));
        assert_eq!(stats.lost(), 0);
    }

    #[test]
    fn uneven_arrival_is_measured_as_jitter() {
        let start = Instant::now();
        let mut even = ReceptionStats::new(1_000);
        let mut uneven = ReceptionStats::new(1_000);
        for i in 0..100u32 {
            even.on_packet(i as u16, i * 20, start + Duration::from_millis(u64::from(i) * 20));
            let late = u64::from(i % 2) * 10;
            uneven.on_packet(i as u16, i * 20, start + Duration::from_millis(u64::from(i) * 20 + late));
        }
        assert!(even.jitter() < Duration::from_micros(100));
        assert!(uneven.jitter() > Duration::from_millis(8));
    }
}
