//! The peer connection: a thin shell over the `webrtc` crate.

use crate::codecs::{self, RED_PAYLOAD_TYPE};
use crate::config::{AddTrack, IceServer, PeerConfig, Role};
use crate::data::{DataChannels, DataKind};
use crate::error::TransportError;
use crate::event::{EventSender, MediaKind, PeerEvent, PeerState, RemoteMedia, RemoteTrack};
use crate::interceptors::{AudioPipeline, InboundStream, InterceptorState, OutboundStream, VideoPipeline};
use crate::media_queue::MediaQueue;
use crate::payload::VideoCodec;
use crate::peer_builder::{self, Handler};
use crate::receive::{AUDIO_QUEUE_CAPACITY, AudioReceiver, VIDEO_QUEUE_CAPACITY, VideoReceiver};
use crate::remote_media::{self, RemoteSection};
use crate::routes::{self, MediaRoute, Routes, candidates};
use crate::send::{self, AudioSender, TrackGate, VideoSender, VideoStream};
use crate::stats::{PeerStats, ReceiverCounters, SenderCounters};
use bytes::Bytes;
use parking_lot::Mutex;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpRtxParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtp::clock::CaptureClock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{PeerConnection, RTCIceCandidateInit, RTCSessionDescription};
use webrtc::rtp_transceiver::{RtpSender, RtpTransceiver};

struct SentTrack {
    sender: Arc<dyn RtpSender>,
    transceiver: Arc<dyn RtpTransceiver>,
    /// One, or one for each layer, from low to high.
    streams: Vec<(u32, Arc<TrackGate>)>,
}

/// A track that was added to the stack.
struct Added {
    local: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    transceiver: Arc<dyn RtpTransceiver>,
    /// One, or one for each layer, from low to high.
    ssrcs: Vec<u32>,
}

/// State between negotiations. Its lock also serialises them.
#[derive(Default)]
struct Negotiation {
    /// Tracks of the pending offer, with their mids.
    offered: Vec<(Arc<TrackGate>, String)>,
    has_remote: bool,
    /// Candidates received before the first remote description.
    early_candidates: Vec<RTCIceCandidateInit>,
    /// Tracks that the server sends, by mid.
    receiving: HashMap<String, RemoteSection>,
}

/// A connection to the server, for sending or for receiving. See [`Role`].
///
/// All methods may be called at any time from any task; after [`close`](Self::close) they return
/// [`TransportError::Closed`] or do nothing.
pub struct Peer {
    stack: Mutex<Option<Arc<dyn PeerConnection>>>,
    chain: Arc<InterceptorState>,
    video_codecs: Vec<VideoCodec>,
    data: Arc<DataChannels>,
    connected: Arc<AtomicBool>,
    negotiation: tokio::sync::Mutex<Negotiation>,
    sent: Mutex<HashMap<String, SentTrack>>,
    routes: Arc<Routes>,
    tasks: [JoinHandle<()>; 2],
    /// A peer may be dropped on a thread without a runtime.
    runtime: Handle,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("connected", &self.connected).finish_non_exhaustive()
    }
}

impl Peer {
    /// Binds the sockets and starts the connection. A publisher's data channels are created here, so
    /// that its first offer carries them.
    ///
    /// # Errors
    /// No socket could be bound, or the stack refused the settings.
    pub async fn new(
        config: PeerConfig,
        events: mpsc::UnboundedSender<PeerEvent>,
    ) -> Result<Arc<Self>, TransportError> {
        let chain = Arc::new(InterceptorState::new(EventSender::new(events)));
        let data = Arc::new(DataChannels::new(Arc::clone(&chain)));
        let connected = Arc::new(AtomicBool::new(false));
        let (first_connected, was_connected) = watch::channel(false);
        let (routes, ready) = Routes::new(&config, Arc::clone(&chain));
        let handler = Handler {
            chain: Arc::clone(&chain),
            data: Arc::downgrade(&data),
            routes: Arc::clone(&routes),
            connected: Arc::clone(&connected),
            first_connected,
        };
        let stack = peer_builder::build(&config, &chain, handler, Arc::clone(&routes)).await?;
        if config.role == Role::Publisher {
            for kind in DataKind::ALL {
                let channel = peer_builder::open_channel(&*stack, kind).await?;
                data.attach(channel, Some(kind));
            }
        }
        let tasks = [
            tokio::spawn(peer_builder::watch_rtt(Arc::downgrade(&stack), Arc::clone(&chain), was_connected)),
            tokio::spawn(routes::open_due_routes(Arc::downgrade(&stack), Arc::clone(&routes), ready)),
        ];
        Ok(Arc::new(Self {
            stack: Mutex::new(Some(stack)),
            chain,
            video_codecs: config.video_codecs,
            data,
            connected,
            negotiation: tokio::sync::Mutex::default(),
            sent: Mutex::default(),
            routes,
            tasks,
            runtime: Handle::current(),
        }))
    }

