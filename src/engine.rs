//! The class that the TypeScript face calls: the engine's lifecycle, and calls whose arguments need more than a conversion.
//! All other calls are in `generated.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use engine::{
    AudioConfig, Engine, EngineError, FrameSink, PlayerConfig, PublisherConfig, Reply, SpeedTestConfig, VideoSource,
};
use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, Error, JsValue, Result, Status};
use napi_derive::napi;
use parking_lot::Mutex;

use crate::environment::{JsEnvironment, ViewId};
use crate::errors::{engine_error, illegal_param, without_engine};
use crate::events::{EventsToJs, reply};
use crate::generated::{NativeConfig, NativeLogConfig, NativeProfile};
use crate::ring_memory::BufferReferences;
use crate::view_lease::ViewLease;

/// Kinds of [`NativeEngine::set_video_source`].
const SOURCE_CAMERA: u32 = 1;
const SOURCE_SCREEN: u32 = 2;

/// The addon's class, one object per JS environment: it controls the engine and owns the views of its frames.
#[napi]
pub struct NativeEngine {
    pub(crate) environment: Arc<JsEnvironment>,
    pub(crate) next_view: AtomicU32,
    /// References to the memory of each view's ring.
    pub(crate) memory: Mutex<BTreeMap<ViewId, BufferReferences>>,
    env: Env,
}

#[napi]
impl NativeEngine {
    /// `wake(view, slot, width, height)` is called on the JS thread. View 0: slot 0 says that events are queued, slot -1
    /// that [`NativeEngine::resume`] is to be called after other work of the page. Another view: slot -1 asks for a ring
    /// of that size, 0 to 2 is a frame to be drawn before `wake` returns.
    #[napi(constructor)]
    pub fn new(env: Env, wake: Function<Unknown, Unknown>) -> Result<Self> {
        let environment = JsEnvironment::bind(&env, wake.raw())?;
        Ok(Self { environment, next_view: AtomicU32::new(1), memory: Mutex::default(), env })
    }

    /// Creates the engine. Fails if there is one.
    #[napi]
    pub fn create(&self, profile: NativeProfile, config: NativeConfig) -> Result<()> {
        let mut current = self.environment.engine.lock();
        if current.is_some() {
            return Err(Error::new(Status::GenericFailure, "there is an engine already"));
        }
        let events = Arc::new(EventsToJs(Arc::downgrade(&self.environment)));
        let engine = Engine::create(profile.into(), config.into(), events);
        *current = Some(Arc::new(engine.map_err(|error| engine_error(&self.env, &error))?));
        Ok(())
    }

    /// Destroys the engine; its last events are queued when this returns.
    #[napi]
    pub fn destroy(&self) {
        let engine = self.environment.engine.lock().take();
        if let Some(engine) = engine {
            engine.destroy();
        }
    }

    /// Continues after `wake` asked for a pause.
    #[napi]
    pub fn resume(&self) {
        self.environment.resume();
    }

    /// Takes the queued events as JSON text `[[name, payload], ...]`. `["__reply", {id, value}]` is the reply to a promise
    /// method, `["__viewReleased", {view}]` says that the engine has stopped drawing on a view.
    #[napi]
    pub fn drain_events(&self) -> String {
        self.environment.events.drain()
    }

    /// Version of the native part.
    #[napi]
    pub fn get_version() -> String {
        Engine::get_version()
    }

    /// `setLogConfig`, for the whole process. Fails when the folder cannot be written.
    #[napi]
    pub fn set_log_config(env: Env, config: NativeLogConfig) -> Result<()> {
        Engine::set_log_config(&config.into()).map_err(|error| illegal_param(&env, &error.to_string()))
    }

    /// `startPublishingStream`; `room_id` is missing without a config, and empty for a config without a room.
    #[napi]
    pub fn start_publishing_stream(&self, stream_id: String, room_id: Option<String>, channel: u32) -> Result<()> {
        self.run(|engine| engine.start_publishing_stream(&stream_id, PublisherConfig { room_id }, channel))
    }

    /// `startPreview` on a view, or on none.
    #[napi]
    pub fn start_preview(&self, channel: u32, view: Option<u32>) -> Result<()> {
        let sink = self.sink(view);
        self.run(|engine| engine.start_preview(channel, sink))
    }

    /// `startPlayingStream` on a view, or on none.
    #[napi]
    pub fn start_playing_stream(&self, stream_id: String, view: Option<u32>, room_id: Option<String>) -> Result<()> {
        let sink = self.sink(view);
        self.run(|engine| engine.start_playing_stream(&stream_id, sink, PlayerConfig { room_id }))
    }

    /// `setVideoSource`: 1 is the channel's camera, 2 the screen capture source of that index, else none. Returns an error
    /// code.
    #[napi]
    pub fn set_video_source(&self, kind: u32, instance: u32, channel: u32) -> Result<i32> {
        let source = match kind {
            SOURCE_CAMERA => VideoSource::Camera,
            SOURCE_SCREEN => VideoSource::Screen(instance),
            _ => VideoSource::None,
        };
        Ok(self.engine()?.set_video_source(source, channel).err().map_or(0, |error| error.code))
    }

    /// `setAudioConfig`; `bitrate` in kbit/s.
    #[napi]
    pub fn set_audio_config(&self, bitrate: u32, is_stereo: bool, channel: u32) -> Result<()> {
        let config = AudioConfig { bitrate_kbps: bitrate, is_stereo };
        self.run(|engine| engine.set_audio_config(config, channel))
    }

    /// `startNetworkSpeedTest`; a direction without a bitrate, in kbit/s, is not tested.
    #[napi]
    pub fn start_network_speed_test(&self, interval_ms: u32, uplink: Option<u32>, downlink: Option<u32>) -> Result<()> {
        let config = SpeedTestConfig { uplink_kbps: uplink, downlink_kbps: downlink, interval_ms };
        self.run(|engine| engine.start_network_speed_test(config))
    }

    /// The sink that the engine draws on for a view.
    fn sink(&self, id: Option<ViewId>) -> Option<Arc<dyn FrameSink>> {
        let id = id?;
        let view = self.environment.view(id)?;
        Some(Arc::new(ViewLease::new(id, view, Arc::downgrade(&self.environment))))
    }

    pub(crate) fn engine(&self) -> Result<Arc<Engine>> {
        let engine = self.environment.engine.lock().clone();
        engine.ok_or_else(|| without_engine(&self.env))
    }

    /// Calls the engine; an error becomes a JS error with its code.
    pub(crate) fn run<T>(&self, call: impl FnOnce(&Engine) -> std::result::Result<T, EngineError>) -> Result<T> {
        call(&*self.engine()?).map_err(|error| engine_error(&self.env, &error))
    }

    /// The reply of a promise method, which JS identifies by `request`.
    pub(crate) fn reply(&self, request: u32) -> Reply {
        reply(Arc::downgrade(&self.environment), request)
    }
}
