//! The engine's heart: one task that owns all state and takes every command and every piece of news in turn.

mod channels;
mod messages;
mod playing;
mod publishing;
mod quality_report;
mod rooms;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use media::audio::AudioPipeline;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::address::ServerAddress;
use crate::capture::Cameras;
use crate::command::{Command, Input};
use crate::config::EngineProfile;
use crate::engine::EventGate;
use crate::event::{self, Event};
use crate::reconnect_policy::ReconnectPolicy;
use crate::room::Room;
use crate::stats::Registry;

use channels::Channel;
use playing::Player;
use publishing::Publisher;

/// Housekeeping rhythm.
const TICK: Duration = Duration::from_secs(1);
/// Quality events come with every third tick.
const QUALITY_TICKS: u32 = 3;

/// All state of one engine.
pub(crate) struct Actor {
    pub(crate) profile: EngineProfile,
    pub(crate) server: ServerAddress,
    pub(crate) policy: ReconnectPolicy,
    pub(crate) inbox: UnboundedSender<Input>,
    pub(crate) gate: Arc<EventGate>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) audio: Arc<AudioPipeline>,
    pub(crate) cameras: Cameras,
    /// Single-room mode: at most one.
    room: Option<Room>,
    channels: Vec<Channel>,
    publishers: BTreeMap<u32, Publisher>,
    players: BTreeMap<String, Player>,
    /// Numbers sessions and players, so that late news of an old one can be told from news of the new one.
    generation: u64,
    captured_audio: bool,
}

/// What an actor is made of.
pub(crate) struct Parts {
    pub(crate) profile: EngineProfile,
    pub(crate) server: ServerAddress,
    pub(crate) policy: ReconnectPolicy,
    pub(crate) inbox: UnboundedSender<Input>,
    pub(crate) gate: Arc<EventGate>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) audio: Arc<AudioPipeline>,
    pub(crate) cameras: Cameras,
}

impl Actor {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { profile, server, policy, inbox, gate, registry, audio, cameras } = parts;
        let channels = channels::all(&profile, &inbox);
        *registry.feeds.lock() = channels.iter().map(|channel| channel.feed.clone()).collect();
        Self {
            profile,
            server,
            policy,
            inbox,
            gate,
            registry,
            audio,
            cameras,
            room: None,
            channels,
            publishers: BTreeMap::new(),
            players: BTreeMap::new(),
            generation: 0,
            captured_audio: false,
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
                        self.destroy();
                        let _ = done.send(());
                        return;
                    }
                    Some(input) => self.input(input),
                    None => return self.destroy(),
                },
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    self.ask_network();
                    self.tell_interrupted_players();
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
            Input::Session { room_id, generation, event } => self.session_event(&room_id, generation, event),
            Input::Retry { room_id, generation } => self.retry(&room_id, generation),
            Input::Capture(event) => self.capture_event(event),
            Input::CapturedAudioFirstFrame => {
                if !std::mem::replace(&mut self.captured_audio, true) {
                    self.emit(event::captured_audio_first_frame());
                }
            }
            Input::AudioDeviceFailed { kind, message } => self.audio_device_failed(kind, &message),
            Input::SentFirstFrame { channel, video } => self.sent_first_frame(channel, video),
            Input::Player { stream_id, generation, event } => self.player_event(&stream_id, generation, event),
            Input::Network(network) => self.take_network(network),
            // Taken by the loop.
            Input::Destroy(_) => {}
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::SetRoomScenario(scenario) => self.set_scenario(scenario),
            Command::LoginRoom { room_id, user, config } => self.login(room_id, user, config),
            Command::LogoutRoom { room_id } => self.logout(room_id.as_deref()),
            Command::StartPublishing { stream_id, config, channel } => {
                self.start_publishing(stream_id, &config, channel)
            }
            Command::StopPublishing { channel } => self.stop_publishing(channel),
            Command::StartPreview { channel, view } => self.start_preview(channel, view),
            Command::StopPreview { channel } => self.stop_preview(channel),
            Command::StartPlaying { stream_id, view, config } => self.start_playing(stream_id, view, &config),
            Command::StopPlaying { stream_id } => self.stop_playing(&stream_id),
            Command::MutePublishAudio { mute, channel } => self.mute_publish_audio(mute, channel),
            Command::MutePublishVideo { mute, channel } => self.mute_publish_video(mute, channel),
            Command::MuteMicrophone(mute) => self.audio.set_microphone_muted(mute),
            Command::MuteSpeaker(mute) => self.audio.set_speaker_muted(mute),
            Command::EnableCamera { enable, channel } => self.enable_camera(enable, channel),
            Command::SetVideoConfig { config, channel } => self.set_video_config(config, channel),
            Command::SetMirrorMode { mode, channel } => self.set_mirror_mode(mode, channel),
            Command::SetPlayVolume { stream_id, volume } => self.set_play_volume(&stream_id, volume),
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

    /// Leaves everything. The room hears it by the server; nothing here waits.
    fn destroy(&mut self) {
        self.logout(None);
        for channel in 0..self.channels.len() {
            self.stop_preview(u32::try_from(channel).unwrap_or_default());
        }
        self.audio.stop_capture();
    }
}
