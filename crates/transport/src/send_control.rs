//! BandwidthEstimator and pacer as one: what may be sent, and when each packet leaves.

use crate::pacer::{Departure, Kind, Pacer};
use congestion::{BandwidthEstimator, BitrateLimits, PacketResult};
use std::time::{Duration, Instant};

/// Media leaves at this multiple of the target, so that frames do not pile up behind each other; where the path
/// is known to carry more, at what it carries.
const PACE: f64 = 1.5;
/// Where bursts may be what is lost they leave hardly faster than they are made.
const CAREFUL_PACE: f64 = 1.1;
/// Share of a full video packet that is picture; the rest is headers of RTP, SRTP, UDP and IP.
const PICTURE_SHARE: f64 = 0.94;
/// Time constant of the measured use by audio and retransmissions.
const USE_SMOOTHING: Duration = Duration::from_secs(1);
/// Audio and repairs never take more than this share of the target from the picture.
const MOST_OVERHEAD: f64 = 0.6;
/// A copy of a packet is not followed by another within this share of the round trip: the receiver's own
/// repetitions come at whole ones,
const RESEND_SPACING: f64 = 0.7;
/// or early, which is welcome while the path has no queue.
const EARLY_SPACING: f64 = 0.2;
const NO_QUEUE: Duration = Duration::from_millis(20);
/// Packets are sent twice where the path loses this share of them for reasons of its own: less is not worth it, and more
/// comes in bursts mostly, which take both copies,
const DOUBLE_LOSS: std::ops::Range<f64> = 0.015..0.08;
/// and where it carries so many times what is sent.
const DOUBLE_ROOM: f64 = 3.0;
/// The encoder should skip a frame while the queue is longer than this.
pub const SKIP_BACKLOG: Duration = Duration::from_millis(100);

/// A smoothed rate.
#[derive(Debug, Default)]
struct Use {
    bps: f64,
    updated: Option<Instant>,
}

impl Use {
    fn add(&mut self, now: Instant, bytes: usize) {
        self.decay(now);
        self.bps += bytes as f64 * 8.0 / USE_SMOOTHING.as_secs_f64();
    }

    fn decay(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.updated.replace(now).unwrap_or(now)).as_secs_f64();
        self.bps *= (-passed / USE_SMOOTHING.as_secs_f64()).exp();
    }
}

/// See the module. `T` is a packet.
#[derive(Debug)]
pub struct SendControl<T> {
    estimator: BandwidthEstimator,
    pacer: Pacer<T>,
    audio: Use,
    repairs: Use,
    video_seen: bool,
    /// Whether the receiver's feedback is about audio packets too.
    audio_is_reported: bool,
}

impl<T> SendControl<T> {
    /// Nothing sent yet.
    #[must_use]
    pub fn new(limits: BitrateLimits) -> Self {
        Self {
            estimator: BandwidthEstimator::new(limits),
            pacer: Pacer::new(limits.start * PACE),
            audio: Use::default(),
            repairs: Use::default(),
            video_seen: false,
            audio_is_reported: true,
        }
    }

    /// The estimator, for its numbers.
    #[must_use]
    pub fn estimator(&self) -> &BandwidthEstimator {
        &self.estimator
    }

    /// Changes what the application could make use of, in bits per second of whole datagrams.
    pub fn set_wanted(&mut self, now: Instant, bps: f64) {
        self.estimator.set_desired(bps);
        self.follow(now);
    }

    /// Whether the receiver's feedback is about audio packets too, as it is unless told otherwise here. Some servers take
    /// transport-wide numbers with video only; waiting for reports of the rest would look like a silent path.
    pub fn set_audio_reported(&mut self, reported: bool) {
        self.audio_is_reported = reported;
    }

    /// Takes a packet; `bytes` is the size of the whole datagram.
    pub fn enqueue(&mut self, kind: Kind, bytes: usize, packet: T) {
        self.video_seen |= kind == Kind::Video;
        self.pacer.enqueue(kind, bytes, packet);
    }

    /// The next packet to put on the wire now. `padding`: size of a padding packet that could be sent.
    pub fn poll(&mut self, now: Instant, padding: Option<usize>) -> Option<Departure<T>> {
        if self.video_seen
            && let Some(cluster) = self.estimator.poll_probe(now)
        {
            self.pacer.start_probe(now, cluster);
        }
        let open = !self.estimator.is_silent(now);
        let departure = self.pacer.poll(now, open, padding)?;
        match &departure {
            Departure::Packet { kind, bytes, in_probe, .. } => {
                if *kind != Kind::Audio || self.audio_is_reported {
                    self.estimator.on_sent(now, *bytes, *in_probe);
                }
                match kind {
                    Kind::Audio => self.audio.add(now, *bytes),
                    Kind::Retransmission => self.repairs.add(now, *bytes),
                    Kind::Video | Kind::Spare => {}
                }
            }
            Departure::Padding { bytes } => self.estimator.on_sent(now, *bytes, true),
        }
        Some(departure)
    }

