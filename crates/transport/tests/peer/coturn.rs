//! A TURN server of its own for one test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use transport::IceServer;

/// Ends with the test.
pub struct Coturn {
    process: Child,
    folder: PathBuf,
    port: u16,
    tls_port: u16,
    /// PEM of who issued its certificate.
    pub ca: String,
}

impl Coturn {
    /// `None`, and a line that says so, where it is not installed.
    pub fn start() -> Option<Self> {
        let (port, tls_port) = (free_port(), free_port());
        let folder = std::env::temp_dir().join(format!("coturn-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (ca, certificate, key) = certificate();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (certificate, key) = (file("certificate.pem", &certificate), file("key.pem", &key));
        let process = Command::new("turnserver")
            .args([
                "-n",
                "--no-cli",
                "--allow-loopback-peers",
                "--lt-cred-mech",
                "--user=user:password",
                "--realm=test",
            ])
            .args(["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--no-dtls", "--log-file=stdout"])
            .arg(format!("--listening-port={port}"))
            .arg(format!("--tls-listening-port={tls_port}"))
            .arg(format!("--cert={}", certificate.display()))
            .arg(format!("--pkey={}", key.display()))
            .arg(format!("--pidfile={}", folder.join("pid").display()))
            .arg(format!("--userdb={}", folder.join("db").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = match process {
            Ok(process) => process,
            Err(error) => {
                eprintln!("skipped: no turnserver: {error}");
                return None;
            }
        };
        let coturn = Self { process, folder, port, tls_port, ca };
        let end = Instant::now() + Duration::from_secs(10);
        while [port, tls_port].iter().any(|port| TcpStream::connect(("127.0.0.1", *port)).is_err()) {
            assert!(Instant::now() < end, "the TURN server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(coturn)
    }

    /// How it is reached by `udp`, `tcp` or `tls`.
    pub fn ice_server(&self, route: &str, credential: &str) -> IceServer {
        let url = match route {
            "tls" => format!("turns:127.0.0.1:{}?transport=tcp", self.tls_port),
            _ => format!("turn:127.0.0.1:{}?transport={route}", self.port),
        };
        IceServer { urls: vec![url], username: "user".into(), credential: credential.into() }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The issuer's certificate, the server's, and the server's key.
fn certificate() -> (String, String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    (ca.pem(), certificate.pem(), key.serialize_pem())
}
