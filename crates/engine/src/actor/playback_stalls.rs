//! Reports stalls of played streams.

use std::sync::atomic::Ordering::Relaxed;

use super::Actor;
use crate::event::{self, PlayerState};
use crate::roster::DEVICE_OPEN;

impl Actor {
    /// Emits which streams stall and which go on. Called every second.
    pub(super) fn emit_playback_stalls(&mut self) {
        let mut events = Vec::new();
        for (stream_id, player) in &mut self.players {
            // A stream that is gone or interrupted has its own state.
            let is_playing = player.state == PlayerState::Playing;
            let stream = self.rooms.get(&player.room).and_then(|room| room.roster.stream(stream_id));
            let Some(stream) = stream.filter(|_| is_playing) else { continue };
            let audio_due = stream.audio.is_some()
                && stream.microphone_state() == DEVICE_OPEN
                && !self.play_settings.audio_muted(stream_id);
            // A shared screen sends little while it does not change.
            let video_due = stream.video.as_ref().is_some_and(|track| !track.is_screen)
                && stream.camera_state() == DEVICE_OPEN
                && !self.play_settings.video_muted(stream_id);
            let counters = player.media.counters();
            let audio = (counters.audio_packets.load(Relaxed), audio_due);
            let video = (counters.received_frames.load(Relaxed), video_due);
            for kind in player.breaks.look(audio, video) {
                events.push(event::player_media_event(stream_id, kind));
            }
        }
        events.into_iter().for_each(|event| self.emit(event));
    }
}
