//! What stock clients publish: how their lines are understood, what their streams and codecs are called.

use protocol::messages::request_response::Reason;
use protocol::messages::{
    AddTrackRequest, Response, SimulcastCodec, SubscriptionError, SubscriptionResponse, TrackSource, TrackType,
};
use room_server::{EnabledCodecs, ServerConfig};
use str0m::media::MediaKind;

use crate::client::{Client, ClientEvent};
use crate::harness::Server;

fn track(cid: &str, name: &str, source: TrackSource) -> AddTrackRequest {
    let is_sound = matches!(source, TrackSource::Microphone | TrackSource::ScreenShareAudio);
    AddTrackRequest {
        cid: cid.to_owned(),
        name: name.to_owned(),
        r#type: if is_sound { TrackType::Audio } else { TrackType::Video } as i32,
        source: source as i32,
        ..AddTrackRequest::default()
    }
}

/// The stream of a track as all clients calls it.
async fn stream_of(client: &mut Client, sid: &str) -> String {
    client.track(sid, |_| true).await.stream
}

#[tokio::test]
async fn a_client_that_calls_its_lines_by_other_names_is_seen_and_heard() {
    let server = Server::start().await;
    let mut firefox = server.join("r", "firefox").await;
    let mut hans = server.join("r", "hans").await;
    let camera = firefox.announced(track("{1}", "", TrackSource::Camera)).await;
    let microphone = firefox.announced(track("{2}", "", TrackSource::Microphone)).await;
    firefox.offer_line("{9}", MediaKind::Audio);
    hans.packet_of(&microphone).await;
    firefox.offer_line("{8}", MediaKind::Video);
    hans.packet_of(&camera).await;
    let screen = firefox.announced(track("{3}", "", TrackSource::ScreenShare)).await;
    firefox.offer_line("{7}", MediaKind::Video);
    hans.packet_of(&screen).await;
    // What comes counts: these packets are VP8, whatever was offered first.
    assert_eq!(hans.track(&screen, |track| track.mime_type == "video/VP8").await.codecs[0].mime_type, "video/VP8");
}

#[tokio::test]
async fn camera_and_microphone_are_one_stream_however_they_are_named() {
    let server = Server::start().await;
    for (room, names) in [("r1", ["microphone", "camera"]), ("r2", ["", ""]), ("r3", ["same", "same"])] {
        let mut anna = server.join(room, "Phone 013").await;
        for (cid, name, source, kind) in [
            ("a", names[0], TrackSource::Microphone, MediaKind::Audio),
            ("v", names[1], TrackSource::Camera, MediaKind::Video),
        ] {
            let sid = anna.announced(track(cid, name, source)).await;
            anna.offer_line(cid, kind);
            assert_eq!(stream_of(&mut anna, &sid).await, "Phone 013");
        }
    }
}

#[tokio::test]
async fn two_who_name_their_tracks_alike_have_two_streams() {
    let server = Server::start().await;
    for identity in ["p1", "p2"] {
        let mut client = server.join("r", identity).await;
        let sid = client.announced(track("a", "microphone", TrackSource::Microphone)).await;
        client.offer_line("a", MediaKind::Audio);
        assert_eq!(stream_of(&mut client, &sid).await, identity);
    }
}

#[tokio::test]
async fn a_second_camera_and_an_id_that_is_held_get_numbers_and_a_screen_its_own_stream() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    anna.publish("x", "hans", MediaKind::Video).await;
    let mut hans = server.join("r", "hans").await;
    for (cid, source, expected) in [
        ("1", TrackSource::Camera, "hans_2"),
        ("2", TrackSource::Camera, "hans_3"),
        ("3", TrackSource::ScreenShare, "hans_screen"),
    ] {
        let sid = hans.announced(track(cid, "", source)).await;
        hans.offer_line(cid, MediaKind::Video);
        assert_eq!(stream_of(&mut hans, &sid).await, expected);
    }
    let sid = hans.announced(track("4", "", TrackSource::Microphone)).await;
    hans.offer_line("4", MediaKind::Audio);
    assert_eq!(stream_of(&mut hans, &sid).await, "hans_2");
}

#[tokio::test]
async fn a_stream_that_somebody_holds_cannot_be_taken_over() {
    let server = Server::start().await;
    let mut bob = server.join("r", "bob").await;
    bob.publish("v", "s1", MediaKind::Video).await;
    let derived = bob.announced(track("c", "", TrackSource::Camera)).await;
    bob.offer_line("c", MediaKind::Video);
    assert_eq!(stream_of(&mut bob, &derived).await, "bob");
    let mut eve = server.join("r", "!eve").await;
    // Her name for a track is no claim.
    let sid = eve.announced(track("1", "s1", TrackSource::Camera)).await;
    eve.offer_line("1", MediaKind::Video);
    assert_eq!(stream_of(&mut eve, &sid).await, "!eve");
    // A claim is refused, to a chosen ID and to a derived one.
    for id in ["s1", "bob"] {
        eve.forget();
        eve.announce("2", id, MediaKind::Video);
        assert_eq!(eve.refusal().await.reason, Reason::DuplicateName as i32);
    }
}

#[tokio::test]
async fn a_track_in_no_codec_that_is_taken_is_refused_with_a_reason() {
    let codecs = EnabledCodecs::of_mime_types(["audio/opus", "video/AV1"]);
    let server = Server::start_with(ServerConfig { codecs, ..ServerConfig::default() }).await;
    let mut phone = server.connect(crate::harness::claims("r", "phone"), crate::client::WITHOUT_RTX).await;
    phone.until_active().await;
    let join = phone.joined().await;
    let enabled: Vec<&str> = join.enabled_publish_codecs.iter().map(|codec| codec.mime.as_str()).collect();
    assert_eq!(enabled, ["audio/opus", "video/AV1"]);
    phone.announced(track("v", "", TrackSource::Camera)).await;
    phone.offer_vp8("v");
    assert_eq!(phone.refusal().await.reason, Reason::UnsupportedType as i32);
}

#[tokio::test]
async fn a_codec_that_is_not_taken_is_replaced_in_the_announcement() {
    let codecs = EnabledCodecs::of_mime_types(["audio/opus", "video/vp8"]);
    let server = Server::start_with(ServerConfig { codecs, ..ServerConfig::default() }).await;
    let mut anna = server.join("r", "anna").await;
    let asks = SimulcastCodec { codec: "h264".into(), cid: "v".into(), ..SimulcastCodec::default() };
    let request = AddTrackRequest { simulcast_codecs: vec![asks], ..track("v", "", TrackSource::Camera) };
    let sid = anna.announced(request).await;
    anna.offer_line("v", MediaKind::Video);
    assert_eq!(anna.track(&sid, |_| true).await.mime_type, "video/VP8");
}

#[tokio::test]
async fn a_subscriber_that_lacks_the_codec_of_a_track_is_reported() {
    let codecs = EnabledCodecs::of_mime_types(["audio/opus", "video/h264"]);
    let server = Server::start_with(ServerConfig { codecs, ..ServerConfig::default() }).await;
    let mut hans = server.connect(crate::harness::claims("r", "hans"), crate::client::WITHOUT_RTX).await;
    hans.until_active().await;
    let mut anna = server.join("r", "anna").await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    let offered = hans.wait_for("answer", |event| match event {
        ClientEvent::Signal(Response::SubscriptionResponse(offered)) => Some(offered.clone()),
        _ => None,
    });
    assert_eq!(
        offered.await,
        SubscriptionResponse { track_sid: sid, err: SubscriptionError::SeCodecUnsupported as i32 }
    );
}
