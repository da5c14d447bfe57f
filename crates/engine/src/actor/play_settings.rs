//! Settings of played streams: volumes, mutes, layers, playout delay.
//!
//! A setting may come before its stream is played, counts from then on, and is dropped when the stream stops.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::messages::UpdateTrackSettings;

use super::Actor;
use crate::error::code;
use crate::layer_request::VideoStreamType;
use crate::session::SessionCommand;
use crate::video_playback::BufferRange;

/// Upper bound of the playout delay that the application may set.
const MAX_BUFFER_MS: u32 = 4000;
/// Upper bound of a volume, in percent.
const MAX_VOLUME: u32 = 200;

/// The settings of one stream.
#[derive(Clone, Copy, Debug, Default)]
struct StreamSettings {
    audio_muted: bool,
    video_muted: bool,
    /// In percent, if set.
    volume: Option<u32>,
    video_type: VideoStreamType,
    buffer: Option<BufferRange>,
}

/// The settings of all streams.
#[derive(Debug, Default)]
pub(super) struct PlaySettings {
    streams: BTreeMap<String, StreamSettings>,
    all_audio_muted: bool,
    all_video_muted: bool,
}

impl PlaySettings {
    fn of(&self, stream_id: &str) -> StreamSettings {
        self.streams.get(stream_id).copied().unwrap_or_default()
    }

    /// Whether the stream's audio is muted, by its own setting or by that for all streams.
    pub(super) fn audio_muted(&self, stream_id: &str) -> bool {
        self.all_audio_muted || self.of(stream_id).audio_muted
    }

    /// Whether the stream's video is muted, by its own setting or by that for all streams.
    pub(super) fn video_muted(&self, stream_id: &str) -> bool {
        self.all_video_muted || self.of(stream_id).video_muted
    }

    pub(super) fn video_type(&self, stream_id: &str) -> VideoStreamType {
        self.of(stream_id).video_type
    }

    /// Drops the settings of a stream that is not played any more.
    pub(super) fn forget(&mut self, stream_id: &str) {
        self.streams.remove(stream_id);
    }
}

/// The range within the limits: at most 4000 ms, the minimum not above the maximum.
fn buffer_range(min_ms: u32, max_ms: u32) -> BufferRange {
    let min_ms = min_ms.min(MAX_BUFFER_MS);
    let ms = |ms: u32| Duration::from_millis(u64::from(ms));
    BufferRange { least: ms(min_ms), most: ms(max_ms.clamp(min_ms, MAX_BUFFER_MS)) }
}

impl Actor {
    pub(super) fn mute_play_audio(&mut self, stream_id: &str, mute: bool) {
        if let Some(settings) = self.stream_settings(stream_id, "mutePlayStreamAudio") {
            settings.audio_muted = mute;
            self.apply_mutes(stream_id);
        }
    }

    pub(super) fn mute_play_video(&mut self, stream_id: &str, mute: bool) {
        if let Some(settings) = self.stream_settings(stream_id, "mutePlayStreamVideo") {
            settings.video_muted = mute;
            self.apply_mutes(stream_id);
        }
    }

    pub(super) fn mute_all_play_audio(&mut self, mute: bool) {
        self.play_settings.all_audio_muted = mute;
        self.apply_all_mutes();
    }

    pub(super) fn mute_all_play_video(&mut self, mute: bool) {
        self.play_settings.all_video_muted = mute;
        self.apply_all_mutes();
    }

    pub(super) fn set_play_volume(&mut self, stream_id: &str, volume: u32) {
        if !self.is_play_volume(volume, "setPlayVolume") {
            return;
        }
        if let Some(settings) = self.stream_settings(stream_id, "setPlayVolume") {
            settings.volume = Some(volume);
            if let Some(player) = self.players.get(stream_id) {
                player.media.set_volume(volume);
            }
        }
    }

    /// Applies to all streams that are played now.
    pub(super) fn set_all_play_volume(&mut self, volume: u32) {
        if !self.is_play_volume(volume, "setAllPlayStreamVolume") {
            return;
        }
        for (stream_id, player) in &self.players {
            self.play_settings.streams.entry(stream_id.clone()).or_default().volume = Some(volume);
            player.media.set_volume(volume);
        }
    }

