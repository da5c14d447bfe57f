//! The path to the room server: what stands before it, proxies, and how long a login waits.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Client, Server, fakes, profile, runtime};
use crate::http_ingress::{Answer, Door};

/// What an event's `extendedData` says in words.
pub fn message(event: &Value) -> String {
    let extended: Value = serde_json::from_str(event["extendedData"].as_str().unwrap()).unwrap();
    extended["message"].as_str().unwrap().to_owned()
}

/// Logs in where it must fail; returns the event and how long it took.
pub fn failure(client: &mut Client) -> (Value, Duration) {
    let began = Instant::now();
    client.login("room", "anna");
    let event = client.expect("onRoomStateUpdate", |event| event["state"] == 0);
    (event, began.elapsed())
}

#[test]
fn whatever_an_ingress_answers_for_a_while_a_call_outlives_it() {
    let server = Server::start();
    let door = Door::before(server.address);
    let mut anna = Client::with(profile(&door.url()), fakes());
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    let page = "<html>token expired, key unknown</html>";
    let answers: [Box<dyn Fn()>; 8] = [
        Box::new(|| door.says("301 Moved Permanently", "Location: https://elsewhere/\r\n", "")),
        Box::new(|| door.says("403 Forbidden", "", "expired")),
        Box::new(|| door.says("404 Not Found", "", "default backend - 404")),
        Box::new(|| door.says("200 OK", "Content-Type: text/html\r\n", page)),
        Box::new(|| door.says("400 Bad Request", "", "")),
        Box::new(|| door.says("401 Unauthorized", "", "invalid token")),
        Box::new(|| door.now(Answer::Text("\u{1}\u{2}garbage".into()))),
        Box::new(|| door.now(Answer::Closed)),
    ];
    for answer in answers {
        anna.forget();
        answer();
        anna.expect("onRoomStateChanged", |event| event["reason"] == 3 && event["errorCode"] == 1_002_051);
        // Long enough for some attempts; the point is that they meet it.
        std::thread::sleep(Duration::from_millis(700));
        door.now(Answer::Through);
        anna.expect("onRoomStateChanged", |event| event["reason"] == 4 && event["errorCode"] == 0);
        assert!(anna.all("onRoomStateUpdate").iter().all(|event| event["state"] != 0));
    }
}

#[test]
fn what_is_published_and_played_runs_on_while_an_ingress_answers() {
    let server = Server::start();
    let door = Door::before(server.address);
    let mut anna = Client::with(profile(&door.url()), fakes());
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    anna.publish("stream");
    let mut ben = Client::joined(&server, "room", "ben");
    let screen = ben.play("stream");
    screen.frames(3);
    anna.forget();
    ben.forget();
    door.says("404 Not Found", "Content-Type: text/html\r\n", "<html>");
    anna.expect("onRoomStateChanged", |event| event["reason"] == 3);
    std::thread::sleep(Duration::from_millis(700));
    door.now(Answer::Through);
    anna.expect("onRoomStateChanged", |event| event["reason"] == 4);
    screen.frames(0);
    screen.frames(3);
    assert!(anna.all("onPublisherStateUpdate").is_empty() && ben.all("onPlayerStateUpdate").is_empty());
}

#[test]
fn a_first_login_says_that_the_answer_came_from_no_room_server() {
    let server = Server::start();
    let door = Door::before(server.address);
    door.says("403 Forbidden", "Content-Type: text/plain\r\n", "RBAC: access denied");
    let mut anna = Client::with(profile(&door.url()), fakes());
    let (event, _) = failure(&mut anna);
    assert_eq!(event["errorCode"], 1_002_030);
    let message = message(&event);
    assert!(message.contains("not that of a room server") && message.contains("RBAC: access denied"), "{message}");
}

#[test]
fn a_first_login_outlives_an_ingress_that_is_about_to_find_its_server() {
    let server = Server::start();
    let door = Door::before(server.address);
    door.says("404 Not Found", "", "");
    let mut anna = Client::with(profile(&door.url()), fakes());
    anna.login("room", "anna");
    std::thread::sleep(Duration::from_millis(500));
    door.now(Answer::Through);
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
}

#[test]
fn a_first_login_that_hangs_ends_after_its_six_seconds() {
    let server = Server::start();
    let door = Door::before(server.address);
    door.now(Answer::Silence);
    let mut anna = Client::with(profile(&door.url()), fakes());
    let (event, took) = failure(&mut anna);
    assert_eq!(event["errorCode"], 1_002_031);
    assert!((Duration::from_millis(5900)..Duration::from_millis(8000)).contains(&took), "{took:?}");
}

#[test]
fn a_call_goes_through_the_proxy_that_the_application_names() {
    let server = Server::start();
    let target = server.address;
    let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let proxy = listener.local_addr().unwrap();
    runtime().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap() > 0 {}
                if head.starts_with("CONNECT rooms.office.invalid:7880 ") {
                    let mut onward = TcpStream::connect(target).await.unwrap();
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut onward).await;
                }
            });
        }
    });
    let mut advanced = fakes();
    advanced.insert("proxy".into(), format!("http://{proxy}"));
    let mut anna = Client::with(profile("ws://rooms.office.invalid:7880"), advanced);
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
}

#[test]
fn an_option_that_cannot_be_used_ends_each_login_at_once_and_says_why() {
    let server = Server::start();
    for (name, value, word) in [
        ("server_ca", "/nowhere/ca.pem", "/nowhere/ca.pem"),
        ("server_pin", "sha256/abc", "pin"),
        ("proxy", "gopher://user:secret@proxy:1", "proxy"),
    ] {
        let mut advanced = fakes();
        advanced.insert(name.into(), value.into());
        let mut anna = Client::with(profile(&server.url()), advanced);
        let (event, took) = failure(&mut anna);
        assert_eq!(event["errorCode"], 1_002_030);
        assert!(took < Duration::from_secs(3), "{took:?}");
        let message = message(&event);
        assert!(message.contains(word) && !message.contains("secret"), "{message}");
    }
}

#[test]
fn an_address_that_is_none_ends_the_login_at_once() {
    for url in ["ws://", "ftp://a", "ws://a b", "ws://a:99999", "ws://[::1"] {
        let mut anna = Client::with(profile(url), fakes());
        let (event, took) = failure(&mut anna);
        assert_eq!(event["errorCode"], 1_002_030);
        assert!(took < Duration::from_secs(3) && message(&event).contains("no address"), "{event}");
    }
}
