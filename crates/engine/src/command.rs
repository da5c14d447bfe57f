//! The application's commands on their way to the actor, and all other inputs of the actor.

use std::sync::Arc;

use media::DeviceInfo;
use media::audio::DeviceKind;
use media::video::sink::FrameSink;

use crate::actor::{AudioDeviceEvent, Monitor};
use crate::audio_command::AudioCommand;
use crate::capture::CaptureEvent;
use crate::config::{PlayerConfig, PublisherConfig, RoomConfig, User, VideoConfig, VideoSource};
use crate::device_watch::DeviceChange;
use crate::engine::Reply;
use crate::player::PlayerEvent;
use crate::room::RoomKey;
use crate::session::SessionEvent;
use crate::speed_test::SpeedTestConfig;
use crate::video_settings::VideoSettings;

pub(crate) type View = Option<Arc<dyn FrameSink>>;

/// One call of the application.
pub(crate) enum Command {
    SetRoomScenario(u32),
    LoginRoom {
        room_id: String,
        user: User,
        config: RoomConfig,
    },
    LogoutRoom {
        room_id: Option<String>,
    },
    SwitchRoom {
        from: String,
        to: String,
        config: RoomConfig,
    },
    RenewToken {
        room_id: String,
        token: String,
    },
    SetRoomExtraInfo {
        room_id: String,
        key: String,
        value: String,
        reply: Reply,
    },
    SetStreamExtraInfo {
        info: String,
        channel: u32,
        reply: Reply,
    },
    StartPublishing {
        stream_id: String,
        config: PublisherConfig,
        channel: u32,
    },
    StopPublishing {
        channel: u32,
    },
    StartPreview {
        channel: u32,
        view: View,
    },
    StopPreview {
        channel: u32,
    },
    StartPlaying {
        stream_id: String,
        view: View,
        config: PlayerConfig,
    },
    StopPlaying {
        stream_id: String,
    },
    /// Views need other layers or sizes than before.
    ViewsChanged,
    MutePublishAudio {
        mute: bool,
        channel: u32,
    },
    MutePublishVideo {
        mute: bool,
        channel: u32,
    },
    MuteMicrophone(bool),
    MuteSpeaker(bool),
    EnableCamera {
        enable: bool,
        channel: u32,
    },
    SetVideoConfig {
        settings: VideoSettings,
        channel: u32,
    },
    SetMirrorMode {
        mode: u32,
        channel: u32,
    },
    SetPlayVolume {
        stream_id: String,
        volume: u32,
    },
    SetPlayVideoType {
        stream_id: String,
        kind: u32,
    },
    SetPlayBufferRange {
        stream_id: String,
        min_ms: u32,
        max_ms: u32,
    },
    Audio(AudioCommand),
    Traffic {
        command: TrafficCommand,
        channel: u32,
    },
    Picture(FrameCommand),
    SendBarrage {
        room_id: String,
        message: String,
        reply: Reply,
    },
    StartSpeedTest(SpeedTestConfig),
    StopSpeedTest,
    UseVideoDevice {
        device: DeviceInfo,
        channel: u32,
    },
    UseAudioDevice {
        device: DeviceInfo,
        kind: DeviceKind,
    },
    SendBroadcast {
        room_id: String,
        message: String,
        reply: Reply,
    },
    SendCustom {
        room_id: String,
        command: String,
        to: Vec<User>,
        reply: Reply,
    },
    DebugError {
        code: i32,
        function: &'static str,
        info: String,
    },
}

/// A call about SEI, snapshots or key frames.
pub(crate) enum FrameCommand {
    SetSeiKind(u32),
    SendSei { data: Vec<u8>, channel: u32 },
    PublishSnapshot { channel: u32, reply: Reply },
    PlaySnapshot { stream_id: String, reply: Reply },
    GetConfig { channel: u32, answer: crossbeam_channel::Sender<VideoConfig> },
    SetSource { source: VideoSource, channel: u32 },
}

/// What traffic control may reduce of what a channel publishes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TrafficCommand {
    Enable { enable: bool, properties: u32 },
    LeastBitrate { kbps: u32, mode: u32 },
    LeastFps(u32),
    LeastSize { width: u32, height: u32 },
    FocusOn(u32),
}

impl TrafficCommand {
    /// The name of the application's call.
    pub(crate) fn function(&self) -> &'static str {
        match self {
            Self::Enable { .. } => "enableTrafficControl",
            Self::LeastBitrate { .. } => "setMinVideoBitrateForTrafficControl",
            Self::LeastFps(_) => "setMinVideoFpsForTrafficControl",
            Self::LeastSize { .. } => "setMinVideoResolutionForTrafficControl",
            Self::FocusOn(_) => "setTrafficControlFocusOn",
        }
    }
}

/// Everything that the actor reacts to, in the order of arrival.
pub(crate) enum Input {
    Command(Command),
    Session {
        room: RoomKey,
        generation: u64,
        event: SessionEvent,
    },
    /// The wait before the next login attempt is over.
    Retry {
        room: RoomKey,
        generation: u64,
    },
    /// The time of a first login that began then is over.
    LoginOver {
        room: RoomKey,
        since: std::time::Instant,
    },
    Capture(CaptureEvent),
    CapturedAudioFirstFrame,
    AudioDevice(AudioDeviceEvent),
    DevicesChanged(DeviceChange),
    /// Frames of this channel cannot be encoded.
    EncoderFailed {
        channel: u32,
        reason: String,
    },
    SentFirstFrame {
        channel: u32,
        video: bool,
    },
    Player {
        stream_id: String,
        generation: u64,
        event: PlayerEvent,
    },
    /// Answer of [`crate::stats::Network`] readings asked for earlier.
    Network {
        room: RoomKey,
        network: Box<crate::stats::Network>,
    },
    /// The timer of a monitor; the answer says whether it goes on.
    Monitor {
        monitor: Monitor,
        generation: u64,
        goes_on: tokio::sync::oneshot::Sender<bool>,
    },
    /// Leave everything, then answer.
    Destroy(crossbeam_channel::Sender<()>),
}
