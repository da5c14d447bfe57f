//! The room server inside this process: started when nobody named a server and nothing listens at the default address.
//!
//! It lives as long as the process. When the process that carries it goes, the engines that lost it come here again on
//! their next attempt, and the first to bind the port takes over; the others find it listening.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use room_server::{RoomServer, ServerConfig, StartError};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7880);
/// A listening server on loopback answers at once; anything slower is no server.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);

static EMBEDDED: Mutex<Option<RoomServer>> = Mutex::const_new(None);

/// Makes sure that something listens at the default address, and that our own server knows this engine's key.
pub(crate) async fn ensure(api_key: &str, api_secret: &str) {
    let mut embedded = EMBEDDED.lock().await;
    if let Some(server) = embedded.as_ref() {
        server.add_key(api_key, api_secret);
        return;
    }
    if listens().await {
        return;
    }
    let config = ServerConfig { bind: ADDRESS.ip(), port: ADDRESS.port(), ..ServerConfig::default() };
    match RoomServer::start(config).await {
        Ok(server) => {
            tracing::info!(address = %ADDRESS, "room server started inside this process");
            server.add_key(api_key, api_secret);
            *embedded = Some(server);
        }
        // Another engine on this machine was faster: its server is ours too.
        Err(StartError::AddressInUse(_)) => {}
        Err(error) => tracing::warn!(%error, "the embedded room server did not start"),
    }
}

async fn listens() -> bool {
    matches!(tokio::time::timeout(PROBE_TIMEOUT, TcpStream::connect(ADDRESS)).await, Ok(Ok(_)))
}
