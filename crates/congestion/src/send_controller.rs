//! The send controller: everything that decides what leaves one end of a path, and when.
//!
//! It joins the bandwidth estimate, the pacer, probes, the repair policy and duplication, for the uplink of a client as for
//! a downlink of the server. A client queues its packets here and is paced. A server forwards packets that their publisher
//! has paced, reports them by [`on_unqueued_sent`](SendController::on_unqueued_sent), and polls for padding only.

use super::duplication::{self, Duplication};
use super::estimator::{BandwidthEstimator, BitrateLimits};
use super::history::SentHistory;
use super::pacer::{Pacer, Priority, SendAction};
use super::repair::{self, RepairBudget};
use super::{PacketResult, sent_rate::SentRate};
use rtp::rtcp::arrivals::PacketStatus;
use rtp::{Bitrate, DataSize};
use std::time::{Duration, Instant};

/// Pacing rate as a multiple of the target, so that frames do not queue behind each other. Where the path carries more, the
/// pacing rate is the estimate.
const PACING_FACTOR: f64 = 1.5;
/// Pacing rate as a multiple of the target where bursts may cause the loss.
const BURST_AVOIDING_PACING_FACTOR: f64 = 1.1;
/// Share of a full video datagram that is payload; the rest is headers of RTP, SRTP, UDP and IP.
pub const VIDEO_PAYLOAD_SHARE: f64 = 0.94;
/// Largest share of the target that audio and retransmissions take from video.
const MAX_OVERHEAD_SHARE: f64 = 0.6;
/// The encoder should skip a frame while the backlog is longer than this.
pub const MAX_ENCODER_BACKLOG: Duration = Duration::from_millis(100);

/// Controls one direction of a path. `T` is a packet, `K` identifies one for duplication.
#[derive(Debug)]
pub struct SendController<T, K> {
    estimator: BandwidthEstimator,
    history: SentHistory,
    pacer: Pacer<T>,
    duplication: Duplication<K>,
    repair_budget: RepairBudget,
    audio: SentRate,
    retransmissions: SentRate,
    has_video: bool,
    is_audio_reported: bool,
}

impl<T, K> SendController<T, K> {
    /// Creates a controller for a path of which nothing is known.
    #[must_use]
    pub fn new(limits: BitrateLimits) -> Self {
        Self {
            estimator: BandwidthEstimator::new(limits),
            history: SentHistory::default(),
            pacer: Pacer::new(limits.start * PACING_FACTOR),
            duplication: Duplication::default(),
            repair_budget: RepairBudget::default(),
            audio: SentRate::default(),
            retransmissions: SentRate::default(),
            has_video: false,
            is_audio_reported: true,
        }
    }

    /// The bandwidth estimator, for its statistics.
    #[must_use]
    pub fn estimator(&self) -> &BandwidthEstimator {
        &self.estimator
    }

    /// Changes the rate that the application could make use of, in whole datagrams.
    pub fn set_desired(&mut self, now: Instant, rate: Bitrate) {
        self.estimator.set_desired(rate);
        self.update_pacer(now);
    }

    /// Sets whether the receiver's feedback covers audio packets, which is the default. Some servers accept transport-wide
    /// numbers with video only; waiting for reports of audio would look like a silent path.
    pub fn set_audio_reported(&mut self, is_reported: bool) {
        self.is_audio_reported = is_reported;
    }

    /// Sets whether padding can be sent.
    pub fn set_can_pad(&mut self, can_pad: bool) {
        self.pacer.set_can_pad(can_pad);
    }

    /// Queues a packet of a stream; `size` is that of the whole datagram.
    pub fn enqueue(&mut self, priority: Priority, stream: u32, size: DataSize, packet: T) {
        self.has_video |= priority == Priority::Video;
        self.pacer.enqueue(priority, stream, size, packet);
    }

    /// The next action, if one is due. Padding is to be reported by [`on_unqueued_sent`](Self::on_unqueued_sent).
    pub fn poll(&mut self, now: Instant) -> Option<SendAction<T>> {
        if self.has_video {
            self.start_probe_if_due(now);
        }
        if self.pacer.is_idle() {
            return None;
        }
        self.pacer.set_path_silent(self.estimator.is_silent(now));
        let action = self.pacer.poll(now)?;
        if let SendAction::Packet { priority, size, in_probe, .. } = &action {
            if *priority != Priority::Audio || self.is_audio_reported {
                self.estimator.on_sent(now, *size, *in_probe);
            }
            match priority {
                Priority::Audio => self.audio.on_sent(now, *size),
                Priority::Retransmission => self.retransmissions.on_sent(now, *size),
                Priority::Video | Priority::Duplicate => {}
            }
        }
        Some(action)
    }

