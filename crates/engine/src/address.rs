//! Which room server to talk to.

use std::collections::BTreeMap;

/// Where the embedded server listens and where an engine looks when nobody named a server.
pub(crate) const DEFAULT_SERVER: &str = "ws://127.0.0.1:7880";

/// The room server of one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    /// `ws://host:port` or `wss://host:port`, without a trailing slash.
    pub(crate) url: String,
    /// Nobody named it: the engine may start the room server itself when nothing listens there.
    pub(crate) may_embed: bool,
}

impl ServerAddress {
    /// Order: profile, `advancedConfig.server_url`, `ZEGO_SERVER_URL`, else the loopback default.
    /// `ZEGO_EMBEDDED_SERVER=off` forbids the embedded server.
    pub(crate) fn resolve(
        profile: Option<&str>,
        advanced: &BTreeMap<String, String>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let named = profile
            .map(str::to_owned)
            .or_else(|| advanced.get("server_url").cloned())
            .or_else(|| env("ZEGO_SERVER_URL"))
            .filter(|url| !url.is_empty());
        match named {
            Some(url) => Self { url: websocket_url(&url), may_embed: false },
            None => Self {
                url: DEFAULT_SERVER.to_owned(),
                may_embed: env("ZEGO_EMBEDDED_SERVER").is_none_or(|value| !value.eq_ignore_ascii_case("off")),
            },
        }
    }
}

/// People write `http://` or nothing at all; the wire is a WebSocket.
fn websocket_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(("https", rest)) => format!("wss://{rest}"),
        Some(_) => url.to_owned(),
        None => format!("ws://{url}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_wins_over_the_configuration_and_that_over_the_environment() {
        let advanced = BTreeMap::from([("server_url".to_owned(), "ws://b:1".to_owned())]);
        let env = |name: &str| (name == "ZEGO_SERVER_URL").then(|| "ws://c:1".to_owned());
        assert_eq!(ServerAddress::resolve(Some("ws://a:1/"), &advanced, env).url, "ws://a:1");
        assert_eq!(ServerAddress::resolve(None, &advanced, env).url, "ws://b:1");
        assert_eq!(ServerAddress::resolve(None, &BTreeMap::new(), env).url, "ws://c:1");
    }

    #[test]
    fn only_the_default_address_may_be_served_by_this_process() {
        let none = |_: &str| None;
        assert!(ServerAddress::resolve(None, &BTreeMap::new(), none).may_embed);
        assert!(!ServerAddress::resolve(Some("ws://127.0.0.1:7880"), &BTreeMap::new(), none).may_embed);
        let off = |name: &str| (name == "ZEGO_EMBEDDED_SERVER").then(|| "off".to_owned());
        assert!(!ServerAddress::resolve(None, &BTreeMap::new(), off).may_embed);
    }

    #[test]
    fn http_addresses_and_bare_hosts_are_understood() {
        assert_eq!(websocket_url("https://rooms.example/"), "wss://rooms.example");
        assert_eq!(websocket_url("10.0.0.5:7880"), "ws://10.0.0.5:7880");
    }
}
