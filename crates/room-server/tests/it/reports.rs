use std::time::Duration;

use protocol::messages::{
    ConnectionQuality, DataChannelReceiveState, DataPacket, Request, Response, SubscriptionPermission, SyncState,
    TrackPermission, UserPacket, data_packet,
};
use str0m::media::MediaKind;

use crate::client::{ClientEvent, payload_of};
use crate::harness::{KEY, SECRET, Server};

#[tokio::test]
async fn who_joins_gets_a_token_for_the_next_time() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let token = anna
        .wait_for("token", |event| match event {
            ClientEvent::Signal(Response::RefreshToken(token)) => Some(token.clone()),
            _ => None,
        })
        .await;
    let claims = protocol::token::verify(&token, |key| (key == KEY).then(|| SECRET.to_owned())).unwrap();
    assert_eq!((claims.identity.as_str(), claims.room.as_str()), ("anna", "r"));
    assert!(claims.grants.room_join && claims.ttl > Duration::from_secs(500));
}

#[tokio::test]
async fn a_good_connection_is_reported_to_oneself_and_to_the_audience() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    anna.publish("a", "s", MediaKind::Audio).await;
    let sids = [anna.joined().await.participant.unwrap().sid, hans.joined().await.participant.unwrap().sid];
    hans.wait_for("quality", |event| match event {
        ClientEvent::Signal(Response::ConnectionQuality(update)) => sids
            .iter()
            .all(|sid| {
                update
                    .updates
                    .iter()
                    .any(|u| u.participant_sid == *sid && u.quality == ConnectionQuality::Excellent as i32)
            })
            .then_some(()),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_publisher_is_reported_the_first_subscriber() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let sid = anna.publish("a", "s", MediaKind::Audio).await;
    let is_reported = move |event: &ClientEvent| matches!(event, ClientEvent::Signal(Response::TrackSubscribed(offered)) if offered.track_sid == sid);
    assert!(anna.never(Duration::from_millis(200), &is_reported).await);
    let _hans = server.join("r", "hans").await;
    anna.wait_for("track_subscribed", |event| is_reported(event).then_some(())).await;
}

#[tokio::test]
async fn only_those_whom_the_publisher_allows_get_its_tracks() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let mut eve = server.join("r", "eve").await;
    let sid = anna.publish("a", "s", MediaKind::Audio).await;
    hans.packet_of(&sid).await;
    eve.packet_of(&sid).await;
    let allow =
        TrackPermission { participant_identity: "hans".to_owned(), all_tracks: true, ..TrackPermission::default() };
    anna.send(Request::SubscriptionPermission(SubscriptionPermission {
        all_participants: false,
        track_permissions: vec![allow],
    }));
    eve.wait_for("refusal", |event| match event {
        ClientEvent::Signal(Response::SubscriptionPermissionUpdate(update)) => (!update.allowed).then_some(()),
        _ => None,
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    eve.forget();
    hans.forget();
    hans.packet_of(&sid).await;
    assert!(eve.never(Duration::from_millis(200), |event| matches!(event, ClientEvent::Packet { .. })).await);
    anna.send(Request::SubscriptionPermission(SubscriptionPermission {
        all_participants: true,
        ..SubscriptionPermission::default()
    }));
    eve.packet_of(&sid).await;
}

/// What the client says it has not got is sent again after a resume.
#[tokio::test]
async fn missed_messages_come_after_a_resume() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    for (sequence, text) in [(1, "one"), (2, "two"), (3, "three")] {
        let user = UserPacket { payload: text.as_bytes().to_vec(), ..UserPacket::default() };
        anna.send_packet(
            true,
            DataPacket { sequence, value: Some(data_packet::Value::User(user)), ..DataPacket::default() },
        );
        hans.data(text.as_bytes()).await;
    }
    let publisher_sid = anna.joined().await.participant.unwrap().sid;
    let me = hans.joined().await.participant.unwrap().sid;
    hans.drop_signal();
    hans.forget();
    hans.resume(&me).await;
    hans.send(Request::SyncState(SyncState {
        datachannel_receive_states: vec![DataChannelReceiveState { publisher_sid, last_seq: 1 }],
        ..SyncState::default()
    }));
    hans.data(b"three").await;
    hans.data(b"two").await;
    let got_one = |event: &ClientEvent| matches!(event, ClientEvent::Data(packet) if payload_of(packet) == b"one");
    assert!(hans.never(Duration::from_millis(100), got_one).await);
}
