//! An X server without a screen for one test, and the process of its own that the test runs in.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Set in the process that a test runs in.
const INSIDE: &str = "SCREEN_TEST_INSIDE";

/// What a test finds in its environment.
#[derive(Clone, Copy)]
pub enum Display {
    /// A server of its own, 800 x 600.
    Own,
    /// The same with 16 bits a pixel.
    Depth16,
    None,
}

/// Runs the body of the test of that name where it finds such a display.
pub fn run(test: &str, display: Display, body: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let server = match display {
        Display::Own => Some(XServer::start("800x600x24")),
        Display::Depth16 => Some(XServer::start("800x600x16")),
        Display::None => None,
    };
    let mut inside = Command::new(std::env::current_exe().unwrap());
    inside.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    if let Some(server) = &server {
        inside.env("DISPLAY", format!(":{}", server.number));
    }
    let output = inside.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

struct XServer {
    process: Child,
    number: u32,
}

impl XServer {
    /// Starts one and waits until it takes connections.
    fn start(screen: &str) -> Self {
        let mut process = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", screen, "-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is needed for this test");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, number: line.trim().parse().expect("Xvfb did not start") }
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().unwrap();
    }
}
