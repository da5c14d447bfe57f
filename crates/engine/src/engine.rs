//! The handle that the application's calls go through.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Once};
use std::time::Duration;

use dial::Dialer;
use media::audio::{AudioDeviceError, AudioEvents, AudioPipeline, DeviceKind, DeviceVolumes};
use media::video::camera;
use media::video::sink::FrameSink;
use media::{DeviceInfo, FakeDevices};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::actor::{Actor, AudioDeviceEvent, Parts};
use crate::address::{ServerAddress, dial_config, is_in_the_clear};
use crate::cameras::Cameras;
use crate::capture::CaptureEvents;
use crate::command::{Command, Input, View};
use crate::config::{EngineConfig, EngineProfile, LogConfig, PlayerConfig, PublisherConfig, RoomConfig, User};
use crate::device_watch::DeviceWatch;
use crate::error::{EngineError, code};
use crate::event::{Event, EventSink};
use crate::reconnect_policy::DefaultReconnectPolicy;
use crate::screen_sources::ScreenSources;
use crate::session::RouteSettings;
use crate::stats::Registry;
use crate::video_settings::VideoSettings;
use crate::{logging, runtime};

/// Receives the result of a promise method, an object such as `{"errorCode": 0}`. Called once, on an engine thread.
pub type Reply = Box<dyn FnOnce(Value) + Send>;

/// `destroy` waits no longer than this for the last events.
const DESTROY_LIMIT: Duration = Duration::from_millis(800);

/// Lets events through until the engine is destroyed, and none after.
pub(crate) struct EventGate {
    open: Mutex<bool>,
    sink: Arc<dyn EventSink>,
}

impl EventGate {
    pub(crate) fn emit(&self, event: Event) {
        let open = self.open.lock();
        if *open {
            tracing::debug!(name = event.name, payload = %event.payload, "event");
            self.sink.emit(event);
        }
    }

    fn close(&self) {
        *self.open.lock() = false;
    }
}

/// One engine. Methods return at once; their results are reported by events.
///
/// The room server is the one named by the profile, by `advancedConfig.server_url` or by `ZEGO_SERVER_URL`. Without a name
/// it is the app's server on this machine, started inside this process if there is none.
pub struct Engine {
    inbox: UnboundedSender<Input>,
    gate: Arc<EventGate>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) fakes: FakeDevices,
    pub(crate) devices: Arc<DeviceVolumes>,
    pub(crate) screens: Arc<ScreenSources>,
    _watch: DeviceWatch,
    destroyed: AtomicBool,
}

struct AudioInbox {
    inbox: UnboundedSender<Input>,
}

impl AudioEvents for AudioInbox {
    fn captured_first_frame(&self) {
        let _ = self.inbox.send(Input::CapturedAudioFirstFrame);
    }

    fn device_error(&self, kind: DeviceKind, id: &str, error: &AudioDeviceError) {
        let news = AudioDeviceEvent::Failed { kind, id: id.to_owned(), error: error.clone() };
        let _ = self.inbox.send(Input::AudioDevice(news));
    }

    fn device_recovered(&self, kind: DeviceKind) {
        let _ = self.inbox.send(Input::AudioDevice(AudioDeviceEvent::Recovered { kind }));
    }
}

