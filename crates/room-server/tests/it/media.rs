use std::collections::BTreeSet;
use std::time::Duration;

use protocol::messages::{MuteTrackRequest, Request, UpdateSubscription, UpdateTrackSettings};
use str0m::media::MediaKind;

use crate::client::{Client, ClientEvent, ORIENTATION, WITHOUT_RTX};
use crate::harness::{Server, claims};

fn is_packet(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::Packet { .. })
}

#[tokio::test]
async fn audio_and_frame_arrive_without_holes() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    for (cid, kind) in [("a", MediaKind::Audio), ("v", MediaKind::Video)] {
        let sid = anna.publish(cid, "s", kind).await;
        hans.packet_of(&sid).await;
        let mut received = Vec::new();
        hans.forget();
        hans.wait_for("30 packets", |event| {
            if let ClientEvent::Packet { track_sid, sequence, counter, .. } = event
                && *track_sid == sid
            {
                received.push((*sequence, *counter));
            }
            (received.len() == 30).then_some(())
        })
        .await;
        received.sort_unstable();
        let (first_sequence, first_counter) = received[0];
        for (sequence, counter) in received {
            assert_eq!(sequence - first_sequence, u64::from(counter - first_counter));
        }
    }
}

#[tokio::test]
async fn how_a_phone_was_held_reaches_those_who_watch() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    anna.publish("v", "s", MediaKind::Video).await;
    hans.wait_for("a turned picture", |event| {
        matches!(event, ClientEvent::Packet { orientation: Some(ORIENTATION), .. }).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_comes_later_gets_what_is_there() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    anna.forget();
    let mut hans = server.join("r", "hans").await;
    hans.packet_of(&sid).await;
    anna.wait_for("request for a key frame", |event| matches!(event, ClientEvent::KeyframeRequested).then_some(()))
        .await;
}

#[tokio::test]
async fn without_auto_subscribe_only_what_is_asked_for_arrives() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let sid = anna.publish("a", "s", MediaKind::Audio).await;
    let mut hans = server.connect(claims("r", "hans"), "&auto_subscribe=0").await;
    hans.until_active().await;
    assert!(hans.never(Duration::from_millis(300), is_packet).await);

    let wish = |subscribe| {
        Request::Subscription(UpdateSubscription { track_sids: vec![sid.clone()], subscribe, ..Default::default() })
    };
    hans.send(wish(true));
    hans.send(wish(true));
    hans.packet_of(&sid).await;

    hans.send(wish(false));
    tokio::time::sleep(Duration::from_millis(200)).await;
    hans.forget();
    assert!(hans.never(Duration::from_millis(300), is_packet).await);
    hans.send(wish(true));
    hans.packet_of(&sid).await;
}

#[tokio::test]
async fn a_disabled_track_pauses_and_continues() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    hans.packet_of(&sid).await;
    let setting = |disabled| {
        Request::TrackSetting(UpdateTrackSettings { track_sids: vec![sid.clone()], disabled, ..Default::default() })
    };
    hans.send(setting(true));
    tokio::time::sleep(Duration::from_millis(200)).await;
    hans.forget();
    assert!(hans.never(Duration::from_millis(300), is_packet).await);
    hans.send(setting(false));
    hans.packet_of(&sid).await;
}

#[tokio::test]
async fn others_see_that_a_track_is_muted() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("a", "s", MediaKind::Audio).await;
    anna.send(Request::Mute(MuteTrackRequest { sid: sid.clone(), muted: true }));
    hans.participant("muted", |p| p.tracks.iter().any(|t| t.sid == sid && t.muted)).await;
    hans.forget();
    anna.send(Request::Mute(MuteTrackRequest { sid: sid.clone(), muted: false }));
    hans.participant("not muted", |p| p.tracks.iter().any(|t| t.sid == sid && !t.muted)).await;
}

/// Waits until the next 150 packets of a track have arrived without exception.
async fn every_packet(client: &mut Client, sid: &str) {
    let (_, first) = client.packet_of(sid).await;
    let mut missing: BTreeSet<u32> = (first + 10..first + 160).collect();
    client
        .wait_for("every packet", |event| {
            if let ClientEvent::Packet { track_sid, counter, .. } = event
                && track_sid == sid
            {
                missing.remove(counter);
            }
            missing.is_empty().then_some(())
        })
        .await;
}

/// Every tenth packet is lost on the path to the server, every seventh on the path from it.
#[tokio::test]
async fn lost_frames_are_sent_again_on_both_paths() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    hans.packet_of(&sid).await;
    anna.lose_every(10);
    hans.lose_every(7);
    hans.forget();
    every_packet(&mut hans, &sid).await;
}

#[tokio::test]
async fn a_client_without_rtx_gets_lost_audio_and_frames_again() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.connect(claims("r", "hans"), WITHOUT_RTX).await;
    hans.until_active().await;
    for (cid, kind) in [("a", MediaKind::Audio), ("v", MediaKind::Video)] {
        let sid = anna.publish(cid, "s", kind).await;
        hans.packet_of(&sid).await;
        hans.lose_every(7);
        hans.forget();
        every_packet(&mut hans, &sid).await;
    }
}
