//! What the application asked for, on its way to the actor; and everything else that makes the actor act.

use std::sync::Arc;

use media::DeviceInfo;
use media::audio::DeviceKind;
use media::video::sink::FrameSink;

use crate::capture::CaptureEvent;
use crate::config::{PlayerConfig, PublisherConfig, RoomConfig, User, VideoConfig};
use crate::engine::Reply;
use crate::player::PlayerEvent;
use crate::session::SessionEvent;

pub(crate) type View = Option<Arc<dyn FrameSink>>;

/// One call of the application.
pub(crate) enum Command {
    SetRoomScenario(u32),
    LoginRoom { room_id: String, user: User, config: RoomConfig },
    LogoutRoom { room_id: Option<String> },
    StartPublishing { stream_id: String, config: PublisherConfig, channel: u32 },
    StopPublishing { channel: u32 },
    StartPreview { channel: u32, view: View },
    StopPreview { channel: u32 },
    StartPlaying { stream_id: String, view: View, config: PlayerConfig },
    StopPlaying { stream_id: String },
    MutePublishAudio { mute: bool, channel: u32 },
    MutePublishVideo { mute: bool, channel: u32 },
    MuteMicrophone(bool),
    MuteSpeaker(bool),
    EnableCamera { enable: bool, channel: u32 },
    SetVideoConfig { config: VideoConfig, channel: u32 },
    SetMirrorMode { mode: u32, channel: u32 },
    SetPlayVolume { stream_id: String, volume: u32 },
    UseVideoDevice { device: DeviceInfo, channel: u32 },
    UseAudioDevice { device: DeviceInfo, kind: DeviceKind },
    SendBroadcast { room_id: String, message: String, reply: Reply },
    SendCustom { room_id: String, command: String, to: Vec<User>, reply: Reply },
    DebugError { code: i32, function: &'static str, info: String },
}

/// Everything that the actor reacts to, in the order of arrival.
pub(crate) enum Input {
    Command(Command),
    Session {
        room_id: String,
        generation: u64,
        event: SessionEvent,
    },
    /// The wait before the next login attempt is over.
    Retry {
        room_id: String,
        generation: u64,
    },
    Capture(CaptureEvent),
    CapturedAudioFirstFrame,
    AudioDeviceFailed {
        kind: DeviceKind,
        message: String,
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
    Network(crate::stats::Network),
    /// Leave everything, then answer.
    Destroy(crossbeam_channel::Sender<()>),
}
