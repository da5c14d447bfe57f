use std::sync::mpsc::channel;

use engine::{Reply, User};
use serde_json::Value;

use crate::harness::{Client, Server};

fn reply() -> (Reply, std::sync::mpsc::Receiver<Value>) {
    let (sender, receiver) = channel();
    (Box::new(move |value| sender.send(value).unwrap()), receiver)
}

fn broadcast(client: &Client, room: &str, text: &str) -> Value {
    let (reply, answer) = reply();
    client.engine.send_broadcast_message(room, text, reply).unwrap();
    answer.recv().unwrap()
}

fn command(client: &Client, text: &str, to: &[&str]) -> Value {
    let (reply, answer) = reply();
    let to = to.iter().map(|id| User { id: (*id).into(), name: String::new() }).collect();
    client.engine.send_custom_command("room", text, to, reply).unwrap();
    answer.recv().unwrap()
}

#[test]
fn a_broadcast_reaches_the_others_and_only_answers_the_sender() {
    let server = Server::start();
    let mut anna = Client::joined(&server, "room", "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    let sent = broadcast(&anna, "room", "大家好");
    assert_eq!(sent["errorCode"], 0);
    let received = ben.expect("onIMRecvBroadcastMessage", |_| true);
    let message = &received["messageList"][0];
    assert_eq!(message["message"], "大家好");
    assert_eq!(message["messageID"], sent["messageID"]);
    assert_eq!(message["fromUser"]["userName"], "anna-name");
    assert!(anna.all("onIMRecvBroadcastMessage").is_empty());
}

#[test]
fn a_command_reaches_only_the_one_it_is_for() {
    let server = Server::start();
    let anna = Client::joined(&server, "room", "anna");
    let mut ben = Client::joined(&server, "room", "ben");
    let mut eve = Client::joined(&server, "room", "eve");
    assert_eq!(command(&anna, "for ben", &["ben"])["errorCode"], 0);
    assert_eq!(command(&anna, "for all", &[])["errorCode"], 0);
    let to_ben = ben.expect("onIMRecvCustomCommand", |_| true);
    assert_eq!((&to_ben["command"], &to_ben["fromUser"]["userID"]), (&"for ben".into(), &"anna".into()));
    let to_eve = eve.expect("onIMRecvCustomCommand", |_| true);
    assert_eq!(to_eve["command"], "for all");
}

#[test]
fn empty_long_misdirected_and_too_many_messages_have_their_codes() {
    let server = Server::start();
    let anna = Client::joined(&server, "room", "anna");
    assert_eq!(broadcast(&anna, "room", "")["errorCode"], 1_009_001);
    assert_eq!(broadcast(&anna, "room", &"x".repeat(1025))["errorCode"], 1_009_002);
    assert_eq!(broadcast(&anna, "other", "hello")["errorCode"], 1_009_005);
    let codes: Vec<_> = (0..3).map(|_| broadcast(&anna, "room", "hello")["errorCode"].as_i64().unwrap()).collect();
    assert_eq!(codes, [0, 0, 1_009_015]);
    let outside = Client::new(&server);
    assert_eq!(broadcast(&outside, "room", "hello")["errorCode"], 1_000_002);
}
