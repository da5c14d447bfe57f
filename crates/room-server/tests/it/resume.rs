use std::time::{Duration, Instant};

use protocol::messages::{DisconnectReason, Response, leave_request, participant_info};
use room_server::ServerConfig;
use str0m::media::MediaKind;

use crate::client::{Client, ClientEvent};
use crate::harness::{KEY, SECRET, Server, claims};

fn sees_gone(identity: &'static str) -> impl Fn(&ClientEvent) -> bool {
    move |event| match event {
        ClientEvent::Signal(Response::Update(update)) => update
            .participants
            .iter()
            .any(|p| p.identity == identity && p.state == participant_info::State::Disconnected as i32),
        _ => false,
    }
}

#[tokio::test]
async fn a_lost_signalling_connection_is_taken_up_and_nobody_notices() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("a", "s", MediaKind::Audio).await;
    let to_anna = hans.publish("b", "t", MediaKind::Audio).await;
    hans.packet_of(&sid).await;
    let me = anna.joined().await.participant.unwrap().sid;

    anna.drop_signal();
    hans.forget();
    hans.packet_of(&sid).await;
    anna.forget();
    anna.resume(&me).await;
    anna.wait_for("reconnect", |event| matches!(event, ClientEvent::Signal(Response::Reconnect(_))).then_some(()))
        .await;
    anna.participant("itself", |p| p.identity == "anna").await;
    anna.participant("hans", |p| p.identity == "hans").await;
    anna.wait_for("offer", |event| matches!(event, ClientEvent::Signal(Response::Offer(_))).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    anna.forget();
    anna.packet_of(&to_anna).await;
    hans.forget();
    hans.packet_of(&sid).await;
    assert!(hans.never(Duration::from_millis(100), sees_gone("anna")).await);
}

#[tokio::test]
async fn who_does_not_come_back_is_gone_for_the_others() {
    let config = ServerConfig { reconnect_timeout: Duration::from_millis(500), ..ServerConfig::default() };
    let server = Server::start_with(config).await;
    let anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    anna.drop_signal();
    assert!(hans.never(Duration::from_millis(200), sees_gone("anna")).await);
    let seen = sees_gone("anna");
    hans.wait_for("anna gone", |event| seen(event).then_some(())).await;
}

#[tokio::test]
async fn who_is_not_known_has_to_join_again() {
    let server = Server::start().await;
    let token = protocol::token::mint(KEY, SECRET, &claims("r", "anna")).unwrap();
    let mut anna = Client::connect(&server.url(), &token, "&reconnect=1&sid=PA_x").await.unwrap();
    let leave = anna.leave_message().await;
    assert_eq!(leave.reason, DisconnectReason::StateMismatch as i32);
    assert_eq!(leave.action, leave_request::Action::Reconnect as i32);
}

#[tokio::test]
async fn who_dies_is_gone_for_the_others_after_four_seconds() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("a", "s", MediaKind::Audio).await;
    hans.packet_of(&sid).await;
    let died = Instant::now();
    drop(anna);
    let seen = sees_gone("anna");
    hans.wait_for("anna gone", |event| seen(event).then_some(())).await;
    let after = died.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&after), "after {after:?}");
}

/// Longer than the dead are waited for: media still flow.
#[tokio::test]
async fn who_lost_only_the_signalling_connection_can_come_back_after_six_seconds() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let me = anna.joined().await.participant.unwrap().sid;
    anna.drop_signal();
    assert!(hans.never(Duration::from_secs(6), sees_gone("anna")).await);
    anna.resume(&me).await;
    anna.wait_for("reconnect", |event| matches!(event, ClientEvent::Signal(Response::Reconnect(_))).then_some(()))
        .await;
}
