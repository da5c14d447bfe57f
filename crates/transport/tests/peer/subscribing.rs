//! The subscriber: the server's offers, and the tracks and data they bring.

use super::server::{Core, Seen, Server};
use super::{Client, access_unit, is_large_rtp};
use std::time::{Duration, Instant};
use str0m::media::{Direction, MediaKind, Mid};
use transport::{DataKind, PeerEvent, PeerState, ReceivedAccessUnit, RemoteMedia, RemoteTrack, Role, VideoReceiver};

/// Negotiates with the server's offer; returns what the change of the offer returned.
async fn renegotiate<T: Send + 'static>(
    client: &Client,
    server: &Server,
    change: impl FnOnce(&mut str0m::change::SdpApi<'_>) -> T + Send + 'static,
) -> T {
    let (offer, result) = server.call(move |core| core.offer(change));
    let answer = client.peer.accept_offer(&offer).await.unwrap();
    server.call(move |core| core.accept(&answer));
    result
}

fn add(api: &mut str0m::change::SdpApi<'_>, kind: MediaKind, track: &str) -> Mid {
    api.add_media(kind, Direction::SendOnly, Some(format!("PA_x|{track}")), Some(track.to_owned()), None)
}

async fn next_track(client: &mut Client) -> RemoteTrack {
    client
        .wait("remote track", |event| match event {
            PeerEvent::Track(track) => Some(track),
            _ => None,
        })
        .await
}

fn video(track: RemoteTrack) -> VideoReceiver {
    match track.media {
        RemoteMedia::Video(receiver) => receiver,
        RemoteMedia::Audio(_) => panic!("{} is no video", track.track_id),
    }
}

