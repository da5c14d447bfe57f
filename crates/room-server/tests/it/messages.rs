use std::collections::HashMap;
use std::time::Duration;

use protocol::messages::request_response::Reason;
use protocol::messages::{DataPacket, Ping, Request, Response, UpdateParticipantMetadata};
use protocol::token::Grants;

use crate::client::{ClientEvent, payload_of};
use crate::harness::{Server, claims, claims_with};

fn is_data(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::Data(_))
}

#[tokio::test]
async fn a_message_reaches_the_others_with_its_true_sender() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    for reliable in [true, false] {
        anna.send_data(reliable, &[], b"hello");
        assert_eq!(hans.data(b"hello").await, "anna");
        hans.forget();
        hans.send_data(reliable, &[], b"hello back");
        assert_eq!(anna.data(b"hello back").await, "hans");
        anna.forget();
    }
    assert!(anna.never(Duration::from_millis(200), is_data).await, "nobody hears an echo");
}

#[tokio::test]
async fn who_has_just_joined_gets_what_is_said_before_the_media_connection_is_up() {
    let server = Server::start().await;
    let anna = server.join("r", "anna").await;
    for query in ["", "&auto_subscribe=0"] {
        let mut hans = server.connect(claims("r", "hans"), query).await;
        let joined = |event: &ClientEvent| matches!(event, ClientEvent::Signal(Response::Join(_))).then_some(());
        hans.wait_for("the answer to the join", joined).await;
        anna.send_data(true, &[], b"welcome");
        assert_eq!(hans.data(b"welcome").await, "anna");
    }
}

#[tokio::test]
async fn a_message_with_destinations_reaches_only_those() {
    let server = Server::start().await;
    let anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let mut emil = server.join("r", "emil").await;
    anna.send_data(true, &["emil"], b"for emil");
    anna.send_data(true, &[], b"for all");
    assert_eq!(emil.data(b"for emil").await, "anna");
    hans.data(b"for all").await;
    let got_it = |event: &ClientEvent| matches!(event, ClientEvent::Data(p) if payload_of(p) == b"for emil");
    assert!(hans.never(Duration::from_millis(100), got_it).await);
}

#[tokio::test]
async fn a_large_message_arrives_and_a_repeated_one_does_not() {
    let server = Server::start().await;
    let anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let large = vec![7; 60_000];
    anna.send_data(true, &[], &large);
    hans.data(&large).await;
    hans.forget();
    let numbered = |sequence| DataPacket { sequence, ..Default::default() };
    for sequence in [1, 2, 2, 1, 3] {
        anna.send_packet(true, numbered(sequence));
    }
    let mut seen = Vec::new();
    hans.wait_for("the last one", |event| {
        if let ClientEvent::Data(packet) = event {
            seen.push(packet.sequence);
        }
        (seen.last() == Some(&3)).then_some(())
    })
    .await;
    assert_eq!(seen, [1, 2, 3]);
}

#[tokio::test]
async fn who_may_not_send_data_is_not_heard() {
    let server = Server::start().await;
    let grants = Grants { can_publish_data: Some(false), ..Grants::participant() };
    let anna = server.join_with(claims_with("r", "anna", grants)).await;
    let mut hans = server.join("r", "hans").await;
    anna.send_data(true, &[], b"hello");
    assert!(hans.never(Duration::from_millis(500), is_data).await);
}

#[tokio::test]
async fn attributes_reach_the_others_and_can_be_taken_back() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let update = |value: &str| {
        Request::UpdateMetadata(UpdateParticipantMetadata {
            attributes: HashMap::from([("zg.x.s".to_owned(), value.to_owned())]),
            request_id: 9,
            ..Default::default()
        })
    };
    anna.send(update("info"));
    hans.participant("the attribute", |p| p.attributes.get("zg.x.s").is_some_and(|v| v == "info")).await;
    anna.wait_for("confirmation", |event| match event {
        ClientEvent::Signal(Response::RequestResponse(r)) => {
            (r.request_id == 9 && r.reason == Reason::Ok as i32).then_some(())
        }
        _ => None,
    })
    .await;
    hans.forget();
    anna.send(update(""));
    hans.participant("no attribute", |p| p.identity == "anna" && p.attributes.is_empty()).await;
}

#[tokio::test]
async fn attributes_need_permission_and_have_a_limit() {
    let server = Server::start().await;
    let update = |length| {
        Request::UpdateMetadata(UpdateParticipantMetadata {
            attributes: HashMap::from([("a".to_owned(), "x".repeat(length))]),
            ..Default::default()
        })
    };
    let grants = Grants { can_update_own_metadata: None, ..Grants::participant() };
    let mut without = server.join_with(claims_with("r", "anna", grants)).await;
    let mut with = server.join("r", "hans").await;
    for (client, length, expected) in
        [(&mut without, 1, Reason::NotAllowed), (&mut with, 70_000, Reason::LimitExceeded)]
    {
        client.send(update(length));
        let reason = client
            .wait_for("refusal", |event| match event {
                ClientEvent::Signal(Response::RequestResponse(response)) => Some(response.reason),
                _ => None,
            })
            .await;
        assert_eq!(reason, expected as i32);
    }
}

#[tokio::test]
async fn a_sign_of_life_is_answered() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    anna.send(Request::PingReq(Ping { timestamp: 4711, rtt: 0 }));
    anna.wait_for("pong", |event| match event {
        ClientEvent::Signal(Response::PongResp(pong)) => (pong.last_ping_timestamp == 4711).then_some(()),
        _ => None,
    })
    .await;
}
