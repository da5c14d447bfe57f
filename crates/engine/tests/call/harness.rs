//! Engines, servers and the wait for events.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use engine::{
    Engine, EngineConfig, EngineProfile, Event, EventSink, FrameSink, PlayerConfig, PublisherConfig, RoomConfig, User,
};
use media::video::frame::VideoFrame;
use room_server::{RoomServer, ServerConfig};
use serde_json::Value;

pub const APP_ID: u32 = 1_234_567_890;
pub const APP_SIGN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// A loaded machine is slow; a test that waits for nothing ends at once all the same.
const LIMIT: Duration = Duration::from_secs(15);

pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// A room server of one test. Stops when dropped.
pub struct Server {
    server: Option<RoomServer>,
    pub address: SocketAddr,
}

impl Server {
    pub fn start() -> Self {
        Self::start_at(0)
    }

    pub fn start_at(port: u16) -> Self {
        Self::with(ServerConfig { port, ..ServerConfig::default() })
    }

    pub fn with(config: ServerConfig) -> Self {
        let server = runtime().block_on(RoomServer::start(config)).expect("the server starts");
        server.add_key(&APP_ID.to_string(), APP_SIGN);
        let address = server.local_addr();
        Self { server: Some(server), address }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            runtime().block_on(server.shutdown());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Events(Mutex<Sender<Event>>);

impl EventSink for Events {
    fn emit(&self, event: Event) {
        let _ = self.0.lock().unwrap().send(event);
    }
}

/// An engine and what it reported.
pub struct Client {
    pub engine: Engine,
    events: Receiver<Event>,
    /// Events that were passed over while another was waited for.
    pub seen: Vec<Event>,
}

impl Client {
    pub fn new(server: &Server) -> Self {
        Self::with(profile(&server.url()), fakes())
    }

    pub fn with(profile: EngineProfile, advanced: BTreeMap<String, String>) -> Self {
        Self::configured(profile, EngineConfig { advanced, ..EngineConfig::default() })
    }

    pub fn configured(profile: EngineProfile, config: EngineConfig) -> Self {
        let (sender, events) = channel();
        let engine = Engine::create(profile, config, Arc::new(Events(Mutex::new(sender)))).expect("an engine");
        Self { engine, events, seen: Vec::new() }
    }

    /// An engine that is in the room.
    pub fn joined(server: &Server, room: &str, user: &str) -> Self {
        let mut client = Self::new(server);
        client.login(room, user);
        client.expect("onRoomStateUpdate", |event| event["state"] == 2);
        client
    }

    /// Anna publishes `anna-stream` and ben, in the same room, knows it.
    pub fn pair(server: &Server) -> (Self, Self) {
        let mut anna = Self::joined(server, "room", "anna");
        let mut ben = Self::joined(server, "room", "ben");
        anna.publish("anna-stream");
        ben.expect("onRoomStreamUpdate", |event| event["updateType"] == 0);
        (anna, ben)
    }

    pub fn login(&self, room: &str, user: &str) {
        let config = RoomConfig { is_user_status_notify: true, ..RoomConfig::default() };
        let user = User { id: user.into(), name: format!("{user}-name") };
        self.engine.login_room(room, user, config).unwrap();
    }

    pub fn publish(&mut self, stream: &str) {
        self.engine.start_publishing_stream(stream, PublisherConfig::default(), 0).unwrap();
        self.expect("onPublisherStateUpdate", |event| event["state"] == 2 && event["streamID"] == stream);
    }

    pub fn play(&self, stream: &str) -> Arc<Screen> {
        let screen = Arc::new(Screen::default());
        self.engine.start_playing_stream(stream, Some(screen.clone()), PlayerConfig::default()).unwrap();
        screen
    }

    /// Waits for an event of that name which the condition accepts; returns its payload.
    pub fn expect(&mut self, name: &str, accept: impl Fn(&Value) -> bool) -> Value {
        self.expect_within(LIMIT, name, accept)
    }

    pub fn expect_within(&mut self, limit: Duration, name: &str, accept: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + limit;
        loop {
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    let hit = event.name == name && accept(&event.payload);
                    self.note(event.clone());
                    if hit {
                        return event.payload;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {name} in time; seen: {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => panic!("the engine is gone"),
            }
        }
    }

    /// Like [`Self::expect`], but an event that was passed over counts too.
    pub fn sees(&mut self, name: &str, accept: impl Fn(&Value) -> bool) {
        if !self.all(name).iter().any(&accept) {
            self.expect(name, accept);
        }
    }

    /// Takes in what has come by now, and gives the payloads of all events of that name so far.
    pub fn all(&mut self, name: &str) -> Vec<Value> {
        let events: Vec<Event> = self.events.try_iter().collect();
        events.into_iter().for_each(|event| self.note(event));
        self.seen.iter().filter(|event| event.name == name).map(|event| event.payload.clone()).collect()
    }

    /// Every event of every test must look as documented.
    fn note(&mut self, event: Event) {
        if let Some(fault) = crate::surface::fault(&event) {
            panic!("{fault}");
        }
        self.seen.push(event);
    }

    /// Forgets what was seen.
    pub fn forget(&mut self) {
        self.all("");
        self.seen.clear();
    }
}

pub fn profile(url: &str) -> EngineProfile {
    EngineProfile { app_id: APP_ID, app_sign: APP_SIGN.into(), scenario: 3, server: Some(url.into()) }
}

pub fn fakes() -> BTreeMap<String, String> {
    [("zego_fake_camera", "pattern"), ("zego_fake_microphone", "tone"), ("zego_fake_speaker", "null")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A view that keeps what it was shown.
#[derive(Default)]
pub struct Screen {
    frames: Mutex<Vec<VideoFrame>>,
    shown: Mutex<Option<(u32, u32)>>,
}

impl FrameSink for Screen {
    fn shown_size(&self) -> Option<(u32, u32)> {
        *self.shown.lock().unwrap()
    }

    fn on_frame(&self, frame: &VideoFrame) {
        let mut frames = self.frames.lock().unwrap();
        frames.push(frame.clone());
        // A few are enough to look at.
        if frames.len() > 64 {
            frames.drain(..32);
        }
    }
}

impl Screen {
    /// From now on it is so large on the desk, in pixels.
    pub fn set_shown_size(&self, width: u32, height: u32) {
        *self.shown.lock().unwrap() = Some((width, height));
    }

    /// Waits until that many frames were shown since the last look.
    pub fn frames(&self, count: usize) -> Vec<VideoFrame> {
        wait_for("pictures on the screen", || self.frames.lock().unwrap().len() >= count);
        std::mem::take(&mut *self.frames.lock().unwrap())
    }
}

/// The answer of a promise method.
pub fn answer(call: impl FnOnce(engine::Reply) -> Result<(), engine::EngineError>) -> Value {
    let (sender, answers) = channel();
    call(Box::new(move |value| drop(sender.send(value)))).unwrap();
    answers.recv_timeout(LIMIT).expect("an answer")
}

/// Polls until the condition holds.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "still waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
