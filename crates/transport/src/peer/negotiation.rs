//! Negotiation of a peer: descriptions, candidates, and the receivers of the tracks that a description adds.

use super::Peer;
use super::sent_tracks::SentTrack;
use crate::codecs::RED_PAYLOAD_TYPE;
use crate::error::TransportError;
use crate::event::{MediaKind, PeerEvent, RemoteMedia, RemoteTrack};
use crate::interceptors::{AudioPipeline, InboundStream, VideoPipeline};
use crate::media_queue::MediaQueue;
use crate::receive::{AUDIO_QUEUE_CAPACITY, AudioReceiver, VIDEO_QUEUE_CAPACITY, VideoReceiver};
use crate::remote_media::{self, RemoteSection};
use crate::routes::candidates;
use crate::send::TrackGate;
use crate::stats::ReceiverCounters;
use rtc::peer_connection::configuration::RTCOfferOptions;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit, RTCSessionDescription};

/// State between negotiations. Its lock also serialises them.
#[derive(Default)]
pub(super) struct Negotiation {
    /// Tracks of the pending offer, with their mids.
    offered: Vec<(Arc<TrackGate>, String)>,
    has_remote: bool,
    /// Candidates received before the first remote description.
    early_candidates: Vec<RTCIceCandidateInit>,
    /// Tracks that the server sends, by mid.
    receiving: HashMap<String, RemoteSection>,
}

impl Peer {
    /// Creates an offer with everything added so far and makes it the local description. With
    /// `ice_restart` it carries new ICE credentials, and the sockets are bound again, so that the
    /// connection follows a change of network.
    ///
    /// # Errors
    /// Closed, or the stack refused.
    pub async fn create_offer(&self, ice_restart: bool) -> Result<String, TransportError> {
        let stack = self.stack()?;
        let mut negotiation = self.negotiation.lock().await;
        let options = ice_restart.then_some(RTCOfferOptions { ice_restart });
        let gates = |track: &SentTrack| {
            let gates: Vec<_> = track.streams.iter().map(|(_, gate)| Arc::clone(gate)).collect();
            (gates, Arc::clone(&track.transceiver))
        };
        let offered: Vec<_> = self.sent.lock().values().map(gates).collect();
        negotiation.offered.clear();
        let offer = stack.create_offer(options).await.map_err(TransportError::during("creating an offer"))?;
        let sdp = offer.sdp.clone();
        stack.set_local_description(offer).await.map_err(TransportError::during("applying the own offer"))?;
        for (gates, transceiver) in offered {
            // From now on each track has a mid.
            let mid = transceiver.mid().await.ok().flatten().unwrap_or_default();
            negotiation.offered.extend(gates.into_iter().map(|gate| (gate, mid.clone())));
        }
        self.label_layers().await;
        Ok(self.local_description(sdp))
    }

    /// A local description as it is sent to the server.
    fn local_description(&self, sdp: String) -> String {
        if self.routes.allows_udp() { sdp } else { candidates::without_candidates(&sdp) }
    }

