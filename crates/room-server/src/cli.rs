//! The server as a program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::config::{KeyPolicy, LogConfig, ServerConfig, TcpPort};
use crate::config_file::{Ports, UnusedKey, bind_addresses, parse_keys, read_key_file, read_text, tls_files};
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
    /// Address or host name to listen on, "" for all addresses of the machine; can be given several times (default 127.0.0.1)
    #[arg(long, value_name = "ADDRESS")]
    bind: Vec<String>,
    /// TCP port for signalling; media use the UDP port two above or any free one (default 7880)
    #[arg(long)]
    port: Option<u16>,
    /// UDP port for media; of a range, as 7882-7892, the first that is free
    #[arg(long, env = "UDP_PORT", value_name = "PORT")]
    udp_port: Option<Ports>,
    /// TCP port for media, for clients whose network lets no UDP through; 0 is none (default one above --port, if free)
    #[arg(long, env = "TCP_PORT")]
    tcp_port: Option<u16>,
    /// App that may use the server, as APPID:APPSIGN; can be given several times
    #[arg(long = "key", value_name = "APPID:APPSIGN", value_parser = parse_key)]
    keys: Vec<(String, String)>,
    /// The same as YAML, one "APPID: APPSIGN" a line: for the environment, which other users of the machine cannot read
    #[arg(long = "keys", value_name = "YAML", env = "LIVEKIT_KEYS", hide_env_values = true)]
    keys_yaml: Option<String>,
    /// File with these, readable by its owner only
    #[arg(long, value_name = "FILE", env = "LIVEKIT_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// Server secret of an app for the vendor's 04 tokens, as APPID:SECRET; can be given several times
    #[arg(long = "server-secret", value_name = "APPID:SECRET", value_parser = parse_key)]
    server_secrets: Vec<(String, String)>,
    /// Address that others know this machine by, as that of a router before it, offered to clients before the machine's own ones;
    /// can be given several times
    #[arg(long, env = "NODE_IP", value_delimiter = ',')]
    node_ip: Vec<IpAddr>,
    /// UDP port offered to clients for media, if a router forwards another port to ours
    #[arg(long, env = "ADVERTISED_UDP_PORT")]
    advertised_udp_port: Option<u16>,
    /// Certificate (PEM, with those that lead to a root), so that clients connect to wss:// and https://; it is read again
    /// when it changes
    #[arg(long, value_name = "FILE", env = "ROOM_SERVER_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", env = "ROOM_SERVER_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Certificate of the port turn.tls_port, if it is another one
    #[arg(long, value_name = "FILE", env = "LIVEKIT_TURN_CERT", requires = "turn_key")]
    turn_cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", env = "LIVEKIT_TURN_KEY", requires = "turn_cert")]
    turn_key: Option<PathBuf>,
    /// YAML file with keys as in livekit.yaml, see docs/room-server.md
    #[arg(long, value_name = "FILE", env = "LIVEKIT_CONFIG_FILE")]
    config: Option<PathBuf>,
    /// The contents of that file
    #[arg(long, value_name = "YAML", env = "LIVEKIT_CONFIG", hide_env_values = true)]
    config_body: Option<String>,
    /// Answer 404 on /rtc/v1, so that clients use two peer connections
    #[arg(long, env = "ROOM_SERVER_TWO_CONNECTIONS")]
    two_connections: bool,
    /// Serve metrics for Prometheus at /metrics, to all clients that can reach the port
    #[arg(long)]
    metrics: bool,
    /// For trying things out, on loopback only: the join page gets an access token from the server, and without any
    /// key "devkey" with the secret "secret" is accepted
    #[arg(long)]
    dev: bool,
    /// Stop when standard input ends, as it does when the process at its other end is gone
    #[arg(long, hide = true)]
    stop_with_input: bool,
}

/// Runs the server until SIGINT or SIGTERM. `args` begins with the program's name. Returns the exit code: 0 after an
/// orderly stop, 1 when it could not start, 2 when the arguments are wrong.
pub fn run_cli(args: impl IntoIterator<Item = OsString>) -> i32 {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version come here as well; there is nothing to do if they cannot be printed.
            let _ = error.print();
            return error.exit_code();
        }
    };
    let stop_with_input = args.stop_with_input;
    let (config, unused) = match config_of(args) {
        Ok(result) => result,
        Err(message) => {
            eprintln!("zego-room-server: {message}");
            return EXIT_USAGE;
        }
    };
    start_log(&config.log);
    for UnusedKey { key, is_livekits } in unused {
        if is_livekits {
            tracing::warn!(key, "this key of the configuration has no effect here");
        } else {
            tracing::warn!(key, "nobody knows this key of the configuration, is it misspelt?");
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("zego-room-server: {error}");
            return EXIT_FAILED;
        }
    };
    match runtime.block_on(run(config, stop_with_input)) {
        Ok(()) => EXIT_OK,
        Err(error) => {
            eprintln!("zego-room-server: {error}");
            EXIT_FAILED
        }
    }
}

