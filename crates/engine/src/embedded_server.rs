//! The room server on this machine if none is named: found, or started in this process.
//!
//! A few ports are asked, in an order that all processes of an app share. A server there is used if it proves that it knows
//! the app's secret; before that no token is sent. Everything else that listens is skipped: the server of another app, a
//! web server, a silent port. If none proves itself, a server is started at the first free port. It lives as long as the
//! process. When the process ends, the engines that lost it come here again with their next attempt, and the first to bind
//! the port becomes the server; the others find it listening.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use dial::{DialConfig, Dialer, ProxySetting};
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use protocol::proof;
use rand::RngCore as _;
use room_server::{KeyPolicy, RoomServer, ServerConfig, StartError};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::address::{Place, default_ports, local_url};
use crate::http_call::{HttpError, call};

/// A server on loopback answers within milliseconds; where several processes start at once on a slow machine, later.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(800);
/// How often a port is asked that another process has just taken: its server may be starting.
const ASKED_AGAIN: u32 = 20;
/// And the pause between.
const PAUSE: Duration = Duration::from_millis(50);

static EMBEDDED: Mutex<Option<RoomServer>> = Mutex::const_new(None);

/// What listens at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenant {
    /// Nothing listens.
    Nobody,
    /// The app's server.
    Ours,
    /// Another server.
    Other,
}

/// The address of the app's server on this machine.
///
/// # Errors
/// A sentence, when there is none and none can be started.
pub(crate) async fn find(app: &str, secret: &str) -> Result<String, String> {
    let mut embedded = EMBEDDED.lock().await;
    if let Some(server) = embedded.as_ref() {
        server.add_key(app, secret);
        return Ok(local_url(server.local_addr().port()));
    }
    // Loopback needs neither a proxy nor certificates.
    let config = DialConfig { proxy: ProxySetting::Direct, ..DialConfig::default() };
    let dialer = Dialer::new(&config).map_err(|error| error.to_string())?;
    let ports = default_ports(app, secret);
    let tenants = join_all(ports.iter().map(|port| ask(&dialer, *port, app, secret))).await;
    if let Some(at) = tenants.iter().position(|tenant| *tenant == Tenant::Ours) {
        return Ok(local_url(ports[at]));
    }
    let mut failures = Vec::new();
    for (port, tenant) in ports.into_iter().zip(tenants) {
        if tenant == Tenant::Other {
            failures.push(format!("port {port} is somebody else's"));
            continue;
        }
        match start(port, app, secret).await {
            Ok(server) => {
                *embedded = Some(server);
                return Ok(local_url(port));
            }
            Err(StartError::AddressInUse(_)) => {
                // Another process was faster, most likely one of this app.
                if becomes_ours(&dialer, port, app, secret).await {
                    return Ok(local_url(port));
                }
                failures.push(format!("port {port} is somebody else's"));
            }
            Err(error) => {
                tracing::warn!(port, %error, "the embedded room server did not start");
                failures.push(format!("port {port}: {error}"));
            }
        }
    }
    Err(failures.join(", "))
}

async fn start(port: u16, app: &str, secret: &str) -> Result<RoomServer, StartError> {
    // With the key from the start: a process that asks meanwhile must not take it for another app's.
    let keys = KeyPolicy::Fixed([(app.to_owned(), secret.to_owned())].into());
    let config = ServerConfig { bind: IpAddr::V4(Ipv4Addr::LOCALHOST), port, keys, ..ServerConfig::default() };
    let server = RoomServer::start(config).await?;
    tracing::info!(address = %server.local_addr(), "room server started inside this process");
    Ok(server)
}

async fn becomes_ours(dialer: &Dialer, port: u16, app: &str, secret: &str) -> bool {
    for _ in 0..ASKED_AGAIN {
        if ask(dialer, port, app, secret).await == Tenant::Ours {
            return true;
        }
        sleep(PAUSE).await;
    }
    false
}

/// Asks the server at a port of this machine for a proof.
async fn ask(dialer: &Dialer, port: u16, app: &str, secret: &str) -> Tenant {
    let mut nonce = proof::Nonce::default();
    rand::rng().fill_bytes(&mut nonce);
    let path = format!("{}?app={app}&nonce={}", proof::PATH, proof::write_nonce(&nonce));
    let Ok(request) = Request::get(path).body(Full::<Bytes>::default()) else { return Tenant::Other };
    let place = Place { host: Ipv4Addr::LOCALHOST.to_string(), port, is_tls: false };
    match timeout(RESPONSE_TIMEOUT, call(dialer, &place, request)).await {
        Ok(Ok((StatusCode::OK, body))) => {
            let is_right = std::str::from_utf8(&body).is_ok_and(|answer| proof::is_right(secret, port, &nonce, answer));
            if is_right { Tenant::Ours } else { Tenant::Other }
        }
        Ok(Err(HttpError::Dial(_))) => Tenant::Nobody,
        Ok(_) | Err(_) => Tenant::Other,
    }
}
