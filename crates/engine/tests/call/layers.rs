//! Frames in several sizes: what each player gets, and what the publisher goes on encoding.

use std::sync::Arc;
use std::time::Duration;

use engine::{Layering, PlayerConfig, VideoConfig};
use media::video::pattern::read_strip;
use serde_json::Value;

use crate::harness::{Client, Screen, Server, wait_for};

/// 960 x 540 in three sizes.
fn publish_layers(anna: &mut Client) {
    let config = VideoConfig { layering: Layering::Full, ..VideoConfig::preset(3) };
    anna.engine.set_video_config(config, 0).unwrap();
    anna.publish("anna-stream");
}

fn pair(server: &Server) -> (Client, Client) {
    let mut anna = Client::joined(server, "room", "anna");
    let mut ben = Client::joined(server, "room", "ben");
    publish_layers(&mut anna);
    ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
    (anna, ben)
}

fn wait_for_width(screen: &Screen, width: u32) {
    wait_for(&format!("a picture {width} wide"), || screen.frames(1).last().is_some_and(|last| last.width() == width));
    let frames = screen.frames(3);
    assert!(frames.iter().all(|frame| read_strip(frame).is_some()), "the pictures are whole");
}

fn stats(client: &Client) -> Value {
    serde_json::from_str(&client.engine.call_experimental_api(r#"{"method":"getStats"}"#)).unwrap()
}

#[test]
fn a_player_can_switch_layers_down_and_up() {
    let server = Server::start();
    let (_anna, ben) = pair(&server);
    let screen = ben.play("anna-stream");
    wait_for_width(&screen, 960);
    ben.engine.set_play_stream_video_type("anna-stream", 1).unwrap();
    wait_for_width(&screen, 240);
    ben.engine.set_play_stream_video_type("anna-stream", 2).unwrap();
    wait_for_width(&screen, 960);
}

#[test]
fn a_view_gets_the_layer_that_fills_it() {
    let server = Server::start();
    let (_anna, ben) = pair(&server);
    let tile = Arc::new(Screen::default());
    tile.set_shown_size(400, 225);
    ben.engine.start_playing_stream("anna-stream", Some(tile.clone()), PlayerConfig::default()).unwrap();
    wait_for_width(&tile, 480);
    tile.set_shown_size(0, 0);
    wait_for_width(&tile, 240);
    tile.set_shown_size(1920, 1080);
    wait_for_width(&tile, 960);
}

#[test]
fn two_players_get_two_sizes_at_once() {
    let server = Server::start();
    let (_anna, ben) = pair(&server);
    let carl = Client::joined(&server, "room", "carl");
    let (large, small) = (ben.play("anna-stream"), carl.play("anna-stream"));
    carl.engine.set_play_stream_video_type("anna-stream", 1).unwrap();
    wait_for_width(&small, 240);
    wait_for_width(&large, 960);
    assert!(small.frames(10).iter().all(|frame| frame.width() == 240));
}

#[test]
fn a_layer_without_subscribers_is_not_encoded() {
    let server = Server::start();
    let (anna, ben) = pair(&server);
    let screen = ben.play("anna-stream");
    wait_for_width(&screen, 960);
    let bytes = || stats(&anna)["publishers"][0]["videoBytesSent"].as_u64().unwrap();
    let rate = || {
        let before = bytes();
        std::thread::sleep(Duration::from_secs(1));
        (bytes() - before) * 8 / 1000
    };
    ben.engine.set_play_stream_video_type("anna-stream", 1).unwrap();
    wait_for_width(&screen, 240);
    // The smallest of three takes about a tenth of the whole.
    wait_for("the upper layers to rest", || rate() < 200);
    ben.engine.set_play_stream_video_type("anna-stream", 2).unwrap();
    wait_for_width(&screen, 960);
}

#[test]
fn a_wrong_stream_type_is_reported() {
    let server = Server::start();
    let mut ben = Client::joined(&server, "room", "ben");
    ben.engine.set_play_stream_video_type("nothing", 9).unwrap();
    ben.expect("onDebugError", |event| event["funcName"] == "setPlayStreamVideoType");
}
