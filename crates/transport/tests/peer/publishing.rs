//! The publisher: video, audio and data towards the server.

use super::server::{Core, Seen, Server};
use super::{Client, access_unit, bytes, is_large_rtp};
use std::time::{Duration, Instant};
use str0m::media::{KeyframeRequestKind, MediaKind};
use transport::{AccessUnitToSend, AddTrack, DataKind, PeerEvent, Role, VideoSender};

fn track(id: &str) -> AddTrack {
    AddTrack { track_id: id.to_owned(), stream_id: "stream".to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn video_audio_and_data_reach_the_server() {
    let mut server = Server::start();
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
        Seen::Media { kind: MediaKind::Video, data, .. } => Some(data.clone()),
        _ => None,
    });
    assert_eq!(received, unit);

    audio.send(bytes(vec![0x78, 1, 2, 3]), 960);
    let received = server.wait("the audio packet", |seen| match seen {
        Seen::Media { kind: MediaKind::Audio, data, .. } => Some(data.clone()),
        _ => None,
    });
    assert_eq!(received, [0x78, 1, 2, 3]);

    client.peer.send_data(DataKind::Lossy, bytes(b"now".to_vec())).unwrap();
    let mut messages = Vec::new();
    while messages.len() < 2 {
        messages.push(server.wait("data", |seen| match seen {
            Seen::Data(label, payload) => Some((label.clone(), payload.clone())),
            _ => None,
        }));
    }
    messages.sort();
    let rtt = client.peer.stats().await.rtt_ms.expect("ICE measured the round trip");
    assert!(rtt < 1000.0);
    assert_eq!(messages, [("_lossy".to_owned(), b"now".to_vec()), ("_reliable".to_owned(), b"early".to_vec())]);
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_key_frame_request_names_the_track() {
    let mut server = Server::start();
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
            PeerEvent::KeyframeRequested { track_id, layer: 0 } => Some(track_id),
            _ => None,
        })
        .await;
    assert_eq!(track_id, "camera");
    assert_eq!(video.stats().plis, 1);
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_are_named_and_repaired_each_by_itself() {
    let mut server = Server::start();
    let mut client = Client::new(Role::Publisher).await;
    client.peer.add_audio(track("microphone")).await.unwrap();
    let layers = client.peer.add_layers(track("camera"), &["q", "h", "f"]).await.unwrap();
    client.negotiate(&server, false).await;
    client.connected().await;
    server.call(|core| lose_nth_video_packet(core, 7));
    for (number, layer) in layers.iter().enumerate() {
        let unit = access_unit(number as u32 + 1, true, 4000 * (number + 1));
        layer.send(AccessUnitToSend { data: bytes(unit), timestamp: 3000 });
    }
    for (number, name) in ["q", "h", "f"].into_iter().enumerate() {
        let data = server.wait("a layer's frame", |seen| match seen {
            Seen::Media { rid: Some(rid), data, .. } if rid == name => Some(data.clone()),
            _ => None,
        });
        assert_eq!(data, access_unit(number as u32 + 1, true, 4000 * (number + 1)));
    }
    assert!(layers.iter().map(|layer| layer.stats().retransmitted).sum::<u64>() >= 1);
    server.call(|core| {
        let mid = core.mids.iter().find(|(_, kind)| *kind == MediaKind::Video).unwrap().0;
        let layer = Some("h".into());
        core.rtc.writer(mid).unwrap().request_keyframe(layer, KeyframeRequestKind::Pli).unwrap();
    });
    let asked = client
        .wait("key frame request", |event| match event {
            PeerEvent::KeyframeRequested { track_id, layer } => Some((track_id, layer)),
            _ => None,
        })
        .await;
    assert_eq!(asked, ("camera".to_owned(), 1));
    client.peer.close().await;
}