    /// Sets the mid that the packets of layers carry, which is known from the first offer on.
    async fn label_layers(&self) {
        let layered = |track: &SentTrack| {
            let ssrcs: Vec<u32> = track.streams.iter().map(|(ssrc, _)| *ssrc).collect();
            (ssrcs.len() > 1).then(|| (Arc::clone(&track.transceiver), ssrcs))
        };
        let layered: Vec<_> = self.sent.lock().values().filter_map(layered).collect();
        for (transceiver, ssrcs) in layered {
            match transceiver.mid().await {
                Ok(Some(mid)) => ssrcs.iter().for_each(|ssrc| self.sending.streams.set_mid(*ssrc, &mid)),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "layers without a mid"),
            }
        }
    }

    /// Applies the answer to the last offer; its tracks may send from now on.
    ///
    /// # Errors
    /// Closed, a malformed answer, or the stack refused.
    pub async fn accept_answer(&self, sdp: &str) -> Result<(), TransportError> {
        let stack = self.stack()?;
        let mut negotiation = self.negotiation.lock().await;
        let accepts_red = |mid: &str| remote_media::accepts_red(sdp, mid, RED_PAYLOAD_TYPE);
        let remote = candidates::split_description(sdp, self.routes.policy());
        let answer = RTCSessionDescription::answer(remote.sdp.clone())
            .map_err(|error| TransportError::MalformedSignal(error.to_string()))?;
        stack.set_remote_description(answer).await.map_err(TransportError::during("applying the answer"))?;
        negotiation.offered.drain(..).for_each(|(gate, mid)| gate.set_negotiated(accepts_red(&mid)));
        self.routes.on_remote_description(&remote, Instant::now());
        self.add_early_candidates(&*stack, &mut negotiation).await;
        Ok(())
    }

    /// Applies an offer of the server and returns the answer, which is the local description already. New tracks are
    /// announced by [`PeerEvent::Track`] before this returns; receivers of removed tracks end.
    ///
    /// # Errors
    /// Closed, a malformed offer, or the stack refused.
    pub async fn accept_offer(&self, sdp: &str) -> Result<String, TransportError> {
        let stack = self.stack()?;
        let mut negotiation = self.negotiation.lock().await;
        let remote = candidates::split_description(sdp, self.routes.policy());
        let offer = RTCSessionDescription::offer(remote.sdp.clone())
            .map_err(|error| TransportError::MalformedSignal(error.to_string()))?;
        stack.set_remote_description(offer).await.map_err(TransportError::during("applying the offer"))?;
        let answer = stack.create_answer(None).await.map_err(TransportError::during("creating the answer"))?;
        let answer_sdp = answer.sdp.clone();
        stack.set_local_description(answer).await.map_err(TransportError::during("applying the own answer"))?;
        self.update_receivers(&mut negotiation.receiving, remote_media::sending_sections(sdp, &self.video_codecs));
        self.routes.on_remote_description(&remote, Instant::now());
        self.add_early_candidates(&*stack, &mut negotiation).await;
        Ok(self.local_description(answer_sdp))
    }

    /// Makes the receivers match the tracks of an offer.
    fn update_receivers(&self, receiving: &mut HashMap<String, RemoteSection>, sections: Vec<RemoteSection>) {
        let mut current: HashMap<String, RemoteSection> =
            sections.into_iter().map(|section| (section.mid.clone(), section)).collect();
        receiving.retain(|mid, old| {
            if current.get(mid).is_some_and(|later| old.continues_as(later))
                && let Some(later) = current.remove(mid)
            {
                self.receiving.streams.update(later.ssrc, &later.formats, later.orientation);
                *old = later;
                return true;
            }
            self.receiving.streams.remove(old.ssrc);
            false
        });
        for (mid, section) in current {
            self.events.emit(match section.undecodable() {
                None => PeerEvent::Track(self.start_receiving(&section)),
                Some(codecs) => {
                    let track_id = section.track_id.clone();
                    tracing::warn!(mid, track_id, codecs, "remote track without a codec that we support");
                    PeerEvent::Undecodable { track_id, codecs }
                }
            });
            receiving.insert(mid, section);
        }
    }

    fn start_receiving(&self, section: &RemoteSection) -> RemoteTrack {
        let counters = Arc::new(ReceiverCounters::default());
        let formats = section.formats.clone();
        let (stream, media) = match section.kind {
            MediaKind::Video => {
                let queue = Arc::new(MediaQueue::new(VIDEO_QUEUE_CAPACITY));
                let pipeline = VideoPipeline::new(Arc::clone(&queue));
                let receiver = VideoReceiver::new(queue, Arc::clone(&counters));
                let stream = InboundStream::video(formats, section.orientation, pipeline, counters);
                (stream, RemoteMedia::Video(receiver))
            }
            MediaKind::Audio => {
                let queue = Arc::new(MediaQueue::new(AUDIO_QUEUE_CAPACITY));
                let pipeline = AudioPipeline::new(Arc::clone(&queue));
                let receiver = AudioReceiver::new(queue, Arc::clone(&counters));
                (InboundStream::audio(formats, pipeline, counters), RemoteMedia::Audio(receiver))
            }
        };
        self.receiving.streams.insert(section.ssrc, section.rtx_ssrc, stream);
        RemoteTrack {
            track_id: section.track_id.clone(),
            stream_id: section.stream_id.clone(),
            mid: section.mid.clone(),
            kind: section.kind,
            media,
        }
    }

    /// Adds a candidate of the server, given as the JSON of `RTCIceCandidateInit`. Candidates received before the first
    /// remote description are kept for it; empty ones (end of candidates) are ignored.
    ///
    /// # Errors
    /// Closed, malformed JSON, or a candidate the stack cannot read.
    pub async fn add_remote_candidate(&self, candidate_init_json: &str) -> Result<(), TransportError> {
        let stack = self.stack()?;
        let candidate: RTCIceCandidateInit = serde_json::from_str(candidate_init_json)
            .map_err(|error| TransportError::MalformedSignal(error.to_string()))?;
        if candidate.candidate.is_empty() {
            return Ok(());
        }
        let mut negotiation = self.negotiation.lock().await;
        if !negotiation.has_remote {
            negotiation.early_candidates.push(candidate);
            return Ok(());
        }
        self.add_candidate(&*stack, candidate).await.map_err(TransportError::during("adding a candidate"))
    }

    async fn add_candidate(
        &self,
        stack: &dyn PeerConnection,
        candidate: RTCIceCandidateInit,
    ) -> Result<(), webrtc::error::Error> {
        self.routes.on_candidate(&candidate.candidate, Instant::now());
        if !candidates::is_for_stack(&candidate.candidate, self.routes.policy()) {
            return Ok(());
        }
        stack.add_ice_candidate(candidate).await
    }

    async fn add_early_candidates(&self, stack: &dyn PeerConnection, negotiation: &mut Negotiation) {
        negotiation.has_remote = true;
        for candidate in negotiation.early_candidates.drain(..) {
            if let Err(error) = self.add_candidate(stack, candidate).await {
                tracing::debug!(%error, "remote candidate ignored");
            }
        }
    }
}