fn start_log(config: &LogConfig) {
    let level = config.level.as_deref().unwrap_or("info");
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},str0m=error,is=error,hyper_util=info,rustls=info")));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !config.json);
    // Another subscriber in this process is fine, too.
    let _ = if config.json { log.json().try_init() } else { log.try_init() };
}

async fn run(config: ServerConfig, stop_with_input: bool) -> Result<(), StartError> {
    let keys = config.keys.clone();
    let dev = config.dev;
    let server = RoomServer::start(config).await?;
    if dev {
        tracing::warn!(join_page = %format_args!("http://{}/", server.local_addr()), "development server: everybody gets a token");
        if keys == KeyPolicy::Fixed(dev_keys()) {
            tracing::warn!(key = DEV_KEY.0, secret = DEV_KEY.1, "no key is configured, the well-known one is used");
        }
    }
    let tcp = server.tcp_media_addr().map_or(String::new(), |address| format!(", tcp {address}"));
    let scheme = if server.is_secure() { "wss" } else { "ws" };
    println!("listening on {scheme}://{} (media: udp {}{tcp})", server.local_addr(), server.media_addr());
    tokio::select! {
        result = wait_for_signal() => result?,
        () = end_of_input(), if stop_with_input => {}
    }
    server.shutdown().await;
    Ok(())
}

