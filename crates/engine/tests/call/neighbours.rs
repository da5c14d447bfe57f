//! Several apps on one machine, none of which named a server. Each test is a network namespace of its own, so that the
//! default port is free whatever else runs here; the engines are processes of their own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use engine::EngineProfile;

use crate::harness::{APP_SIGN, Client, fakes};

/// Runs a test of this binary in a network namespace that has nothing but its loopback. A plain line where none can be made.
fn alone(test: &str) {
    let name = format!("zego-call-{}-{test}", std::process::id());
    let ip = |arguments: &[&str]| Command::new("ip").args(arguments).output().is_ok_and(|it| it.status.success());
    if !ip(&["netns", "add", &name]) {
        return eprintln!("skipped: no network namespace can be made here");
    }
    ip(&["-n", &name, "link", "set", "lo", "up"]);
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &name]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("neighbours::{test}"), "--ignored", "--nocapture"]);
    let output = command.output().unwrap();
    ip(&["netns", "del", &name]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// An app in a process of its own, whose user is in its room when this returns; it ends when dropped.
struct App {
    process: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl App {
    fn begin(app_id: u32, user: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "neighbours::app", "--ignored", "--nocapture"]);
        command.env("CHILD_APP", app_id.to_string()).env("CHILD_USER", user);
        let mut process = command.stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    /// Waits until it says so.
    fn says(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended before {word:?}");
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "an application, started by the tests here"]
fn app() {
    let profile = EngineProfile {
        app_id: std::env::var("CHILD_APP").unwrap().parse().unwrap(),
        app_sign: APP_SIGN.into(),
        scenario: 3,
        server: None,
    };
    let mut client = Client::with(profile, fakes());
    client.login("room", &std::env::var("CHILD_USER").unwrap());
    client.expect("onRoomStateUpdate", |event| event["state"] != 1);
    assert_eq!(client.all("onRoomStateUpdate").last().unwrap()["state"], 2, "{:?}", client.seen);
    println!("\nhere");
    let mut reported = 0;
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let updates = client.all("onRoomUserUpdate");
        for update in &updates[reported..] {
            let verb = if update["updateType"] == 0 { "sees" } else { "misses" };
            for user in update["userList"].as_array().unwrap() {
                println!("\n{verb} {}", user["userID"].as_str().unwrap());
            }
        }
        reported = updates.len();
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Two processes of each of two apps, while the default port is what it is.
fn two_apps() {
    // All at once: whoever starts the server, the others have to find it.
    let mut apps = [(1, "anna"), (2, "carl"), (1, "ben"), (2, "dora")].map(|(app, user)| App::begin(app, user));
    for (app, other) in apps.iter_mut().zip(["ben", "dora", "anna", "carl"]) {
        app.says("here");
        app.says(&format!("sees {other}"));
    }
}

#[test]
fn two_apps_with_other_keys_find_their_own_and_not_each_other() {
    alone("only_apps");
}

#[test]
#[ignore = "runs in a namespace"]
fn only_apps() {
    two_apps();
}

#[test]
fn a_web_server_at_the_default_port_is_passed_over() {
    alone("beside_a_web_server");
}

#[test]
#[ignore = "runs in a namespace"]
fn beside_a_web_server() {
    let listener = TcpListener::bind("127.0.0.1:7880").unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let count = stream.read(&mut head).unwrap_or(0);
            // No token goes to a client who proved nothing.
            assert!(!String::from_utf8_lossy(&head[..count]).to_lowercase().contains("bearer"));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>");
        }
    });
    two_apps();
}

#[test]
fn something_that_says_nothing_at_the_default_port_is_passed_over() {
    alone("beside_silence");
}

#[test]
#[ignore = "runs in a namespace"]
fn beside_silence() {
    let listener = TcpListener::bind("127.0.0.1:7880").unwrap();
    std::thread::spawn(move || {
        let _kept: Vec<TcpStream> = listener.incoming().flatten().collect();
    });
    two_apps();
}

#[test]
fn when_the_process_with_the_server_dies_the_others_meet_again() {
    alone("take_over");
}

#[test]
#[ignore = "runs in a namespace"]
fn take_over() {
    let _other_app = App::begin(7, "eve");
    let mut carrier = App::begin(1, "carl");
    carrier.says("here");
    let (mut anna, mut ben) = (App::begin(1, "anna"), App::begin(1, "ben"));
    anna.says("sees ben");
    ben.says("here");
    drop(carrier);
    // Gone finally after some seconds; each other they never miss.
    for app in [&mut anna, &mut ben] {
        app.says("misses carl");
    }
}
