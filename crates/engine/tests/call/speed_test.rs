//! The test of the network that an application runs before a call.

use std::time::Duration;

use engine::{EngineProfile, SpeedTestConfig};
use serde_json::Value;

use crate::harness::{Client, Server, fakes, profile};
use crate::link::Quality;
use crate::relay::Relay;

fn speed_test(client: &Client, uplink_kbps: Option<u32>, downlink_kbps: Option<u32>) {
    let config = SpeedTestConfig { uplink_kbps, downlink_kbps, interval_ms: 1000 };
    client.engine.start_network_speed_test(config).unwrap();
}

const REPORT: &str = "onNetworkSpeedTestQualityUpdate";
const FAILURE: &str = "onNetworkSpeedTestError";

#[test]
fn a_speed_test_finds_a_good_link_good_and_tells_loss_and_round_trip() {
    let relay = Relay::start();
    let mut anna = Client::with(profile(&relay.url()), fakes());
    speed_test(&anna, Some(800), Some(800));
    let both = [0, 1].map(|way| anna.expect(REPORT, |event| event["type"] == way && event["quality"]["quality"] == 0));
    for report in both {
        let cost = report["quality"]["connectCost"].as_u64().unwrap();
        assert!((1..5000).contains(&cost), "{report}");
        assert_eq!(report["quality"]["packetLostRate"], 0.0);
    }
    anna.engine.stop_network_speed_test().unwrap();
    anna.forget();
    let bad = Quality { loss: 0.1, delay: Duration::from_millis(40), ..Quality::default() };
    relay.set_uplink(bad);
    speed_test(&anna, Some(800), None);
    let near_truth = |event: &Value| {
        let loss = event["quality"]["packetLostRate"].as_f64().unwrap();
        let rtt = event["quality"]["rtt"].as_u64().unwrap();
        event["type"] == 0 && (0.05..0.15).contains(&loss) && (30..60).contains(&rtt)
    };
    anna.expect(REPORT, near_truth);
    anna.engine.stop_network_speed_test().unwrap();
    assert!(anna.all(FAILURE).is_empty(), "what is stopped on purpose is no failure");
}

#[test]
fn a_speed_test_finds_a_narrow_link_bad() {
    let relay = Relay::start();
    relay.set_uplink(Quality { bps: 300_000, ..Quality::default() });
    let mut anna = Client::with(profile(&relay.url()), fakes());
    speed_test(&anna, Some(2000), None);
    anna.expect(REPORT, |event| event["type"] == 0 && event["quality"]["quality"].as_i64() >= Some(3));
    assert!(anna.all(REPORT).iter().all(|event| event["type"] == 0), "the way down was not asked for");
}

#[test]
fn a_login_a_publish_or_a_play_ends_a_speed_test() {
    let server = Server::start();
    let mut anna = Client::new(&server);
    speed_test(&anna, Some(600), None);
    anna.expect(REPORT, |_| true);
    anna.login("room", "anna");
    anna.expect(FAILURE, |event| event["errorCode"] == 1_015_032 && event["type"] == 0);
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    speed_test(&anna, None, Some(600));
    anna.expect(REPORT, |event| event["type"] == 1);
    anna.publish("anna-stream");
    anna.sees(FAILURE, |event| event["errorCode"] == 1_015_005 && event["type"] == 1);
    speed_test(&anna, Some(600), Some(600));
    anna.expect(FAILURE, |event| event["errorCode"] == 1_015_005 && event["type"] == 0);
}

#[test]
fn a_speed_test_that_cannot_be_is_reported() {
    let server = Server::start();
    let nobody = Client::with(EngineProfile { app_sign: String::new(), ..profile(&server.url()) }, fakes());
    let nowhere = Client::with(profile("ws://127.0.0.1:9"), fakes());
    for mut client in [nobody, nowhere] {
        speed_test(&client, Some(600), None);
        client.expect(FAILURE, |event| event["errorCode"] == 1_015_002);
    }
    let mut anna = Client::new(&server);
    speed_test(&anna, None, None);
    anna.expect("onDebugError", |event| event["funcName"] == "startNetworkSpeedTest");
    speed_test(&anna, Some(60_000), None);
    anna.expect("onDebugError", |event| event["funcName"] == "startNetworkSpeedTest");
}
