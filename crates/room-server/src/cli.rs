//! The server as a program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::config::{KeyPolicy, ServerConfig};
use crate::server::{RoomServer, StartError};

/// Exit codes: it ran; it could not start; it was called wrongly.
const EXIT_OK: i32 = 0;
const EXIT_FAILED: i32 = 1;
const EXIT_USAGE: i32 = 2;

/// Key and secret of `--dev`.
const DEV_KEY: (&str, &str) = ("devkey", "secret");

/// Room server for zego-express-engine-electron. Speaks LiveKit's client protocol.
#[derive(Debug, Parser)]
#[command(name = "zego-room-server", version)]
struct Args {
    /// Address to listen on (default 127.0.0.1)
    #[arg(long)]
    bind: Option<IpAddr>,
    /// TCP port for signalling; media use the UDP port two above or any free one (default 7880)
    #[arg(long)]
    port: Option<u16>,
    /// App that may use the server, as APPID:APPSIGN; can be given several times
    #[arg(long = "key", value_name = "APPID:APPSIGN", value_parser = parse_key)]
    keys: Vec<(String, String)>,
    /// Server secret of an app for the vendor's 04 tokens, as APPID:SECRET; can be given several times
    #[arg(long = "server-secret", value_name = "APPID:SECRET", value_parser = parse_key)]
    server_secrets: Vec<(String, String)>,
    /// Address that clients are told for media, if they cannot reach --bind itself
    #[arg(long)]
    node_ip: Option<IpAddr>,
    /// YAML file with keys as in livekit.yaml: port, bind_addresses, keys, rtc.udp_port, rtc.node_ip
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer 404 on /rtc/v1, so that clients use two peer connections
    #[arg(long, env = "ROOM_SERVER_TWO_CONNECTIONS")]
    two_connections: bool,
    /// Serve numbers for Prometheus at /metrics, to everybody who can reach the port
    #[arg(long)]
    metrics: bool,
    /// For trying things out: accept the key "devkey" with the secret "secret"
    #[arg(long)]
    dev: bool,
}

/// Runs the server until SIGINT or SIGTERM. `args` begins with the program's name. Returns the exit code: 0 after an
/// orderly stop, 1 when it could not start, 2 when the arguments are wrong.
pub fn run_cli(args: impl IntoIterator<Item = OsString>) -> i32 {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version come here as well; nothing is left to do if they cannot be printed.
            let _ = error.print();
            return error.exit_code();
        }
    };
    let config = match config_of(args) {
        Ok(config) => config,
        Err(message) => {
            eprintln!("zego-room-server: {message}");
            return EXIT_USAGE;
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,str0m=error,is=error"));
    // Someone else's subscriber is fine, too.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("zego-room-server: {error}");
            return EXIT_FAILED;
        }
    };
    match runtime.block_on(run(config)) {
        Ok(()) => EXIT_OK,
        Err(error) => {
            eprintln!("zego-room-server: {error}");
            EXIT_FAILED
        }
    }
}

async fn run(config: ServerConfig) -> Result<(), StartError> {
    let server = RoomServer::start(config).await?;
    println!("listening on ws://{} (media: udp {})", server.local_addr(), server.media_addr());
    wait_for_signal().await?;
    server.shutdown().await;
    Ok(())
}

#[cfg(unix)]
async fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// File first, then arguments on top of it.
fn config_of(args: Args) -> Result<ServerConfig, String> {
    let mut config = ServerConfig { keys: KeyPolicy::Fixed(BTreeMap::new()), ..ServerConfig::default() };
    if let Some(path) = args.config {
        let yaml = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        config.apply_yaml(&yaml).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    config.bind = args.bind.unwrap_or(config.bind);
    config.port = args.port.unwrap_or(config.port);
    config.node_ip = args.node_ip.or(config.node_ip);
    config.metrics |= args.metrics;
    config.single_peer_connection &= !args.two_connections;
    config.server_secrets.extend(args.server_secrets);
    let KeyPolicy::Fixed(keys) = &mut config.keys else { return Ok(config) };
    keys.extend(args.keys);
    if keys.is_empty() && config.server_secrets.is_empty() {
        if !args.dev {
            return Err("no key is configured, so nobody could enter: give --key APPID:APPSIGN, or --dev to try \
                        things out on this machine"
                .to_owned());
        }
        if !config.bind.is_loopback() {
            return Err("--dev has a well-known key, so it may only listen on loopback; give --key".to_owned());
        }
        keys.insert(DEV_KEY.0.to_owned(), DEV_KEY.1.to_owned());
    }
    Ok(config)
}

fn parse_key(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((key, secret)) if !key.is_empty() && !secret.is_empty() => Ok((key.to_owned(), secret.to_owned())),
        _ => Err("expected two parts with a colon between".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Result<ServerConfig, String> {
        let arguments = std::iter::once("zego-room-server").chain(arguments.iter().copied());
        config_of(Args::try_parse_from(arguments).map_err(|error| error.to_string())?)
    }

    #[test]
    fn keys_come_from_the_command_line() {
        let keys = config(&["--key", "1:a", "--key", "2:b:c", "--bind", "0.0.0.0", "--port", "7000"]).unwrap();
        let expected = BTreeMap::from([("1".into(), "a".into()), ("2".into(), "b:c".into())]);
        assert_eq!((keys.keys, keys.port), (KeyPolicy::Fixed(expected), 7000));
    }

    #[test]
    fn without_a_key_it_does_not_start() {
        assert!(config(&[]).unwrap_err().contains("--key"));
        assert!(config(&["--bind", "0.0.0.0"]).is_err());
    }

    #[test]
    fn the_well_known_key_stays_on_loopback() {
        assert!(config(&["--dev"]).is_ok());
        assert!(config(&["--dev", "--bind", "0.0.0.0"]).is_err());
    }

    #[test]
    fn a_key_without_a_secret_is_refused() {
        assert!(config(&["--key", "1"]).is_err());
        assert!(config(&["--key", "1:"]).is_err());
    }
}
