//! Subscribers whose link does not carry everything.

use std::time::Duration;

use protocol::messages::{Response, StreamState};
use str0m::media::MediaKind;

use crate::client::{Client, ClientEvent};
use crate::harness::Server;

/// Mean payload size of the next packets of a track: the layers of the test clients differ by that.
async fn packet_size(client: &mut Client, sid: &str) -> usize {
    client.forget();
    let mut sizes = Vec::new();
    client
        .wait_for("packets", |event| {
            if let ClientEvent::Packet { track_sid, size, .. } = event
                && track_sid == sid
            {
                sizes.push(*size);
            }
            (sizes.len() == 10).then_some(())
        })
        .await;
    sizes.iter().sum::<usize>() / sizes.len()
}

async fn until_size(client: &mut Client, sid: &str, what: &str, fits: impl Fn(usize) -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let size = packet_size(client, sid).await;
        if fits(size) {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "{what}: packets still have {size} bytes");
    }
}

async fn until_state(client: &mut Client, sid: &str, wanted: StreamState) {
    client
        .wait_for(wanted.as_str_name(), |event| match event {
            ClientEvent::Signal(Response::StreamStateUpdate(update)) => {
                let about = update.stream_states.iter().find(|state| state.track_sid == sid)?;
                (about.state == wanted as i32).then_some(())
            }
            _ => None,
        })
        .await;
}

/// The layers have 0.08, 0.27 and 1.4 Mbit/s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_becomes_narrow_gets_the_small_layer_and_later_the_best_again() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sid = anna.publish_layers("v", "s").await;
    until_size(&mut hans, &sid, "the best layer comes", |size| size > 1000).await;
    hans.link_rate(Some(250_000));
    until_size(&mut hans, &sid, "the small layer comes", |size| size < 200).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(packet_size(&mut hans, &sid).await < 200, "it stays, since nothing else fits");
    hans.link_rate(None);
    until_size(&mut hans, &sid, "the best layer comes back", |size| size > 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_does_not_fit_is_paused_and_audio_continues() {
    let server = Server::start().await;
    let mut anna = server.join("r", "anna").await;
    let mut hans = server.join("r", "hans").await;
    let sound = anna.publish("a", "s", MediaKind::Audio).await;
    let picture = anna.publish_large("v", "s").await;
    until_size(&mut hans, &picture, "the picture comes", |size| size > 1000).await;
    hans.link_rate(Some(250_000));
    until_state(&mut hans, &picture, StreamState::Paused).await;
    hans.forget();
    hans.packet_of(&sound).await;
    hans.link_rate(None);
    until_state(&mut hans, &picture, StreamState::Active).await;
    packet_size(&mut hans, &picture).await;
}
