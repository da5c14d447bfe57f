//! A server, tokens, and what the tests say about them.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::token::{Claims, Grants, mint};
use room_server::{KeyPolicy, RoomServer, ServerConfig};

use crate::client::Client;

pub const KEY: &str = "1234567";
pub const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub const OTHER_KEY: &str = "7654321";

pub struct Server {
    pub server: RoomServer,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(ServerConfig::default()).await
    }

    pub async fn start_with(config: ServerConfig) -> Self {
        let keys = BTreeMap::from([(KEY.to_owned(), SECRET.to_owned()), (OTHER_KEY.to_owned(), SECRET.to_owned())]);
        let config = ServerConfig { port: 0, keys: KeyPolicy::Fixed(keys), ..config };
        Self { server: RoomServer::start(config).await.unwrap() }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.server.local_addr())
    }

    /// A client that has joined and whose primary connection is up.
    pub async fn join(&self, room: &str, identity: &str) -> Client {
        self.join_with(claims(room, identity)).await
    }

    pub async fn join_with(&self, claims: Claims) -> Client {
        let mut client = self.connect(claims, "").await;
        client.until_active().await;
        client
    }

    pub async fn connect(&self, claims: Claims, query: &str) -> Client {
        let token = mint(KEY, SECRET, &claims).unwrap();
        Client::connect(&self.url(), &token, query).await.unwrap()
    }
}

pub fn claims(room: &str, identity: &str) -> Claims {
    Claims {
        room: room.to_owned(),
        identity: identity.to_owned(),
        name: format!("{identity}'s name"),
        ttl: Duration::from_secs(60),
        ..Claims::default()
    }
}

pub fn claims_with(room: &str, identity: &str, grants: Grants) -> Claims {
    Claims { grants, ..claims(room, identity) }
}
