//! Our own tracks within a session: asked for, added, offered, published, or refused.

use std::sync::Arc;

use protocol::messages::{
    AddTrackRequest, AudioTrackFeature, RequestResponse, SimulcastCodec, SubscribedQualityUpdate, TrackSource,
    TrackType, request_response, video_layer,
};

use transport::AudioSender;

use super::{PublishRequest, RefusedPublish, TrackKind, VideoSenders};

/// The peer connection's end of one of our tracks.
pub(crate) enum TrackSender {
    Audio(Arc<AudioSender>),
    Video(Arc<VideoSenders>),
}

/// One of our tracks on its way to the others.
pub(crate) struct LocalTrack {
    pub(crate) channel: u32,
    pub(crate) kind: TrackKind,
    /// Client id: the track id in our SDP, by which the server knows it again.
    pub(crate) cid: String,
    /// From the server's response.
    pub(crate) sid: Option<String>,
    /// Number of the first offer that has it.
    pub(crate) offered_in: Option<u32>,
    pub(crate) answered: bool,
    pub(crate) muted: bool,
    pub(crate) sender: Option<TrackSender>,
    pub(crate) request: PublishRequest,
}

impl LocalTrack {
    /// Makes the sender available to the media threads: from now on packets arrive.
    fn open(&self) {
        match &self.sender {
            Some(TrackSender::Audio(sender)) => *self.request.audio.slot.write() = Some(sender.clone()),
            Some(TrackSender::Video(senders)) => {
                self.request.video.wanted.reset();
                *self.request.video.slot.write() = Some(senders.clone());
            }
            None => {}
        }
    }

    /// Takes the sender away from the media threads.
    pub(crate) fn close(&self) {
        match self.kind {
            TrackKind::Audio => *self.request.audio.slot.write() = None,
            TrackKind::Video => *self.request.video.slot.write() = None,
        }
    }
}

/// All of our tracks.
#[derive(Default)]
pub(crate) struct LocalTracks {
    tracks: Vec<LocalTrack>,
    next_cid: u32,
    /// Channels whose `Published` was emitted.
    announced: Vec<u32>,
}

impl LocalTracks {
    /// Adds both tracks of a stream and returns the requests to send.
    pub(crate) fn add(&mut self, request: &PublishRequest) -> Vec<AddTrackRequest> {
        let is_screen = |track: &LocalTrack| track.kind == TrackKind::Video && track.request.video.is_screen;
        let first_screen = !self.tracks.iter().any(is_screen);
        [TrackKind::Audio, TrackKind::Video]
            .into_iter()
            .map(|kind| {
                self.next_cid += 1;
                let cid = format!("{}{}-{}", letter(kind), request.channel, self.next_cid);
                let muted = match kind {
                    TrackKind::Audio => request.audio.muted,
                    TrackKind::Video => request.video.muted,
                };
                let message = add_track_message(request, kind, &cid, muted, first_screen);
                self.tracks.push(LocalTrack {
                    channel: request.channel,
                    kind,
                    cid,
                    sid: None,
                    offered_in: None,
                    answered: false,
                    muted,
                    sender: None,
                    request: request.clone(),
                });
                message
            })
            .collect()
    }

    pub(crate) fn by_cid(&mut self, cid: &str) -> Option<&mut LocalTrack> {
        self.tracks.iter_mut().find(|track| track.cid == cid)
    }

    pub(crate) fn find(&mut self, channel: u32, kind: TrackKind) -> Option<&mut LocalTrack> {
        self.tracks.iter_mut().find(|track| track.channel == channel && track.kind == kind)
    }

    pub(crate) fn channel_of(&self, cid: &str) -> Option<u32> {
        self.tracks.iter().find(|track| track.cid == cid).map(|track| track.channel)
    }

    /// Notes which layers of a track are subscribed to.
    pub(crate) fn want_layers(&self, update: &SubscribedQualityUpdate) {
        if let Some(track) = self.tracks.iter().find(|track| track.sid.as_ref() == Some(&update.track_sid)) {
            track.request.video.wanted.update(update);
        }
    }

    /// Whether the server has agreed to every track of the channel, so that one offer can carry them all.
    pub(crate) fn all_agreed(&self, channel: u32) -> bool {
        self.tracks.iter().filter(|track| track.channel == channel).all(|track| track.sid.is_some())
    }

    /// Lets the channel's media flow.
    pub(crate) fn open(&self, channel: u32) {
        self.tracks.iter().filter(|track| track.channel == channel).for_each(LocalTrack::open);
    }

    /// Removes the channel; returns the tracks to remove from the peer connection.
    pub(crate) fn remove(&mut self, channel: u32) -> Vec<LocalTrack> {
        self.announced.retain(|announced| *announced != channel);
        let (gone, kept) = std::mem::take(&mut self.tracks).into_iter().partition(|track| track.channel == channel);
        self.tracks = kept;
        gone
    }

    pub(crate) fn offered(&mut self, offer: u32) {
        for track in self.tracks.iter_mut().filter(|track| track.sid.is_some()) {
            track.offered_in.get_or_insert(offer);
        }
    }

    /// Marks the tracks that the answer to `offer` covers.
    pub(crate) fn answered(&mut self, offer: u32) {
        for track in &mut self.tracks {
            track.answered |= track.offered_in.is_some_and(|offered| offered <= offer);
        }
    }

    /// Channels that became complete and were not announced before.
    pub(crate) fn newly_published(&mut self) -> Vec<u32> {
        let mut channels: Vec<u32> = self.tracks.iter().map(|track| track.channel).collect();
        channels.dedup();
        channels.retain(|channel| {
            !self.announced.contains(channel)
                && self.tracks.iter().filter(|track| track.channel == *channel).all(|track| track.answered)
        });
        self.announced.extend(&channels);
        channels
    }
}

