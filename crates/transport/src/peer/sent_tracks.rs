//! The tracks that a peer sends: adding and removing them.

use super::Peer;
use crate::codecs;
use crate::config::AddTrack;
use crate::error::TransportError;
use crate::event::MediaKind;
use crate::interceptors::OutboundStream;
use crate::send::{self, AudioSender, TrackGate, VideoSender, VideoStream};
use crate::stats::SenderCounters;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpRtxParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtp::clock::CaptureClock;
use std::sync::Arc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::rtp_transceiver::{RtpSender, RtpTransceiver};

/// A track that is being sent.
pub(super) struct SentTrack {
    sender: Arc<dyn RtpSender>,
    pub(super) transceiver: Arc<dyn RtpTransceiver>,
    /// SSRCs and gates: one, or one for each layer, from low to high.
    pub(super) streams: Vec<(u32, Arc<TrackGate>)>,
}

/// A track that was added to the stack.
struct Added {
    local: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    transceiver: Arc<dyn RtpTransceiver>,
    /// One, or one for each layer, from low to high.
    ssrcs: Vec<u32>,
}

impl Peer {
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
        self.sending.budgets.add(budget);
        let (mut handles, mut streams) = (Vec::new(), Vec::new());
        for (layer, ssrc) in ssrcs.into_iter().enumerate() {
            let rid = rids.get(layer).filter(|_| rids.len() > 1).map(|rid| (*rid).to_owned());
            let counters = self.register_stream(&track, ssrc, MediaKind::Video, layer, rid);
            let stream = VideoStream { ssrc, budget };
            let (connected, state) = (Arc::clone(&self.connected), Arc::clone(&self.sending));
            let (handle, gate) = send::start_video(Arc::clone(&local), stream, connected, counters, state);
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
            send::start_audio(local, ssrc, Arc::clone(&self.connected), counters, Arc::clone(&self.sending));
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
        self.sending.streams.insert(ssrc, rtx_of(ssrc), stream);
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
            self.sending.streams.remove(*ssrc);
            self.sending.budgets.remove(*ssrc);
        }
        stack.remove_track(&track.sender).await.map_err(TransportError::during("removing a track"))
    }
}

/// SSRC of the retransmissions of a sent stream.
fn rtx_of(ssrc: u32) -> u32 {
    ssrc ^ 0x5555_5555
}
