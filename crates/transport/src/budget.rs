//! Budgets of the video tracks of one connection, readable from any thread.
//!
//! The send interceptor, which runs on the stack's driver, writes the bitrate of all video; each encoder reads the budget of
//! its track.

use congestion::PacketResult;
use congestion::send_controller::VIDEO_PAYLOAD_SHARE;
use parking_lot::Mutex;
use rtp::Bitrate;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Desired bitrate of a track that has not set one: good video at 720p.
const DEFAULT_DESIRED_BPS: u64 = 2_500_000;
/// A track that has not sent for this long leaves its budget to the others.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bandwidth for audio besides the video.
const AUDIO_BITRATE: Bitrate = Bitrate::kbps(80);

/// Budget of a video track at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendBudget {
    /// Bits per second of encoded video that the path carries now, at most the desired bitrate.
    pub bps: u64,
    /// Time until everything queued in the pacer has left. Beyond
    /// [`MAX_ENCODER_BACKLOG`](crate::MAX_ENCODER_BACKLOG) the encoder should skip a frame.
    pub backlog: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Track {
    desired_bps: u64,
    last_sent: Option<Instant>,
}

impl Track {
    fn is_active(&self, now: Instant) -> bool {
        self.last_sent.is_some_and(|last| now.saturating_duration_since(last) < IDLE_TIMEOUT)
    }
}

/// The budgets of one connection.
#[derive(Debug)]
pub(crate) struct Budgets {
    tracks: Mutex<HashMap<u32, Track>>,
    video_bps: AtomicU64,
    estimate_bps: AtomicU64,
    backlog_micros: AtomicU64,
    reported_packets: AtomicU64,
    reported_lost: AtomicU64,
}

impl Budgets {
    /// Creates budgets with a start bitrate for all video.
    pub(crate) fn new(start: Bitrate) -> Self {
        Self {
            tracks: Mutex::default(),
            video_bps: AtomicU64::new(start.as_u64()),
            estimate_bps: AtomicU64::new(start.as_u64()),
            backlog_micros: AtomicU64::new(0),
            reported_packets: AtomicU64::new(0),
            reported_lost: AtomicU64::new(0),
        }
    }

    /// Adds a track with the default desired bitrate.
    pub(crate) fn add(&self, ssrc: u32) {
        self.tracks.lock().insert(ssrc, Track { desired_bps: DEFAULT_DESIRED_BPS, last_sent: None });
    }

    /// Removes a track.
    pub(crate) fn remove(&self, ssrc: u32) {
        self.tracks.lock().remove(&ssrc);
    }

    /// Sets the desired bitrate of a track.
    pub(crate) fn set_desired(&self, ssrc: u32, bps: u64) {
        if let Some(track) = self.tracks.lock().get_mut(&ssrc) {
            track.desired_bps = bps;
        }
    }

    /// Notes that a track sends, which makes it active.
    pub(crate) fn on_sent(&self, ssrc: u32, now: Instant) {
        if let Some(track) = self.tracks.lock().get_mut(&ssrc) {
            track.last_sent = Some(now);
        }
    }

    /// Bitrate of whole datagrams that all tracks could make use of.
    pub(crate) fn desired(&self) -> Bitrate {
        let video: u64 = self.tracks.lock().values().map(|track| track.desired_bps).sum();
        Bitrate::bps(video as f64) / VIDEO_PAYLOAD_SHARE + AUDIO_BITRATE
    }

    /// Sets the bitrate of all video, the estimate, and the backlog of the pacer.
    pub(crate) fn set(&self, video: Bitrate, estimate: Bitrate, backlog: Duration) {
        self.video_bps.store(video.as_u64(), Ordering::Relaxed);
        self.estimate_bps.store(estimate.as_u64(), Ordering::Relaxed);
        self.backlog_micros.store(backlog.as_micros() as u64, Ordering::Relaxed);
    }

    /// Counts reported packets, and lost ones that the feedback does not mention.
    pub(crate) fn on_results(&self, results: &[PacketResult], unmentioned: u16) {
        let lost = results.iter().filter(|result| result.arrival.is_none()).count() as u64;
        let unmentioned = u64::from(unmentioned);
        self.reported_packets.fetch_add(results.len() as u64 + unmentioned, Ordering::Relaxed);
        self.reported_lost.fetch_add(lost + unmentioned, Ordering::Relaxed);
    }

    /// Number of reported packets so far, and how many of them were lost.
    pub(crate) fn path_losses(&self) -> (u64, u64) {
        (self.reported_packets.load(Ordering::Relaxed), self.reported_lost.load(Ordering::Relaxed))
    }

    /// Time until everything in the pacer has left.
    pub(crate) fn backlog(&self) -> Duration {
        Duration::from_micros(self.backlog_micros.load(Ordering::Relaxed))
    }

    /// The bandwidth estimate in bits per second.
    pub(crate) fn estimate_bps(&self) -> u64 {
        self.estimate_bps.load(Ordering::Relaxed)
    }

    /// The budget of a track: its part of all video, in proportion to the desired bitrates of the active tracks.
    pub(crate) fn budget(&self, ssrc: u32, now: Instant) -> SendBudget {
        let all = self.video_bps.load(Ordering::Relaxed);
        let tracks = self.tracks.lock();
        let desired = tracks.get(&ssrc).map_or(0, |track| track.desired_bps);
        let others = tracks.iter().filter(|(other, track)| **other != ssrc && track.is_active(now));
        let total = desired + others.map(|(_, track)| track.desired_bps).sum::<u64>();
        let bps = if total == 0 { 0.0 } else { all as f64 * desired as f64 / total as f64 };
        SendBudget { bps: (bps as u64).min(desired), backlog: self.backlog() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_track_gets_everything_up_to_its_desired_bitrate() {
        let (budgets, now) = (Budgets::new(Bitrate::mbps(1)), Instant::now());
        budgets.add(1);
        assert_eq!(budgets.budget(1, now).bps, 1_000_000);
        budgets.set_desired(1, 600_000);
        assert_eq!(budgets.budget(1, now).bps, 600_000);
        assert_eq!(budgets.budget(2, now).bps, 0);
    }

    #[test]
    fn tracks_share_in_proportion_and_idle_ones_get_nothing() {
        let (budgets, now) = (Budgets::new(Bitrate::mbps(2)), Instant::now());
        for (ssrc, bps) in [(1, 3_000_000), (2, 1_000_000)] {
            budgets.add(ssrc);
            budgets.set_desired(ssrc, bps);
            budgets.on_sent(ssrc, now);
        }
        assert_eq!((budgets.budget(1, now).bps, budgets.budget(2, now).bps), (1_500_000, 500_000));
        budgets.on_sent(1, now + IDLE_TIMEOUT);
        assert_eq!(budgets.budget(1, now + IDLE_TIMEOUT).bps, 2_000_000);
    }

    #[test]
    fn headers_and_audio_count_for_the_desired_bandwidth() {
        let budgets = Budgets::new(Bitrate::ZERO);
        budgets.add(1);
        budgets.set_desired(1, 940_000);
        assert!((budgets.desired().as_bps() - 1_080_000.0).abs() < 1.0);
    }
}
