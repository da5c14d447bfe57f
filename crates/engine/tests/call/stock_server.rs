//! A stock LiveKit server, where `scripts/livekit-server.mjs` has put one on this machine.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{APP_ID, APP_SIGN};

/// The version that the scripts build.
const VERSION: &str = "v1.13.5";
/// How often it is started, each time on other ports.
const ATTEMPTS: usize = 5;
/// Time until it listens, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// Ends when dropped.
pub struct StockServer {
    process: Child,
    pub url: String,
}

impl StockServer {
    /// Starts it; `None`, with a plain line, where there is none.
    pub fn start() -> Option<Self> {
        Self::with(|_, _| {})
    }

    /// The same with a change of its configuration, which may use one more free port.
    pub fn with(change: impl Fn(&mut serde_json::Value, u16)) -> Option<Self> {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
        let path = cache.join("zego-express/livekit").join(VERSION).join("server");
        if !path.exists() {
            eprintln!("skipped: there is no livekit-server {VERSION} here");
            return None;
        }
        // Another test may take a port between its choice and its use: then the server ends at once.
        let server = (0..ATTEMPTS).find_map(|_| Self::on_free_ports(&path, &change));
        Some(server.expect("a stock server that starts"))
    }

    /// Starts it on ports that are free now; `None` if it ends before it listens.
    fn on_free_ports(path: &Path, change: &impl Fn(&mut serde_json::Value, u16)) -> Option<Self> {
        // Held all at once, so that they differ.
        let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, tcp, other] = free.map(|listener| listener.local_addr().unwrap().port());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut config = serde_json::json!({
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "rtc": {
                "tcp_port": tcp, "udp_port": udp, "use_external_ip": false, "enable_loopback_candidate": true,
                "stun_servers": ["127.0.0.1:3478"],
            },
            "keys": { APP_ID.to_string(): APP_SIGN },
        });
        change(&mut config, other);
        let mut command = Command::new(path);
        command.args(["--node-ip", "127.0.0.1", "--config-body", &config.to_string()]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { process, url: format!("ws://127.0.0.1:{port}") };
        let end = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if server.process.try_wait().unwrap().is_some() || Instant::now() > end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(server)
    }
}

impl Drop for StockServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