/// Returns when nothing more can be read. A thread of its own waits, which ends with the process: the runtime's own would
/// be waited for.
async fn end_of_input() {
    let (ended, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An error is an end as well.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = wait.await;
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

/// The file first, then the arguments. Returns the keys of the file that have no effect as well.
fn config_of(args: Args) -> Result<(ServerConfig, Vec<UnusedKey>), String> {
    let keys = KeyPolicy::Fixed(BTreeMap::new());
    let mut config = ServerConfig { keys, tcp_port: TcpPort::Default, ..ServerConfig::default() };
    let mut unused = Vec::new();
    if let Some(path) = args.config {
        let yaml = read_text(&path).map_err(|error| error.to_string())?;
        unused.extend(config.apply_yaml(&yaml).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    if let Some(yaml) = args.config_body {
        unused.extend(config.apply_yaml(&yaml).map_err(|error| error.to_string())?);
    }
    if let Some(path) = args.key_file {
        config.add_keys(read_key_file(&path).map_err(|error| error.to_string())?);
    }
    if let Some(yaml) = args.keys_yaml {
        config.add_keys(parse_keys(&yaml).map_err(|error| format!("--keys: {error}"))?);
    }
    config.add_keys(args.keys.into_iter().collect());
    let binds = bind_addresses(args.bind.iter().map(String::as_str)).map_err(|error| format!("--bind: {error}"))?;
    config.listen_on(&binds);
    config.port = args.port.unwrap_or(config.port);
    if let Some(Ports { first, last }) = args.udp_port {
        (config.udp_port, config.udp_port_last) = (Some(first), Some(last));
    }
    config.tcp_port = args.tcp_port.map_or(config.tcp_port, TcpPort::from_setting);
    if let [first, further @ ..] = args.node_ip.as_slice() {
        (config.node_ip, config.further_node_ips) = (Some(*first), further.to_vec());
    }
    let files = |cert, key| tls_files("tls", cert, key).map_err(|error| error.to_string());
    config.tls = files(args.tls_cert, args.tls_key)?.or(config.tls);
    config.turn.tls = files(args.turn_cert, args.turn_key)?.or(config.turn.tls);
    config.advertised_udp_port = args.advertised_udp_port.or(config.advertised_udp_port);
    config.metrics |= args.metrics;
    config.dev |= args.dev;
    config.single_peer_connection &= !args.two_connections;
    config.server_secrets.extend(args.server_secrets);
    if config.dev && !config.is_loopback() {
        return Err("--dev gives everybody a token, so it may only listen on loopback".to_owned());
    }
    let KeyPolicy::Fixed(keys) = &mut config.keys else { return Ok((config, unused)) };
    if keys.is_empty() && config.dev {
        *keys = dev_keys();
    }
    if keys.is_empty() && config.server_secrets.is_empty() {
        return Err("no key is configured, so nobody could enter: give --key APPID:APPSIGN, or --dev to try \
                    things out on this machine"
            .to_owned());
    }
    Ok((config, unused))
}

fn dev_keys() -> BTreeMap<String, String> {
    BTreeMap::from([(DEV_KEY.0.to_owned(), DEV_KEY.1.to_owned())])
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
        config_of(Args::try_parse_from(arguments).map_err(|error| error.to_string())?).map(|(config, _)| config)
    }

    #[test]
    fn keys_come_from_the_command_line() {
        let keys = config(&["--key", "1:a", "--key", "2:b:c", "--bind", "0.0.0.0", "--port", "7000"]).unwrap();
        let expected = BTreeMap::from([("1".into(), "a".into()), ("2".into(), "b:c".into())]);
        assert_eq!((keys.keys, keys.port), (KeyPolicy::Fixed(expected), 7000));
    }

    #[test]
    fn keys_come_as_yaml_as_well_and_the_arguments_go_before_the_file() {
        let body = "port: 7000\nkeys:\n  1: a\n  2: b\n";
        let config =
            config(&["--config-body", body, "--keys", "2: c\n3: d", "--key", "3:e", "--port", "7001"]).unwrap();
        let expected = BTreeMap::from([("1".into(), "a".into()), ("2".into(), "c".into()), ("3".into(), "e".into())]);
        assert_eq!((config.keys, config.port), (KeyPolicy::Fixed(expected), 7001));
    }

    #[test]
    fn media_over_tcp_is_served_unless_it_is_switched_off() {
        let port = |arguments: &[&str]| config(&[&["--key", "1:a"], arguments].concat()).unwrap().tcp_port;
        assert_eq!(port(&[]), TcpPort::Default);
        assert_eq!(port(&["--tcp-port", "7000", "--config-body", "rtc: {tcp_port: 7001}"]), TcpPort::Fixed(7000));
        assert_eq!(port(&["--tcp-port", "0"]), TcpPort::None);
    }

    #[test]
    fn a_mistake_in_the_configuration_is_reported() {
        assert!(config(&["--key", "1:a", "--config-body", "port: many"]).unwrap_err().contains("port"));
        assert!(config(&["--key", "1:a", "--config", "/nowhere/at/all.yaml"]).unwrap_err().contains("/nowhere"));
    }

    #[test]
    fn it_listens_where_it_is_reported_to() {
        let binds = |arguments: &[&str]| config(&[&["--key", "1:a"], arguments].concat()).unwrap().binds();
        let ips = |texts: &[&str]| texts.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect::<Vec<_>>();
        assert_eq!(binds(&["--bind", ""]), ips(&["0.0.0.0", "::"]));
        assert_eq!(binds(&["--bind", "127.0.0.1", "--bind", "127.0.0.2"]), ips(&["127.0.0.1", "127.0.0.2"]));
        let over_the_file = binds(&["--bind", "127.0.0.3", "--config-body", "bind_addresses: [127.0.0.4, 127.0.0.5]"]);
        assert_eq!(over_the_file, ips(&["127.0.0.3"]));
    }

    #[test]
    fn a_certificate_without_its_key_is_a_mistake() {
        assert!(config(&["--key", "1:a", "--tls-cert", "/a"]).is_err());
        assert!(config(&["--key", "1:a", "--tls-cert", "/a", "--tls-key", "/b"]).unwrap().tls.is_some());
    }

    #[test]
    fn without_a_key_it_does_not_start() {
        assert!(config(&[]).unwrap_err().contains("--key"));
        assert!(config(&["--bind", "0.0.0.0"]).is_err());
    }

    #[test]
    fn a_development_server_stays_on_loopback() {
        assert_eq!(config(&["--dev"]).unwrap().keys, KeyPolicy::Fixed(dev_keys()));
        assert!(config(&["--dev", "--bind", "0.0.0.0"]).is_err());
        assert!(config(&["--dev", "--bind", "0.0.0.0", "--key", "1:a"]).is_err());
    }

    #[test]
    fn the_well_known_key_is_not_accepted_beside_another() {
        let own = BTreeMap::from([("1".into(), "a".into())]);
        assert_eq!(config(&["--dev", "--key", "1:a"]).unwrap().keys, KeyPolicy::Fixed(own));
    }

    #[test]
    fn a_key_without_a_secret_is_refused() {
        assert!(config(&["--key", "1"]).is_err());
        assert!(config(&["--key", "1:"]).is_err());
    }
}
