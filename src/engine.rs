//! The class that the TypeScript face calls: it converts arguments and forwards them to the engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use engine::{DeviceKind, Engine, EngineError, FrameSink, PlayerConfig, PublisherConfig};
use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, Error, JsValue, Result, Status};
use napi_derive::napi;
use parking_lot::Mutex;

use crate::env::{JsEnvironment, ViewId};
use crate::events::{EventsToJs, reply};
use crate::frame_ring::FrameRing;
use crate::tile::{Tile, ViewMode};
use crate::values::{
    BufferReferences, Config, JsDeviceInfo, JsRoomConfig, JsUser, JsVideoConfig, Log, Profile, engine_error,
    ring_memory,
};
use crate::view::View;

/// Code of a call without an engine.
const ENGINE_NOT_CREATED: i32 = 1_000_001;
/// Code of an argument out of its domain.
const ILLEGAL_PARAM: i32 = 1_000_017;

/// The addon's class, one object per JS environment: it controls the engine and owns the views of its frames.
#[napi]
pub struct NativeEngine {
    pub(crate) environment: Arc<JsEnvironment>,
    next_view: AtomicU32,
    /// References to the memory of each view's ring.
    memory: Mutex<BTreeMap<ViewId, BufferReferences>>,
}

#[napi]
impl NativeEngine {
    /// `wake(view, slot, width, height)` is called on the JS thread. View 0: slot 0 says that events wait, slot -1 that
    /// [`NativeEngine::resume`] is to be called after other work of the page. Another view: slot -1 asks for a ring of
    /// that size, 0 to 2 is a frame to be drawn before `wake` returns.
    #[napi(constructor)]
    pub fn new(env: Env, wake: Function<Unknown, Unknown>) -> Result<Self> {
        let environment = JsEnvironment::bind(&env, wake.raw())?;
        Ok(Self { environment, next_view: AtomicU32::new(1), memory: Mutex::default() })
    }

    /// Makes the engine. Fails when there is one.
    #[napi]
    pub fn create(&self, profile: Profile, config: Config) -> Result<()> {
        let mut current = self.environment.engine.lock();
        if current.is_some() {
            return Err(Error::new(Status::GenericFailure, "there is an engine already"));
        }
        let events = Arc::new(EventsToJs(Arc::downgrade(&self.environment)));
        let engine = Engine::create(profile.into(), config.into(), events).map_err(engine_error)?;
        *current = Some(Arc::new(engine));
        Ok(())
    }

    /// Ends the engine; its last events wait in the queue when this returns.
    #[napi]
    pub fn destroy(&self) {
        let engine = self.environment.engine.lock().take();
        if let Some(engine) = engine {
            engine.destroy();
        }
    }

    /// Goes on after `wake` asked for a pause.
    #[napi]
    pub fn resume(&self) {
        self.environment.resume();
    }

    /// The events that wait, as JSON text `[[name, payload], ...]`. `["__reply", {id, value}]` answers a promise method.
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
    pub fn set_log_config(config: Log) -> Result<()> {
        let set = Engine::set_log_config(&config.into());
        set.map_err(|error| Error::new(Status::GenericFailure, format!("{ILLEGAL_PARAM}: {error}")))
    }

    /// `setRoomScenario`.
    #[napi]
    pub fn set_room_scenario(&self, scenario: u32) -> Result<()> {
        self.run(|engine| engine.set_room_scenario(scenario))
    }

    /// `loginRoom`.
    #[napi]
    pub fn login_room(&self, room_id: String, user: JsUser, config: JsRoomConfig) -> Result<()> {
        self.run(|engine| engine.login_room(&room_id, user.into(), config.into()))
    }

    /// `logoutRoom`; without a room it leaves all.
    #[napi]
    pub fn logout_room(&self, room_id: Option<String>) -> Result<()> {
        self.run(|engine| engine.logout_room(room_id.as_deref()))
    }

    /// `switchRoom`.
    #[napi]
    pub fn switch_room(&self, from: String, to: String, config: JsRoomConfig) -> Result<()> {
        self.run(|engine| engine.switch_room(&from, &to, config.into()))
    }

    /// `renewToken`.
    #[napi]
    pub fn renew_token(&self, room_id: String, token: String) -> Result<()> {
        self.run(|engine| engine.renew_token(&room_id, &token))
    }

    /// `setRoomExtraInfo`; the answer comes through the events under `request`.
    #[napi]
    pub fn set_room_extra_info(&self, room_id: String, key: String, value: String, request: u32) -> Result<()> {
        let reply = reply(Arc::downgrade(&self.environment), request);
        self.run(|engine| engine.set_room_extra_info(&room_id, &key, &value, reply))
    }

    /// `setStreamExtraInfo`; the answer comes through the events under `request`.
    #[napi]
    pub fn set_stream_extra_info(&self, info: String, channel: u32, request: u32) -> Result<()> {
        let reply = reply(Arc::downgrade(&self.environment), request);
        self.run(|engine| engine.set_stream_extra_info(&info, channel, reply))
    }

