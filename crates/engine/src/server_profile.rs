//! What kind of room server answers, where that makes a difference. One protocol all the same.

use protocol::messages::ServerInfo;

/// How our own room server begins `debug_info`.
const OWN_NAME: &str = "zego-room-server";

/// What may be expected of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerProfile {
    /// It refuses a stream ID that somebody else publishes. Where it does not, publishers have to agree by themselves.
    pub(crate) checks_stream_ids: bool,
    /// It says of each track which stream it belongs to. Elsewhere the clients work that out.
    pub(crate) names_streams: bool,
    /// A resume with another token brings that token's rights. Elsewhere a session keeps those it began with.
    pub(crate) takes_new_tokens: bool,
    /// It moves extra info of a room from a participant's attributes to the room. Elsewhere that is for the room's
    /// administrators, who are all that have the AppSign.
    pub(crate) keeps_room_info: bool,
}

impl ServerProfile {
    /// From what the server says of itself at the join. A stock LiveKit server is what does not claim to be ours.
    pub(crate) fn of(info: Option<&ServerInfo>) -> Self {
        let is_own = info.is_some_and(|info| info.debug_info.starts_with(OWN_NAME));
        Self { checks_stream_ids: is_own, names_streams: is_own, takes_new_tokens: is_own, keeps_room_info: is_own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_server_is_known_by_its_name_and_any_other_is_taken_for_livekits() {
        let info = |debug_info: &str| ServerInfo { debug_info: debug_info.into(), ..ServerInfo::default() };
        assert!(ServerProfile::of(Some(&info("zego-room-server 0.1.0"))).takes_new_tokens);
        assert_eq!(ServerProfile::of(Some(&info(""))), ServerProfile::default());
        assert_eq!(ServerProfile::of(None), ServerProfile::default());
    }
}
