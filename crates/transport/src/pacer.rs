//! When each packet leaves.
//!
//! Audio at once, then what was asked for again, then video, spread so that a key frame does not fill the
//! queue of the bottleneck; padding only to complete a probe. The queue is measured in time, and the encoder
//! is told to skip frames before it grows long. Sans-IO: time is an argument, packets are of any type.

use congestion::ProbeCluster;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A late wake-up is caught up with, up to this much: timers have a grain of a millisecond or two.
const CATCH_UP: Duration = Duration::from_millis(5);
/// And up to this much if packets waited all the time: a busy machine wakes a thread tens of milliseconds late, again
/// and again, and what was due meanwhile would never be made up for.
const CATCH_UP_WAITING: Duration = Duration::from_millis(80);
/// While the path is silent one packet now and then finds out whether it still is.
const TRICKLE: Duration = Duration::from_millis(200);
/// A probe that finds nothing to send is given up after this.
const PROBE_PATIENCE: Duration = Duration::from_millis(500);

/// What a packet is, in the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Leaves at once.
    Audio,
    /// Asked for again by the receiver.
    Retransmission,
    /// Waits its turn.
    Video,
    /// Leaves when nothing else waits, and is no reason to leave a frame out.
    Spare,
}

/// What has to leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure<T> {
    /// A packet from the queue.
    Packet {
        /// The packet.
        packet: T,
        /// What it is.
        kind: Kind,
        /// Its size as given.
        bytes: usize,
        /// It belongs to the present probe.
        in_probe: bool,
    },
    /// Padding of the size that was offered, as part of the present probe. The pacer takes it as sent.
    Padding {
        /// Its size.
        bytes: usize,
    },
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    bps: f64,
    bytes_left: usize,
    packets_left: usize,
    given_up_at: Instant,
}

/// See the module.
#[derive(Debug)]
pub struct Pacer<T> {
    audio: VecDeque<(usize, T)>,
    retransmissions: VecDeque<(usize, T)>,
    video: VecDeque<(usize, T)>,
    spare: VecDeque<(usize, T)>,
    queued_bytes: usize,
    bps: f64,
    probe: Option<Probe>,
    /// Before this nothing but audio leaves.
    next_release: Option<Instant>,
    last_departure: Option<Instant>,
    /// Since when something waits for its turn.
    waits_since: Option<Instant>,
}

impl<T> Pacer<T> {
    /// A pacer that sends at this rate, in bits per second.
    #[must_use]
    pub fn new(bps: f64) -> Self {
        Self {
            audio: VecDeque::new(),
            retransmissions: VecDeque::new(),
            video: VecDeque::new(),
            spare: VecDeque::new(),
            queued_bytes: 0,
            bps: bps.max(1.0),
            probe: None,
            next_release: None,
            last_departure: None,
            waits_since: None,
        }
    }

    /// Changes the rate, in bits per second.
    pub fn set_rate(&mut self, bps: f64) {
        self.bps = bps.max(1.0);
    }

    /// Takes a packet of so many bytes, headers included.
    pub fn enqueue(&mut self, kind: Kind, bytes: usize, packet: T) {
        match kind {
            Kind::Audio => self.audio.push_back((bytes, packet)),
            Kind::Retransmission => self.retransmissions.push_back((bytes, packet)),
            Kind::Video => self.video.push_back((bytes, packet)),
            Kind::Spare => self.spare.push_back((bytes, packet)),
        }
        if matches!(kind, Kind::Retransmission | Kind::Video) {
            self.queued_bytes += bytes;
        }
    }

    /// Sends what follows faster, until the cluster is complete.
    pub fn start_probe(&mut self, now: Instant, cluster: ProbeCluster) {
        self.probe = Some(Probe {
            bps: cluster.bps,
            bytes_left: cluster.bytes,
            packets_left: cluster.packets,
            given_up_at: now + PROBE_PATIENCE,
        });
        // The cluster begins now, not when the slower pace would have allowed.
        self.next_release = self.next_release.min(Some(now));
    }

    /// The next departure, if one is due. `open`: the path is not silent. `padding`: size of a padding packet
    /// that could be sent.
    pub fn poll(&mut self, now: Instant, open: bool, padding: Option<usize>) -> Option<Departure<T>> {
        if let Some((bytes, packet)) = self.audio.pop_front() {
            // Not paced, but what follows makes room for it.
            self.account(now, bytes);
            return Some(Departure::Packet { packet, kind: Kind::Audio, bytes, in_probe: false });
        }
        if self.probe.is_some_and(|probe| probe.given_up_at <= now) {
            self.probe = None;
        }
        if self.release_time(open).is_some_and(|release| release > now) {
            self.waits_since = self.is_waiting().then(|| self.waits_since.unwrap_or(now));
            return None;
        }
        let (kind, (bytes, packet)) = match self.retransmissions.pop_front() {
            Some(next) => (Kind::Retransmission, next),
            None => match self.video.pop_front() {
                Some(next) => (Kind::Video, next),
                None => {
                    if let Some((bytes, packet)) = self.spare.pop_front() {
                        let in_probe = self.depart(now, bytes);
                        return Some(Departure::Packet { packet, kind: Kind::Spare, bytes, in_probe });
                    }
                    let bytes = padding.filter(|_| open && self.probe.is_some())?;
                    self.depart(now, bytes);
                    return Some(Departure::Padding { bytes });
                }
            },
        };
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        let in_probe = self.depart(now, bytes);
        Some(Departure::Packet { packet, kind, bytes, in_probe })
    }

