//! When frames and audio come out.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::{FrameSink, PlayerConfig};
use media::video::frame::VideoFrame;
use media::video::pattern::read_strip;
use serde_json::Value;

use crate::harness::{Client, Server, wait_for};

fn unix_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}

/// Notes how old each frame is when it is shown, in milliseconds.
#[derive(Default)]
struct Ages(Mutex<Vec<f64>>);

impl FrameSink for Ages {
    fn on_frame(&self, frame: &VideoFrame) {
        let age = read_strip(frame).map(|strip| unix_ms() - strip.capture_ms as f64);
        self.0.lock().unwrap().extend(age);
    }
}

fn player(client: &Client) -> Value {
    let stats = client.engine.call_experimental_api(r#"{"method":"getStats"}"#);
    let stats: Value = serde_json::from_str(&stats).unwrap();
    stats["players"][0].clone()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What was to be seen and heard at the begin of one second, in milliseconds.
#[derive(Debug)]
struct Mark {
    /// Age of the audio when it is mixed, by the loud beginning of the fake microphone's seconds.
    sound: f64,
    /// Age of the frames shown around it.
    picture: f64,
    /// How much later than its audio the frame comes, as the player tells.
    reported: f64,
}

/// A look at the level that comes later than this after the one before it cannot tell when it changed: a busy machine does
/// not wake this thread in time.
const LATE_LOOK: Duration = Duration::from_millis(5);
/// Frames that belong to a mark.
const FRAMES_PER_MARK: usize = 15;

/// Looks at this many begins of seconds. What is waited for changes on a busy machine, so frame and audio are compared
/// while they play.
fn marks(client: &Client, ages: &Ages, count: usize) -> Vec<Mark> {
    let level = || player(client)["jitterBuffer"]["levelDbfs"].as_f64().unwrap_or(-127.0);
    let (mut marks, mut was_loud, mut looked) = (Vec::new(), true, Instant::now());
    let end = Instant::now() + Duration::from_secs(60);
    while marks.len() < count {
        assert!(Instant::now() < end, "too few seconds are heard: {marks:?}");
        let is_loud = level() > -12.0;
        let gap = std::mem::replace(&mut looked, Instant::now()).elapsed();
        if is_loud && !was_loud && gap <= LATE_LOOK {
            let sound = unix_ms() % 1000.0;
            wait_for("pictures after the mark", || ages.0.lock().unwrap().len() >= FRAMES_PER_MARK);
            let seen = std::mem::take(&mut *ages.0.lock().unwrap());
            let picture = median(seen[seen.len() - FRAMES_PER_MARK..].to_vec());
            let reported = player(client)["timing"]["offsetMs"].as_f64().unwrap();
            marks.push(Mark { sound, picture, reported });
        }
        was_loud = is_loud;
        std::thread::sleep(Duration::from_millis(1));
    }
    marks
}

#[test]
fn frame_and_audio_come_together_and_the_frame_at_once() {
    let server = Server::start();
    let (_anna, ben) = Client::pair(&server);
    let ages = Arc::new(Ages::default());
    ben.engine.start_playing_stream("anna-stream", Some(ages.clone()), PlayerConfig::default()).unwrap();
    // The server's reports about audio come every few seconds.
    wait_for("a known offset", || player(&ben)["timing"]["offsetMs"].is_f64());
    std::thread::sleep(Duration::from_secs(2));
    let marks = marks(&ben, &ages, 5);
    // What is mixed waits some 12 ms for the speaker.
    let seen = median(marks.iter().map(|mark| mark.picture - (mark.sound + 12.0)).collect());
    let reported = median(marks.iter().map(|mark| mark.reported).collect());
    eprintln!("seen {seen:.1} ms, reported {reported:.1} ms, {marks:.1?}");
    assert!(seen.abs() <= 45.0, "seen {seen:.1}, {marks:.1?}");
    assert!((reported - seen).abs() <= 20.0, "reported {reported:.1}, seen {seen:.1}, {marks:.1?}");
}

#[test]
fn the_applications_buffer_range_holds_frame_and_audio_back() {
    let server = Server::start();
    let (_anna, mut ben) = Client::pair(&server);
    let ages = Arc::new(Ages::default());
    ben.engine.start_playing_stream("anna-stream", Some(ages.clone()), PlayerConfig::default()).unwrap();
    ben.expect("onPlayerRenderVideoFirstFrame", |_| true);
    ben.engine.set_play_stream_buffer_interval_range("anna-stream", 300, 600).unwrap();
    wait_for("late pictures", || ages.0.lock().unwrap().last().is_some_and(|age| *age >= 290.0));
    wait_for("late sound", || player(&ben)["jitterBuffer"]["bufferMs"].as_f64() > Some(270.0));
    ben.engine.set_play_stream_buffer_interval_range("anna-stream", 500, 100).unwrap();
    wait_for("later sound: the upper limit gives way", || {
        player(&ben)["jitterBuffer"]["bufferMs"].as_f64() > Some(470.0)
    });
    assert!(ben.all("onDebugError").is_empty());
}
