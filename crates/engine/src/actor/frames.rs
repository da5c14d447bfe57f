//! SEI, snapshots and codec questions of the application.

use super::Actor;
use crate::command::FrameCommand;
use crate::engine::Reply;
use crate::error::code;
use crate::event;
use crate::sei::{self, SeiKind};
use crate::snapshot;

impl Actor {
    pub(super) fn frame_command(&mut self, command: FrameCommand) {
        match command {
            FrameCommand::SetSeiKind(kind) => match SeiKind::from_number(kind) {
                Some(kind) => self.sei_kind = kind,
                None => self.debug_error(code::ILLEGAL_PARAM, "setSEIConfig", "the type must be 0 or 1"),
            },
            FrameCommand::SendSei { data, channel } => self.send_sei(&data, channel),
            FrameCommand::PublishSnapshot { channel, reply } => self.take_publish_snapshot(channel, reply),
            FrameCommand::PlaySnapshot { stream_id, reply } => {
                let picture = self.players.get(&stream_id).map(|player| player.media.next_frame());
                snapshot::answer(picture, code::PLAYER_SNAPSHOT_FAILED, reply);
            }
            FrameCommand::GetConfig { channel, answer } => {
                if let Some(state) = self.channel(channel, "getVideoConfig") {
                    let _ = answer.send(state.config.clone());
                }
            }
            FrameCommand::SetSource { source, channel } => self.set_video_source(source, channel),
        }
    }

    fn send_sei(&mut self, data: &[u8], channel: u32) {
        const FUNCTION: &str = "sendSEI";
        if self.channel(channel, FUNCTION).is_none() {
            return;
        }
        match data.len() {
            0 => return self.debug_error(code::PUBLISHER_SEI_NULL, FUNCTION, "there are no bytes"),
            1..=sei::MAX_BYTES => {}
            _ => return self.debug_error(code::PUBLISHER_SEI_TOO_LONG, FUNCTION, "more than 4096 bytes"),
        }
        let Some(message) = sei::user_data(self.sei_kind, data) else {
            let info = "the first 16 bytes must be a UUID";
            return self.debug_error(code::ILLEGAL_PARAM, FUNCTION, info);
        };
        let Some(publisher) = self.publishers.get(&channel) else {
            return self.debug_error(code::ILLEGAL_PARAM, FUNCTION, "this channel does not publish");
        };
        if !publisher.video.send_sei(message) {
            self.debug_error(code::ILLEGAL_PARAM, FUNCTION, "too many wait for a picture already");
        }
    }

    fn take_publish_snapshot(&mut self, channel: u32, reply: Reply) {
        let Some(state) = self.channel(channel, "takePublishStreamSnapshot") else {
            return snapshot::answer(None, code::ILLEGAL_PARAM, reply);
        };
        let picture = state.feed.next_frame();
        snapshot::answer(Some(picture), code::PUBLISHER_SNAPSHOT_FAILED, reply);
    }

    /// Emits both events of an SEI message: the second one is meant to be in sync with its frame, and so is the first.
    pub(super) fn emit_sei(&self, stream_id: &str, data: &[u8]) {
        for name in ["onPlayerRecvSEI", "onPlayerSyncRecvSEI"] {
            self.emit(event::player_sei(name, stream_id, data));
        }
    }
}