    /// Accounts for a paced departure; tells whether it is part of a probe.
    fn depart(&mut self, now: Instant, bytes: usize) -> bool {
        self.account(now, bytes);
        self.last_departure = Some(now);
        if !self.is_waiting() {
            self.waits_since = None;
        }
        let Some(probe) = &mut self.probe else { return false };
        probe.bytes_left = probe.bytes_left.saturating_sub(bytes);
        probe.packets_left = probe.packets_left.saturating_sub(1);
        if probe.bytes_left == 0 && probe.packets_left == 0 {
            self.probe = None;
        }
        true
    }

    fn is_waiting(&self) -> bool {
        self.queued_bytes > 0 || !self.spare.is_empty()
    }

    fn account(&mut self, now: Instant, bytes: usize) {
        let back = |by| now.checked_sub(by).unwrap_or(now);
        let waited = self.waits_since.map_or(now, |since| since.max(back(CATCH_UP_WAITING)));
        let earliest = waited.min(back(CATCH_UP));
        let from = self.next_release.map_or(now, |release| release.max(earliest));
        let bps = self.probe.map_or(self.bps, |probe| probe.bps);
        self.next_release = Some(from + Duration::from_secs_f64(bytes as f64 * 8.0 / bps));
    }

    fn release_time(&self, open: bool) -> Option<Instant> {
        if open { self.next_release } else { self.last_departure.map(|last| last + TRICKLE).max(self.next_release) }
    }

    /// When [`poll`](Self::poll) has something to give next; `None` if nothing waits.
    #[must_use]
    pub fn next_timeout(&self, now: Instant, open: bool, can_pad: bool) -> Option<Instant> {
        if !self.audio.is_empty() {
            return Some(now);
        }
        let waits = self.is_waiting() || (can_pad && open && self.probe.is_some());
        waits.then(|| self.release_time(open).unwrap_or(now))
    }

    /// How long it will take until everything in the queue has left.
    #[must_use]
    pub fn backlog(&self) -> Duration {
        Duration::from_secs_f64((self.queued_bytes as f64 * 8.0 / self.bps).min(3600.0))
    }

    /// Takes out everything that waits but the sound.
    pub fn abandon_pictures(&mut self) {
        self.retransmissions.clear();
        self.video.clear();
        self.spare.clear();
        self.queued_bytes = 0;
    }

