use protocol::messages::request_response::Reason;
use protocol::token::Grants;
use str0m::media::MediaKind;

use crate::harness::{Server, claims_with};

#[tokio::test]
async fn a_stream_that_someone_else_publishes_is_refused_even_in_another_room() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    anna.publish("a", "s", MediaKind::Audio).await;
    for room in ["r", "r2"] {
        let mut hans = server.join(room, "hans").await;
        hans.announce("x", "s", MediaKind::Audio);
        assert_eq!(hans.refusal().await.reason, Reason::DuplicateName as i32);
    }
}

#[tokio::test]
async fn audio_and_frame_of_one_user_share_their_stream() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    anna.publish("a", "s", MediaKind::Audio).await;
    anna.publish("v", "s", MediaKind::Video).await;
}

#[tokio::test]
async fn a_stream_is_free_again_when_it_ends() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("a", "s", MediaKind::Audio).await;
    hans.packet_of(&sid).await;
    hans.forget();
    anna.unpublish("a");
    hans.participant("anna without tracks", |p| p.identity == "anna" && p.tracks.is_empty()).await;
    anna.forget();
    let sid = hans.publish("a", "s", MediaKind::Audio).await;
    anna.packet_of(&sid).await;
}

#[tokio::test]
async fn publishing_again_after_the_end_works() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    for round in 0..3 {
        let cid = format!("v{round}");
        let sid = anna.publish(&cid, "s", MediaKind::Video).await;
        hans.packet_of(&sid).await;
        hans.forget();
        anna.unpublish(&cid);
        hans.participant("anna without tracks", |p| p.identity == "anna" && p.tracks.is_empty()).await;
    }
}

#[tokio::test]
async fn who_may_not_publish_is_reported_so() {
    let server = Server::start().await;
    let grants = Grants { can_publish: Some(false), ..Grants::participant() };
    let mut anna = server.join_with(claims_with("r", "anna", grants)).await;
    anna.announce("a", "s", MediaKind::Audio);
    assert_eq!(anna.refusal().await.reason, Reason::NotAllowed as i32);
}