async fn recv(receiver: &mut VideoReceiver) -> Option<ReceivedAccessUnit> {
    tokio::time::timeout(Duration::from_secs(5), receiver.recv()).await.expect("a frame in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_and_data_of_the_server_arrive() {
    let mut server = Server::start();
    let mut client = Client::new(Role::Subscriber).await;
    let (camera, microphone) = renegotiate(&client, &server, |api| {
        api.add_channel("_reliable".to_owned());
        (add(api, MediaKind::Video, "TR_camera"), add(api, MediaKind::Audio, "TR_microphone"))
    })
    .await;
    let (first, second) = (next_track(&mut client).await, next_track(&mut client).await);
    client.connected().await;
    let (video_track, audio_track) = if first.track_id == "TR_camera" { (first, second) } else { (second, first) };
    assert_eq!((video_track.stream_id.as_str(), video_track.track_id.as_str()), ("PA_x|TR_camera", "TR_camera"));
    assert_eq!(audio_track.track_id, "TR_microphone");

    let unit = access_unit(1, true, 30_000);
    let sent = unit.clone();
    server.call(move |core| core.send_video(camera, 1, sent));
    server.call(move |core| core.send(microphone, 960, vec![0x78, 9]));
    let mut video_track = video(video_track);
    let received = recv(&mut video_track).await.unwrap();
    assert_eq!(received.data, unit);
    assert!(received.is_keyframe && received.contiguous);
    let RemoteMedia::Audio(mut audio_track) = audio_track.media else { panic!("no audio") };
    assert_eq!(audio_track.recv().await.unwrap().payload.as_ref(), [0x78, 9]);

    client.wait("open channel", |event| matches!(event, PeerEvent::DataOpen(DataKind::Reliable)).then_some(())).await;
    server.wait("open channel", |seen| matches!(seen, Seen::ChannelOpen).then_some(()));
    server.call(|core| core.send_data("_reliable", b"hello"));
    let payload = client
        .wait("data", |event| match event {
            PeerEvent::DataReceived { kind: DataKind::Reliable, payload } => Some(payload),
            _ => None,
        })
        .await;
    assert_eq!(payload.as_ref(), b"hello");
    client.peer.close().await;
    assert!(video_track.recv().await.is_none());
    assert!(audio_track.recv().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracks_come_go_and_reuse_media_sections_in_later_offers() {
    let server = Server::start();
    let mut client = Client::new(Role::Subscriber).await;
    renegotiate(&client, &server, |api| api.add_channel("_reliable".to_owned())).await;
    client.connected().await;

    let first = renegotiate(&client, &server, |api| add(api, MediaKind::Video, "TR_one")).await;
    let track = next_track(&mut client).await;
    assert_eq!((track.track_id.as_str(), track.mid.as_str()), ("TR_one", &*first.to_string()));
    let mut one = video(track);
    let second = renegotiate(&client, &server, |api| add(api, MediaKind::Video, "TR_two")).await;
    let mut two = video(next_track(&mut client).await);
    server.call(move |core| {
        core.send_video(first, 1, access_unit(1, true, 3000));
    });
    server.call(move |core| core.send_video(second, 1, access_unit(2, true, 3000)));
    assert_eq!(recv(&mut one).await.unwrap().data, access_unit(1, true, 3000));
    assert_eq!(recv(&mut two).await.unwrap().data, access_unit(2, true, 3000));

    renegotiate(&client, &server, move |api| api.set_direction(first, Direction::Inactive)).await;
    assert!(recv(&mut one).await.is_none());
    server.call(move |core| core.send_video(second, 2, access_unit(3, false, 3000)));
    assert_eq!(recv(&mut two).await.unwrap().data, access_unit(3, false, 3000));

    renegotiate(&client, &server, move |api| api.set_direction(first, Direction::SendOnly)).await;
    let track = next_track(&mut client).await;
    assert_eq!(track.mid, first.to_string());
    let mut again = video(track);
    server.call(move |core| core.send_video(first, 3, access_unit(4, true, 3000)));
    assert_eq!(recv(&mut again).await.unwrap().data, access_unit(4, true, 3000));
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_media_section_that_ended_carries_another_track_from_another_source() {
    let server = Server::start();
    let mut client = Client::new(Role::Subscriber).await;
    let line = renegotiate(&client, &server, |api| add(api, MediaKind::Video, "TR_one")).await;
    let mut one = video(next_track(&mut client).await);
    client.connected().await;
    server.call(move |core| core.send_video(line, 1, access_unit(1, true, 3000)));
    assert_eq!(recv(&mut one).await.unwrap().data, access_unit(1, true, 3000));
    renegotiate(&client, &server, move |api| api.set_direction(line, Direction::Inactive)).await;
    assert!(recv(&mut one).await.is_none());

    let (offer, ()) = server.call(move |core| {
        let mut api = core.rtc.direct_api();
        let old = api.stream_tx_by_mid(line, None).unwrap().ssrc();
        let (source, repair) = (api.new_ssrc(), api.new_ssrc());
        api.remove_stream_tx(old);
        api.declare_stream_tx(source, Some(repair), line, None);
        core.offer(|api| api.set_direction(line, Direction::SendOnly))
    });
    let answer = client.peer.accept_offer(&offer.replace("TR_one", "TR_two")).await.unwrap();
    server.call(move |core| core.accept(&answer));
    let track = next_track(&mut client).await;
    assert_eq!((track.mid.as_str(), track.track_id.as_str()), (&*line.to_string(), "TR_two"));
    let mut two = video(track);
    server.call(move |core| core.send_video(line, 2, access_unit(2, true, 3000)));
    assert_eq!(recv(&mut two).await.unwrap().data, access_unit(2, true, 3000));
    client.peer.close().await;
}

/// Loses the `n`-th video packet towards the peer, the first time only.
fn lose_nth_video_packet(core: &mut Core, n: usize) {
    let mut count = 0;
    core.loss = Box::new(move |to_peer, datagram| {
        let counts = to_peer && is_large_rtp(datagram);
        count += usize::from(counts);
        counts && count == n
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_packet_is_requested_and_the_frame_arrives_complete() {
    let server = Server::start();
    let mut client = Client::new(Role::Subscriber).await;
    let camera = renegotiate(&client, &server, |api| add(api, MediaKind::Video, "TR_camera")).await;
    let mut video_track = video(next_track(&mut client).await);
    client.connected().await;
    let sent = Instant::now();
    server.call(move |core| {
        lose_nth_video_packet(core, 4);
        core.send_video(camera, 1, access_unit(1, true, 12_000));
    });
    let received = recv(&mut video_track).await.unwrap();
    assert_eq!(received.data, access_unit(1, true, 12_000));
    let handle = video_track.handle();
    assert!(handle.stats().nacks >= 1);
    eprintln!("recovered after {:.1} ms", sent.elapsed().as_secs_f64() * 1e3);
    client.peer.close().await;
}

/// Loses every `nth` packet of media and its feedback, in both directions.
fn lose_every(core: &mut Core, nth: u32) {
    let mut count = 0u32;
    core.loss = Box::new(move |_, datagram| {
        // RTP and RTCP only (RFC 7983).
        let is_media = datagram.first().is_some_and(|first| (128..192).contains(first));
        count += u32::from(is_media);
        is_media && count.is_multiple_of(nth)
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_survives_a_lossy_link() {
    const FRAMES: u32 = 60;
    let server = Server::start();
    let mut client = Client::new(Role::Subscriber).await;
    let camera = renegotiate(&client, &server, |api| add(api, MediaKind::Video, "TR_camera")).await;
    let mut video_track = video(next_track(&mut client).await);
    client.connected().await;
    server.call(move |core| {
        // By default this stack stops answering NACKs while more than 15 % of what it sends are answers.
        let mut api = core.rtc.direct_api();
        api.stream_tx_by_mid(camera, None).unwrap().set_rtx_cache(2000, Duration::from_secs(3), None);
        lose_every(core, 13);
    });
    let handle = video_track.handle();
    let viewer = tokio::spawn(async move {
        for number in 0..=FRAMES {
            let received = recv(&mut video_track).await.unwrap();
            assert_eq!(received.data, access_unit(number, number == 0, 5000));
            assert!(received.contiguous);
        }
    });
    for number in 0..FRAMES {
        server.call(move |core| core.send_video(camera, number.into(), access_unit(number, number == 0, 5000)));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The loss of a last packet shows with the next one only.
    server.call(|core| core.loss = Box::new(|_, _| false));
    server.call(move |core| core.send_video(camera, FRAMES.into(), access_unit(FRAMES, false, 5000)));
    viewer.await.unwrap();
    let stats = handle.stats();
    assert!(stats.nacks >= 10 && stats.lost == 0, "{stats:?}");
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_frame_can_be_requested_from_the_server() {
    let mut server = Server::start();
    let mut client = Client::new(Role::Subscriber).await;
    let camera = renegotiate(&client, &server, |api| add(api, MediaKind::Video, "TR_camera")).await;
    let mut video_track = video(next_track(&mut client).await);
    client.connected().await;
    server.call(move |core| core.send_video(camera, 1, access_unit(1, true, 3000)));
    recv(&mut video_track).await.unwrap();
    video_track.handle().request_keyframe();
    server.wait("the key frame request", |seen| matches!(seen, Seen::KeyframeRequest).then_some(()));
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_side_ice_restart_keeps_the_media_flowing() {
    let server = Server::start();
    let mut client = Client::new(Role::Subscriber).await;
    let camera = renegotiate(&client, &server, |api| add(api, MediaKind::Video, "TR_camera")).await;
    let mut video_track = video(next_track(&mut client).await);
    client.connected().await;
    server.call(move |core| core.send_video(camera, 1, access_unit(1, true, 3000)));
    recv(&mut video_track).await.unwrap();
    renegotiate(&client, &server, |api| {
        api.ice_restart(true);
    })
    .await;
    client.connected().await;
    server.call(move |core| core.send_video(camera, 2, access_unit(2, false, 3000)));
    assert_eq!(recv(&mut video_track).await.unwrap().data, access_unit(2, false, 3000));
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_is_the_last_event_and_nothing_panics_afterwards() {
    let server = Server::start();
    let mut client = Client::new(Role::Subscriber).await;
    renegotiate(&client, &server, |api| add(api, MediaKind::Video, "TR_camera")).await;
    let mut video_track = video(next_track(&mut client).await);
    client.connected().await;
    client.peer.close().await;
    client.peer.close().await;
    let mut last = None;
    while let Some(event) = client.events.recv().await {
        last = Some(event);
    }
    assert!(matches!(last, Some(PeerEvent::State(PeerState::Closed))), "{last:?}");
    assert!(video_track.recv().await.is_none());
    video_track.handle().request_keyframe();
    assert!(client.peer.create_offer(false).await.is_err());
    assert!(client.peer.accept_offer("v=0").await.is_err());
    assert!(client.peer.send_data(DataKind::Reliable, bytes::Bytes::new()).is_err());
    client.peer.stats().await;
}