    pub(super) fn set_play_video_type(&mut self, stream_id: &str, kind: u32) {
        const FUNCTION: &str = "setPlayStreamVideoType";
        let Some(kind) = VideoStreamType::from_number(kind) else {
            return self.debug_error(code::ILLEGAL_PARAM, FUNCTION, "no such stream type");
        };
        if let Some(settings) = self.stream_settings(stream_id, FUNCTION) {
            settings.video_type = kind;
            self.request_layer(stream_id);
        }
    }

    pub(super) fn set_play_buffer_range(&mut self, stream_id: &str, min_ms: u32, max_ms: u32) {
        let range = buffer_range(min_ms, max_ms);
        if let Some(settings) = self.stream_settings(stream_id, "setPlayStreamBufferIntervalRange") {
            settings.buffer = Some(range);
            if let Some(player) = self.players.get(stream_id) {
                player.media.set_buffer_range(range);
            }
        }
    }

    /// Applies the settings to a new player.
    pub(super) fn apply_to_new_player(&mut self, stream_id: &str) {
        let settings = self.play_settings.of(stream_id);
        if let Some(player) = self.players.get(stream_id) {
            player.media.spectrum().want(self.sound.wants_spectra());
            if let Some(volume) = settings.volume {
                player.media.set_volume(volume);
            }
            if let Some(range) = settings.buffer {
                player.media.set_buffer_range(range);
            }
        }
        self.apply_mutes(stream_id);
    }

    /// The settings of a stream, played or not; `onDebugError` if the ID is impossible.
    fn stream_settings(&mut self, stream_id: &str, function: &str) -> Option<&mut StreamSettings> {
        if stream_id.is_empty() {
            self.debug_error(code::STREAM_ID_NULL, function, "the stream ID is empty");
            return None;
        }
        Some(self.play_settings.streams.entry(stream_id.to_owned()).or_default())
    }

    fn is_play_volume(&self, volume: u32, function: &str) -> bool {
        if volume > MAX_VOLUME {
            self.debug_error(code::ILLEGAL_PARAM, function, "the volume must be 0 to 200");
        }
        volume <= MAX_VOLUME
    }

    fn apply_all_mutes(&mut self) {
        let streams: Vec<String> = self.players.keys().cloned().collect();
        streams.iter().for_each(|stream_id| self.apply_mutes(stream_id));
    }

    fn apply_mutes(&mut self, stream_id: &str) {
        if let Some(player) = self.players.get(stream_id) {
            player.media.set_audio_muted(self.play_settings.audio_muted(stream_id));
            self.request_layer(stream_id);
            self.request_audio(stream_id);
        }
    }

    /// Requests the stream's audio, or none, if that has changed.
    pub(super) fn request_audio(&mut self, stream_id: &str) {
        let Some(player) = self.players.get_mut(stream_id) else { return };
        let Some(room) = self.rooms.get(&player.room) else { return };
        let Some(session) = room.connected_session() else { return };
        let audio = room.roster.stream(stream_id).and_then(|stream| stream.audio.as_ref());
        let Some(sid) = audio.map(|track| &track.sid).filter(|sid| player.subscribed.contains(*sid)) else { return };
        let muted = self.play_settings.audio_muted(stream_id);
        if std::mem::replace(&mut player.requested_audio_muted, muted) != muted {
            session.send(SessionCommand::TrackSettings(UpdateTrackSettings {
                track_sids: vec![sid.clone()],
                disabled: muted,
                ..UpdateTrackSettings::default()
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_muted_by_its_own_setting_or_by_that_for_all() {
        let mut settings = PlaySettings::default();
        settings.streams.entry("s".into()).or_default().audio_muted = true;
        settings.all_audio_muted = true;
        assert!(settings.audio_muted("s") && settings.audio_muted("t"));
        settings.all_audio_muted = false;
        assert!(settings.audio_muted("s") && !settings.audio_muted("t"));
        settings.all_video_muted = true;
        assert!(settings.video_muted("s") && settings.video_muted("t"));
        settings.forget("s");
        assert!(!settings.audio_muted("s"), "stopped: everything begins anew");
    }

    #[test]
    fn a_range_beyond_the_limits_is_cut_to_them() {
        let ms = |range: BufferRange| (range.least.as_millis(), range.most.as_millis());
        assert_eq!(ms(buffer_range(100, 500)), (100, 500));
        assert_eq!(ms(buffer_range(0, 9000)), (0, 4000));
        assert_eq!(ms(buffer_range(800, 300)), (800, 800), "the upper limit gives way");
        assert_eq!(ms(buffer_range(u32::MAX, u32::MAX)), (4000, 4000));
    }
}
