//! What all sessions of an engine share about the routes of media.

use std::collections::BTreeMap;
use std::sync::Arc;

use transport::{IceTransportPolicy, RouteMemory};

/// Which routes media may use, and what is known about them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteSettings {
    pub(crate) policy: IceTransportPolicy,
    /// One session learns from the other which routes are blocked.
    pub(crate) memory: Arc<RouteMemory>,
}

impl RouteSettings {
    /// Reads `advancedConfig.ice_transport_policy`: `all`, `relay` or `tcp`; anything else is `all`.
    pub(crate) fn from_config(advanced: &BTreeMap<String, String>) -> Self {
        let policy = match advanced
            .get("ice_transport_policy")
            .map(|value| value.trim().to_ascii_lowercase())
            .as_deref()
        {
            Some("relay") => IceTransportPolicy::Relay,
            Some("tcp") => IceTransportPolicy::Tcp,
            None | Some("" | "all") => IceTransportPolicy::All,
            Some(other) => {
                tracing::warn!(value = other, "advancedConfig.ice_transport_policy is neither all nor relay nor tcp");
                IceTransportPolicy::All
            }
        };
        Self { policy, memory: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_read_in_any_case_and_garbage_changes_nothing() {
        let policy = |value: &str| {
            RouteSettings::from_config(&BTreeMap::from([("ice_transport_policy".to_owned(), value.to_owned())])).policy
        };
        assert_eq!(policy("Relay"), IceTransportPolicy::Relay);
        assert_eq!(policy(" tcp"), IceTransportPolicy::Tcp);
        assert_eq!(policy("all"), IceTransportPolicy::All);
        assert_eq!(policy("udp"), IceTransportPolicy::All);
        assert_eq!(RouteSettings::from_config(&BTreeMap::new()).policy, IceTransportPolicy::All);
    }
}
