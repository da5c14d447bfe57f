//! Which simulcast layers subscribers want, and the notifications of publishers about them.

use std::time::Instant;

use protocol::messages::{
    Response, SubscribedCodec, SubscribedQuality, SubscribedQualityUpdate, TrackInfo, UpdateTrackSettings, VideoLayer,
    VideoQuality,
};

use super::Hub;
use super::ids::ParticipantId;
use crate::forwarding::layer_selector::BEST;

/// Upper bound of a plausible bitrate of one video track, in bits per second.
const MAX_PLAUSIBLE_BPS: u64 = 10_000_000;

/// The layer that a subscriber wants at best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerWish {
    /// By quality: rank 1 to 3.
    Rank(u8),
    /// The smallest layer that has at least this size.
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

impl Default for LayerWish {
    fn default() -> Self {
        Self::Rank(BEST)
    }
}

impl LayerWish {
    fn of(request: &UpdateTrackSettings) -> Self {
        if request.width > 0 && request.height > 0 {
            return Self::Size { width: request.width, height: request.height };
        }
        match VideoQuality::try_from(request.quality) {
            Ok(quality) => Self::Rank(rank(quality)),
            Err(_) => Self::default(),
        }
    }

    /// Rank of the layer for a track with the layers of `info`.
    pub fn rank(self, info: &TrackInfo) -> u8 {
        let (width, height) = match self {
            Self::Rank(rank) => return rank,
            Self::Size { width, height } => (width, height),
        };
        // Phones rotate; the area counts.
        let wanted = u64::from(width) * u64::from(height);
        let filling = layers_of(info).iter().filter(|layer| u64::from(layer.width) * u64::from(layer.height) >= wanted);
        let smallest = filling.min_by_key(|layer| u64::from(layer.width) * u64::from(layer.height));
        smallest.and_then(|layer| VideoQuality::try_from(layer.quality).ok()).map_or(BEST, rank)
    }
}

/// The layers that the publisher announced.
fn layers_of(info: &TrackInfo) -> &[VideoLayer] {
    info.codecs.first().map(|codec| codec.layers.as_slice()).unwrap_or_default()
}

/// Bits per second of the best layer up to `max_rank` (without one, of the smallest) as the publisher announced them; 0 if
/// it did not.
pub(super) fn announced_bps(info: &TrackInfo, max_rank: u8) -> u64 {
    let ranked = |layer: &VideoLayer| Some((rank(VideoQuality::try_from(layer.quality).ok()?), layer.bitrate));
    let mut layers: Vec<(u8, u32)> = layers_of(info).iter().filter_map(ranked).collect();
    layers.sort_unstable();
    let fitting = layers.iter().rfind(|(rank, _)| *rank <= max_rank).or(layers.first());
    fitting.map_or(0, |(_, bps)| u64::from(*bps).min(MAX_PLAUSIBLE_BPS))
}

fn rank(quality: VideoQuality) -> u8 {
    match quality {
        VideoQuality::Low => 1,
        VideoQuality::Medium => 2,
        VideoQuality::High => BEST,
        // "Off" has a field of its own.
        VideoQuality::Off => 1,
    }
}

impl Hub {
    pub(super) fn track_settings(&mut self, now: Instant, id: ParticipantId, request: &UpdateTrackSettings) {
        self.set_disabled(now, id, &request.track_sids, request.disabled);
        if request.disabled {
            return;
        }
        let wish = LayerWish::of(request);
        tracing::debug!(?id, ?wish, tracks = ?request.track_sids, "layers are wished for");
        for sid in &request.track_sids {
            let Some(participant) = self.participants.get_mut(&id) else { return };
            let Some(publisher) = participant.subscriptions.iter().find(|s| s.track_sid == *sid).map(|s| s.publisher)
            else {
                continue;
            };
            participant.layer_wishes.insert(sid.clone(), wish);
            participant.priorities.insert(sid.clone(), request.priority);
            let Some(track) = self.participants.get_mut(&publisher).and_then(|p| p.track_mut(sid)) else { continue };
            let max_rank = wish.rank(&track.info);
            if let Some(subscriber) = track.subscribers.iter_mut().find(|s| s.participant == id) {
                subscriber.forwarder.layers.max_rank = max_rank;
            }
        }
        self.want_housekeeping(now);
    }

    /// From now on the subscriber gets layers up to this rank. They change with the next key frames.
    pub(super) fn apply_link_rank(&mut self, id: ParticipantId, rank: u8) {
        let Some(participant) = self.participants.get(&id) else { return };
        let subscribed: Vec<(ParticipantId, String)> =
            participant.subscriptions.iter().map(|s| (s.publisher, s.track_sid.clone())).collect();
        for (publisher, sid) in subscribed {
            let track = self.participants.get_mut(&publisher).and_then(|publisher| publisher.track_mut(&sid));
            let subscriber = track.and_then(|track| track.subscribers.iter_mut().find(|s| s.participant == id));
            if let Some(subscriber) = subscriber {
                subscriber.forwarder.layers.link_rank = rank;
            }
        }
    }