fn letter(kind: TrackKind) -> char {
    match kind {
        TrackKind::Audio => 'a',
        TrackKind::Video => 'v',
    }
}

/// Older servers read the deprecated field for stereo.
#[allow(deprecated)]
fn add_track_message(
    request: &PublishRequest,
    kind: TrackKind,
    cid: &str,
    muted: bool,
    first_screen: bool,
) -> AddTrackRequest {
    // Stock clients expect at most one track of each well-known source: channel 0 may use those of camera and microphone,
    // the first screen that of screens.
    let (r#type, source) = match (kind, request.channel) {
        (TrackKind::Video, _) if request.video.is_screen && first_screen => {
            (TrackType::Video, TrackSource::ScreenShare)
        }
        (TrackKind::Video, 0) if !request.video.is_screen => (TrackType::Video, TrackSource::Camera),
        (TrackKind::Video, _) => (TrackType::Video, TrackSource::Unknown),
        (TrackKind::Audio, 0) => (TrackType::Audio, TrackSource::Microphone),
        (TrackKind::Audio, _) => (TrackType::Audio, TrackSource::Unknown),
    };
    let mut message = AddTrackRequest {
        cid: cid.to_owned(),
        name: request.stream_id.clone(),
        stream: request.stream_id.clone(),
        r#type: r#type as i32,
        source: source as i32,
        muted,
        ..AddTrackRequest::default()
    };
    if kind == TrackKind::Audio && request.audio.is_stereo {
        message.stereo = true;
        message.audio_features = vec![AudioTrackFeature::TfStereo as i32];
    }
    if kind == TrackKind::Video {
        (message.width, message.height) = (request.video.width, request.video.height);
        message.layers = request.video.layers.clone();
        if request.video.layers.len() > 1 {
            message.simulcast_codecs = vec![SimulcastCodec {
                codec: "h264".to_owned(),
                cid: cid.to_owned(),
                layers: request.video.layers.clone(),
                video_layer_mode: video_layer::Mode::OneSpatialLayerPerStream as i32,
            }];
        }
    }
    message
}

/// The refusal in a response to an AddTrack: the track's cid and why.
pub(crate) fn refusal(response: &RequestResponse) -> Option<(&str, RefusedPublish)> {
    let Some(request_response::Request::AddTrack(request)) = &response.request else { return None };
    let reason = match request_response::Reason::try_from(response.reason) {
        Ok(request_response::Reason::Ok | request_response::Reason::Queued) => return None,
        Ok(request_response::Reason::DuplicateName) => RefusedPublish::StreamExists,
        Ok(request_response::Reason::NotAllowed) => RefusedPublish::Forbidden,
        _ => RefusedPublish::Other,
    };
    Some((&request.cid, reason))
}

#[cfg(test)]
mod tests {
    use super::super::{AudioTrack, VideoTrack};
    use super::*;

    fn request(channel: u32) -> PublishRequest {
        PublishRequest {
            channel,
            stream_id: "s".into(),
            video: VideoTrack {
                width: 640,
                height: 360,
                layers: Vec::new(),
                wanted: Default::default(),
                is_screen: false,
                muted: false,
                slot: Default::default(),
            },
            audio: AudioTrack { muted: true, is_stereo: true, slot: Default::default() },
        }
    }

    #[test]
    fn a_channel_is_published_once_both_tracks_are_answered() {
        let mut tracks = LocalTracks::default();
        let messages = tracks.add(&request(0));
        tracks.by_cid(&messages[0].cid).unwrap().sid = Some("TR_a".into());
        tracks.offered(1);
        tracks.answered(1);
        assert!(tracks.newly_published().is_empty());
        tracks.by_cid(&messages[1].cid).unwrap().sid = Some("TR_v".into());
        assert!(tracks.all_agreed(0));
        tracks.offered(2);
        tracks.answered(2);
        assert_eq!(tracks.newly_published(), [0]);
        assert!(tracks.newly_published().is_empty());
    }

    #[test]
    fn both_tracks_carry_the_stream_id_and_only_the_main_channel_a_known_source() {
        let messages = LocalTracks::default().add(&request(1));
        assert!(messages.iter().all(|message| message.name == "s" && message.stream == "s"));
        assert!(messages.iter().all(|message| message.source == TrackSource::Unknown as i32));
        assert!(messages[0].muted && !messages[1].muted);
        assert!(messages[0].audio_features == [AudioTrackFeature::TfStereo as i32] && !messages[0].disable_red);
        assert_eq!((messages[1].width, messages[1].height), (640, 360));
    }

    #[test]
    fn the_first_screen_is_announced_as_one() {
        let mut tracks = LocalTracks::default();
        let screen = |channel| {
            let mut request = request(channel);
            request.video.is_screen = true;
            request
        };
        let sources = |messages: Vec<AddTrackRequest>| [messages[0].source, messages[1].source];
        let unknown = TrackSource::Unknown as i32;
        assert_eq!(sources(tracks.add(&screen(1))), [unknown, TrackSource::ScreenShare as i32]);
        assert_eq!(sources(tracks.add(&screen(2))), [unknown, unknown]);
        let camera = [TrackSource::Microphone as i32, TrackSource::Camera as i32];
        assert_eq!(sources(tracks.add(&request(0))), camera);
    }

    #[test]
    fn a_refused_add_track_is_understood() {
        let response = RequestResponse {
            reason: request_response::Reason::DuplicateName as i32,
            request: Some(request_response::Request::AddTrack(AddTrackRequest {
                cid: "v0-2".into(),
                ..Default::default()
            })),
            ..RequestResponse::default()
        };
        assert_eq!(refusal(&response), Some(("v0-2", RefusedPublish::StreamExists)));
    }
}