impl Engine {
    /// Makes an engine. Opens no device and no connection.
    ///
    /// # Errors
    /// [`code::APPID_ZERO`] for an app ID of 0; [`code::ROOM_INNER_ERROR`] when the process cannot start threads.
    pub fn create(
        profile: EngineProfile,
        config: EngineConfig,
        events: Arc<dyn EventSink>,
    ) -> Result<Self, EngineError> {
        if profile.app_id == 0 {
            return Err(EngineError::new(code::APPID_ZERO, "appID must be 1 to 4294967295"));
        }
        logging::init();
        let runtime = runtime::runtime()?;
        let fakes = FakeDevices::from_env_and(&config.advanced);
        let (inbox, inputs) = mpsc::unbounded_channel();
        let gate = Arc::new(EventGate { open: Mutex::new(true), sink: events });
        let registry = Arc::new(Registry::default());
        let screens = Arc::new(ScreenSources::new(gate.clone()));
        let capture_inbox = inbox.clone();
        let capture_events: CaptureEvents = Arc::new(move |event| {
            let _ = capture_inbox.send(Input::Capture(event));
        });
        let cameras = Cameras::new(fakes.clone(), capture_events)
            .map_err(|error| EngineError::new(code::ROOM_INNER_ERROR, format!("no camera thread: {error}")))?;
        let server =
            ServerAddress::resolve(profile.server.as_deref(), &config.advanced, |name| std::env::var(name).ok());
        if is_in_the_clear(&server.url) {
            static WARNED: Once = Once::new();
            WARNED.call_once(|| {
                tracing::warn!(server = server.url, "tokens and keys go over the network in the clear; use wss://");
            });
        }
        let retry_time = config.advanced.get("room_retry_time").map(String::as_str);
        let parts = Parts {
            policy: config
                .reconnect_policy
                .unwrap_or_else(|| Arc::new(DefaultReconnectPolicy::from_seconds(retry_time))),
            audio: AudioPipeline::new(fakes.clone(), Arc::new(AudioInbox { inbox: inbox.clone() })),
            ways: RouteSettings::from_config(&config.advanced),
            multi_room: config.multi_room,
            profile,
            server,
            dialer: Dialer::new(&dial_config(&config.advanced)),
            inbox: inbox.clone(),
            gate: gate.clone(),
            registry: registry.clone(),
            cameras,
            screens: screens.clone(),
        };
        let devices = parts.audio.devices().clone();
        let changes = inbox.clone();
        let watch = DeviceWatch::start(fakes.clone(), move |change| {
            let _ = changes.send(Input::DevicesChanged(change));
        })
        .map_err(|error| EngineError::new(code::ROOM_INNER_ERROR, format!("no device thread: {error}")))?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), server = parts.server.url, "engine created");
        runtime.spawn(Actor::new(parts).run(inputs));
        Ok(Self { inbox, gate, registry, fakes, devices, screens, _watch: watch, destroyed: AtomicBool::new(false) })
    }

    /// Leaves the rooms, closes the devices and stops. Waits a moment for the last events; none is emitted after. Idempotent.
    pub fn destroy(&self) {
        if self.destroyed.swap(true, SeqCst) {
            return;
        }
        let (done, waiting) = crossbeam_channel::bounded(1);
        if self.inbox.send(Input::Destroy(done)).is_ok() {
            // An actor that does not answer in time is cut off by the gate.
            let _ = waiting.recv_timeout(DESTROY_LIMIT);
        }
        self.screens.clear();
        self.gate.close();
    }

    /// The version of this SDK.
    pub fn get_version() -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    /// Directs the process's log.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn set_log_config(config: &LogConfig) -> std::io::Result<()> {
        logging::configure(config)
    }

    pub(crate) fn send(&self, command: Command) -> Result<(), EngineError> {
        if self.destroyed.load(SeqCst) {
            return Err(EngineError::destroyed());
        }
        self.inbox.send(Input::Command(command)).map_err(|_| EngineError::destroyed())
    }

    /// `setRoomScenario`: before the login only.
    pub fn set_room_scenario(&self, scenario: u32) -> Result<(), EngineError> {
        self.send(Command::SetRoomScenario(scenario))
    }

    /// `loginRoom`.
    pub fn login_room(&self, room_id: &str, user: User, config: RoomConfig) -> Result<(), EngineError> {
        self.send(Command::LoginRoom { room_id: room_id.to_owned(), user, config })
    }

    /// `logoutRoom`; `None` leaves every room.
    pub fn logout_room(&self, room_id: Option<&str>) -> Result<(), EngineError> {
        self.send(Command::LogoutRoom { room_id: room_id.map(str::to_owned) })
    }

    /// `switchRoom`: leaves one room for another; previews go on.
    pub fn switch_room(&self, from: &str, to: &str, config: RoomConfig) -> Result<(), EngineError> {
        self.send(Command::SwitchRoom { from: from.to_owned(), to: to.to_owned(), config })
    }

    /// `renewToken`: from now on the room is kept with this token.
    pub fn renew_token(&self, room_id: &str, token: &str) -> Result<(), EngineError> {
        self.send(Command::RenewToken { room_id: room_id.to_owned(), token: token.to_owned() })
    }

    /// `setRoomExtraInfo`: replies `{errorCode}`.
    pub fn set_room_extra_info(&self, room_id: &str, key: &str, value: &str, reply: Reply) -> Result<(), EngineError> {
        let (room_id, key, value) = (room_id.to_owned(), key.to_owned(), value.to_owned());
        self.send(Command::SetRoomExtraInfo { room_id, key, value, reply })
    }

    /// `setStreamExtraInfo`: replies `{errorCode}`.
    pub fn set_stream_extra_info(&self, info: &str, channel: u32, reply: Reply) -> Result<(), EngineError> {
        self.send(Command::SetStreamExtraInfo { info: info.to_owned(), channel, reply })
    }

    /// `startPublishingStream`.
    pub fn start_publishing_stream(
        &self,
        stream_id: &str,
        config: PublisherConfig,
        channel: u32,
    ) -> Result<(), EngineError> {
        self.send(Command::StartPublishing { stream_id: stream_id.to_owned(), config, channel })
    }

    /// `stopPublishingStream`.
    pub fn stop_publishing_stream(&self, channel: u32) -> Result<(), EngineError> {
        self.send(Command::StopPublishing { channel })
    }

    /// `startPreview`; a second call moves the preview to another view.
    pub fn start_preview(&self, channel: u32, view: Option<Arc<dyn FrameSink>>) -> Result<(), EngineError> {
        self.send(Command::StartPreview { channel, view })
    }

    /// `stopPreview`.
    pub fn stop_preview(&self, channel: u32) -> Result<(), EngineError> {
        self.send(Command::StopPreview { channel })
    }

    /// `startPlayingStream`; a second call with the same stream moves it to another view.
    pub fn start_playing_stream(&self, stream_id: &str, view: View, config: PlayerConfig) -> Result<(), EngineError> {
        self.send(Command::StartPlaying { stream_id: stream_id.to_owned(), view, config })
    }

    /// `stopPlayingStream`.
    pub fn stop_playing_stream(&self, stream_id: &str) -> Result<(), EngineError> {
        self.send(Command::StopPlaying { stream_id: stream_id.to_owned() })
    }

    /// A view was moved, resized, hidden or shown: the layer that it needs now is requested at once.
    pub fn views_changed(&self) -> Result<(), EngineError> {
        self.send(Command::ViewsChanged)
    }

    /// `mutePublishStreamAudio`.
    pub fn mute_publish_stream_audio(&self, mute: bool, channel: u32) -> Result<(), EngineError> {
        self.send(Command::MutePublishAudio { mute, channel })
    }

    /// `mutePublishStreamVideo`.
    pub fn mute_publish_stream_video(&self, mute: bool, channel: u32) -> Result<(), EngineError> {
        self.send(Command::MutePublishVideo { mute, channel })
    }

    /// `muteMicrophone`: silence is sent, the device stays open.
    pub fn mute_microphone(&self, mute: bool) -> Result<(), EngineError> {
        self.send(Command::MuteMicrophone(mute))
    }

    /// `muteSpeaker`: every output of this engine falls silent.
    pub fn mute_speaker(&self, mute: bool) -> Result<(), EngineError> {
        self.send(Command::MuteSpeaker(mute))
    }

    /// `enableCamera`: really closes the device.
    pub fn enable_camera(&self, enable: bool, channel: u32) -> Result<(), EngineError> {
        self.send(Command::EnableCamera { enable, channel })
    }

    /// `setVideoConfig`.
    pub fn set_video_config(&self, settings: impl Into<VideoSettings>, channel: u32) -> Result<(), EngineError> {
        self.send(Command::SetVideoConfig { settings: settings.into(), channel })
    }

    /// `setVideoMirrorMode`.
    pub fn set_video_mirror_mode(&self, mode: u32, channel: u32) -> Result<(), EngineError> {
        self.send(Command::SetMirrorMode { mode, channel })
    }

    /// `setPlayVolume`, 0 to 200.
    pub fn set_play_volume(&self, stream_id: &str, volume: u32) -> Result<(), EngineError> {
        self.send(Command::SetPlayVolume { stream_id: stream_id.to_owned(), volume })
    }

    /// `setPlayStreamVideoType`: which layer of a stream with several to play. 0 = as the view needs it, 1 = the
    /// smallest, 2 = the largest.
    pub fn set_play_stream_video_type(&self, stream_id: &str, kind: u32) -> Result<(), EngineError> {
        self.send(Command::SetPlayVideoType { stream_id: stream_id.to_owned(), kind })
    }

    /// `setPlayStreamBufferIntervalRange`: how long media of a stream may wait to be played, in milliseconds, 0 to 4000.
    pub fn set_play_stream_buffer_interval_range(
        &self,
        stream_id: &str,
        min_ms: u32,
        max_ms: u32,
    ) -> Result<(), EngineError> {
        self.send(Command::SetPlayBufferRange { stream_id: stream_id.to_owned(), min_ms, max_ms })
    }

    /// `getVideoDeviceList`.
    pub fn get_video_device_list(&self) -> Vec<DeviceInfo> {
        camera::list(&self.fakes)
    }

    /// `getAudioDeviceList`.
    pub fn get_audio_device_list(&self, kind: DeviceKind) -> Vec<DeviceInfo> {
        media::audio::list(kind, &self.fakes)
    }

    /// `useVideoDevice`; an unknown ID is reported by `onDebugError` and changes nothing.
    pub fn use_video_device(&self, device_id: &str, channel: u32) -> Result<(), EngineError> {
        match self.get_video_device_list().into_iter().find(|device| device.id == device_id) {
            Some(device) => self.send(Command::UseVideoDevice { device, channel }),
            None => self.unknown_device("useVideoDevice", device_id),
        }
    }

    /// `useAudioDevice`; an unknown ID is reported by `onDebugError` and changes nothing.
    pub fn use_audio_device(&self, device_id: &str, kind: DeviceKind) -> Result<(), EngineError> {
        match self.get_audio_device_list(kind).into_iter().find(|device| device.id == device_id) {
            Some(device) => {
                self.devices.select(kind, &device.id);
                self.send(Command::UseAudioDevice { device, kind })
            }
            None => self.unknown_device("useAudioDevice", device_id),
        }
    }

    pub(crate) fn unknown_device(&self, function: &'static str, device_id: &str) -> Result<(), EngineError> {
        let info = format!("no device has the ID {device_id:?}");
        self.send(Command::DebugError { code: code::DEVICE_INVALID_ID, function, info })
    }

    /// `sendBroadcastMessage`: replies `{errorCode, messageID}`.
    pub fn send_broadcast_message(&self, room_id: &str, message: &str, reply: Reply) -> Result<(), EngineError> {
        self.send(Command::SendBroadcast { room_id: room_id.to_owned(), message: message.to_owned(), reply })
    }

    /// `sendCustomCommand`: replies `{errorCode}`. An empty list of receivers means all users.
    pub fn send_custom_command(
        &self,
        room_id: &str,
        command: &str,
        to: Vec<User>,
        reply: Reply,
    ) -> Result<(), EngineError> {
        self.send(Command::SendCustom { room_id: room_id.to_owned(), command: command.to_owned(), to, reply })
    }

    /// `callExperimentalAPI`: JSON text in, JSON text out. Knows `getStats`.
    pub fn call_experimental_api(&self, params: &str) -> String {
        let call = serde_json::from_str::<BTreeMap<String, Value>>(params).ok();
        let method = call.as_ref().and_then(|call| call.get("method")).and_then(Value::as_str);
        let answer = match method {
            Some("getStats") => self.registry.report(),
            Some(other) => {
                json!({"error_code": code::EXPERIMENTAL_JSON_INVALID, "message": format!("no method {other:?}")})
            }
            None => json!({"error_code": code::EXPERIMENTAL_JSON_INVALID, "message": "expected {\"method\": …}"}),
        };
        answer.to_string()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.destroy();
    }
}
