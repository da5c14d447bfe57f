//! What the client does at a server's word, and what it says after a loss.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use engine::{EngineConfig, ReconnectPolicy};
use protocol::messages::{DisconnectReason, LeaveRequest, Request, Response, leave_request::Action};

use crate::harness::{Client, fakes, profile};
use crate::scripted_server::{Incoming, ScriptedServer};

fn leave(reason: DisconnectReason, action: Action) -> LeaveRequest {
    LeaveRequest { reason: reason as i32, action: action as i32, ..LeaveRequest::default() }
}

fn joined(server: &ScriptedServer) -> (Client, Incoming) {
    let mut client = Client::with(profile(&server.url), fakes());
    client.login("room", "anna");
    let connection = server.next();
    assert!(!connection.is_resume());
    connection.join("PA_1");
    client.expect("onRoomStateUpdate", |event| event["state"] == 2);
    client.forget();
    (client, connection)
}

#[test]
fn a_server_that_asks_for_a_resume_gets_one_unnoticed() {
    let server = ScriptedServer::start();
    let (mut client, first) = joined(&server);
    first.leave(leave(DisconnectReason::UnknownReason, Action::Resume));
    let second = server.next();
    assert!(second.is_resume() && second.query.contains("sid=PA_1"), "{}", second.query);
    second.take_up();
    let state = second.request(|request| match request {
        Request::SyncState(state) => Some(state),
        other => panic!("before the state came {other:?}"),
    });
    assert!(state.subscription.unwrap().subscribe);
    second.request(|request| matches!(request, Request::Offer(_)).then_some(()));
    assert!(client.all("onRoomStateUpdate").is_empty());
}

#[test]
fn a_server_that_asks_for_a_reconnect_gets_a_new_login() {
    let server = ScriptedServer::start();
    let (mut client, first) = joined(&server);
    first.leave(leave(DisconnectReason::StateMismatch, Action::Reconnect));
    let second = server.next();
    assert!(!second.is_resume());
    second.join("PA_2");
    client.expect("onRoomStateChanged", |event| event["reason"] == 3);
    client.expect("onRoomStateChanged", |event| event["reason"] == 4);
}

#[test]
fn a_client_that_is_removed_does_not_return() {
    let server = ScriptedServer::start();
    let (mut client, first) = joined(&server);
    first.leave(leave(DisconnectReason::ParticipantRemoved, Action::Disconnect));
    client.expect("onRoomStateChanged", |event| event["reason"] == 6 && event["errorCode"] == 1_002_055);
    client.login("room", "anna");
    assert!(!server.next().is_resume());
}

#[test]
fn a_session_that_the_server_forgot_is_replaced_at_once() {
    let server = ScriptedServer::start();
    let (mut client, first) = joined(&server);
    drop(first);
    client.expect("onRoomStateChanged", |event| event["reason"] == 3);
    server.next().leave(leave(DisconnectReason::StateMismatch, Action::Reconnect));
    let third = server.next();
    assert!(!third.is_resume());
    third.join("PA_2");
    client.expect("onRoomStateChanged", |event| event["reason"] == 4);
    assert_eq!(client.all("onRoomStateChanged").len(), 2);
}

#[test]
fn a_user_id_taken_during_an_outage_ends_the_login() {
    let server = ScriptedServer::start();
    let (mut client, first) = joined(&server);
    drop(first);
    server.next().leave(leave(DisconnectReason::DuplicateIdentity, Action::Disconnect));
    client.expect("onRoomStateChanged", |event| event["reason"] == 5 && event["errorCode"] == 1_002_086);
}

#[test]
fn the_newest_token_of_the_server_is_the_one_to_resume_with() {
    let server = ScriptedServer::start();
    let (_client, first) = joined(&server);
    first.send(Response::RefreshToken("older".into()));
    first.send(Response::RefreshToken("newest".into()));
    first.leave(leave(DisconnectReason::UnknownReason, Action::Resume));
    assert_eq!(server.next().token, "newest");
}

#[test]
fn a_request_without_an_answer_is_repeated_after_a_resume() {
    let server = ScriptedServer::start();
    let (client, first) = joined(&server);
    client.engine.start_publishing_stream("s", Default::default(), 0).unwrap();
    let added = |connection: &Incoming| {
        connection.request(|request| match request {
            Request::AddTrack(track) => Some(track.cid),
            _ => None,
        })
    };
    let mut asked = [added(&first), added(&first)];
    drop(first);
    let second = server.next();
    second.take_up();
    let mut again = [added(&second), added(&second)];
    asked.sort();
    again.sort();
    assert_eq!(asked, again);
}

/// Two resumes, one login, and the end; counts what it was asked.
#[derive(Debug, Default)]
struct Short {
    resumes: AtomicU32,
    logins: AtomicU32,
}

impl ReconnectPolicy for Short {
    fn next_resume(&self, attempt: u32, _elapsed: Duration, _jitter: f64) -> Option<Duration> {
        self.resumes.fetch_add(1, SeqCst);
        (attempt < 2).then_some(Duration::from_millis(1))
    }

    fn next_login(&self, attempt: u32, _elapsed: Duration, _jitter: f64) -> Option<Duration> {
        self.logins.fetch_add(1, SeqCst);
        (attempt < 1).then_some(Duration::from_millis(1))
    }
}

#[test]
fn the_policy_decides_how_often_it_tries() {
    let server = ScriptedServer::start();
    let policy = Arc::new(Short::default());
    let config = EngineConfig { advanced: fakes(), reconnect_policy: Some(policy.clone()), ..EngineConfig::default() };
    let mut client = Client::configured(profile(&server.url), config);
    client.login("room", "anna");
    server.next().join("PA_1");
    client.expect("onRoomStateUpdate", |event| event["state"] == 2);
    // Its connection was dropped with the statement above; those that follow end before they begin.
    let kinds: Vec<bool> = (0..3).map(|_| server.next().is_resume()).collect();
    assert_eq!(kinds, [true, true, false]);
    client.expect("onRoomStateChanged", |event| event["reason"] == 5 && event["errorCode"] == 1_002_053);
    assert_eq!((policy.resumes.load(SeqCst), policy.logins.load(SeqCst)), (3, 2));
}
