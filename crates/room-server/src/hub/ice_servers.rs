//! The STUN and TURN servers that a client is offered, with temporary credentials of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::messages::IceServer;

use crate::config::IceServerConfig;
use crate::reached::Reached;
use crate::turn::announcement::Announcement;
use crate::turn::credentials::Credentials;

/// How long a user name lives at a relay that shares a secret with us, unless it is said otherwise.
const TTL: Duration = Duration::from_secs(300);

/// The ICE servers of this server.
#[derive(Debug)]
pub struct IceServers {
    others: Vec<IceServerConfig>,
    /// The relay in this server with the secret behind its passwords, if it is there.
    own: Option<(Announcement, Vec<u8>)>,
}

impl IceServers {
    /// Those that are configured, and ours.
    pub fn new(others: Vec<IceServerConfig>, own: Option<(Announcement, Vec<u8>)>) -> Self {
        Self { others, own }
    }

    /// The servers for a client named `name` that reached the server in this way.
    pub fn last_sent(&self, name: &str, reached: &Reached) -> Vec<IceServer> {
        let unix_now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let others = self.others.iter().map(|server| {
            let urls = server.urls.clone();
            if server.secret.is_empty() {
                return IceServer { urls, username: server.username.clone(), credential: server.credential.clone() };
            }
            let ttl = server.ttl.unwrap_or(TTL);
            let Credentials { username, password } = Credentials::mint(server.secret.as_bytes(), name, unix_now, ttl);
            IceServer { urls, username, credential: password }
        });
        let own = self.own.as_ref().and_then(|(announcement, secret)| {
            let urls = announcement.urls(reached);
            let ttl = announcement.config.ttl;
            let Credentials { username, password } = Credentials::mint(secret, name, unix_now, ttl);
            (!urls.is_empty()).then_some(IceServer { urls, username, credential: password })
        });
        others.chain(own).collect()
    }
}
