//! The numbers that the application hears, held against a network whose truth is known.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::VideoConfig;
use serde_json::Value;

use crate::harness::{Client, Server, fakes, profile, wait_for};
use crate::link::Quality;
use crate::relay::Relay;

/// Anna publishes 720p of 1.5 Mbit/s through the relay, and ben plays it.
fn call(relay: &Relay) -> (Client, Client) {
    let mut clients = ["anna", "ben"].map(|user| {
        let mut client = Client::with(profile(&relay.url()), fakes());
        client.login("room", user);
        client.expect("onRoomStateUpdate", |event| event["state"] == 2);
        client
    });
    let [anna, ben] = &mut clients;
    anna.engine.set_video_config(VideoConfig::preset(4), 0).unwrap();
    anna.publish("anna-stream");
    ben.play("anna-stream");
    ben.expect("onPlayerRenderVideoFirstFrame", |_| true);
    clients.into()
}

/// A field's mean over the next reports.
fn mean(client: &mut Client, event: &str, field: &str, reports: u32) -> f64 {
    let sum: f64 = (0..reports).map(|_| client.expect(event, |_| true)["quality"][field].as_f64().unwrap()).sum();
    sum / f64::from(reports)
}

fn near(what: &str, reported: f64, truth: f64, slack: f64) {
    assert!((reported - truth).abs() <= truth * 0.1 + slack, "{what}: reported {reported}, in truth {truth}");
}

/// Measures up to three times: a busy machine loses packets of its own now and then, which the link knows nothing of.
fn comes_near(what: &str, mut measure: impl FnMut() -> (f64, f64), slack: f64) {
    let mut measured = Vec::new();
    while measured.len() < 3 {
        let (reported, truth) = measure();
        measured.push((reported, truth));
        if (reported - truth).abs() <= truth * 0.1 + slack {
            return;
        }
    }
    panic!("{what}: reported and in truth {measured:?}");
}

#[test]
fn the_reported_loss_is_that_of_the_link() {
    let relay = Relay::start();
    let lossy = Quality { loss: 0.1, delay: Duration::from_millis(40), ..Quality::default() };
    let (mut anna, mut ben) = call(&relay);
    relay.set_uplink(lossy);
    // The first report is of a time before and after.
    anna.expect("onPublisherQualityUpdate", |_| true);
    let up = || {
        relay.set_uplink(lossy);
        let reported = mean(&mut anna, "onPublisherQualityUpdate", "packetLostRate", 3);
        (reported, relay.lost_shares().0)
    };
    comes_near("loss on the way up", up, 0.01);

    relay.set_uplink(Quality::default());
    relay.set_downlink(lossy);
    ben.forget();
    ben.expect("onPlayerQualityUpdate", |_| true);
    ben.expect("onPlayerQualityUpdate", |_| true);
    let down = || {
        relay.set_downlink(lossy);
        let reported = mean(&mut ben, "onPlayerQualityUpdate", "packetLostRate", 3);
        (reported, relay.lost_shares().1)
    };
    comes_near("loss on the way down", down, 0.01);
}

#[test]
fn the_reported_round_trip_is_that_of_the_link() {
    let relay = Relay::start();
    let half = Quality { delay: Duration::from_millis(50), ..Quality::default() };
    relay.set_uplink(half);
    relay.set_downlink(half);
    let (mut anna, mut ben) = call(&relay);
    for (client, event) in [(&mut anna, "onPublisherQualityUpdate"), (&mut ben, "onPlayerQualityUpdate")] {
        client.expect(event, |event| event["quality"]["rtt"].as_f64() > Some(0.0));
        near(event, mean(client, event, "rtt", 2), 100.0, 4.0);
    }
}

#[test]
fn rates_at_the_player_are_those_of_the_publisher() {
    let server = Server::start();
    let (mut anna, mut ben) = Client::pair(&server);
    ben.play("anna-stream").frames(30);
    anna.expect("onPublisherQualityUpdate", |_| true);
    ben.expect("onPlayerQualityUpdate", |_| true);
    let sent = anna.expect("onPublisherQualityUpdate", |_| true)["quality"].clone();
    let played = ben.expect("onPlayerQualityUpdate", |_| true)["quality"].clone();
    let of = |quality: &Value, field: &str| quality[field].as_f64().unwrap_or_else(|| panic!("no {field}"));
    for field in ["videoCaptureFPS", "videoEncodeFPS", "videoSendFPS"] {
        near(field, of(&sent, field), 15.0, 0.4);
    }
    for field in ["videoRecvFPS", "videoDecodeFPS", "videoRenderFPS"] {
        near(field, of(&played, field), 15.0, 0.4);
    }
    near("packets of sound", of(&sent, "audioSendFPS"), 50.0, 0.5);
    near("packets of sound", of(&played, "audioRecvFPS"), 50.0, 0.5);
    near("kbit/s of video", of(&played, "videoKBPS"), of(&sent, "videoKBPS"), 15.0);
    near("kbit/s of sound", of(&played, "audioKBPS"), of(&sent, "audioKBPS"), 1.0);
    assert!(of(&played, "mos") > 4.0, "{played}");
    assert_eq!((of(&played, "packetLostRate"), of(&played, "videoBreakRate")), (0.0, 0.0));
}

#[test]
fn the_servers_clock_is_known_soon_after_the_login() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    assert_eq!(anna.engine.network_time().timestamp_ms, 0, "nobody reported it yet");
    anna.login("room", "anna");
    anna.expect("onNetworkTimeSynchronized", |_| true);
    // All of them run on this machine.
    let reported = anna.engine.network_time();
    let truth = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let deviation = u64::from(reported.max_deviation_ms);
    assert!(reported.timestamp_ms.abs_diff(truth) <= deviation + 1, "{reported:?}, in truth {truth}");
    wait_for("a good reading", || anna.engine.network_time().max_deviation_ms <= 10);
}
