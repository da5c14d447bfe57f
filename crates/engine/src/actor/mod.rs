//! The engine actor: a single task that owns all state and processes commands and events one after another.

mod audio;
mod channels;
mod devices;
mod extra_info;
mod frames;
mod guests;
mod messages;
mod play_settings;
mod playback_stalls;
mod playing;
mod publish_settings;
mod publishing;
mod quality_report;
mod room_events;
mod room_session;
mod rooms;
mod speed_test;
mod stream_ids;
mod traffic;
mod undecodable;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dial::{DialError, Dialer};
use media::audio::AudioPipeline;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::address::ServerAddress;
use crate::cameras::Cameras;
use crate::command::{Command, Input};
use crate::config::EngineProfile;
use crate::engine::EventGate;
use crate::error::code;
use crate::event::{self, Event};
use crate::network_quality::OwnQuality;
use crate::reconnect_policy::ReconnectPolicy;
use crate::room::{Room, RoomKey};
use crate::roster::DEVICE_OPEN;
use crate::screen_sources::ScreenSources;
use crate::sei::SeiKind;
use crate::server_clock::ServerClock;
use crate::session::{RouteSettings, SessionHandle};
use crate::speed_test::SpeedTest;
use crate::stats::Registry;

pub(crate) use audio::Monitor;
pub(crate) use channels::CHANNELS;
pub(crate) use devices::AudioDeviceEvent;

use audio::AudioSettings;
use channels::Channel;
use extra_info::PendingRequest;
use play_settings::PlaySettings;
use playing::Player;
use publishing::Publisher;

/// Interval of periodic work.
const TICK: Duration = Duration::from_secs(1);
/// A destroyed engine waits this long until its rooms know that it leaves.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(400);
/// Quality events are emitted every third tick.
const QUALITY_TICKS: u32 = 3;
/// The own network quality is emitted every second tick.
const NETWORK_QUALITY_TICKS: u32 = 2;

/// All state of one engine.
pub(crate) struct Actor {
    pub(crate) profile: EngineProfile,
    pub(crate) server: ServerAddress,
    /// Opens connections, or the option that makes it impossible.
    pub(crate) dialer: Result<Dialer, DialError>,
    pub(crate) policy: Arc<dyn ReconnectPolicy>,
    pub(crate) ways: RouteSettings,
    pub(crate) inbox: UnboundedSender<Input>,
    pub(crate) gate: Arc<EventGate>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) audio: Arc<AudioPipeline>,
    pub(crate) cameras: Cameras,
    pub(crate) screens: Arc<ScreenSources>,
    multi_room: bool,
    /// Offset of this computer's clock from the room server's.
    clock: ServerClock,
    /// Rooms that the application is in, at most one in single-room mode, and hidden ones.
    rooms: BTreeMap<RoomKey, Room>,
    channels: Vec<Channel>,
    publishers: BTreeMap<u32, Publisher>,
    players: BTreeMap<String, Player>,
    play_settings: PlaySettings,
    /// Numbers sessions and players, so that late events of an old one are recognised.
    generation: u64,
    captured_audio: bool,
    /// Calls that wait for the server, by request number.
    pending: BTreeMap<u32, PendingRequest>,
    last_request: u32,
    /// Sessions that are leaving.
    leaving: Vec<SessionHandle>,
    sound: AudioSettings,
    /// `ZegoRemoteDeviceState` of the enabled microphone.
    microphone_state: i32,
    own_quality: OwnQuality,
    /// The last one that was started; it may have ended.
    speed_test: Option<SpeedTest>,
    sei_kind: SeiKind,
    /// Whether there was a preview, publish or play at the last check.
    media_run: bool,
}

