//! An X server without a screen, for one test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub struct XServer {
    process: Child,
    number: u32,
}

impl XServer {
    /// Starts one and waits until it takes connections.
    pub fn start() -> Self {
        let mut process = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is needed for this test");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, number: line.trim().parse().expect("Xvfb did not start") }
    }

    /// What `DISPLAY` is called for it.
    pub fn display(&self) -> String {
        format!(":{}", self.number)
    }
}

/// Runs the ignored tests of this program in a process of its own with that display, `no_display` without one. The
/// display is a variable of the whole process.
pub fn run_ignored_tests(display: Option<&str>) -> bool {
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.args(["--ignored", "--test-threads=1"]).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    match display {
        Some(display) => tests.args(["--skip", "no_display"]).env("DISPLAY", display),
        None => tests.arg("no_display"),
    };
    tests.status().unwrap().success()
}

impl Drop for XServer {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().unwrap();
    }
}