    /// Counts a packet that leaves without having been queued: padding, or media that another sender has paced.
    pub fn on_unqueued_sent(&mut self, now: Instant, size: DataSize) {
        let in_probe = self.pacer.on_unqueued_sent(now, size);
        self.estimator.on_sent(now, size, in_probe);
    }

    /// The transport-wide sequence number of a packet that leaves.
    pub fn assign_number(&mut self, now: Instant, size: DataSize) -> u16 {
        self.history.on_sent(now, size)
    }

    /// Starts a probe if it is time for one. To be called only while there are packets or padding to fill it with.
    pub fn start_probe_if_due(&mut self, now: Instant) {
        if !self.pacer.is_probing()
            && let Some(cluster) = self.estimator.poll_probe(now)
        {
            self.pacer.start_probe(now, cluster);
        }
    }

    /// Reads one feedback message of the receiver and returns the packets that it reports for the first time.
    pub fn on_feedback(&mut self, now: Instant, statuses: impl IntoIterator<Item = PacketStatus>) -> Vec<PacketResult> {
        let results = self.history.on_feedback(statuses);
        self.estimator.on_results(now, &results);
        self.update_pacer(now);
        results
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.estimator.handle_timeout(now);
        self.update_pacer(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout), [`poll`](Self::poll) or [`poll_duplicate`](Self::poll_duplicate) has
    /// work next.
    #[must_use]
    pub fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let timeouts = [self.pacer.next_timeout(now), self.duplication.next_timeout(), self.estimator.next_timeout()];
        timeouts.into_iter().flatten().min()
    }

    /// When padding or a duplicate is due next, for a sender that queues nothing.
    #[must_use]
    pub fn next_unqueued_departure(&self) -> Option<Instant> {
        [self.pacer.next_padding(), self.duplication.next_timeout()].into_iter().flatten().min()
    }

    fn update_pacer(&mut self, now: Instant) {
        let (target, estimate) = (self.estimator.target(), self.estimator.estimate());
        self.pacer.set_rate(if self.estimator.is_draining() {
            target
        } else if self.estimator.should_avoid_bursts(now) {
            target * BURST_AVOIDING_PACING_FACTOR
        } else {
            estimate.max(target * PACING_FACTOR)
        });
        self.pacer.set_path_silent(self.estimator.is_silent(now));
    }

    /// The rate that the encoders of all video tracks together should produce: the target without audio, retransmissions
    /// and headers.
    pub fn video_budget(&mut self, now: Instant) -> Bitrate {
        let target = self.estimator.target();
        let others = self.audio.rate(now) + self.retransmissions.rate(now);
        (target - others.min(target * MAX_OVERHEAD_SHARE)) * VIDEO_PAYLOAD_SHARE
    }

    /// Time until all queued packets have left.
    #[must_use]
    pub fn backlog(&self) -> Duration {
        self.pacer.backlog()
    }

    /// Shortest time between two retransmissions of a packet that was requested.
    #[must_use]
    pub fn requested_spacing(&self) -> Duration {
        repair::requested_spacing(&self.estimator) + self.pacer.backlog()
    }

    /// Shortest time between a retransmission and another one that was not requested; `None` while losses may be congestion
    /// losses, when only requested packets are retransmitted.
    #[must_use]
    pub fn unrequested_spacing(&self, now: Instant) -> Option<Duration> {
        Some(repair::unrequested_spacing(&self.estimator, now)? + self.pacer.backlog())
    }

    /// Whether a retransmission that is not queued may leave. Then it counts as sent.
    pub fn allows_unqueued_retransmission(&mut self, now: Instant, size: DataSize) -> bool {
        self.repair_budget.allows(now, size, self.estimator.estimate())
    }

    /// Schedules a duplicate of a video packet that leaves, if the path calls for it.
    pub fn duplicate_if_worthwhile(&mut self, now: Instant, key: K) {
        if duplication::is_worthwhile(&self.estimator) {
            self.duplication.on_sent(now, key);
        }
    }

    /// The next packet whose duplicate is due.
    pub fn poll_duplicate(&mut self, now: Instant) -> Option<K> {
        self.duplication.poll(now)
    }

    /// Drops all queued packets but audio.
    pub fn clear_video(&mut self) {
        self.pacer.clear_video();
    }

