//! From counters to the quality of one direction. Sans-IO: time is an argument.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::quality::{level, share};

/// A path that carries less than this share of the requested bitrate is rated bad; the one below caps at medium.
const BAD_SHARE: f64 = 0.5;
const MIDDLING_SHARE: f64 = 0.8;
/// `ZegoStreamQualityLevel`.
const MEDIUM: i32 = 2;
const BAD: i32 = 3;

/// Counters at one moment; all but the last two count from the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    pub(super) packets: u64,
    pub(super) lost: u64,
    pub(super) bytes: u64,
    /// The estimate of what the path carries; 0 if unknown.
    pub(super) carries_kbps: u64,
    /// 0 = unknown.
    pub(super) rtt_ms: f64,
}

/// `ZegoNetworkSpeedTestQuality`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct SpeedTestQuality {
    /// Milliseconds until the connection was open.
    #[serde(rename = "connectCost")]
    connect_cost: u64,
    /// Milliseconds.
    rtt: u64,
    /// 0 to 1, before any repair.
    #[serde(rename = "packetLostRate")]
    packet_lost_rate: f64,
    quality: i32,
}

/// Evaluates one direction.
#[derive(Debug)]
pub(super) struct Evaluation {
    wanted_kbps: u32,
    connect_cost: Option<Duration>,
    before: Option<(Instant, Reading)>,
}

impl Evaluation {
    pub(super) fn new(wanted_kbps: u32) -> Self {
        Self { wanted_kbps, connect_cost: None, before: None }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connect_cost.is_some()
    }

    /// The connection is open, for the first time or again.
    pub(super) fn connected(&mut self, cost: Duration, now: Instant, reading: Reading) {
        self.connect_cost.get_or_insert(cost);
        self.before.get_or_insert((now, reading));
    }

    /// The quality since the last report; `None` while the connection is not open or nothing arrived.
    pub(super) fn report(&mut self, now: Instant, reading: Reading) -> Option<SpeedTestQuality> {
        let cost = self.connect_cost?;
        let (at, before) = self.before.replace((now, reading))?;
        let seconds = now.saturating_duration_since(at).as_secs_f64();
        let lost = share(reading.lost.saturating_sub(before.lost), reading.packets.saturating_sub(before.packets))?;
        let sent_kbps = reading.bytes.saturating_sub(before.bytes) as f64 * 8.0 / 1000.0 / seconds.max(1e-3);
        // At the beginning less is sent than could be.
        let carried = sent_kbps.max(reading.carries_kbps as f64) / f64::from(self.wanted_kbps.max(1));
        let least = match carried {
            carried if carried < BAD_SHARE => BAD,
            carried if carried < MIDDLING_SHARE => MEDIUM,
            _ => 0,
        };
        Some(SpeedTestQuality {
            connect_cost: u64::try_from(cost.as_millis()).unwrap_or(u64::MAX),
            rtt: reading.rtt_ms.round() as u64,
            packet_lost_rate: lost,
            quality: level(reading.rtt_ms, lost).max(least),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Duration = Duration::from_millis(150);

    fn reading(packets: u64, lost: u64, kilobytes: u64) -> Reading {
        Reading { packets, lost, bytes: kilobytes * 1000, carries_kbps: 0, rtt_ms: 40.0 }
    }

    /// The report on three seconds in which this much of 1000 kbit/s arrived.
    fn report(packets: u64, lost: u64, kilobytes: u64) -> SpeedTestQuality {
        let (mut evaluation, now) = (Evaluation::new(1000), Instant::now());
        evaluation.connected(COST, now, Reading::default());
        evaluation.report(now + Duration::from_secs(3), reading(packets, lost, kilobytes)).unwrap()
    }

    #[test]
    fn a_path_that_carries_everything_is_excellent() {
        let quality = report(400, 0, 370);
        let good = SpeedTestQuality { connect_cost: 150, rtt: 40, packet_lost_rate: 0.0, quality: 0 };
        assert_eq!(quality, good);
    }

    #[test]
    fn losses_count_as_in_a_call() {
        let quality = report(400, 32, 370);
        assert_eq!((quality.packet_lost_rate, quality.quality), (0.08, 2));
    }

    #[test]
    fn a_path_that_is_too_narrow_is_bad_even_without_loss() {
        assert_eq!(report(250, 0, 260).quality, MEDIUM);
        assert_eq!(report(100, 0, 100).quality, BAD);
    }

    #[test]
    fn there_is_no_report_without_a_connection_or_packets() {
        let (mut evaluation, now) = (Evaluation::new(1000), Instant::now());
        assert_eq!(evaluation.report(now, reading(10, 0, 1)), None);
        evaluation.connected(COST, now, reading(10, 0, 1));
        assert_eq!(evaluation.report(now + Duration::from_secs(1), reading(10, 0, 1)), None);
    }
}
