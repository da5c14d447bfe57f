//! Short losses: the session is resumed, media goes on, the others notice nothing.

use std::time::{Duration, Instant};

use crate::harness::{Client, fakes, profile, wait_for};
use crate::relay::Relay;

/// A call over a network that can be disturbed: ben sees anna's frames.
struct Call {
    relay: Relay,
    anna: Client,
    ben: Client,
    screen: std::sync::Arc<crate::harness::Screen>,
}

fn call() -> Call {
    let relay = Relay::start();
    let join = |user: &str| {
        let mut client = Client::with(profile(&relay.url()), fakes());
        client.login("room", user);
        client.expect("onRoomStateUpdate", |event| event["state"] == 2);
        client
    };
    let (mut anna, mut ben) = (join("anna"), join("ben"));
    anna.publish("anna-stream");
    ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
    let screen = ben.play("anna-stream");
    screen.frames(3);
    anna.sees("onRoomUserUpdate", |event| event["userList"][0]["userID"] == "ben");
    ben.expect("onPlayerRenderVideoFirstFrame", |_| true);
    anna.forget();
    ben.forget();
    Call { relay, anna, ben, screen }
}

fn nothing_was_told_of_others(client: &mut Client) {
    assert_eq!(client.all("onRoomUserUpdate"), Vec::<serde_json::Value>::new());
    assert_eq!(client.all("onRoomStreamUpdate"), Vec::<serde_json::Value>::new());
}

#[test]
fn video_continues_while_signalling_is_lost_and_resumed() {
    let Call { relay, mut anna, mut ben, screen } = call();
    relay.let_signalling_in(false);
    relay.cut_signalling();
    for client in [&mut anna, &mut ben] {
        client.expect("onRoomStateChanged", |event| event["reason"] == 3 && event["errorCode"] == 1_002_051);
    }
    screen.frames(0);
    screen.frames(10);
    relay.let_signalling_in(true);
    for client in [&mut anna, &mut ben] {
        client.expect("onRoomStateChanged", |event| event["reason"] == 4 && event["errorCode"] == 0);
        nothing_was_told_of_others(client);
    }
    screen.frames(0);
    screen.frames(10);
    assert_eq!(anna.all("onPublisherStateUpdate"), Vec::<serde_json::Value>::new());
    assert_eq!(ben.all("onPlayerStateUpdate"), Vec::<serde_json::Value>::new());
}

#[test]
fn a_resume_leaves_no_gap_of_half_a_second_in_the_video() {
    let Call { relay, mut anna, mut ben, screen } = call();
    relay.cut_signalling();
    let mut longest = Duration::ZERO;
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        let since = Instant::now();
        screen.frames(1);
        longest = longest.max(since.elapsed());
    }
    for client in [&mut anna, &mut ben] {
        client.expect("onRoomStateChanged", |event| event["reason"] == 4);
    }
    println!("longest gap: {longest:?}");
    assert!(longest < Duration::from_millis(500), "{longest:?}");
}

#[test]
fn calls_during_the_outage_take_effect_after_it() {
    let Call { relay, mut anna, mut ben, .. } = call();
    relay.let_signalling_in(false);
    relay.cut_signalling();
    anna.expect("onRoomStateChanged", |event| event["reason"] == 3);
    ben.expect("onRoomStateChanged", |event| event["reason"] == 3);
    anna.engine.mute_publish_stream_video(true, 0).unwrap();
    ben.engine.start_publishing_stream("ben-stream", Default::default(), 0).unwrap();
    ben.expect("onPublisherStateUpdate", |event| event["state"] == 1);
    relay.let_signalling_in(true);
    ben.sees("onRemoteCameraStateUpdate", |event| event["state"] == 10);
    ben.sees("onPublisherStateUpdate", |event| event["state"] == 2);
    anna.sees("onRoomStreamUpdate", |event| event["streamList"][0]["streamID"] == "ben-stream");
    anna.play("ben-stream").frames(3);
}

#[test]
fn a_message_sent_during_the_outage_arrives_once() {
    let Call { relay, mut anna, mut ben, .. } = call();
    relay.let_signalling_in(false);
    relay.cut_signalling();
    anna.expect("onRoomStateChanged", |event| event["reason"] == 3);
    anna.engine.send_broadcast_message("room", "hello", Box::new(|_| {})).unwrap();
    relay.let_signalling_in(true);
    for client in [&mut anna, &mut ben] {
        client.expect("onRoomStateChanged", |event| event["reason"] == 4);
    }
    anna.engine.send_broadcast_message("room", "bye", Box::new(|_| {})).unwrap();
    ben.expect("onIMRecvBroadcastMessage", |event| event["messageList"][0]["message"] == "bye");
    let texts = ben.all("onIMRecvBroadcastMessage");
    assert_eq!(texts.len(), 2, "{texts:?}");
}

#[test]
fn a_connection_that_is_dead_but_open_is_noticed_and_taken_up() {
    let Call { relay, mut anna, ben: _ben, screen } = call();
    let before = relay.connections();
    relay.freeze_signalling(true);
    anna.expect_within(Duration::from_secs(20), "onRoomStateChanged", |event| event["reason"] == 3);
    screen.frames(0);
    screen.frames(3);
    relay.freeze_signalling(false);
    anna.expect("onRoomStateChanged", |event| event["reason"] == 4);
    assert!(relay.connections() > before);
}

#[test]
fn video_returns_after_a_blocked_media_path() {
    let Call { relay, mut anna, mut ben, screen } = call();
    relay.let_media_through(false);
    anna.expect("onPublisherStateUpdate", |event| event["state"] == 1 && event["errorCode"] == 1_003_020);
    ben.expect("onPlayerStateUpdate", |event| event["state"] == 1 && event["errorCode"] == 1_004_020);
    relay.let_media_through(true);
    anna.expect("onPublisherStateUpdate", |event| event["state"] == 2);
    ben.expect("onPlayerStateUpdate", |event| event["state"] == 2);
    screen.frames(0);
    screen.frames(5);
    nothing_was_told_of_others(&mut anna);
    nothing_was_told_of_others(&mut ben);
    assert_eq!(ben.all("onRoomStateChanged"), Vec::<serde_json::Value>::new());
}

#[test]
fn video_survives_a_change_of_the_clients_address() {
    let Call { relay, mut anna, mut ben, screen } = call();
    relay.move_media();
    let moved = Instant::now();
    screen.frames(0);
    wait_for("pictures over the new address", || {
        moved.elapsed() > Duration::from_secs(1) && !screen.frames(1).is_empty()
    });
    screen.frames(10);
    // Some two seconds on a machine that has time; only ICE itself would need more than six.
    assert!(moved.elapsed() < Duration::from_secs(6), "back after {:?}", moved.elapsed());
    nothing_was_told_of_others(&mut anna);
    nothing_was_told_of_others(&mut ben);
}