    /// Takes out the waiting video packets that `gone` names.
    pub fn remove_video(&mut self, mut gone: impl FnMut(&T) -> bool) {
        let queued = &mut self.queued_bytes;
        self.video.retain(|(bytes, packet)| {
            let stays = !gone(packet);
            if !stays {
                *queued = queued.saturating_sub(*bytes);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Everything that leaves within `time`, polled every millisecond, with the time in ms.
    fn run(pacer: &mut Pacer<u32>, began: Instant, time: u64) -> Vec<(u64, u32)> {
        let mut left = Vec::new();
        for at in 0..time {
            while let Some(departure) = pacer.poll(began + ms(at), true, None) {
                if let Departure::Packet { packet, .. } = departure {
                    left.push((at, packet));
                }
            }
        }
        left
    }

    /// A packet of 1250 bytes takes 10 ms.
    fn megabit() -> Pacer<u32> {
        Pacer::new(1e6)
    }

    #[test]
    fn what_is_abandoned_is_not_sent_and_the_sound_is() {
        let (mut pacer, now) = (Pacer::new(1e6), Instant::now());
        pacer.enqueue(Kind::Video, 1250, 1);
        pacer.enqueue(Kind::Retransmission, 1250, 2);
        pacer.enqueue(Kind::Spare, 1250, 3);
        pacer.enqueue(Kind::Audio, 125, 4);
        pacer.abandon_pictures();
        assert_eq!(pacer.backlog(), Duration::ZERO);
        let sent = [0, 50].map(|later| pacer.poll(now + ms(later), true, None));
        assert!(matches!(sent, [Some(Departure::Packet { packet: 4, .. }), None]));
    }

    #[test]
    fn video_is_spread_by_the_rate() {
        let (mut pacer, now) = (megabit(), Instant::now());
        (0..4).for_each(|index| pacer.enqueue(Kind::Video, 1250, index));
        assert_eq!(pacer.backlog(), ms(40));
        assert_eq!(run(&mut pacer, now, 100), [(0, 0), (10, 1), (20, 2), (30, 3)]);
        assert_eq!(pacer.backlog(), Duration::ZERO);
        assert_eq!(pacer.next_timeout(now, true, true), None);
    }

    #[test]
    fn audio_does_not_wait_and_repairs_go_before_video() {
        let (mut pacer, now) = (megabit(), Instant::now());
        pacer.enqueue(Kind::Video, 1250, 1);
        pacer.enqueue(Kind::Video, 1250, 2);
        pacer.poll(now, true, None);
        pacer.enqueue(Kind::Retransmission, 1250, 3);
        pacer.enqueue(Kind::Audio, 125, 4);
        assert_eq!(run(&mut pacer, now + ms(1), 60), [(0, 4), (10, 3), (20, 2)]);
    }

    #[test]
    fn what_is_spare_leaves_last_and_is_no_backlog() {
        let (mut pacer, now) = (megabit(), Instant::now());
        pacer.enqueue(Kind::Spare, 1250, 1);
        pacer.enqueue(Kind::Video, 1250, 2);
        pacer.enqueue(Kind::Video, 1250, 3);
        assert_eq!(pacer.backlog(), ms(20));
        assert_eq!(run(&mut pacer, now, 60), [(0, 2), (10, 3), (20, 1)]);
        pacer.enqueue(Kind::Spare, 1250, 4);
        assert_eq!(pacer.next_timeout(now + ms(60), true, false), Some(now + ms(30)));
    }

    #[test]
    fn a_late_wake_up_is_caught_up_with_but_an_idle_time_is_not() {
        let (mut pacer, now) = (megabit(), Instant::now());
        (0..4).for_each(|index| pacer.enqueue(Kind::Video, 1250, index));
        assert!(pacer.poll(now, true, None).is_some());
        assert!(pacer.poll(now + ms(13), true, None).is_some());
        assert!(pacer.poll(now + ms(20), true, None).is_some(), "three milliseconds were caught up with");
        assert!(pacer.poll(now + ms(500), true, None).is_some());
        pacer.enqueue(Kind::Video, 1250, 9);
        assert!(pacer.poll(now + ms(500), true, None).is_none());
    }

    #[test]
    fn a_thread_that_wakes_late_again_and_again_still_sends_at_the_rate() {
        let (mut pacer, now) = (megabit(), Instant::now());
        let mut left = 0;
        for at in (0..1000).step_by(50) {
            (0..4).for_each(|index| pacer.enqueue(Kind::Video, 1250, index));
            while pacer.poll(now + ms(at), true, None).is_some() {
                left += 1;
            }
        }
        // 4 packets in 50 ms are 0.8 Mbit/s.
        assert!((76..=80).contains(&left), "{left}");
        assert_eq!(run(&mut pacer, now + ms(2000), 100).len(), 80 - left);
        (0..40).for_each(|index| pacer.enqueue(Kind::Video, 1250, index));
        assert_eq!(run(&mut pacer, now + ms(3000), 1).len(), 1, "an idle time is not caught up with");
    }

    #[test]
    fn a_probe_is_sent_at_its_own_rate_and_completed_with_padding() {
        let (mut pacer, now) = (megabit(), Instant::now());
        pacer.enqueue(Kind::Video, 1250, 1);
        pacer.start_probe(now, ProbeCluster { bps: 5e6, bytes: 5000, packets: 5 });
        let mut left = Vec::new();
        for at in 0..100 {
            while let Some(departure) = pacer.poll(now + ms(at), true, Some(1000)) {
                left.push(match departure {
                    Departure::Packet { in_probe, .. } => (at, in_probe, 1250),
                    Departure::Padding { bytes } => (at, true, bytes),
                });
            }
        }
        assert_eq!(left, [(0, true, 1250), (2, true, 1000), (4, true, 1000), (6, true, 1000), (7, true, 1000)]);
    }

    #[test]
    fn on_a_silent_path_audio_goes_on_and_video_trickles() {
        let (mut pacer, now) = (megabit(), Instant::now());
        (0..10).for_each(|index| pacer.enqueue(Kind::Video, 1250, index));
        pacer.poll(now, true, None);
        let mut left = 0;
        for at in 1..1000 {
            while pacer.poll(now + ms(at), false, Some(1000)).is_some() {
                left += 1;
            }
        }
        assert_eq!(left, 4);
        pacer.enqueue(Kind::Audio, 100, 77);
        assert!(pacer.poll(now + ms(1000), false, Some(1000)).is_some());
    }

    #[test]
    fn video_of_a_track_that_is_gone_can_be_taken_out() {
        let (mut pacer, now) = (megabit(), Instant::now());
        (0..4).for_each(|index| pacer.enqueue(Kind::Video, 1250, index));
        pacer.remove_video(|index| index % 2 == 0);
        assert_eq!(pacer.backlog(), ms(20));
        assert_eq!(run(&mut pacer, now, 100), [(0, 1), (10, 3)]);
    }
}