    /// The receiver reported; in the order of departure, up to the newest packet that arrived.
    pub fn on_results(&mut self, now: Instant, results: &[PacketResult]) {
        self.estimator.on_results(now, results);
        self.follow(now);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.estimator.handle_timeout(now);
        self.follow(now);
    }

    /// When something has to be done next. `can_pad`: padding could be sent.
    #[must_use]
    pub fn next_timeout(&self, now: Instant, can_pad: bool) -> Option<Instant> {
        let open = !self.estimator.is_silent(now);
        let pacer = self.pacer.next_timeout(now, open, can_pad);
        [pacer, self.estimator.next_timeout()].into_iter().flatten().min()
    }

    fn follow(&mut self, now: Instant) {
        let (target, estimate) = (self.estimator.target_bps(), self.estimator.estimate_bps());
        self.pacer.set_rate(if self.estimator.is_draining() {
            target
        } else if self.estimator.should_avoid_bursts(now) {
            target * CAREFUL_PACE
        } else {
            estimate.max(target * PACE)
        });
    }

    /// What the encoders of all video tracks together should produce, in bits per second: the target without
    /// audio, retransmissions and headers.
    pub fn picture_bps(&mut self, now: Instant) -> f64 {
        self.audio.decay(now);
        self.repairs.decay(now);
        let target = self.estimator.target_bps();
        let others = (self.audio.bps + self.repairs.bps).min(target * MOST_OVERHEAD);
        (target - others) * PICTURE_SHARE
    }

    /// How long it takes until what waits has left.
    #[must_use]
    pub fn backlog(&self) -> Duration {
        self.pacer.backlog()
    }

    /// Least time between two copies of one packet.
    #[must_use]
    pub fn resend_spacing(&self) -> Duration {
        let free = self.estimator.queue() <= NO_QUEUE && !self.estimator.is_draining();
        let share = if free { EARLY_SPACING } else { RESEND_SPACING };
        self.estimator.round_trip().mul_f64(share) + self.pacer.backlog()
    }

    /// Least time between a copy of a packet and one that nobody asked for; `None` while losses may be the path's answer
    /// to too much: then only what is asked for is repeated.
    #[must_use]
    pub fn unasked_spacing(&self, now: Instant) -> Option<Duration> {
        let is_free = !self.estimator.is_draining() && !self.estimator.has_recent_queue(now) || self.has_room();
        is_free.then(|| self.estimator.round_trip().mul_f64(RESEND_SPACING) + self.pacer.backlog())
    }

    /// Whether a second copy of each video packet is worth its while, see [`crate::doubling`].
    #[must_use]
    pub fn doubles(&self) -> bool {
        self.has_room() && self.estimator.loss().is_some_and(|loss| DOUBLE_LOSS.contains(&loss))
    }

    /// Whether the path carries so much more than is sent that what it loses cannot be what did not fit.
    fn has_room(&self) -> bool {
        self.estimator.is_queue_free() && self.estimator.estimate_bps() >= self.estimator.target_bps() * DOUBLE_ROOM
    }

    /// Takes out everything that waits but the sound.
    pub fn abandon_pictures(&mut self) {
        self.pacer.abandon_pictures();
    }

    /// Takes out the waiting video packets that `gone` names.
    pub fn remove_video(&mut self, gone: impl FnMut(&T) -> bool) {
        self.pacer.remove_video(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// 15 pictures and 50 pieces of sound a second, reports after every 21 pictures: the time that the last of ten
    /// seconds' pictures waited for its departure.
    fn longest_wait(audio_is_reported: bool) -> Duration {
        let limits = BitrateLimits { start: 1e6, min: 1e5, desired: 1e6 };
        let (mut control, began) = (SendControl::new(limits), Instant::now());
        control.set_audio_reported(audio_is_reported);
        let (mut results, mut longest) = (Vec::new(), Duration::ZERO);
        for at in 0..10_000 {
            let now = began + ms(at);
            if at % 20 == 0 {
                control.enqueue(Kind::Audio, 150, now);
            }
            if at % 66 == 0 {
                control.enqueue(Kind::Video, 500, now);
            }
            while let Some(departure) = control.poll(now, None) {
                let Departure::Packet { packet: queued, kind: Kind::Video, bytes, .. } = departure else { continue };
                longest = longest.max(now - queued);
                results.push(PacketResult { departure: now, arrival: Some(ms(at)), bytes });
            }
            if results.len() > 20 {
                control.on_results(now, &results);
                results.clear();
            }
            control.handle_timeout(now);
        }
        longest
    }

    #[test]
    fn pictures_do_not_wait_for_reports_of_sound_that_never_come() {
        assert!(longest_wait(true) > ms(100), "taken for a silent path");
        assert!(longest_wait(false) < ms(20));
    }
}
