//! The pacer: spreads packets over time, so that a key frame does not fill the queue of the bottleneck.
//!
//! Audio leaves at once, then retransmissions, then video, then duplicates; padding only completes a probe. Within a
//! priority each stream has its own queue ([`StreamQueues`]). The backlog is measured in time, and the encoder skips frames
//! before it grows long. Sans-IO: time is an argument, and packets are of any type.

use super::probe_cluster::ProbeCluster;
use super::stream_queues::StreamQueues;
use rtp::{Bitrate, DataSize};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time of a late wake-up that is caught up with: timers have a granularity of a millisecond or two.
const MAX_CATCH_UP: Duration = Duration::from_millis(5);
/// Time that is caught up with if packets waited for all of it: a busy machine wakes a thread tens of milliseconds late,
/// again and again, and what was due meanwhile would never be made up for.
const MAX_CATCH_UP_WAITING: Duration = Duration::from_millis(80);
/// Interval of single packets while the path is silent, which find out whether it still is.
const SILENT_PATH_INTERVAL: Duration = Duration::from_millis(200);
/// A probe that is not complete after this time is given up.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// Upper bound of the reported backlog.
const MAX_BACKLOG: Duration = Duration::from_secs(3600);

/// Priority of a packet, from the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Audio, which leaves at once.
    Audio,
    /// A packet that was lost.
    Retransmission,
    /// Video, which waits for its turn.
    Video,
    /// A duplicate, which leaves when nothing else waits, and does not count as backlog.
    Duplicate,
}

/// What to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendAction<T> {
    /// A packet from the queue.
    Packet {
        /// The packet.
        packet: T,
        /// Its priority.
        priority: Priority,
        /// Its size as given.
        size: DataSize,
        /// Whether it belongs to the present probe.
        in_probe: bool,
    },
    /// A padding packet of any size, as part of the present probe. It is reported by
    /// [`on_unqueued_sent`](Pacer::on_unqueued_sent).
    Padding,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    rate: Bitrate,
    size_left: DataSize,
    packets_left: usize,
    expires: Instant,
}

/// Queues packets and releases them at the pacing rate.
#[derive(Debug)]
pub struct Pacer<T> {
    audio: VecDeque<(DataSize, T)>,
    retransmissions: StreamQueues<T>,
    video: StreamQueues<T>,
    duplicates: StreamQueues<T>,
    rate: Bitrate,
    probe: Option<Probe>,
    can_pad: bool,
    /// The receiver's reports are missing.
    is_path_silent: bool,
    /// Before this only audio leaves.
    next_release: Option<Instant>,
    last_departure: Option<Instant>,
    /// Since when packets have been waiting for their turn.
    waiting_since: Option<Instant>,
}

impl<T> Pacer<T> {
    /// Creates a pacer with this rate.
    #[must_use]
    pub fn new(rate: Bitrate) -> Self {
        Self {
            audio: VecDeque::new(),
            retransmissions: StreamQueues::default(),
            video: StreamQueues::default(),
            duplicates: StreamQueues::default(),
            rate,
            probe: None,
            can_pad: false,
            is_path_silent: false,
            next_release: None,
            last_departure: None,
            waiting_since: None,
        }
    }

    /// Changes the pacing rate.
    pub fn set_rate(&mut self, rate: Bitrate) {
        self.rate = rate;
    }

    /// Sets whether padding can be sent.
    pub fn set_can_pad(&mut self, can_pad: bool) {
        self.can_pad = can_pad;
    }

    /// Sets whether the receiver's reports are missing. Then only single packets leave, and audio.
    pub fn set_path_silent(&mut self, is_silent: bool) {
        self.is_path_silent = is_silent;
    }

    /// Adds a packet of a stream; `size` is that of the whole datagram.
    pub fn enqueue(&mut self, priority: Priority, stream: u32, size: DataSize, packet: T) {
        match priority {
            Priority::Audio => self.audio.push_back((size, packet)),
            Priority::Retransmission => self.retransmissions.push(stream, size, packet),
            Priority::Video => self.video.push(stream, size, packet),
            Priority::Duplicate => self.duplicates.push(stream, size, packet),
        }
    }