    pub(super) fn set_disabled(&mut self, now: Instant, id: ParticipantId, track_sids: &[String], disabled: bool) {
        for sid in track_sids {
            let Some(participant) = self.participants.get_mut(&id) else { return };
            let Some(publisher) = participant.subscriptions.iter().find(|s| s.track_sid == *sid).map(|s| s.publisher)
            else {
                continue;
            };
            participant.disabled.insert(sid.clone(), disabled);
            let Some(track) = self.participants.get_mut(&publisher).and_then(|p| p.track_mut(sid)) else { continue };
            let Some(subscriber) = track.subscribers.iter_mut().find(|s| s.participant == id) else { continue };
            if subscriber.disabled != disabled {
                subscriber.disabled = disabled;
                subscriber.forwarder.pause();
                if !disabled {
                    self.request_keyframe_for(now, publisher, sid, id);
                }
                self.want_housekeeping(now);
            }
        }
    }

    /// Notifies publishers with layers when the wanted layers have changed.
    pub(super) fn notify_wanted_layers(&mut self, now: Instant) {
        let mut waiting = false;
        for participant in self.participants.values_mut() {
            let mut updates = Vec::new();
            for track in participant.tracks.iter_mut().filter(|track| layers_of(&track.info).len() > 1) {
                if let Some(rank) = track.dynacast.update(track.wanted_rank(), now) {
                    let codec =
                        [&track.announced_codec, &track.info.mime_type].into_iter().find(|codec| !codec.is_empty());
                    updates.push(subscribed_quality(&track.info.sid, codec.map_or("", String::as_str), rank));
                }
                waiting |= track.dynacast.is_waiting();
            }
            for update in updates {
                participant.send(Response::SubscribedQualityUpdate(update));
            }
        }
        if waiting {
            self.want_housekeeping(now);
        }
    }
}

/// The flat list is deprecated, but older clients read only that.
#[allow(deprecated)]
fn subscribed_quality(track_sid: &str, mime_type: &str, wanted: u8) -> SubscribedQualityUpdate {
    let qualities: Vec<SubscribedQuality> = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High]
        .map(|quality| SubscribedQuality { quality: quality as i32, enabled: rank(quality) <= wanted })
        .to_vec();
    let codec = mime_type.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    SubscribedQualityUpdate {
        track_sid: track_sid.to_owned(),
        subscribed_qualities: qualities.clone(),
        subscribed_codecs: vec![SubscribedCodec { codec, qualities }],
    }
}

#[cfg(test)]
mod tests {
    use protocol::messages::SimulcastCodecInfo;

    use super::*;

    fn track() -> TrackInfo {
        let layers = [(VideoQuality::Low, 320, 180), (VideoQuality::Medium, 640, 360), (VideoQuality::High, 1280, 720)];
        let layer =
            |(quality, width, height)| VideoLayer { quality: quality as i32, width, height, ..VideoLayer::default() };
        let codec = SimulcastCodecInfo { layers: layers.map(layer).to_vec(), ..SimulcastCodecInfo::default() };
        TrackInfo { codecs: vec![codec], ..TrackInfo::default() }
    }

    #[test]
    fn a_size_chooses_the_smallest_layer_that_fills_it() {
        let of =
            |width, height| LayerWish::of(&UpdateTrackSettings { width, height, ..Default::default() }).rank(&track());
        assert_eq!(
            [of(100, 100), of(320, 180), of(321, 180), of(360, 640), of(1280, 720), of(4000, 4000)],
            [1, 1, 2, 2, 3, 3]
        );
    }

    #[test]
    fn a_quality_chooses_its_layer() {
        let of = |quality: VideoQuality| {
            LayerWish::of(&UpdateTrackSettings { quality: quality as i32, ..Default::default() }).rank(&track())
        };
        assert_eq!([of(VideoQuality::Low), of(VideoQuality::Medium), of(VideoQuality::High)], [1, 2, 3]);
    }

    #[test]
    fn a_publisher_learns_which_layers_are_wanted() {
        let update = subscribed_quality("TR_1", "video/H264", 2);
        assert_eq!(update.subscribed_codecs[0].codec, "h264");
        let enabled: Vec<bool> = update.subscribed_codecs[0].qualities.iter().map(|quality| quality.enabled).collect();
        assert_eq!(enabled, [true, true, false]);
    }
}
