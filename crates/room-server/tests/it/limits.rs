//! What is too much, and what is said then.

use std::collections::HashMap;
use std::time::Duration;

use protocol::messages::request_response::Reason;
use protocol::messages::{Request, UpdateParticipantMetadata};
use protocol::token::{Grants, mint};
use room_server::{IceServerConfig, JoinRate, Limits, ServerConfig};
use str0m::media::MediaKind;
use tokio_tungstenite::tungstenite;

use crate::client::{Client, ClientEvent, payload_of};
use crate::harness::{KEY, SECRET, Server, claims, claims_with};
use crate::http::get;

#[tokio::test]
async fn who_joins_too_often_is_reported_to_wait_and_those_in_the_room_are_not_disturbed() {
    let rate = JoinRate { per_second: 1, burst: 4 };
    let server = Server::start_with(ServerConfig { join_rate: Some(rate), ..ServerConfig::default() }).await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    let token = mint(KEY, SECRET, &claims("r", "eve")).unwrap();
    let mut refused = 0;
    for _ in 0..20 {
        match Client::connect(&server.url(), &token, "").await {
            Ok(_) => {}
            Err(tungstenite::Error::Http(response)) => {
                assert_eq!(
                    (response.status().as_u16(), &response.headers()["retry-after"]),
                    (429, &"1".parse().unwrap())
                );
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused >= 15, "{refused}");
    let why = get(&server, &format!("/rtc/validate?access_token={token}")).await;
    assert!(why.starts_with("HTTP/1.1 429") && why.contains("too many joins"), "{why}");
    hans.forget();
    hans.packet_of(&sid).await;
}

#[tokio::test]
async fn a_data_packet_that_is_too_long_is_answered_and_goes_nowhere() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let long = vec![1; 66_200];
    for _ in 0..3 {
        anna.send_data(true, &[], &long);
    }
    let answer = anna.refusal().await;
    assert_eq!(answer.reason, Reason::LimitExceeded as i32);
    assert!(answer.message.contains("64000"), "{}", answer.message);
    anna.send_data(true, &[], b"short");
    assert_eq!(hans.data(b"short").await, "anna");
    let is_long = |event: &ClientEvent| matches!(event, ClientEvent::Data(packet) if payload_of(packet).len() > 5);
    assert!(hans.never(Duration::from_millis(100), is_long).await);
}

#[tokio::test]
async fn who_may_not_send_data_is_reported() {
    let server = Server::start().await;
    let silent = Grants { can_publish_data: Some(false), ..Grants::participant() };
    let mut anna = server.join_with(claims_with("r", "anna", silent)).await;
    anna.send_data(true, &[], b"hello");
    assert_eq!(anna.refusal().await.reason, Reason::NotAllowed as i32);
}

#[tokio::test]
async fn attributes_and_names_that_are_too_long_are_named_in_the_answer() {
    let limits = Limits { attributes: 10, participant_name: 10, ..Limits::default() };
    let server = Server::start_with(ServerConfig { limits, ..ServerConfig::default() }).await;
    let mut anna = server.join_with(protocol::token::Claims { name: "a".into(), ..claims("r", "anna") }).await;
    let attributes = HashMap::from([("mood".to_owned(), "very good".to_owned())]);
    let name = "a very long name".to_owned();
    for (request, what) in [
        (UpdateParticipantMetadata { attributes, request_id: 7, ..Default::default() }, "attributes"),
        (UpdateParticipantMetadata { name, request_id: 7, ..Default::default() }, "name"),
    ] {
        anna.forget();
        anna.send(Request::UpdateMetadata(request));
        let answer = anna.refusal().await;
        assert_eq!((answer.reason, answer.request_id), (Reason::LimitExceeded as i32, 7));
        assert!(answer.message.contains(what), "{}", answer.message);
    }
}

#[tokio::test]
async fn a_name_that_is_too_long_does_not_get_in() {
    let server = Server::start().await;
    let token = mint(KEY, SECRET, &claims("r", &"a".repeat(257))).unwrap();
    match Client::connect(&server.url(), &token, "").await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 400),
        _ => panic!("got in"),
    }
}

#[tokio::test]
async fn clients_are_reported_the_relays_that_are_configured() {
    let urls = vec!["turn:turn.example.com:3478?transport=udp".to_owned()];
    let relay = IceServerConfig {
        urls: urls.clone(),
        username: "u".into(),
        credential: "c".into(),
        ..IceServerConfig::default()
    };
    let server = Server::start_with(ServerConfig { ice_servers: vec![relay], ..ServerConfig::default() }).await;
    let mut anna = server.connect(claims("r", "anna"), "").await;
    let offered = anna.joined().await.ice_servers;
    assert_eq!(
        (offered.len(), &offered[0].urls, offered[0].username.as_str(), offered[0].credential.as_str()),
        (1, &urls, "u", "c")
    );
}

#[tokio::test]
async fn a_room_takes_as_many_as_the_server_allows() {
    let server = Server::start_with(ServerConfig { max_participants: 1, ..ServerConfig::default() }).await;
    let _anna = server.join("r", "anna").await;
    server.connect(claims("r", "hans"), "").await.leave_message().await;
    server.join("other", "hans").await;
}

#[tokio::test]
async fn a_room_that_shall_wait_is_the_same_for_who_returns() {
    let config = ServerConfig { departure_timeout: Duration::from_secs(60), ..ServerConfig::default() };
    let server = Server::start_with(config).await;
    let mut first = server.join("r", "anna").await;
    let sid = first.joined().await.room.unwrap().sid;
    first.send(Request::Leave(Default::default()));
    first.wait_for("end of signalling", |event| matches!(event, ClientEvent::SignalClosed).then_some(())).await;
    let again = server.join("r", "anna").await.joined().await.room.unwrap();
    assert_eq!((again.sid, again.num_participants), (sid, 1));
}