    /// Sends what follows at the rate of the cluster, until it is complete.
    pub fn start_probe(&mut self, now: Instant, cluster: ProbeCluster) {
        self.probe = Some(Probe {
            rate: cluster.rate,
            size_left: cluster.size,
            packets_left: cluster.packets,
            expires: now + PROBE_TIMEOUT,
        });
        // The cluster begins now, not when the pacing rate would have allowed.
        self.next_release = Some(self.next_release.map_or(now, |release| release.min(now)));
    }

    /// Whether a probe is being sent.
    #[must_use]
    pub fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Whether nothing is queued or being probed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.probe.is_none() && self.audio.is_empty() && !self.is_waiting()
    }

    /// The next action, if one is due.
    pub fn poll(&mut self, now: Instant) -> Option<SendAction<T>> {
        if let Some((size, packet)) = self.audio.pop_front() {
            // Not paced, but what follows makes room for it.
            self.account(now, size);
            return Some(SendAction::Packet { packet, priority: Priority::Audio, size, in_probe: false });
        }
        self.probe.take_if(|probe| probe.expires <= now);
        if self.release_time().is_some_and(|release| release > now) {
            self.waiting_since = self.is_waiting().then(|| self.waiting_since.unwrap_or(now));
            return None;
        }
        let Some((priority, (size, packet))) = self.pop() else {
            return self.can_send_padding().then_some(SendAction::Padding);
        };
        let in_probe = self.on_departure(now, size);
        Some(SendAction::Packet { packet, priority, size, in_probe })
    }

    fn pop(&mut self) -> Option<(Priority, (DataSize, T))> {
        let retransmission = self.retransmissions.pop().map(|next| (Priority::Retransmission, next));
        let video = || self.video.pop().map(|next| (Priority::Video, next));
        let duplicate = || self.duplicates.pop().map(|next| (Priority::Duplicate, next));
        retransmission.or_else(video).or_else(duplicate)
    }

    /// Counts a packet that leaves without having been queued: padding, or media that another sender has paced. Returns
    /// whether it belongs to the present probe.
    pub fn on_unqueued_sent(&mut self, now: Instant, size: DataSize) -> bool {
        self.probe.is_some() && self.on_departure(now, size)
    }

    /// Counts a paced packet; returns whether it belongs to the present probe.
    fn on_departure(&mut self, now: Instant, size: DataSize) -> bool {
        self.account(now, size);
        self.last_departure = Some(now);
        if !self.is_waiting() {
            self.waiting_since = None;
        }
        let Some(probe) = &mut self.probe else { return false };
        probe.size_left -= size;
        probe.packets_left = probe.packets_left.saturating_sub(1);
        if probe.size_left.is_zero() && probe.packets_left == 0 {
            self.probe = None;
        }
        true
    }

    fn is_waiting(&self) -> bool {
        !(self.retransmissions.is_empty() && self.video.is_empty() && self.duplicates.is_empty())
    }

    fn can_send_padding(&self) -> bool {
        self.can_pad && !self.is_path_silent && self.probe.is_some()
    }

    fn account(&mut self, now: Instant, size: DataSize) {
        let before = |by| now.checked_sub(by).unwrap_or(now);
        let waited = self.waiting_since.map_or(now, |since| since.max(before(MAX_CATCH_UP_WAITING)));
        let earliest = waited.min(before(MAX_CATCH_UP));
        let from = self.next_release.map_or(now, |release| release.max(earliest));
        let rate = self.probe.map_or(self.rate, |probe| probe.rate);
        self.next_release = Some(from + size.time_at(rate).min(MAX_BACKLOG));
    }

    fn release_time(&self) -> Option<Instant> {
        if self.is_path_silent {
            self.last_departure.map(|last| last + SILENT_PATH_INTERVAL).max(self.next_release)
        } else {
            self.next_release
        }
    }

    /// When [`poll`](Self::poll) has an action next; `None` if nothing waits.
    #[must_use]
    pub fn next_timeout(&self, now: Instant) -> Option<Instant> {
        if !self.audio.is_empty() {
            return Some(now);
        }
        (self.is_waiting() || self.can_send_padding()).then(|| self.release_time().unwrap_or(now))
    }

    /// When padding is due next; `None` while there is no probe to complete.
    #[must_use]
    pub fn next_padding(&self) -> Option<Instant> {
        self.next_release.filter(|_| self.can_send_padding())
    }

    /// Time until all queued packets have left.
    #[must_use]
    pub fn backlog(&self) -> Duration {
        (self.retransmissions.size() + self.video.size()).time_at(self.rate).min(MAX_BACKLOG)
    }

    /// Drops all queued packets but audio.
    pub fn clear_video(&mut self) {
        self.retransmissions.clear();
        self.video.clear();
        self.duplicates.clear();
    }

    /// Drops the queued packets of a stream, except audio.
    pub fn remove_stream(&mut self, stream: u32) {
        self.retransmissions.remove_stream(stream);
        self.video.remove_stream(stream);
        self.duplicates.remove_stream(stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: DataSize = DataSize::bytes(1250);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The packets that leave within `time`, polled every millisecond, with the time in ms.
    fn drain(pacer: &mut Pacer<u32>, began: Instant, time: u64) -> Vec<(u64, u32)> {
        let mut sent = Vec::new();
        for at in 0..time {
            while let Some(action) = pacer.poll(began + ms(at)) {
                if let SendAction::Packet { packet, .. } = action {
                    sent.push((at, packet));
                }
            }
        }
        sent
    }

    /// A pacer at 1 Mbit/s, at which a packet takes 10 ms.
    fn megabit() -> Pacer<u32> {
        Pacer::new(Bitrate::mbps(1))
    }

    fn enqueue_video(pacer: &mut Pacer<u32>, packets: std::ops::Range<u32>) {
        packets.for_each(|packet| pacer.enqueue(Priority::Video, 1, PACKET, packet));
    }

    #[test]
    fn cleared_video_is_not_sent_and_audio_is() {
        let (mut pacer, now) = (megabit(), Instant::now());
        pacer.enqueue(Priority::Video, 1, PACKET, 1);
        pacer.enqueue(Priority::Retransmission, 1, PACKET, 2);
        pacer.enqueue(Priority::Duplicate, 1, PACKET, 3);
        pacer.enqueue(Priority::Audio, 2, DataSize::bytes(125), 4);
        pacer.clear_video();
        assert_eq!(pacer.backlog(), Duration::ZERO);
        assert_eq!(drain(&mut pacer, now, 60), [(0, 4)]);
    }

    #[test]
    fn video_is_spread_at_the_pacing_rate() {
        let (mut pacer, now) = (megabit(), Instant::now());
        enqueue_video(&mut pacer, 0..4);
        assert_eq!(pacer.backlog(), ms(40));
        assert_eq!(drain(&mut pacer, now, 100), [(0, 0), (10, 1), (20, 2), (30, 3)]);
        assert_eq!(pacer.backlog(), Duration::ZERO);
        assert_eq!(pacer.next_timeout(now), None);
    }

    #[test]
    fn audio_does_not_wait_and_retransmissions_precede_video() {
        let (mut pacer, now) = (megabit(), Instant::now());
        enqueue_video(&mut pacer, 1..3);
        pacer.poll(now);
        pacer.enqueue(Priority::Retransmission, 1, PACKET, 3);
        pacer.enqueue(Priority::Audio, 2, DataSize::bytes(125), 4);
        assert_eq!(drain(&mut pacer, now + ms(1), 60), [(0, 4), (10, 3), (20, 2)]);
    }

    #[test]
    fn a_large_key_frame_does_not_delay_a_small_layer() {
        let (mut pacer, now) = (megabit(), Instant::now());
        enqueue_video(&mut pacer, 0..50);
        pacer.enqueue(Priority::Video, 2, DataSize::bytes(125), 100);
        pacer.enqueue(Priority::Video, 3, DataSize::bytes(125), 200);
        let sent = drain(&mut pacer, now, 600);
        let departure = |wanted| sent.iter().find(|(_, packet)| *packet == wanted).map(|(at, _)| *at);
        assert!(departure(100) <= Some(11) && departure(200) <= Some(12), "{sent:?}");
        assert_eq!(sent.len(), 52);
    }

    #[test]
    fn duplicates_leave_last_and_are_no_backlog() {
        let (mut pacer, now) = (megabit(), Instant::now());
        pacer.enqueue(Priority::Duplicate, 1, PACKET, 1);
        enqueue_video(&mut pacer, 2..4);
        assert_eq!(pacer.backlog(), ms(20));
        assert_eq!(drain(&mut pacer, now, 60), [(0, 2), (10, 3), (20, 1)]);
        pacer.enqueue(Priority::Duplicate, 1, PACKET, 4);
        assert_eq!(pacer.next_timeout(now + ms(60)), Some(now + ms(30)));
    }

    #[test]
    fn a_late_wake_up_is_caught_up_with_but_idle_time_is_not() {
        let (mut pacer, now) = (megabit(), Instant::now());
        enqueue_video(&mut pacer, 0..4);
        assert!(pacer.poll(now).is_some());
        assert!(pacer.poll(now + ms(13)).is_some());
        assert!(pacer.poll(now + ms(20)).is_some(), "three milliseconds were caught up with");
        assert!(pacer.poll(now + ms(500)).is_some());
        enqueue_video(&mut pacer, 9..10);
        assert!(pacer.poll(now + ms(500)).is_none());
    }

    #[test]
    fn a_thread_that_always_wakes_late_still_sends_at_the_rate() {
        let (mut pacer, now) = (megabit(), Instant::now());
        let mut sent = 0;
        for at in (0..1000).step_by(50) {
            enqueue_video(&mut pacer, 0..4);
            while pacer.poll(now + ms(at)).is_some() {
                sent += 1;
            }
        }
        // 4 packets in 50 ms are 0.8 Mbit/s.
        assert!((76..=80).contains(&sent), "{sent}");
        assert_eq!(drain(&mut pacer, now + ms(2000), 100).len(), 80 - sent);
        enqueue_video(&mut pacer, 0..40);
        assert_eq!(drain(&mut pacer, now + ms(3000), 1).len(), 1, "idle time is not caught up with");
    }

    #[test]
    fn a_probe_has_its_own_rate_and_is_completed_with_padding() {
        let (mut pacer, now) = (megabit(), Instant::now());
        pacer.set_can_pad(true);
        enqueue_video(&mut pacer, 1..2);
        pacer.start_probe(now, ProbeCluster { rate: Bitrate::mbps(5), size: DataSize::bytes(5000), packets: 5 });
        let mut sent = Vec::new();
        for at in 0..100 {
            while let Some(action) = pacer.poll(now + ms(at)) {
                sent.push(match action {
                    SendAction::Packet { in_probe, size, .. } => (at, in_probe, size),
                    SendAction::Padding => {
                        let size = DataSize::bytes(1000);
                        (at, pacer.on_unqueued_sent(now + ms(at), size), size)
                    }
                });
            }
        }
        let padding = DataSize::bytes(1000);
        let expected = [(0, PACKET), (2, padding), (4, padding), (6, padding), (7, padding)];
        assert_eq!(sent, expected.map(|(at, size)| (at, true, size)));
    }

    #[test]
    fn on_a_silent_path_audio_continues_and_video_trickles() {
        let (mut pacer, now) = (megabit(), Instant::now());
        pacer.set_can_pad(true);
        enqueue_video(&mut pacer, 0..10);
        pacer.poll(now);
        pacer.set_path_silent(true);
        assert_eq!(drain(&mut pacer, now + ms(1), 999).len(), 4);
        pacer.enqueue(Priority::Audio, 2, DataSize::bytes(100), 77);
        assert!(pacer.poll(now + ms(1000)).is_some());
    }

    #[test]
    fn video_of_a_removed_track_is_dropped() {
        let (mut pacer, now) = (megabit(), Instant::now());
        (0..4).for_each(|packet| pacer.enqueue(Priority::Video, packet % 2, PACKET, packet));
        pacer.remove_stream(0);
        assert_eq!(pacer.backlog(), ms(20));
        assert_eq!(drain(&mut pacer, now, 100), [(0, 1), (10, 3)]);
    }
}
