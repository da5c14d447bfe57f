//! Differences between room servers. The protocol is the same.

use protocol::messages::ServerInfo;

/// How our own room server begins `debug_info`.
const OWN_NAME: &str = "zego-room-server";

/// What the server does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerProfile {
    /// It refuses a stream ID that another participant publishes. Otherwise publishers have to agree among themselves.
    pub(crate) checks_stream_ids: bool,
    /// It says of each track which stream it belongs to. Elsewhere the clients work that out.
    pub(crate) names_streams: bool,
    /// A resume with another token brings that token's rights. Elsewhere a session keeps those it began with.
    pub(crate) takes_new_tokens: bool,
    /// It moves extra info of a room from a participant's attributes to the room. Otherwise administrators of the room do,
    /// which are all that have the appSign.
    pub(crate) keeps_room_info: bool,
}

impl ServerProfile {
    /// By the server's own information in the join response. A server that does not claim to be ours is a stock one.
    pub(crate) fn of(info: Option<&ServerInfo>) -> Self {
        let is_own = info.is_some_and(|info| info.debug_info.starts_with(OWN_NAME));
        Self { checks_stream_ids: is_own, names_streams: is_own, takes_new_tokens: is_own, keeps_room_info: is_own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_server_is_recognised_and_any_other_counts_as_livekits() {
        let info = |debug_info: &str| ServerInfo { debug_info: debug_info.into(), ..ServerInfo::default() };
        assert!(ServerProfile::of(Some(&info("zego-room-server 0.1.0"))).takes_new_tokens);
        assert_eq!(ServerProfile::of(Some(&info(""))), ServerProfile::default());
        assert_eq!(ServerProfile::of(None), ServerProfile::default());
    }
}