    /// Drops the queued packets of a stream, except audio.
    pub fn remove_stream(&mut self, stream: u32) {
        self.pacer.remove_stream(stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn controller(rate: Bitrate) -> SendController<Instant, u16> {
        SendController::new(BitrateLimits { start: rate, min: Bitrate::kbps(50), desired: rate })
    }

    /// Sends 15 video and 50 audio packets a second for ten seconds, with feedback after every 21 video packets. Returns the
    /// longest wait of a video packet in the pacer.
    fn longest_wait(is_audio_reported: bool) -> Duration {
        let (mut control, began) = (controller(Bitrate::mbps(1)), Instant::now());
        control.set_audio_reported(is_audio_reported);
        let (mut statuses, mut longest) = (Vec::new(), Duration::ZERO);
        for at in 0..10_000 {
            let now = began + ms(at);
            if at % 20 == 0 {
                control.enqueue(Priority::Audio, 1, DataSize::bytes(150), now);
            }
            if at % 66 == 0 {
                control.enqueue(Priority::Video, 2, DataSize::bytes(500), now);
            }
            while let Some(action) = control.poll(now) {
                let SendAction::Packet { packet: queued, priority: Priority::Video, size, .. } = action else {
                    continue;
                };
                longest = longest.max(now - queued);
                let sequence = control.assign_number(now, size);
                statuses.push(PacketStatus { sequence, arrival: Some(ms(at)) });
            }
            if statuses.len() > 20 {
                control.on_feedback(now, std::mem::take(&mut statuses));
            }
            control.handle_timeout(now);
        }
        longest
    }

    #[test]
    fn video_does_not_wait_for_reports_of_audio_that_never_come() {
        assert!(longest_wait(true) > ms(100), "looks like a silent path");
        assert!(longest_wait(false) < ms(20));
    }

    #[test]
    fn a_key_frame_of_one_track_does_not_delay_another() {
        const CAMERA: u32 = 1;
        const SCREEN: u32 = 2;
        let (mut control, began, packet) = (controller(Bitrate::mbps(1)), Instant::now(), DataSize::bytes(1200));
        (0..100).for_each(|_| control.enqueue(Priority::Video, SCREEN, packet, began));
        let mut waits = Vec::new();
        for at in 0..500 {
            let now = began + ms(at);
            if at % 66 == 0 {
                control.enqueue(Priority::Video, CAMERA, DataSize::bytes(300), now);
            }
            while let Some(action) = control.poll(now) {
                if let SendAction::Packet { packet: queued, size, .. } = action
                    && size != packet
                {
                    waits.push(now - queued);
                }
            }
        }
        assert!(control.backlog() > ms(100), "the key frame is still being sent");
        assert!(waits.len() == 8 && waits.iter().all(|wait| *wait <= ms(15)), "{waits:?}");
    }

    /// Forwards media of `rate` over a path of `capacity`, with padding where a probe needs it. Returns the estimate.
    fn forward(control: &mut SendController<Instant, u16>, seconds: u64, rate: Bitrate, capacity: Bitrate) -> Bitrate {
        const PACKET: DataSize = DataSize::bytes(1200);
        let began = Instant::now();
        let (mut media, mut free_at, mut statuses) = (DataSize::ZERO, began, Vec::new());
        control.set_can_pad(true);
        for at in 0..seconds * 1000 {
            let now = began + ms(at);
            control.handle_timeout(now);
            control.start_probe_if_due(now);
            while control.poll(now).is_some() || media < rate * ms(at) {
                media += PACKET;
                control.on_unqueued_sent(now, PACKET);
                let sequence = control.assign_number(now, PACKET);
                free_at = free_at.max(now) + PACKET.time_at(capacity);
                statuses.push(PacketStatus { sequence, arrival: Some(free_at - began + ms(500)) });
            }
            if at % 50 == 0 {
                control.on_feedback(now, std::mem::take(&mut statuses));
            }
        }
        control.estimator().estimate()
    }

    #[test]
    fn probes_find_the_bandwidth_of_a_forwarding_sender() {
        let mut control = controller(Bitrate::mbps(2));
        control.set_desired(Instant::now(), Bitrate::mbps(5));
        let estimate = forward(&mut control, 10, Bitrate::kbps(500), Bitrate::mbps(8));
        assert!(estimate > Bitrate::mbps(5), "{estimate}");
    }

    #[test]
    fn congestion_of_a_forwarding_sender_is_detected() {
        let mut control = controller(Bitrate::mbps(2));
        control.set_desired(Instant::now(), Bitrate::mbps(5));
        let estimate = forward(&mut control, 4, Bitrate::kbps(1500), Bitrate::kbps(800));
        assert!(estimate < Bitrate::mbps(1), "{estimate}");
    }

    #[test]
    fn a_probe_of_a_forwarding_sender_has_its_rate_and_an_end() {
        let (mut control, began) = (controller(Bitrate::mbps(2)), Instant::now());
        control.set_desired(began, Bitrate::mbps(20));
        control.set_can_pad(true);
        control.start_probe_if_due(began);
        let (packet, mut sent) = (DataSize::bytes(1200), DataSize::ZERO);
        for at in 0..100 {
            while control.poll(began + ms(at)).is_some() {
                control.on_unqueued_sent(began + ms(at), packet);
                sent += packet;
            }
        }
        // 20 ms at three times the start rate.
        let cluster = Bitrate::mbps(6) * ms(20);
        assert!((cluster..cluster + packet + packet).contains(&sent), "{sent}");
        assert_eq!(control.next_unqueued_departure(), None);
    }
}
