//! The whole sending side over real sockets and a poor network, in real time. The lab measures more precisely; this test shows
//! that the parts are connected.

use super::server::{Seen, Server};
use super::{Client, access_unit, bytes};
use netsim::LinkConfig;
use std::time::{Duration, Instant};
use str0m::media::MediaKind;
use transport::MAX_ENCODER_BACKLOG;
use transport::{AccessUnitToSend, AddTrack, PeerEvent, Role};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrow_link_that_gets_narrower_is_used_and_not_flooded() {
    let capacity = vec![(Duration::ZERO, 2e6), (4 * SECOND, 0.7e6)];
    let up = LinkConfig { capacity, delay: Duration::from_millis(20), ..LinkConfig::default() };
    let down = LinkConfig { delay: Duration::from_millis(20), ..LinkConfig::default() };
    let began = Instant::now();
    let mut server = Server::start_behind(up, down);
    let mut client = Client::new(Role::Publisher).await;
    let camera = client.peer.add_video(AddTrack { track_id: "camera".into(), stream_id: "s".into() }).await.unwrap();
    camera.set_desired_bps(4_000_000);
    client.negotiate(&server, false).await;
    client.connected().await;
    let mut interval = tokio::time::interval(Duration::from_millis(33));
    let mut keyframe = true;
    for index in 1u32.. {
        interval.tick().await;
        if began.elapsed() > 9 * SECOND {
            break;
        }
        while let Ok(event) = client.events.try_recv() {
            keyframe |= matches!(event, PeerEvent::KeyframeRequested { .. });
        }
        let budget = camera.budget();
        if budget.backlog <= MAX_ENCODER_BACKLOG {
            let size = (budget.bps / 8 / 30) as usize;
            let unit = access_unit(index, std::mem::take(&mut keyframe), size.max(100));
            camera.send(AccessUnitToSend { data: bytes(unit), timestamp: index * 3000 });
        }
    }
    let frames = server.seen_so_far();
    let rate = |from: u32, to: u32| {
        let inside = frames.iter().filter(|(at, _)| (from * SECOND..to * SECOND).contains(&(*at - began)));
        inside.map(|(_, size)| *size as f64 * 8.0).sum::<f64>() / f64::from(to - from)
    };
    let (wide, narrow) = (rate(2, 4), rate(6, 9));
    eprintln!("2 Mbit/s: {wide:.0}, 0.7 Mbit/s: {narrow:.0} bit/s of video, {:?}", camera.stats());
    // A busy machine delays packets like a poor path, so there is room below; above there is the link.
    assert!((0.9e6..=2e6).contains(&wide), "{wide}");
    assert!((0.3e6..=0.7e6).contains(&narrow), "{narrow}");
    let times: Vec<Instant> = frames.iter().map(|(at, _)| *at).collect();
    let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(gap < 2 * SECOND, "{gap:?}");
    client.peer.close().await;
}

impl Server {
    /// When each video frame so far came, and its size.
    fn seen_so_far(&mut self) -> Vec<(Instant, usize)> {
        let mut frames = Vec::new();
        for seen in self.take_all() {
            if let Seen::Media { kind: MediaKind::Video, data, at, .. } = seen {
                frames.push((at, data.len()));
            }
        }
        frames
    }
}