    fn stack(&self) -> Result<Arc<dyn PeerConnection>, TransportError> {
        self.stack.lock().clone().ok_or(TransportError::Closed)
    }

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
                Ok(Some(mid)) => ssrcs.iter().for_each(|ssrc| self.chain.outbound.set_mid(*ssrc, &mid)),
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
                self.chain.inbound.update(later.ssrc, &later.formats, later.orientation);
                *old = later;
                return true;
            }
            self.chain.inbound.remove(old.ssrc);
            false
        });
        for (mid, section) in current {
            self.chain.events.emit(match section.undecodable() {
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
        self.chain.inbound.insert(section.ssrc, section.rtx_ssrc, stream);
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

    /// Replaces the relays and their credentials for the next start of ICE.
    pub fn set_ice_servers(&self, servers: &[IceServer]) {
        self.routes.set_ice_servers(servers);
    }

    /// The route that media takes to the server at present; `None` before the first media.
    pub fn route(&self) -> Option<MediaRoute> {
        self.routes.route()
    }

    /// The routes tried since the last start of ICE, in words for people.
    pub fn attempted_routes(&self) -> Vec<String> {
        self.routes.attempted_routes()
    }

    /// Adds an H.264 track (Constrained Baseline, packetization mode 1, 90 kHz). It sends once the next
    /// offer is answered.
    ///
    /// # Errors
    /// Closed, or the id is taken.
    pub async fn add_video(&self, track: AddTrack) -> Result<Arc<VideoSender>, TransportError> {
        let mut senders = self.add_layers(track, &[""]).await?;
        senders.pop().ok_or(TransportError::Closed)
    }

    /// Adds an H.264 track with several simulcast layers (RFC 8853), one for each name in `rids`, from low to high; returns
    /// their senders in the same order. With one name it is a plain track. All layers share one budget.
    ///
    /// # Errors
    /// Closed, or the id is taken.
    pub async fn add_layers(&self, track: AddTrack, rids: &[&str]) -> Result<Vec<Arc<VideoSender>>, TransportError> {
        let Added { local, sender, transceiver, ssrcs } =
            self.add_track(&track, RtpCodecKind::Video, codecs::sent_h264(), rids).await?;
        let budget = ssrcs.first().copied().unwrap_or_default();
        self.chain.budgets.add(budget);
        let (mut handles, mut streams) = (Vec::new(), Vec::new());
        for (layer, ssrc) in ssrcs.into_iter().enumerate() {
            let rid = rids.get(layer).filter(|_| rids.len() > 1).map(|rid| (*rid).to_owned());
            let counters = self.register_stream(&track, ssrc, MediaKind::Video, layer, rid);
            let stream = VideoStream { ssrc, budget, track_id: track.track_id.clone(), layer };
            let (connected, chain) = (Arc::clone(&self.connected), Arc::clone(&self.chain));
            let (handle, gate) = send::start_video(Arc::clone(&local), stream, connected, counters, chain);
            handles.push(handle);
            streams.push((ssrc, gate));
        }
        self.sent.lock().insert(track.track_id, SentTrack { sender, transceiver, streams });
        Ok(handles)
    }

    /// Adds an Opus track (48 kHz, in-band FEC). It sends once the next offer is answered.
    ///
    /// # Errors
    /// Closed, or the id is taken.
    pub async fn add_audio(&self, track: AddTrack) -> Result<Arc<AudioSender>, TransportError> {
        let Added { local, sender, transceiver, ssrcs } =
            self.add_track(&track, RtpCodecKind::Audio, codecs::opus(), &[""]).await?;
        let ssrc = ssrcs.first().copied().unwrap_or_default();
        let counters = self.register_stream(&track, ssrc, MediaKind::Audio, 0, None);
        let (handle, gate) =
            send::start_audio(local, ssrc, Arc::clone(&self.connected), counters, Arc::clone(&self.chain));
        self.sent.lock().insert(track.track_id, SentTrack { sender, transceiver, streams: vec![(ssrc, gate)] });
        Ok(handle)
    }

    async fn add_track(
        &self,
        track: &AddTrack,
        kind: RtpCodecKind,
        codec: RTCRtpCodec,
        rids: &[&str],
    ) -> Result<Added, TransportError> {
        let stack = self.stack()?;
        if self.sent.lock().contains_key(&track.track_id) {
            return Err(TransportError::DuplicateTrack(track.track_id.clone()));
        }
        let ssrcs: Vec<u32> = rids.iter().map(|_| rand::random::<u32>().max(1)).collect();
        let encoding = |(ssrc, rid): (&u32, &&str)| {
            let rtx = (kind == RtpCodecKind::Video).then(|| RTCRtpRtxParameters { ssrc: rtx_of(*ssrc) });
            // A track without layers needs no RID.
            let rid = if rids.len() > 1 { (*rid).to_owned() } else { String::new() };
            RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters { rid, ssrc: Some(*ssrc), rtx, ..Default::default() },
                active: true,
                codec: codec.clone(),
                ..Default::default()
            }
        };
        let local = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            track.stream_id.clone(),
            track.track_id.clone(),
            track.track_id.clone(),
            kind,
            ssrcs.iter().zip(rids).map(encoding).collect(),
        )));
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            streams: vec![track.stream_id.clone()],
            send_encodings: vec![],
        };
        let local_dyn: Arc<dyn TrackLocal> = local.clone();
        let transceiver = stack
            .add_transceiver_from_track(local_dyn, Some(init))
            .await
            .map_err(TransportError::during("adding a track"))?;
        let sender = transceiver
            .sender()
            .await
            .map_err(TransportError::during("adding a track"))?
            .ok_or_else(|| TransportError::UnknownTrack(track.track_id.clone()))?;
        Ok(Added { local, sender, transceiver, ssrcs })
    }

    fn register_stream(
        &self,
        track: &AddTrack,
        ssrc: u32,
        kind: MediaKind,
        layer: usize,
        rid: Option<String>,
    ) -> Arc<SenderCounters> {
        let counters = Arc::new(SenderCounters::default());
        let stream = OutboundStream {
            track_id: track.track_id.clone(),
            is_video: kind == MediaKind::Video,
            layer,
            rid,
            mid: None,
            counters: Arc::clone(&counters),
            clock: CaptureClock::new(if kind == MediaKind::Video { 90_000 } else { 48_000 }),
        };
        self.chain.outbound.insert(ssrc, rtx_of(ssrc), stream);
        counters
    }

    /// Stops sending a track; the next offer removes it at the server.
    ///
    /// # Errors
    /// Closed, or no such track.
    pub async fn remove_track(&self, track_id: &str) -> Result<(), TransportError> {
        let stack = self.stack()?;
        let track =
            self.sent.lock().remove(track_id).ok_or_else(|| TransportError::UnknownTrack(track_id.to_owned()))?;
        for (ssrc, gate) in &track.streams {
            gate.close();
            self.chain.outbound.remove(*ssrc);
            self.chain.budgets.remove(*ssrc);
        }
        stack.remove_track(&track.sender).await.map_err(TransportError::during("removing a track"))
    }

    /// Sends a message of at most 64 KiB. Before the channel is open, messages wait for it. Does not block.
    ///
    /// # Errors
    /// Closed, too large, or more than 4 MiB waiting.
    pub fn send_data(&self, kind: DataKind, payload: Bytes) -> Result<(), TransportError> {
        self.stack()?;
        self.data.send(kind, payload)
    }

    /// RTP and RTCP packets received so far, of any kind. Shows whether anything arrives at all.
    pub fn arrivals(&self) -> u64 {
        self.chain.arrivals.load(Ordering::Relaxed)
    }

    /// A counter that increases whenever one of ICE's own checks (two a second) was answered.
    pub fn checks_answered(&self) -> u64 {
        self.chain.checks_answered.load(Ordering::Relaxed)
    }

    /// Statistics of the whole connection.
    pub async fn stats(&self) -> PeerStats {
        let mut stats = PeerStats {
            rtt_ms: self.chain.rtt.get().map(|rtt| rtt.as_secs_f64() * 1000.0),
            send_estimate_bps: self.chain.budgets.estimate_bps(),
            send_backlog_ms: self.chain.budgets.backlog().as_secs_f64() * 1000.0,
            ..PeerStats::default()
        };
        let route = self.route();
        (stats.route, stats.media_address) = (route.as_ref().map(|route| route.kind), route.map(|route| route.remote));
        (stats.path_packets, stats.path_packets_lost) = self.chain.budgets.path_losses();
        self.chain.outbound.for_each_counters(|counters| {
            let track = counters.snapshot();
            stats.bytes_sent += track.bytes;
            stats.packets_sent += track.packets;
            stats.packets_retransmitted += track.retransmitted;
            stats.remote_packets_lost += track.lost;
            stats.remote_loss_rate = stats.remote_loss_rate.max(track.loss_rate);
        });
        self.chain.inbound.for_each_counters(|counters| {
            let track = counters.snapshot();
            stats.bytes_received += track.bytes;
            stats.packets_received += track.packets;
            stats.packets_lost += track.lost;
            stats.packets_recovered += track.recovered;
        });
        stats
    }

    /// Closes the connection: receivers end, senders drop what they get, and the last event is `State(Closed)`. Closing
    /// twice does nothing.
    pub async fn close(&self) {
        let Some(stack) = self.release() else { return };
        shut_down(stack, &self.chain).await;
    }

    /// Takes the stack out and stops everything around it.
    fn release(&self) -> Option<Arc<dyn PeerConnection>> {
        let stack = self.stack.lock().take()?;
        self.connected.store(false, Ordering::Relaxed);
        self.tasks.iter().for_each(JoinHandle::abort);
        self.routes.close();
        self.sent.lock().drain().flat_map(|(_, track)| track.streams).for_each(|(_, gate)| gate.close());
        Some(stack)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The stack's driver does not end by itself.
        if let Some(stack) = self.release() {
            let chain = Arc::clone(&self.chain);
            self.runtime.spawn(async move { shut_down(stack, &chain).await });
        }
    }
}

