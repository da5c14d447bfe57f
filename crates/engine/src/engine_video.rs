//! The calls about video sources, SEI and snapshots.

use std::time::Duration;

use crate::actor::CHANNELS;
use crate::command::{Command, FrameCommand};
use crate::config::{VideoConfig, VideoSource};
use crate::engine::{Engine, Reply};
use crate::error::{EngineError, code};

/// The actor never takes long.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

impl Engine {
    /// `getVideoConfig`.
    ///
    /// # Errors
    /// [`code::ILLEGAL_PARAM`] for a channel that does not exist.
    pub fn get_video_config(&self, channel: u32) -> Result<VideoConfig, EngineError> {
        let (answer, answers) = crossbeam_channel::bounded(1);
        self.pictures(FrameCommand::GetConfig { channel, answer })?;
        let no_channel = || EngineError::new(code::ILLEGAL_PARAM, "no such publish channel");
        answers.recv_timeout(RESPONSE_TIMEOUT).map_err(|_| no_channel())
    }

    /// `setVideoSource`, as far as it is built: a channel's camera, a screen capture source, or none. Also while publishing.
    ///
    /// # Errors
    /// [`code::ILLEGAL_PARAM`] for a channel that does not exist, [`code::SCREEN_CAPTURE_NO_INSTANCE`] for a screen capture
    /// source that does not exist.
    pub fn set_video_source(&self, source: VideoSource, channel: u32) -> Result<(), EngineError> {
        if channel >= CHANNELS {
            return Err(EngineError::new(code::ILLEGAL_PARAM, "the publish channel must be 0, 1, 2 or 3"));
        }
        if let VideoSource::Screen(index) = source {
            self.screens.get(index)?;
        }
        self.pictures(FrameCommand::SetSource { source, channel })
    }

    /// `setSEIConfig`: the `ZegoSEIType` of later messages.
    pub fn set_sei_config(&self, kind: u32) -> Result<(), EngineError> {
        self.pictures(FrameCommand::SetSeiKind(kind))
    }

    /// `sendSEI`: 1 to 4096 bytes that are sent with the next frame.
    pub fn send_sei(&self, data: Vec<u8>, channel: u32) -> Result<(), EngineError> {
        self.pictures(FrameCommand::SendSei { data, channel })
    }

    /// `takePublishStreamSnapshot`: replies `{errorCode, image}`, the frame as JPEG in base64.
    pub fn take_publish_stream_snapshot(&self, channel: u32, reply: Reply) -> Result<(), EngineError> {
        self.pictures(FrameCommand::PublishSnapshot { channel, reply })
    }

    /// `takePlayStreamSnapshot`: replies `{errorCode, image}` of a played stream.
    pub fn take_play_stream_snapshot(&self, stream_id: &str, reply: Reply) -> Result<(), EngineError> {
        self.pictures(FrameCommand::PlaySnapshot { stream_id: stream_id.to_owned(), reply })
    }

    /// `sendBarrageMessage`: replies `{errorCode, messageID}`. Delivered soon or not at all.
    pub fn send_barrage_message(&self, room_id: &str, message: &str, reply: Reply) -> Result<(), EngineError> {
        self.send(Command::SendBarrage { room_id: room_id.to_owned(), message: message.to_owned(), reply })
    }

    fn pictures(&self, command: FrameCommand) -> Result<(), EngineError> {
        self.send(Command::Picture(command))
    }
}