    /// `startPublishingStream`; without a config there is no room, with one that names none it is empty.
    #[napi]
    pub fn start_publishing_stream(&self, stream_id: String, room_id: Option<String>, channel: u32) -> Result<()> {
        self.run(|engine| engine.start_publishing_stream(&stream_id, PublisherConfig { room_id }, channel))
    }

    /// `stopPublishingStream`.
    #[napi]
    pub fn stop_publishing_stream(&self, channel: u32) -> Result<()> {
        self.run(|engine| engine.stop_publishing_stream(channel))
    }

    /// `startPreview` into a view, or with no view at all.
    #[napi]
    pub fn start_preview(&self, channel: u32, view: Option<u32>) -> Result<()> {
        let sink = self.sink(view);
        self.run(|engine| engine.start_preview(channel, sink))
    }

    /// `stopPreview`.
    #[napi]
    pub fn stop_preview(&self, channel: u32) -> Result<()> {
        self.run(|engine| engine.stop_preview(channel))
    }

    /// `startPlayingStream` into a view, or with no view at all.
    #[napi]
    pub fn start_playing_stream(&self, stream_id: String, view: Option<u32>, room_id: Option<String>) -> Result<()> {
        let sink = self.sink(view);
        self.run(|engine| engine.start_playing_stream(&stream_id, sink, PlayerConfig { room_id }))
    }

    /// `stopPlayingStream`.
    #[napi]
    pub fn stop_playing_stream(&self, stream_id: String) -> Result<()> {
        self.run(|engine| engine.stop_playing_stream(&stream_id))
    }

    /// `mutePublishStreamAudio`.
    #[napi]
    pub fn mute_publish_stream_audio(&self, mute: bool, channel: u32) -> Result<()> {
        self.run(|engine| engine.mute_publish_stream_audio(mute, channel))
    }

    /// `mutePublishStreamVideo`.
    #[napi]
    pub fn mute_publish_stream_video(&self, mute: bool, channel: u32) -> Result<()> {
        self.run(|engine| engine.mute_publish_stream_video(mute, channel))
    }

    /// `muteMicrophone`.
    #[napi]
    pub fn mute_microphone(&self, mute: bool) -> Result<()> {
        self.run(|engine| engine.mute_microphone(mute))
    }

    /// `muteSpeaker`.
    #[napi]
    pub fn mute_speaker(&self, mute: bool) -> Result<()> {
        self.run(|engine| engine.mute_speaker(mute))
    }

    /// `enableCamera`.
    #[napi]
    pub fn enable_camera(&self, enable: bool, channel: u32) -> Result<()> {
        self.run(|engine| engine.enable_camera(enable, channel))
    }

    /// `setVideoConfig`.
    #[napi]
    pub fn set_video_config(&self, config: JsVideoConfig, channel: u32) -> Result<()> {
        self.run(|engine| engine.set_video_config(config, channel))
    }

    /// `setVideoMirrorMode`.
    #[napi]
    pub fn set_video_mirror_mode(&self, mode: u32, channel: u32) -> Result<()> {
        self.run(|engine| engine.set_video_mirror_mode(mode, channel))
    }

    /// `setPlayVolume`.
    #[napi]
    pub fn set_play_volume(&self, stream_id: String, volume: u32) -> Result<()> {
        self.run(|engine| engine.set_play_volume(&stream_id, volume))
    }

    /// `setPlayStreamVideoType`.
    #[napi]
    pub fn set_play_stream_video_type(&self, stream_id: String, stream_type: u32) -> Result<()> {
        self.run(|engine| engine.set_play_stream_video_type(&stream_id, stream_type))
    }

    /// `setPlayStreamBufferIntervalRange`.
    #[napi]
    pub fn set_play_stream_buffer_interval_range(&self, stream_id: String, min_ms: u32, max_ms: u32) -> Result<()> {
        self.run(|engine| engine.set_play_stream_buffer_interval_range(&stream_id, min_ms, max_ms))
    }

    /// `getVideoDeviceList`.
    #[napi]
    pub fn get_video_device_list(&self) -> Result<Vec<JsDeviceInfo>> {
        let devices = self.engine()?.get_video_device_list();
        Ok(devices.into_iter().map(Into::into).collect())
    }

    /// `getAudioDeviceList`; 0 = input, 1 = output.
    #[napi]
    pub fn get_audio_device_list(&self, device_type: u32) -> Result<Vec<JsDeviceInfo>> {
        let devices = self.engine()?.get_audio_device_list(device_kind(device_type));
        Ok(devices.into_iter().map(Into::into).collect())
    }

    /// `useVideoDevice`.
    #[napi]
    pub fn use_video_device(&self, device_id: String, channel: u32) -> Result<()> {
        self.run(|engine| engine.use_video_device(&device_id, channel))
    }