/// SSRC of the retransmissions of a sent stream.
fn rtx_of(ssrc: u32) -> u32 {
    ssrc ^ 0x5555_5555
}

async fn shut_down(stack: Arc<dyn PeerConnection>, chain: &InterceptorState) {
    if let Err(error) = stack.close().await {
        tracing::debug!(%error, "closing the connection");
    }
    chain.inbound.close_all();
    chain.events.finish(PeerEvent::State(PeerState::Closed));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Weak;
    use std::time::Duration;

    async fn is_freed<T: ?Sized>(weak: Weak<T>) -> bool {
        for _ in 0..200 {
            if weak.strong_count() == 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    async fn publisher() -> (Arc<Peer>, mpsc::UnboundedReceiver<PeerEvent>) {
        let (sender, events) = mpsc::unbounded_channel();
        let peer = Peer::new(PeerConfig::default(), sender).await.unwrap();
        let track = AddTrack { track_id: "camera".to_owned(), stream_id: "stream".to_owned() };
        peer.add_video(track).await.unwrap();
        peer.create_offer(false).await.unwrap();
        (peer, events)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_closed_peer_leaves_nothing_behind() {
        let (peer, _events) = publisher().await;
        let stack = Arc::downgrade(&peer.stack().unwrap());
        let chain = Arc::downgrade(&peer.chain);
        peer.close().await;
        drop(peer);
        assert!(is_freed(stack).await);
        assert!(is_freed(chain).await);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_peer_dropped_on_a_foreign_thread_is_closed() {
        let (peer, mut events) = publisher().await;
        let chain = Arc::downgrade(&peer.chain);
        std::thread::spawn(move || drop(peer)).join().unwrap();
        assert!(is_freed(chain).await);
        let mut last = None;
        while let Some(event) = events.recv().await {
            last = Some(event);
        }
        assert!(matches!(last, Some(PeerEvent::State(PeerState::Closed))));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn track_ids_are_unique() {
        let (peer, _events) = publisher().await;
        let track = AddTrack { track_id: "camera".to_owned(), stream_id: "stream".to_owned() };
        assert!(matches!(peer.add_audio(track).await, Err(TransportError::DuplicateTrack(id)) if id == "camera"));
        assert!(matches!(peer.remove_track("screen").await, Err(TransportError::UnknownTrack(_))));
        peer.close().await;
    }
}
