use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use protocol::messages::{
    DisconnectReason, ProtoMessage, Request, Response, SignalRequest, leave_request, participant_info,
};
use protocol::token::{Claims, Grants, mint};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::client::{Client, ClientEvent};
use crate::harness::{KEY, OTHER_KEY, SECRET, Server, claims, claims_with};

#[tokio::test]
async fn those_in_the_room_see_who_comes_and_who_goes() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let others = hans.joined().await.other_participants;
    assert_eq!(others.iter().map(|p| p.identity.as_str()).collect::<Vec<_>>(), ["anna"]);
    let seen = anna.participant("hans", |p| p.identity == "hans").await;
    assert_eq!(seen.name, "hans's name");

    hans.send(Request::Leave(Default::default()));
    let left = participant_info::State::Disconnected as i32;
    let gone = anna.participant("hans gone", |p| p.identity == "hans" && p.state == left).await;
    assert_eq!(gone.disconnect_reason, DisconnectReason::ClientInitiated as i32);
}

#[tokio::test]
async fn the_room_says_how_many_are_in_it() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let _hans = server.join("r", "hans").await;
    anna.wait_for("two in the room", |event| match event {
        ClientEvent::Signal(Response::RoomUpdate(update)) => {
            (update.room.as_ref()?.num_participants == 2).then_some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_second_login_sends_the_older_session_away() {
    let server = Server::start().await;
    let mut older = server.join("r", "anna").await;
    let mut newer = server.join("r", "anna").await;
    let leave = older.leave_message().await;
    assert_eq!(leave.reason, DisconnectReason::DuplicateIdentity as i32);
    assert_eq!(leave.action, leave_request::Action::Disconnect as i32);
    older.wait_for("end of signalling", |event| matches!(event, ClientEvent::SignalClosed).then_some(())).await;
    assert!(newer.joined().await.other_participants.is_empty());
}

/// Browsers report everything else as an error on their console, though the user has only left.
#[tokio::test]
async fn the_connection_of_a_user_who_leaves_ends_in_order_though_more_was_said() {
    let server = Server::start().await;
    let token = mint(KEY, SECRET, &claims("r", "anna")).unwrap();
    let url = format!("{}/rtc?access_token={token}", server.url());
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let leave = SignalRequest { message: Some(Request::Leave(Default::default())) }.encode_to_vec();
    for _ in 0..3 {
        socket.send(Message::Binary(leave.clone().into())).await.unwrap();
    }
    let mut end = None;
    // Up to the end of the stream: a connection that is reset gives an error here.
    while let Some(message) = socket.next().await {
        if let Message::Close(frame) = message.unwrap() {
            end = frame;
        }
    }
    assert_eq!(end.map(|frame| frame.code), Some(CloseCode::Normal));
}

#[tokio::test]
async fn the_same_user_may_be_in_two_rooms() {
    let server = Server::start().await;
    let mut one = server.join("r1", "anna").await;
    let _two = server.join("r2", "anna").await;
    assert!(one.never(Duration::from_millis(300), |e| matches!(e, ClientEvent::Signal(Response::Leave(_)))).await);
}

#[tokio::test]
async fn a_full_room_takes_nobody_else() {
    let server = Server::start().await;
    let limited = |identity| Claims { max_participants: 1, ..claims("r", identity) };
    let _anna = server.join_with(limited("anna")).await;
    let mut hans = server.connect(limited("hans"), "").await;
    assert_eq!(hans.leave_message().await.reason, DisconnectReason::JoinFailure as i32);
}

#[tokio::test]
async fn apps_do_not_see_each_other() {
    let server = Server::start().await;
    let _anna = server.join("r", "anna").await;
    let token = mint(OTHER_KEY, SECRET, &claims("r", "anna")).unwrap();
    let mut other = Client::connect(&server.url(), &token, "").await.unwrap();
    assert!(other.joined().await.other_participants.is_empty());
}

#[tokio::test]
async fn a_hidden_participant_is_not_seen() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let hidden = Grants { hidden: true, ..Grants::participant() };
    let mut spy = server.join_with(claims_with("r", "spy", hidden)).await;
    assert_eq!(spy.joined().await.other_participants.len(), 1);
    let sees_spy = |event: &ClientEvent| match event {
        ClientEvent::Signal(Response::Update(update)) => update.participants.iter().any(|p| p.identity == "spy"),
        _ => false,
    };
    assert!(anna.never(Duration::from_millis(300), sees_spy).await);
}

#[tokio::test]
async fn forged_and_missing_tokens_do_not_get_in() {
    let server = Server::start().await;
    let good = mint(KEY, SECRET, &claims("r", "anna")).unwrap();
    let forged = mint(KEY, "another secret", &claims("r", "anna")).unwrap();
    let unknown = mint("999", SECRET, &claims("r", "anna")).unwrap();
    let header = "eyJhbGciOiJub25lIn0"; // {"alg":"none"}
    let unsigned = format!("{header}.{}.", good.split('.').nth(1).unwrap());
    for token in [forged.as_str(), &unknown, &unsigned, "", "garbage"] {
        match Client::connect(&server.url(), token, "").await {
            Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 401, "{token}"),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("{token} got in"),
        }
    }
}

#[tokio::test]
async fn when_the_server_stops_all_clients_is_reported() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    server.server.shutdown().await;
    assert_eq!(anna.leave_message().await.reason, DisconnectReason::ServerShutdown as i32);
}

#[tokio::test]
async fn a_taken_port_is_named_as_such() {
    let server = Server::start().await;
    let config = room_server::ServerConfig { port: server.server.local_addr().port(), ..Default::default() };
    let error = room_server::RoomServer::start(config).await.err().unwrap();
    assert!(matches!(error, room_server::StartError::AddressInUse(_)));
}

#[tokio::test]
async fn an_app_that_is_added_later_gets_in() {
    let server = Server::start().await;
    assert!(server.server.add_key("42", "secret"));
    let token = mint("42", "secret", &claims("r", "anna")).unwrap();
    Client::connect(&server.url(), &token, "").await.unwrap().joined().await;
    assert!(!server.server.add_key("42", "other secret"));
}

/// LiveKit's Go clients say nothing of themselves for minutes.
#[tokio::test]
async fn a_client_that_only_answers_is_asked_for_signs_of_life() {
    let server = Server::start().await;
    let token = mint(KEY, SECRET, &claims("r", "anna")).unwrap();
    let url = format!("{}/rtc?access_token={token}", server.url());
    let (mut socket, _) = connect_async(url).await.unwrap();
    let asked = async { while !matches!(socket.next().await, Some(Ok(Message::Ping(_)))) {} };
    timeout(Duration::from_secs(15), asked).await.expect("no ping");
}