    /// `useAudioDevice`; 0 = input, 1 = output.
    #[napi]
    pub fn use_audio_device(&self, device_id: String, device_type: u32) -> Result<()> {
        self.run(|engine| engine.use_audio_device(&device_id, device_kind(device_type)))
    }

    /// `sendBroadcastMessage`; the answer comes through the events under `request`.
    #[napi]
    pub fn send_broadcast_message(&self, room_id: String, message: String, request: u32) -> Result<()> {
        let reply = reply(Arc::downgrade(&self.environment), request);
        self.run(|engine| engine.send_broadcast_message(&room_id, &message, reply))
    }

    /// `sendCustomCommand`; the answer comes through the events under `request`.
    #[napi]
    pub fn send_custom_command(
        &self,
        room_id: String,
        command: String,
        users: Vec<JsUser>,
        request: u32,
    ) -> Result<()> {
        let reply = reply(Arc::downgrade(&self.environment), request);
        let users = users.into_iter().map(Into::into).collect();
        self.run(|engine| engine.send_custom_command(&room_id, &command, users, reply))
    }

    /// `callExperimentalAPI`: JSON text in and out.
    #[napi(js_name = "callExperimentalAPI")]
    pub fn call_experimental_api(&self, parameters: String) -> Result<String> {
        Ok(self.engine()?.call_experimental_api(&parameters))
    }

    /// Makes a view of `width` x `height` device pixels (0 = hidden); `mode` is a `ZegoViewMode`. Returns its number.
    #[napi]
    pub fn create_view(&self, width: u32, height: u32, mode: u32) -> u32 {
        let id = self.next_view.fetch_add(1, Ordering::Relaxed);
        let view = View::new(Arc::downgrade(&self.environment), tile(width, height, mode));
        self.environment.views.lock().insert(id, Arc::new(view));
        id
    }

    /// The view's box changed; 0 = hidden.
    #[napi]
    pub fn set_view_tile(&self, view: u32, width: u32, height: u32, mode: u32) {
        if let Some(view) = self.environment.view(view) {
            view.set_tile(tile(width, height, mode));
        }
        // Without an engine there is nobody to ask for pictures of another size.
        let _ = self.run(Engine::views_changed);
    }

    /// Gives a view `slots`, three `Uint8ClampedArray`s of `width * height * 4` bytes. They must never be transferred, and are
    /// read only inside `wake`.
    #[napi]
    pub fn set_view_ring(&self, env: Env, view: u32, width: u32, height: u32, slots: Vec<Unknown>) -> Result<()> {
        let Some(target) = self.environment.view(view) else { return Ok(()) };
        let memory = ring_memory(&env, &slots)?;
        // SAFETY: three different arrays that JS made for this ring alone; the references keep them until the ring
        // is closed, and JS reads a slot only inside `wake`, where it is taken.
        let Some(ring) = (unsafe { FrameRing::new(width, height, memory.slots) }) else {
            memory.references.release(&env);
            return Err(Error::new(Status::InvalidArg, "the buffers do not fit the size"));
        };
        target.set_ring(ring);
        if let Some(former) = self.memory.lock().insert(view, memory.references) {
            former.release(&env);
        }
        Ok(())
    }

    /// The view goes. No memory of its ring is written after this.
    #[napi]
    pub fn close_view(&self, env: Env, view: u32) {
        if let Some(view) = self.environment.views.lock().remove(&view) {
            view.close();
        }
        if let Some(memory) = self.memory.lock().remove(&view) {
            memory.release(&env);
        }
    }

    /// Counters of a view as JSON text; `null` for one that is gone.
    #[napi]
    pub fn view_stats(&self, view: u32) -> String {
        let stats = self.environment.view(view).map(|view| view.stats());
        serde_json::to_string(&stats).unwrap_or_else(|_| "null".to_owned())
    }

    pub(crate) fn view(&self, view: ViewId) -> Option<Arc<View>> {
        self.environment.view(view)
    }

    fn sink(&self, view: Option<u32>) -> Option<Arc<dyn FrameSink>> {
        let view = self.environment.view(view?)?;
        Some(view)
    }

    pub(crate) fn engine(&self) -> Result<Arc<Engine>> {
        let engine = self.environment.engine.lock().clone();
        engine.ok_or_else(|| Error::new(Status::GenericFailure, format!("{ENGINE_NOT_CREATED}: there is no engine")))
    }

    pub(crate) fn run(&self, call: impl FnOnce(&Engine) -> std::result::Result<(), EngineError>) -> Result<()> {
        call(&*self.engine()?).map_err(engine_error)
    }
}

fn tile(width: u32, height: u32, mode: u32) -> Tile {
    Tile { width, height, mode: ViewMode::from_number(mode) }
}

pub(crate) fn device_kind(device_type: u32) -> DeviceKind {
    if device_type == 0 { DeviceKind::Microphone } else { DeviceKind::Speaker }
}
