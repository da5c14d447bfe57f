//! What stock clients stumble over without a word of explanation. Each was found by getting it wrong, or in their sources.

use std::time::Duration;

use protocol::messages::{Request, Response, SessionDescription, TrackType, UpdateSubscription};
use str0m::media::MediaKind;

use crate::client::{Client, ClientEvent};
use crate::harness::{Server, claims};
use crate::http::get;

async fn first_offer(client: &mut Client) -> SessionDescription {
    client
        .wait_for("an offer", |event| match event {
            ClientEvent::Signal(Response::Offer(offer)) => Some(offer.clone()),
            _ => None,
        })
        .await
}

/// How many offers come up to 300 ms from now.
async fn offers(client: &mut Client) -> usize {
    let is_offer = |event: &ClientEvent| matches!(event, ClientEvent::Signal(Response::Offer(_)));
    let mut count = 0;
    client.forget();
    while !client.never(Duration::from_millis(300), is_offer).await {
        count += 1;
        client.forget();
    }
    count
}

/// A time of zero makes the Rust SDK panic and switches the browser's off; without a version `livekit-client` refuses the
/// server; from protocol 18 on the Rust SDK opens its data channels in another way.
#[tokio::test]
async fn the_first_message_has_all_that_clients_need() {
    let server = Server::start().await;
    let mut anna = server.connect(claims("r", "anna"), "").await;
    let first = anna.wait_for("a message", |event| Some(event.clone())).await;
    let ClientEvent::Signal(Response::Join(join)) = first else { panic!("another message comes first") };
    assert!(join.ping_interval > 0 && join.ping_timeout > join.ping_interval);
    let info = join.server_info.unwrap();
    assert!(!info.version.is_empty() && !join.server_version.is_empty());
    assert!((1..18).contains(&info.protocol));
    assert!(join.subscriber_primary);
    assert!(join.room.unwrap().sid.starts_with("RM_"));
    assert!(join.participant.unwrap().sid.starts_with("PA_"));
    assert!(!join.enabled_publish_codecs.is_empty());
}

/// Their primary connection is the one on which the server offers: without an offer it never comes up.
#[tokio::test]
async fn the_server_offers_at_once_with_data_channels() {
    let server = Server::start().await;
    let mut anna = server.connect(claims("r", "anna"), "").await;
    let offer = first_offer(&mut anna).await;
    assert!(offer.sdp.contains("m=application"), "{}", offer.sdp);
    assert!(offer.id > 0);
}

/// Clients discard answers whose number is not that of their last offer.
#[tokio::test]
async fn an_answer_has_the_number_of_its_offer() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    server.join("r", "hans").await.packet_of(&sid).await;
    let numbers = |pick: fn(&Response) -> Option<u32>| {
        move |event: &ClientEvent| match event {
            ClientEvent::Signal(response) => pick(response),
            _ => None,
        }
    };
    let answered = numbers(|response| match response {
        Response::Answer(answer) => Some(answer.id),
        _ => None,
    });
    assert!(anna.wait_for("an answer", answered).await > 0);
}

/// A browser finds out whose track it is from the name in the SDP, up to the bar.
#[tokio::test]
async fn a_track_is_named_after_its_participant_in_the_offer() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let me = anna.joined().await.participant.unwrap().sid;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    hans.packet_of(&sid).await;
    let name = format!("a=msid:{me}|{sid} {sid}");
    let named = |event: &ClientEvent| match event {
        ClientEvent::Signal(Response::Offer(offer)) => offer.sdp.lines().any(|line| line == name).then_some(()),
        _ => None,
    };
    hans.wait_for("the name", named).await;
}

/// An offer for one track may arrive after the announcement of the next, which may be of the same kind.
#[tokio::test]
async fn an_announced_track_is_not_taken_for_another_one_in_the_offer() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    anna.announce("announced-first", "later", MediaKind::Video);
    let sid = anna.publish("v", "now", MediaKind::Video).await;
    let seen = server.join("r", "hans").await.joined().await.other_participants;
    let tracks: Vec<_> = seen[0].tracks.iter().map(|track| (track.sid.as_str(), track.r#type)).collect();
    assert_eq!(tracks, [(sid.as_str(), TrackType::Video as i32)]);
}

/// Clients repeat their wishes whenever something in the page changes.
#[tokio::test]
async fn a_repeated_wish_changes_nothing() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    let mut hans = server.join("r", "hans").await;
    hans.packet_of(&sid).await;
    // What was under way when the packet came.
    offers(&mut hans).await;
    for _ in 0..3 {
        hans.send(Request::Subscription(UpdateSubscription {
            track_sids: vec![sid.clone()],
            subscribe: true,
            ..UpdateSubscription::default()
        }));
    }
    assert_eq!(offers(&mut hans).await, 0);
    hans.forget();
    hans.packet_of(&sid).await;
}

/// `livekit-client` asks here why it could not connect, from another origin. With 404 on both it falls back to `/rtc`, unless
/// the text says that the room does not exist.
#[tokio::test]
async fn a_browser_may_ask_why_it_was_refused() {
    let server = Server::start().await;
    let refused = get(&server, "/rtc/validate").await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(refused.to_lowercase().contains("access-control-allow-origin: *"), "{refused}");
}
