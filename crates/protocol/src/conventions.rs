//! How the vendor's concepts ride on LiveKit's wire: data topics, participant attributes, stream names.

use crate::messages::{TrackInfo, TrackSource};

/// Data topic of a broadcast message (reliable).
pub const TOPIC_BROADCAST: &str = "zg.bc";
/// Data topic of a barrage message (lossy).
pub const TOPIC_BARRAGE: &str = "zg.bar";
/// Data topic of a custom command (reliable, usually with destinations).
pub const TOPIC_COMMAND: &str = "zg.cmd";

/// Prefix of the attribute that holds a stream's device states.
const DEVICE_STATE_PREFIX: &str = "zg.d.";
/// Prefix of the attribute that holds a stream's extra info.
const EXTRA_INFO_PREFIX: &str = "zg.x.";
/// Prefix of the attribute, and of the entry in a room's metadata, that holds a room's extra info.
const ROOM_INFO_PREFIX: &str = "zg.r.";

/// Label of the ordered, reliable data channel.
pub const RELIABLE_CHANNEL: &str = "_reliable";
/// Label of the unordered data channel without retransmissions.
pub const LOSSY_CHANNEL: &str = "_lossy";

/// Name of the participant attribute with the camera and microphone state of a stream.
pub fn device_state_attribute(stream_id: &str) -> String {
    format!("{DEVICE_STATE_PREFIX}{stream_id}")
}

/// The stream whose device state this attribute holds, if it is such an attribute.
pub fn stream_of_device_state(attribute: &str) -> Option<&str> {
    attribute.strip_prefix(DEVICE_STATE_PREFIX)
}

/// Name of the participant attribute with the extra info of a stream.
pub fn extra_info_attribute(stream_id: &str) -> String {
    format!("{EXTRA_INFO_PREFIX}{stream_id}")
}

/// The stream whose extra info this attribute holds, if it is such an attribute.
pub fn stream_of_extra_info(attribute: &str) -> Option<&str> {
    attribute.strip_prefix(EXTRA_INFO_PREFIX)
}

/// Name of the attribute with the value of a key of the room's extra info. Our own server moves it to the entry of the
/// same name in the room's metadata, which is then a JSON object.
pub fn room_info_attribute(key: &str) -> String {
    format!("{ROOM_INFO_PREFIX}{key}")
}

/// The key of a room's extra info that this attribute or entry holds, if it is such a one.
pub fn key_of_room_info(name: &str) -> Option<&str> {
    name.strip_prefix(ROOM_INFO_PREFIX)
}

/// The stream ID that a track belongs to.
///
/// Our own publishers put the stream ID into the track's name. A stock client leaves it empty; such a track belongs
/// to the stream named like its publisher, or to `<identity>_screen` when it comes from a shared screen.
pub fn stream_id_of_track(identity: &str, track: &TrackInfo) -> String {
    stream_id_of_source(identity, &track.name, track.source)
}

/// [`stream_id_of_track`] for a track that has no `TrackInfo` yet: `source` is a [`TrackSource`] number.
pub fn stream_id_of_source(identity: &str, track_name: &str, source: i32) -> String {
    if !track_name.is_empty() {
        return track_name.to_owned();
    }
    match TrackSource::try_from(source) {
        Ok(TrackSource::ScreenShare | TrackSource::ScreenShareAudio) => format!("{identity}_screen"),
        _ => identity.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(name: &str, source: TrackSource) -> TrackInfo {
        TrackInfo { name: name.into(), source: source as i32, ..Default::default() }
    }

    #[test]
    fn a_named_track_is_the_stream_of_that_name() {
        assert_eq!(stream_id_of_track("anna", &track("s1", TrackSource::ScreenShare)), "s1");
    }

    #[test]
    fn unnamed_camera_and_microphone_share_the_stream_of_their_user() {
        assert_eq!(stream_id_of_track("anna", &track("", TrackSource::Camera)), "anna");
        assert_eq!(stream_id_of_track("anna", &track("", TrackSource::Microphone)), "anna");
    }

    #[test]
    fn an_unnamed_screen_is_a_stream_of_its_own() {
        assert_eq!(stream_id_of_track("anna", &track("", TrackSource::ScreenShare)), "anna_screen");
        assert_eq!(stream_id_of_track("anna", &track("", TrackSource::ScreenShareAudio)), "anna_screen");
    }

    #[test]
    fn attribute_names_lead_back_to_their_stream() {
        assert_eq!(stream_of_device_state(&device_state_attribute("s-1")), Some("s-1"));
        assert_eq!(stream_of_extra_info(&extra_info_attribute("s-1")), Some("s-1"));
        assert_eq!(stream_of_extra_info("zg.d.s-1"), None);
        assert_eq!(key_of_room_info(&room_info_attribute("topic")), Some("topic"));
    }
}
