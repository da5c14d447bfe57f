//! Joining while the network loses packets: every part of it has to be repeated soon, and long enough.

use std::time::Duration;

use crate::harness::{Client, fakes, profile};
use crate::link::Quality;
use crate::relay::Relay;

#[test]
fn users_who_join_over_a_lossy_path_see_each_other_soon() {
    let relay = Relay::start();
    let lossy = Quality { loss: 0.2, delay: Duration::from_millis(30), ..Quality::default() };
    relay.set_uplink(lossy);
    relay.set_downlink(lossy);
    // Several, since each connection has its own luck: eight of them here.
    let calls: Vec<[Client; 2]> = (0..4)
        .map(|number| {
            let [anna, ben] = ["anna", "ben"].map(|user| {
                let client = Client::with(profile(&relay.url()), fakes());
                client.login(&format!("room-{number}"), user);
                client
            });
            let stream = format!("stream-{number}");
            anna.engine.start_publishing_stream(&stream, Default::default(), 0).unwrap();
            ben.play(&stream);
            [anna, ben]
        })
        .collect();
    for [mut anna, mut ben] in calls {
        anna.expect("onPublisherSendVideoFirstFrame", |_| true);
        ben.expect("onPlayerRenderVideoFirstFrame", |_| true);
    }
}
