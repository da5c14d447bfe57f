//! Divides the bandwidth of each subscriber's downlink among its tracks, and notifies the subscriber of paused ones.

use std::time::{Duration, Instant};

use protocol::messages::{Response, StreamState, StreamStateInfo, StreamStateUpdate};

use super::Hub;
use super::ids::ParticipantId;
use super::layers::announced_bps;
use crate::forwarding::allocator::{DownlinkAllocator, Layer, Share, Video, allocatable_bps, desired};
use crate::forwarding::core::MediaKind;
use crate::forwarding::layer_selector::{BEST, rank};
use crate::forwarding::probe_timer::ProbeTimer;

/// Interval of allocations.
const TURN: Duration = Duration::from_millis(500);
/// Minimum interval when the estimate falls.
const SHORT_TURN: Duration = Duration::from_millis(100);
/// A change of the desired rate below this share is not passed to the estimator.
const DESIRED_STEP: u64 = 20;

/// The downlink to one subscriber.
#[derive(Debug, Default)]
pub struct Bandwidth {
    /// The estimate in bits per second, if known.
    estimate: Option<u64>,
    allocator: DownlinkAllocator,
    shared_at: Option<Instant>,
    /// The rate of its audio at that time, in bits per second.
    audio: u64,
    desired: u64,
    probes: ProbeTimer,
}

impl Bandwidth {
    /// Whether there is an estimate.
    pub fn is_known(&self) -> bool {
        self.estimate.is_some()
    }

    /// Bits per second that the downlink carries for video beside the audio, if known.
    pub fn video_bps(&self) -> Option<u64> {
        self.estimate.map(|estimate| allocatable_bps(estimate, self.audio))
    }
}

/// A subscribed video track and its publisher.
struct Watched {
    publisher: ParticipantId,
    video: Video,
    max_rank: u8,
}

impl Hub {
    /// Has the bandwidth shared out soon.
    pub(super) fn want_sharing(&mut self, now: Instant) {
        self.bandwidth_at.get_or_insert(now + TURN);
    }

    pub(super) fn note_estimate(&mut self, now: Instant, id: ParticipantId, bps: u64) {
        self.want_sharing(now);
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let bandwidth = &mut participant.bandwidth;
        let falls = bandwidth.estimate.replace(bps).is_some_and(|before| bps < before);
        if falls && bandwidth.shared_at.is_some_and(|at| now.saturating_duration_since(at) >= SHORT_TURN) {
            self.share_bandwidth_of(now, id);
        }
    }

    /// Allocates the bandwidth of all downlinks with video.
    pub(super) fn allocate_bandwidth(&mut self, now: Instant) {
        let watching: Vec<ParticipantId> = self
            .participants
            .values()
            .filter(|participant| participant.subscriptions.iter().any(|s| s.kind == MediaKind::Video))
            .map(|participant| participant.id)
            .collect();
        self.bandwidth_at = (!watching.is_empty()).then_some(now + TURN);
        for id in watching {
            self.share_bandwidth_of(now, id);
        }
    }

    fn share_bandwidth_of(&mut self, now: Instant, id: ParticipantId) {
        let (audio, watched) = self.watched(now, id);
        let videos: Vec<Video> = watched.iter().map(|watched| watched.video.clone()).collect();
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let (peer, bandwidth) = (participant.subscriber, &mut participant.bandwidth);
        bandwidth.shared_at = Some(now);
        bandwidth.audio = audio;
        let desired = desired(audio, &videos);
        if desired.abs_diff(bandwidth.desired) * DESIRED_STEP > bandwidth.desired {
            bandwidth.desired = desired;
            self.peers.act(peer, now, |connection| connection.set_desired_bitrate(now, desired));
        }
        let Some(estimate) = bandwidth.estimate else { return };
        let shares = bandwidth.allocator.allocate(now, estimate, audio, &videos);
        let is_wanting = bandwidth.allocator.is_wanting();
        if bandwidth.probes.take_due(now, estimate, is_wanting) {
            self.peers.act(peer, now, |connection| connection.probe(now));
        }
        let mut states = Vec::new();
        for (watched, share) in watched.iter().zip(shares) {
            let Some(is_paused) = self.apply_allocation(now, id, watched, share) else { continue };
            let state = if is_paused { StreamState::Paused } else { StreamState::Active };
            tracing::info!(?id, track = watched.video.track, estimate, ?share, "stream {}", state.as_str_name());
            let publisher = self.participants.get(&watched.publisher);
            states.push(StreamStateInfo {
                participant_sid: publisher.map(|publisher| publisher.sid.clone()).unwrap_or_default(),
                track_sid: watched.video.track.clone(),
                state: state as i32,
            });
        }
        if !states.is_empty() {
            self.send(id, Response::StreamStateUpdate(StreamStateUpdate { stream_states: states }));
        }
    }

    /// Returns whether the track is paused now, if that has changed.
    fn apply_allocation(&mut self, now: Instant, id: ParticipantId, watched: &Watched, share: Share) -> Option<bool> {
        let track = self.participants.get_mut(&watched.publisher)?.track_mut(&watched.video.track)?;
        let subscriber = track.subscribers.iter_mut().find(|s| s.participant == id)?;
        let is_paused = share == Share::Paused;
        if let Share::UpTo(rank) = share {
            subscriber.forwarder.layers.link_rank = rank;
        }
        if subscriber.paused == is_paused {
            return None;
        }
        subscriber.paused = is_paused;
        subscriber.forwarder.pause();
        if !is_paused {
            self.request_keyframe_for(now, watched.publisher, &watched.video.track, id);
        }
        Some(is_paused)
    }

    /// The rate of all received audio, in bits per second, and the video tracks, larger ones first.
    fn watched(&self, now: Instant, id: ParticipantId) -> (u64, Vec<Watched>) {
        let Some(participant) = self.participants.get(&id) else { return (0, Vec::new()) };
        let (mut audio, mut pictures) = (0, Vec::new());
        for subscription in participant.subscriptions.iter().filter(|s| s.line.is_some()) {
            let Some(publisher) = self.participants.get(&subscription.publisher) else { continue };
            let Some(track) = publisher.tracks.iter().find(|track| track.info.sid == subscription.track_sid) else {
                continue;
            };
            let Some(subscriber) = track.subscribers.iter().find(|s| s.participant == id && !s.disabled) else {
                continue;
            };
            if track.kind == MediaKind::Audio {
                audio += track.alive(now).filter_map(|stream| stream.rate.bps(now)).sum::<u64>();
                continue;
            }
            let arriving = track
                .alive(now)
                .filter_map(|stream| Some(Layer { rank: stream.layer.map_or(BEST, rank), bps: stream.rate.bps(now)? }));
            let mut layers: Vec<Layer> = arriving.collect();
            layers.sort_by_key(|layer| layer.rank);
            // The smallest is sent even when less is wanted.
            let wanted =
                layers.iter().filter(|layer| layer.rank <= subscriber.forwarder.layers.max_rank).count().max(1);
            layers.truncate(wanted);
            let priority = participant.priorities.get(&subscription.track_sid).copied().unwrap_or(0);
            let announced = announced_bps(&track.info, subscriber.forwarder.layers.max_rank);
            let video = Video { track: subscription.track_sid.clone(), priority, layers, announced };
            pictures.push(Watched {
                publisher: subscription.publisher,
                video,
                max_rank: subscriber.forwarder.layers.max_rank,
            });
        }
        pictures.sort_by_key(|watched| std::cmp::Reverse(watched.max_rank));
        (audio, pictures)
    }
}
