//! Media where UDP does not come through, and that they stay with UDP where it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use room_server::{ServerConfig, TcpPort};
use serde_json::Value;

use crate::harness::{Client, Screen, Server, fakes, profile, wait_for};
use crate::link::Quality;
use crate::relay::Relay;
use crate::stock_server::StockServer;

/// Waits until media of the client travel over this way, in both directions.
fn expect_way(client: &Client, way: &str) {
    wait_for("the way of media", || {
        let stats = client.engine.call_experimental_api(r#"{"method":"getStats"}"#);
        let stats: Value = serde_json::from_str(&stats).unwrap();
        ["publisher", "subscriber"].iter().all(|side| stats["network"][side]["way"] == way)
    });
}

/// Anna and ben are in a room, and each sees the other.
fn call(url: &str) -> [(Client, Arc<Screen>); 2] {
    call_by(url, "all")
}

/// The same over the ways that a policy allows.
fn call_by(url: &str, policy: &str) -> [(Client, Arc<Screen>); 2] {
    let users = ["anna", "ben"].map(|user| {
        let mut advanced = fakes();
        advanced.insert("ice_transport_policy".into(), policy.into());
        let client = Client::with(profile(url), advanced);
        client.login("room", user);
        client.engine.start_publishing_stream(user, Default::default(), 0).unwrap();
        client
    });
    let mut others = ["ben", "anna"].into_iter();
    users.map(|client| {
        let screen = client.play(others.next().unwrap());
        (client, screen)
    })
}

#[test]
fn a_server_that_takes_media_over_tcp_only_carries_a_call() {
    let config = ServerConfig { port: 0, tcp_port: TcpPort::Fixed(0), force_tcp: true, ..ServerConfig::default() };
    let server = Server::with(config);
    let users = call(&server.url());
    for (client, screen) in &users {
        screen.frames(10);
        expect_way(client, "tcp");
    }
}

#[test]
fn a_stock_server_carries_a_call_over_tcp_and_over_its_relay() {
    // Told of one address it would still have a socket for each, and listen to a client on only one of them.
    let on_loopback = |config: &mut Value| config["rtc"]["interfaces"] = serde_json::json!({"includes": ["lo"]});
    let with_tcp = |config: &mut Value, _| {
        on_loopback(config);
        config["rtc"]["force_tcp"] = true.into();
    };
    let Some(tcp) = StockServer::with(with_tcp) else { return };
    let begun = Instant::now();
    let users = call(&tcp.url);
    for (client, screen) in &users {
        screen.frames(3);
        eprintln!("stock server, TCP only: picture after {:?}", begun.elapsed());
        expect_way(client, "tcp");
    }
    let with_turn = |config: &mut Value, port: u16| {
        on_loopback(config);
        let loopback = ["127.0.0.0/8"];
        let turn = serde_json::json!({"enabled": true, "udp_port": port, "allow_restricted_peer_cidrs": loopback});
        config["turn"] = turn;
    };
    let Some(turn) = StockServer::with(with_turn) else { return };
    let begun = Instant::now();
    let users = call_by(&turn.url, "relay");
    for (client, screen) in &users {
        screen.frames(3);
        eprintln!("stock server, its relay: picture after {:?}", begun.elapsed());
        expect_way(client, "turn-udp");
    }
}

#[test]
fn where_only_tcp_is_wanted_udp_is_not_tried() {
    let relay = Relay::with_tcp();
    let users = call_by(&relay.url(), "tcp");
    for (client, screen) in &users {
        screen.frames(3);
        expect_way(client, "tcp");
    }
}

#[test]
fn where_udp_is_silent_media_come_over_tcp_at_once() {
    let relay = Relay::with_tcp();
    relay.let_media_through(false);
    let begun = Instant::now();
    let mut users = call(&relay.url());
    for (client, screen) in &mut users {
        client.expect("onPlayerRenderVideoFirstFrame", |_| true);
        eprintln!("picture after {:?}", begun.elapsed());
        screen.frames(10);
        expect_way(client, "tcp");
    }
}

#[test]
fn udp_that_is_closed_in_the_middle_of_a_call_makes_room_for_tcp() {
    let relay = Relay::with_tcp();
    let mut users = call(&relay.url());
    for (client, screen) in &users {
        screen.frames(10);
        expect_way(client, "udp");
    }
    relay.let_media_through(false);
    let begun = Instant::now();
    for (client, screen) in &mut users {
        expect_way(client, "tcp");
        screen.frames(1);
        screen.frames(3);
        eprintln!("back after {:?}", begun.elapsed());
        let rooms = client.all("onRoomStateChanged");
        assert!(rooms.iter().all(|event| event["reason"] == 0 || event["reason"] == 1), "{rooms:?}");
    }
}

#[test]
fn a_connection_that_breaks_returns() {
    let relay = Relay::with_tcp();
    relay.let_media_through(false);
    let users = call(&relay.url());
    for (client, screen) in &users {
        screen.frames(10);
        expect_way(client, "tcp");
    }
    relay.let_tcp_media_through(false);
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(50));
    relay.let_tcp_media_through(true);
    for (client, screen) in &users {
        screen.frames(1);
        screen.frames(5);
        eprintln!("back after {:?}", begun.elapsed());
        expect_way(client, "tcp");
    }
}

#[test]
fn media_without_a_path_are_an_error_of_the_stream_and_come_by_themselves_when_there_is_one() {
    let relay = Relay::start();
    relay.let_media_through(false);
    let begun = Instant::now();
    let mut users = call(&relay.url());
    for (client, _) in &mut users {
        let limit = Duration::from_secs(20);
        let names_media = |event: &Value| event["extendedData"].as_str().unwrap().contains("no media path");
        client.expect_within(limit, "onPublisherStateUpdate", |event| {
            event["state"] == 1 && event["errorCode"] == 1_003_020 && names_media(event)
        });
        eprintln!("reported after {:?}", begun.elapsed());
    }
    relay.let_media_through(true);
    let opened = Instant::now();
    for (client, screen) in &mut users {
        client.expect_within(Duration::from_secs(20), "onPublisherStateUpdate", |event| event["state"] == 2);
        screen.frames(3);
        eprintln!("back after {:?}", opened.elapsed());
        let rooms = client.all("onRoomStateChanged");
        assert!(rooms.iter().all(|event| event["reason"] == 0 || event["reason"] == 1), "{rooms:?}");
        let errors = client.all("onPublisherStateUpdate").into_iter().filter(|event| event["errorCode"] != 0).count();
        assert_eq!(errors, 1, "it is reported once");
    }
}

#[test]
fn a_slow_and_lossy_network_that_lets_udp_through_keeps_it() {
    let relay = Relay::with_tcp();
    let poor = Quality { loss: 0.05, delay: Duration::from_millis(150), ..Quality::default() };
    relay.set_uplink(poor);
    relay.set_downlink(poor);
    // The handshake has to go there and back before.
    relay.delay_tcp_media(3 * poor.delay);
    let users = call(&relay.url());
    for (client, screen) in &users {
        screen.frames(3);
        expect_way(client, "udp");
    }
}
