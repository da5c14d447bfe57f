//! What each video track may send, readable from any thread.
//!
//! The chain, which runs on the stack's driver, writes the whole; each encoder reads its share.

use congestion::PacketResult;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Wanted by a track that did not say otherwise: a good 720p picture.
const USUAL_WANT_BPS: u64 = 2_500_000;
/// A track that has not sent for this long leaves its share to the others.
const IDLE: Duration = Duration::from_secs(1);
/// Beside the pictures, the path has to carry sound.
const AUDIO_BPS: u64 = 80_000;
/// Share of a datagram that is picture.
const PICTURE_SHARE: f64 = 0.94;

/// What a video track may send at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendBudget {
    /// Bits per second of encoded pictures that fit through now, at most what was wanted.
    pub bps: u64,
    /// Time that it takes until everything that waits has left. Beyond
    /// [`SKIP_BACKLOG`](crate::send_control::SKIP_BACKLOG) the encoder should leave a frame out.
    pub backlog: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Track {
    wanted_bps: u64,
    last_sent: Option<Instant>,
}

impl Track {
    fn is_active(&self, now: Instant) -> bool {
        self.last_sent.is_some_and(|last| now.saturating_duration_since(last) < IDLE)
    }
}

/// The budgets of one connection.
#[derive(Debug)]
pub(crate) struct Budgets {
    tracks: Mutex<HashMap<u32, Track>>,
    picture_bps: AtomicU64,
    estimate_bps: AtomicU64,
    backlog_micros: AtomicU64,
    /// Packets whose fate the other side told, and those of them that were lost.
    told: AtomicU64,
    told_lost: AtomicU64,
}

impl Budgets {
    /// Begins with this many bits per second for pictures.
    pub(crate) fn new(start_bps: u64) -> Self {
        Self {
            tracks: Mutex::default(),
            picture_bps: AtomicU64::new(start_bps),
            estimate_bps: AtomicU64::new(start_bps),
            backlog_micros: AtomicU64::new(0),
            told: AtomicU64::new(0),
            told_lost: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, ssrc: u32) {
        self.tracks.lock().insert(ssrc, Track { wanted_bps: USUAL_WANT_BPS, last_sent: None });
    }

    pub(crate) fn remove(&self, ssrc: u32) {
        self.tracks.lock().remove(&ssrc);
    }

    pub(crate) fn want(&self, ssrc: u32, bps: u64) {
        if let Some(track) = self.tracks.lock().get_mut(&ssrc) {
            track.wanted_bps = bps;
        }
    }

    pub(crate) fn on_sent(&self, ssrc: u32, now: Instant) {
        if let Some(track) = self.tracks.lock().get_mut(&ssrc) {
            track.last_sent = Some(now);
        }
    }

    /// Bits per second of whole datagrams that all tracks could make use of.
    pub(crate) fn wanted_bps(&self) -> f64 {
        let pictures: u64 = self.tracks.lock().values().map(|track| track.wanted_bps).sum();
        pictures as f64 / PICTURE_SHARE + AUDIO_BPS as f64
    }

    /// Written by the chain.
    pub(crate) fn set(&self, picture_bps: f64, estimate_bps: f64, backlog: Duration) {
        self.picture_bps.store(picture_bps as u64, Ordering::Relaxed);
        self.estimate_bps.store(estimate_bps as u64, Ordering::Relaxed);
        self.backlog_micros.store(backlog.as_micros() as u64, Ordering::Relaxed);
    }

    /// Counts what the other side told of packets, and those that it passed over because they were lost.
    pub(crate) fn on_results(&self, results: &[PacketResult], unmentioned: u16) {
        let lost = results.iter().filter(|result| result.arrival.is_none()).count() as u64;
        let unmentioned = u64::from(unmentioned);
        self.told.fetch_add(results.len() as u64 + unmentioned, Ordering::Relaxed);
        self.told_lost.fetch_add(lost + unmentioned, Ordering::Relaxed);
    }

    /// Packets whose fate was told so far, and how many of them were lost.
    pub(crate) fn path_losses(&self) -> (u64, u64) {
        (self.told.load(Ordering::Relaxed), self.told_lost.load(Ordering::Relaxed))
    }

    pub(crate) fn backlog(&self) -> Duration {
        Duration::from_micros(self.backlog_micros.load(Ordering::Relaxed))
    }

    pub(crate) fn estimate_bps(&self) -> u64 {
        self.estimate_bps.load(Ordering::Relaxed)
    }

    /// A track's share goes by what it wants among those that send.
    pub(crate) fn share(&self, ssrc: u32, now: Instant) -> SendBudget {
        let all = self.picture_bps.load(Ordering::Relaxed);
        let tracks = self.tracks.lock();
        let wanted = tracks.get(&ssrc).map_or(0, |track| track.wanted_bps);
        let others = tracks.iter().filter(|(other, track)| **other != ssrc && track.is_active(now));
        let total = wanted + others.map(|(_, track)| track.wanted_bps).sum::<u64>();
        let share = if total == 0 { 0.0 } else { all as f64 * wanted as f64 / total as f64 };
        SendBudget { bps: (share as u64).min(wanted), backlog: self.backlog() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_alone_gets_everything_up_to_what_it_wants() {
        let (budgets, now) = (Budgets::new(1_000_000), Instant::now());
        budgets.add(1);
        assert_eq!(budgets.share(1, now).bps, 1_000_000);
        budgets.want(1, 600_000);
        assert_eq!(budgets.share(1, now).bps, 600_000);
        assert_eq!(budgets.share(2, now).bps, 0);
    }

    #[test]
    fn tracks_share_by_what_they_want_and_an_idle_one_gets_out_of_the_way() {
        let (budgets, now) = (Budgets::new(2_000_000), Instant::now());
        for (ssrc, bps) in [(1, 3_000_000), (2, 1_000_000)] {
            budgets.add(ssrc);
            budgets.want(ssrc, bps);
            budgets.on_sent(ssrc, now);
        }
        assert_eq!((budgets.share(1, now).bps, budgets.share(2, now).bps), (1_500_000, 500_000));
        budgets.on_sent(1, now + IDLE);
        assert_eq!(budgets.share(1, now + IDLE).bps, 2_000_000);
    }

    #[test]
    fn the_path_has_to_carry_headers_and_sound_too() {
        let budgets = Budgets::new(0);
        budgets.add(1);
        budgets.want(1, 940_000);
        assert!((budgets.wanted_bps() - 1_080_000.0).abs() < 1.0);
    }
}
