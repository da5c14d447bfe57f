//! The publisher: video, audio and data towards the server.

use super::server::{Seen, Server};
use super::{Client, access_unit, bytes};
use std::time::{Duration, Instant};
use str0m::media::{KeyframeRequestKind, MediaKind};
use transport::{AccessUnitToSend, AddTrack, DataKind, PeerEvent, Role};

fn track(id: &str) -> AddTrack {
    AddTrack { track_id: id.to_owned(), stream_id: "stream".to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn video_audio_and_data_reach_the_server() {
    let server = Server::start();
    let started = Instant::now();
    let mut client = Client::new(Role::Publisher).await;
    let video = client.peer.add_video(track("camera")).await.unwrap();
    let audio = client.peer.add_audio(track("microphone")).await.unwrap();
    client.peer.send_data(DataKind::Reliable, bytes(b"early".to_vec())).unwrap();
    client.negotiate(&server, false).await;
    client.connected().await;
    eprintln!("new() to Connected: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);

    let unit = access_unit(1, true, 20_000);
    video.send(AccessUnitToSend { data: bytes(unit.clone()), timestamp: 3000 });
    let received = server.wait("the video frame", |seen| match seen {
        Seen::Media { kind: MediaKind::Video, data, .. } => Some(data),
        _ => None,
    });
    assert_eq!(received, unit);

    audio.send(bytes(vec![0x78, 1, 2, 3]), 960);
    let received = server.wait("the audio packet", |seen| match seen {
        Seen::Media { kind: MediaKind::Audio, data, .. } => Some(data),
        _ => None,
    });
    assert_eq!(received, [0x78, 1, 2, 3]);

    client.peer.send_data(DataKind::Lossy, bytes(b"now".to_vec())).unwrap();
    let mut messages = Vec::new();
    while messages.len() < 2 {
        messages.push(server.wait("data", |seen| match seen {
            Seen::Data(label, payload) => Some((label, payload)),
            _ => None,
        }));
    }
    messages.sort();
    assert_eq!(messages, [("_lossy".to_owned(), b"now".to_vec()), ("_reliable".to_owned(), b"early".to_vec())]);
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_key_frame_request_names_the_track() {
    let server = Server::start();
    let mut client = Client::new(Role::Publisher).await;
    let video = client.peer.add_video(track("camera")).await.unwrap();
    client.negotiate(&server, false).await;
    client.connected().await;
    video.send(AccessUnitToSend { data: bytes(access_unit(1, true, 3000)), timestamp: 3000 });
    server.wait("the video frame", |seen| matches!(seen, Seen::Media { .. }).then_some(()));
    server.call(|core| {
        let mid = core.mids[0].0;
        core.rtc.writer(mid).unwrap().request_keyframe(None, KeyframeRequestKind::Pli).unwrap();
    });
    let track_id = client
        .wait("key frame request", |event| match event {
            PeerEvent::KeyframeRequested { track_id } => Some(track_id),
            _ => None,
        })
        .await;
    assert_eq!(track_id, "camera");
    assert_eq!(video.stats().plis, 1);
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_set_up_takes_well_below_the_stacks_own_check_interval() {
    let mut times = Vec::new();
    for _ in 0..5 {
        let server = Server::start();
        let started = Instant::now();
        let mut client = Client::new(Role::Publisher).await;
        client.peer.add_video(track("camera")).await.unwrap();
        client.negotiate(&server, false).await;
        client.connected().await;
        times.push(started.elapsed());
        client.peer.close().await;
    }
    times.sort();
    eprintln!("set-up, sorted: {times:?}");
    assert!(times[2] < Duration::from_millis(150), "{times:?}");
}
