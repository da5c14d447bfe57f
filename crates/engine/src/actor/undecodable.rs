//! Streams that arrive and cannot be decoded: reported once, and again when they can.

use super::Actor;
use crate::error::code;
use crate::event::{self, PlayerState};
use crate::room::RoomKey;
use crate::session::TrackKind;
use crate::undecodable::Reason;

impl Actor {
    /// The audio or video of a played stream cannot be decoded, or can be again.
    pub(super) fn decodability(&mut self, stream_id: &str, kind: TrackKind, reason: Option<&Reason>) {
        let Some(player) = self.players.get(stream_id) else { return };
        // The next state will carry it.
        let tells = player.state == PlayerState::Playing || player.subscribed.is_empty();
        let state = player.state;
        let Some(reason) = reason else {
            if player.media.obstacle().is_none() && state == PlayerState::Playing {
                self.emit(event::player_state(stream_id, state, code::SUCCESS));
            }
            return;
        };
        let (code, text) = (reason.code(), reason.text(kind));
        self.debug_error(code, "startPlayingStream", &format!("stream {stream_id}: {text}"));
        if tells {
            self.emit(event::player_state_because(stream_id, state, code, &text));
        }
    }

    /// The server offers a track whose codec is not supported here.
    pub(super) fn undecodable_track(&mut self, room: &RoomKey, track_sid: &str, codecs: &str) {
        let of_room = self.players.iter().filter(|(_, player)| player.room == *room);
        for (stream_id, player) in of_room {
            let stream = self.rooms.get(room).and_then(|room| room.roster.stream(stream_id));
            let is = |track: &Option<crate::roster::Track>| track.as_ref().is_some_and(|track| track.sid == track_sid);
            let kind = match stream {
                Some(stream) if is(&stream.video) => TrackKind::Video,
                Some(stream) if is(&stream.audio) => TrackKind::Audio,
                _ => continue,
            };
            player.media.set_obstacle(kind, Some(Reason::Codec(codecs.to_owned())));
        }
    }
}