/// Loses the `n`-th video packet towards the server, the first time only.
fn lose_nth_video_packet(core: &mut Core, n: usize) {
    let mut count = 0;
    core.loss = Box::new(move |to_peer, datagram| {
        let counts = !to_peer && is_large_rtp(datagram);
        count += usize::from(counts);
        counts && count == n
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_packet_is_retransmitted_on_request() {
    let mut server = Server::start();
    let mut client = Client::new(Role::Publisher).await;
    let camera = client.peer.add_video(track("camera")).await.unwrap();
    client.negotiate(&server, false).await;
    client.connected().await;
    server.call(|core| lose_nth_video_packet(core, 4));
    camera.send(AccessUnitToSend { data: bytes(access_unit(1, true, 12_000)), timestamp: 3000 });
    assert_eq!(next_frame(&mut server), access_unit(1, true, 12_000));
    assert!(camera.stats().retransmitted >= 1, "{:?}", camera.stats());
    client.peer.close().await;
}

/// Waits until the server has got a video frame, and returns it.
fn next_frame(server: &mut Server) -> Vec<u8> {
    server.wait("a video frame", |seen| match seen {
        Seen::Media { kind: MediaKind::Video, data, contiguous, .. } => {
            assert!(contiguous);
            Some(data.clone())
        }
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_track_is_added_and_removed_beside_the_first() {
    let mut server = Server::start();
    let mut client = Client::new(Role::Publisher).await;
    let camera = client.peer.add_video(track("camera")).await.unwrap();
    client.negotiate(&server, false).await;
    client.connected().await;
    let screen = client.peer.add_video(track("screen")).await.unwrap();
    screen.send(AccessUnitToSend { data: bytes(access_unit(9, true, 3000)), timestamp: 3000 });
    assert_eq!(screen.stats().dropped, 1, "not negotiated yet");
    client.negotiate(&server, false).await;
    screen.send(AccessUnitToSend { data: bytes(access_unit(1, true, 3000)), timestamp: 6000 });
    assert_eq!(next_frame(&mut server), access_unit(1, true, 3000));
    client.peer.remove_track("screen").await.unwrap();
    client.negotiate(&server, false).await;
    camera.send(AccessUnitToSend { data: bytes(access_unit(2, true, 3000)), timestamp: 3000 });
    assert_eq!(next_frame(&mut server), access_unit(2, true, 3000));
    let again = client.peer.add_video(track("screen")).await.unwrap();
    client.negotiate(&server, false).await;
    again.send(AccessUnitToSend { data: bytes(access_unit(3, true, 3000)), timestamp: 3000 });
    assert_eq!(next_frame(&mut server), access_unit(3, true, 3000));
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ice_restart_keeps_the_media_flowing() {
    let mut server = Server::start();
    let mut client = Client::new(Role::Publisher).await;
    let camera = client.peer.add_video(track("camera")).await.unwrap();
    client.negotiate(&server, false).await;
    client.connected().await;
    camera.send(AccessUnitToSend { data: bytes(access_unit(1, true, 3000)), timestamp: 3000 });
    assert_eq!(next_frame(&mut server), access_unit(1, true, 3000));
    client.negotiate(&server, true).await;
    client.connected().await;
    camera.send(AccessUnitToSend { data: bytes(access_unit(2, false, 3000)), timestamp: 6000 });
    assert_eq!(next_frame(&mut server), access_unit(2, false, 3000));
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_dropped_frame_the_encoder_is_asked_for_a_key_frame() {
    let mut server = Server::start();
    let mut client = Client::new(Role::Publisher).await;
    let camera = client.peer.add_video(track("camera")).await.unwrap();
    camera.send(AccessUnitToSend { data: bytes(access_unit(1, true, 3000)), timestamp: 3000 });
    client.negotiate(&server, false).await;
    client.connected().await;
    camera.send(AccessUnitToSend { data: bytes(access_unit(2, false, 3000)), timestamp: 6000 });
    client
        .wait("request to the encoder", |event| matches!(event, PeerEvent::KeyframeRequested { .. }).then_some(()))
        .await;
    camera.send(AccessUnitToSend { data: bytes(access_unit(3, true, 3000)), timestamp: 9000 });
    assert_eq!(next_frame(&mut server), access_unit(3, true, 3000));
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_up_well_before_the_default_check_interval() {
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
    eprintln!("set-up: {times:.1?}");
    times.sort();
    assert!(times[2] < Duration::from_millis(150), "{times:?}");
}

/// Sends a frame of the budgeted size every 33 ms, each of which the server has to get, until enough is true
/// or `most` frames are sent; returns the number of frames.
async fn send_by_budget(camera: &VideoSender, server: &mut Server, most: u32, enough: impl Fn() -> bool) -> u32 {
    let mut interval = tokio::time::interval(Duration::from_millis(33));
    for index in 1..=most {
        interval.tick().await;
        let size = (camera.budget().bps / 8 / 30) as usize;
        let unit = access_unit(index, index == 1, size.max(100));
        camera.send(AccessUnitToSend { data: bytes(unit.clone()), timestamp: index * 3000 });
        assert_eq!(next_frame(server), unit);
        if enough() {
            return index;
        }
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_feedback_lets_the_budget_grow_to_the_desired_rate() {
    let mut server = Server::start();
    let mut client = Client::new(Role::Publisher).await;
    let camera = client.peer.add_video(track("camera")).await.unwrap();
    camera.set_desired_bps(2_000_000);
    client.negotiate(&server, false).await;
    client.connected().await;
    assert!(camera.budget().bps <= 1_000_000, "it begins with care");
    // Half a second on an idle machine; a busy one delays packets like a poor path.
    let frames = send_by_budget(&camera, &mut server, 300, || camera.budget().bps == 2_000_000).await;
    eprintln!("the desired rate was reached after {frames} frames");
    assert_eq!(camera.budget().bps, 2_000_000);
    assert!(client.peer.stats().await.send_estimate_bps > 2_000_000);
    client.peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loss_of_packets_and_probes_damages_no_frame() {
    let mut server = Server::start();
    let mut client = Client::new(Role::Publisher).await;
    let camera = client.peer.add_video(track("camera")).await.unwrap();
    client.negotiate(&server, false).await;
    client.connected().await;
    server.call(|core| {
        let mut count = 0;
        core.loss = Box::new(move |to_peer, datagram| {
            let counts = !to_peer && is_large_rtp(datagram);
            count += usize::from(counts);
            counts && count % 20 == 7
        });
    });
    let mut sent = Vec::new();
    let mut interval = tokio::time::interval(Duration::from_millis(33));
    for index in 1..=46 {
        interval.tick().await;
        let unit = access_unit(index, index == 1, 5000);
        camera.send(AccessUnitToSend { data: bytes(unit.clone()), timestamp: index * 3000 });
        sent.push(unit);
    }
    // The loss of the very last packet would show only by one that follows.
    for unit in &sent[..45] {
        assert_eq!(next_frame(&mut server), *unit);
    }
    assert!(camera.stats().retransmitted > 0);
    client.peer.close().await;
}