/// What an actor is built from.
pub(crate) struct Parts {
    pub(crate) profile: EngineProfile,
    pub(crate) server: ServerAddress,
    /// Opens connections, or the option that makes it impossible.
    pub(crate) dialer: Result<Dialer, DialError>,
    pub(crate) policy: Arc<dyn ReconnectPolicy>,
    pub(crate) ways: RouteSettings,
    pub(crate) inbox: UnboundedSender<Input>,
    pub(crate) gate: Arc<EventGate>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) audio: Arc<AudioPipeline>,
    pub(crate) cameras: Cameras,
    pub(crate) screens: Arc<ScreenSources>,
    /// `ZegoRoomMode.MultiRoom`.
    pub(crate) multi_room: bool,
}

impl Actor {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { profile, server, dialer, policy, ways, inbox, gate, registry, audio, cameras, screens, multi_room } =
            parts;
        let channels = channels::all(&profile, &inbox);
        *registry.feeds.lock() = channels.iter().map(|channel| channel.feed.clone()).collect();
        Self {
            profile,
            server,
            dialer,
            clock: ServerClock::default(),
            policy,
            ways,
            inbox,
            gate,
            registry,
            audio,
            cameras,
            screens,
            multi_room,
            rooms: BTreeMap::new(),
            channels,
            publishers: BTreeMap::new(),
            players: BTreeMap::new(),
            play_settings: PlaySettings::default(),
            generation: 0,
            captured_audio: false,
            pending: BTreeMap::new(),
            last_request: 0,
            leaving: Vec::new(),
            sound: AudioSettings::default(),
            microphone_state: DEVICE_OPEN,
            own_quality: OwnQuality::default(),
            speed_test: None,
            sei_kind: SeiKind::default(),
            media_run: false,
        }
    }

    /// Runs until the engine is destroyed.
    pub(crate) async fn run(mut self, mut inputs: UnboundedReceiver<Input>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticks = 0u32;
        loop {
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(Input::Destroy(done)) => {
                        let sessions = self.destroy();
                        // A process that exits right after this would lose the leave messages.
                        let goodbyes = async {
                            for session in sessions {
                                session.gone().await;
                            }
                        };
                        let _ = tokio::time::timeout(LEAVE_TIMEOUT, goodbyes).await;
                        let _ = done.send(());
                        return;
                    }
                    Some(input) => {
                        self.input(input);
                        self.emit_engine_state();
                    }
                    None => return drop(self.destroy()),
                },
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    self.ask_network();
                    self.emit_interrupted_players();
                    self.request_view_layers();
                    self.expire_missing();
                    self.expire_requests();
                    self.watch_tokens();
                    self.emit_user_counts();
                    self.send_due_key_frames();
                    self.emit_playback_stalls();
                    if ticks.is_multiple_of(NETWORK_QUALITY_TICKS) {
                        self.emit_own_quality();
                    }
                    if ticks.is_multiple_of(QUALITY_TICKS) {
                        self.report_quality();
                    }
                }
            }
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Command(command) => self.command(command),
            Input::Session { room, generation, event } => self.session_event(&room, generation, event),
            Input::Retry { room, generation } => self.retry(&room, generation),
            Input::LoginOver { room, since } => self.login_over(&room, since),
            Input::Capture(event) => self.capture_event(event),
            Input::CapturedAudioFirstFrame => {
                if !std::mem::replace(&mut self.captured_audio, true) {
                    self.emit(event::captured_audio_first_frame());
                }
            }
            Input::AudioDevice(news) => self.audio_device_event(news),
            Input::DevicesChanged(change) => self.devices_changed(change),
            Input::EncoderFailed { channel, reason } => {
                let info = format!("channel {channel}: {reason}");
                self.debug_error(code::PUBLISHER_VIDEO_ENCODER_FAIL, "startPublishingStream", &info);
            }
            Input::SentFirstFrame { channel, video } => self.sent_first_frame(channel, video),
            Input::Player { stream_id, generation, event } => self.player_event(&stream_id, generation, event),
            Input::Network { room, network } => self.on_network_stats(&room, *network),
            Input::Monitor { monitor, generation, goes_on } => {
                let _ = goes_on.send(self.monitor(monitor, generation));
            }
            // Handled by the loop.
            Input::Destroy(_) => {}
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::SetRoomScenario(scenario) => self.set_scenario(scenario),
            Command::LoginRoom { room_id, user, config } => self.login(room_id, user, config),
            Command::LogoutRoom { room_id } => self.logout(room_id.as_deref()),
            Command::SwitchRoom { from, to, config } => self.switch_room(&from, to, config),
            Command::RenewToken { room_id, token } => self.renew_token(&room_id, token),
            Command::SetRoomExtraInfo { room_id, key, value, reply } => {
                self.set_room_extra_info(&room_id, &key, value, reply);
            }
            Command::SetStreamExtraInfo { info, channel, reply } => self.set_stream_extra_info(info, channel, reply),
            Command::StartPublishing { stream_id, config, channel } => {
                self.start_publishing(stream_id, &config, channel)
            }
            Command::StopPublishing { channel } => self.stop_publishing(channel),
            Command::StartPreview { channel, view } => self.start_preview(channel, view),
            Command::StopPreview { channel } => self.stop_preview(channel),
            Command::StartPlaying { stream_id, view, config } => self.start_playing(stream_id, view, &config),
            Command::StopPlaying { stream_id } => self.stop_playing(&stream_id),
            Command::ViewsChanged => self.request_view_layers(),
            Command::MutePublishAudio { mute, channel } => self.mute_publish_audio(mute, channel),
            Command::MutePublishVideo { mute, channel } => self.mute_publish_video(mute, channel),
            Command::MuteMicrophone(mute) => self.audio.set_microphone_muted(mute),
            Command::MuteSpeaker(mute) => self.audio.set_speaker_muted(mute),
            Command::EnableCamera { enable, channel } => self.enable_camera(enable, channel),
            Command::SetVideoConfig { settings, channel } => {
                self.set_key_frame_interval(settings.key_frame_interval_s, channel);
                self.set_video_config(settings.resolve(self.profile.scenario), channel);
            }
            Command::SetMirrorMode { mode, channel } => self.set_mirror_mode(mode, channel),
            Command::SetPlayVolume { stream_id, volume } => self.set_play_volume(&stream_id, volume),
            Command::SetPlayVideoType { stream_id, kind } => self.set_play_video_type(&stream_id, kind),
            Command::SetPlayBufferRange { stream_id, min_ms, max_ms } => {
                self.set_play_buffer_range(&stream_id, min_ms, max_ms);
            }
            Command::Audio(command) => self.audio_command(command),
            Command::Traffic { command, channel } => self.traffic_command(command, channel),
            Command::Picture(command) => self.frame_command(command),
            Command::SendBarrage { room_id, message, reply } => self.send_barrage(&room_id, &message, reply),
            Command::StartSpeedTest(config) => self.start_speed_test(config),
            Command::StopSpeedTest => self.stop_speed_test(),
            Command::UseVideoDevice { device, channel } => self.use_video_device(device, channel),
            Command::UseAudioDevice { device, kind } => self.audio.select_device(kind, &device.id),
            Command::SendBroadcast { room_id, message, reply } => self.send_broadcast(&room_id, &message, reply),
            Command::SendCustom { room_id, command, to, reply } => self.send_command(&room_id, &command, to, reply),
            Command::DebugError { code, function, info } => self.debug_error(code, function, &info),
        }
    }

    fn emit(&self, event: Event) {
        self.gate.emit(event);
    }

    fn debug_error(&self, code: i32, function: &str, info: &str) {
        tracing::warn!(code, function, info, "misuse");
        self.emit(event::debug_error(code, function, info));
    }

    fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// Leaves all rooms; returns the sessions that are leaving.
    fn destroy(&mut self) -> Vec<SessionHandle> {
        self.stop_speed_test();
        self.logout(None);
        for channel in 0..self.channels.len() {
            self.stop_preview(u32::try_from(channel).unwrap_or_default());
        }
        self.audio.stop_capture();
        std::mem::take(&mut self.leaving)
    }
}
