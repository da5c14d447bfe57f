//! How the vendor's concepts ride on LiveKit's wire: data topics, participant attributes, stream names.

use crate::messages::TrackSource;

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

/// The stream ID that a publisher chose for a track, if it chose one: the name of the track and of its stream are equal.
///
/// Our own publishers do that, and a stock client can. Anything else in those fields is the client's own name for the track
/// ("microphone"), which many use at the same time: such a track belongs to the stream of [`derived_stream_id`].
pub fn chosen_stream_id<'a>(name: &'a str, stream: &str) -> Option<&'a str> {
    (!name.is_empty() && name == stream).then_some(name)
}

/// The `stream` that LiveKit's server writes for a track whose publisher left it empty.
pub fn stream_by_livekit(source: i32) -> &'static str {
    match TrackSource::try_from(source) {
        Ok(TrackSource::ScreenShare | TrackSource::ScreenShareAudio) => "screen",
        _ => "camera",
    }
}

/// The stream ID of a track without a chosen one: that of its publisher, or `<identity>_screen` for a shared screen. `source`
/// is a [`TrackSource`] number.
pub fn derived_stream_id(identity: &str, source: i32) -> String {
    match TrackSource::try_from(source) {
        Ok(TrackSource::ScreenShare | TrackSource::ScreenShareAudio) => format!("{identity}_screen"),
        _ => identity.to_owned(),
    }
}

/// The `n`-th ID to try, from 1, where the derived one is in use: by another stream, or since its stream has a track of that
/// kind already (a second camera).
pub fn numbered_stream_id(derived: &str, n: usize) -> String {
    if n <= 1 { derived.to_owned() } else { format!("{derived}_{n}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_track_and_stream_alike_chooses_an_id() {
        assert_eq!(chosen_stream_id("s1", "s1"), Some("s1"));
        for (name, stream) in [("", ""), ("microphone", ""), ("microphone", "camera"), ("", "camera")] {
            assert_eq!(chosen_stream_id(name, stream), None);
        }
    }

    #[test]
    fn camera_and_microphone_share_the_stream_of_their_user_and_a_screen_is_another() {
        for source in [TrackSource::Camera, TrackSource::Microphone, TrackSource::Unknown] {
            assert_eq!(derived_stream_id("anna", source as i32), "anna");
        }
        for source in [TrackSource::ScreenShare, TrackSource::ScreenShareAudio] {
            assert_eq!(derived_stream_id("anna", source as i32), "anna_screen");
        }
        assert_eq!(derived_stream_id("Phone 013 / 张三", 99), "Phone 013 / 张三");
    }

    #[test]
    fn the_first_id_to_try_is_the_derived_one() {
        assert_eq!([1, 2, 3].map(|n| numbered_stream_id("anna", n)), ["anna", "anna_2", "anna_3"]);
    }

    #[test]
    fn attribute_names_lead_back_to_their_stream() {
        assert_eq!(stream_of_device_state(&device_state_attribute("s-1")), Some("s-1"));
        assert_eq!(stream_of_extra_info(&extra_info_attribute("s-1")), Some("s-1"));
        assert_eq!(stream_of_extra_info("zg.d.s-1"), None);
        assert_eq!(key_of_room_info(&room_info_attribute("topic")), Some("topic"));
    }
}
