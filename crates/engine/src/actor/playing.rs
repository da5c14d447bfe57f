//! Playing: a stream is asked for by name, subscribed to when somebody publishes it, and shown until it is stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use transport::{RemoteMedia, RemoteTrack};

use super::Actor;
use super::publishing::check_stream_id;
use crate::command::{Input, View};
use crate::config::PlayerConfig;
use crate::error::code;
use crate::event::{self, PlayerState};
use crate::player::{PlayerEvent, PlayerEvents, PlayerMedia};
use crate::quality::PlayerReading;
use crate::roster::DEVICE_OPEN;
use crate::session::SessionCommand;

/// Streams played at once.
const MAX_PLAYERS: usize = 20;
/// A stream that vanished under a player is missed only after this: a publisher that reconnects is back sooner.
const MISSED_AFTER: Duration = Duration::from_secs(3);

/// One stream that the application plays, or waits for.
pub(super) struct Player {
    pub(super) state: PlayerState,
    pub(super) media: Arc<PlayerMedia>,
    generation: u64,
    /// Sids of the tracks that the present session was asked for.
    subscribed: BTreeSet<String>,
    camera: i32,
    microphone: i32,
    /// Since when a stream that was playing is gone.
    missing_since: Option<Instant>,
    pub(super) reading: (Instant, PlayerReading),
}

impl Player {
    /// `ZegoRemoteDeviceState` of the publisher's camera and microphone.
    pub(super) fn device_states(&self) -> (i32, i32) {
        (self.camera, self.microphone)
    }
}

impl Actor {
    pub(super) fn start_playing(&mut self, stream_id: String, view: View, config: &PlayerConfig) {
        if let Some(player) = self.players.get(&stream_id) {
            // Played already: only the picture moves to another place.
            return player.media.set_view(view);
        }
        if let Err(code) = self.check_play(&stream_id, config) {
            return self.emit(event::player_state(&stream_id, PlayerState::NoPlay, code));
        }
        let generation = self.next_generation();
        let (inbox, name) = (self.inbox.clone(), stream_id.clone());
        let events: PlayerEvents = Arc::new(move |event| {
            let _ = inbox.send(Input::Player { stream_id: name.clone(), generation, event });
        });
        let media = Arc::new(PlayerMedia::new(&self.audio, view, events));
        self.registry.players.lock().insert(stream_id.clone(), media.clone());
        let player = Player {
            state: PlayerState::PlayRequesting,
            media,
            generation,
            subscribed: BTreeSet::new(),
            camera: DEVICE_OPEN,
            microphone: DEVICE_OPEN,
            missing_since: None,
            reading: (Instant::now(), PlayerReading::default()),
        };
        self.players.insert(stream_id.clone(), player);
        self.emit(event::player_state(&stream_id, PlayerState::PlayRequesting, code::SUCCESS));
        self.sync_player(&stream_id);
    }

    fn check_play(&self, stream_id: &str, config: &PlayerConfig) -> Result<(), i32> {
        check_stream_id(stream_id)?;
        let room = self.room.as_ref().ok_or(code::NOT_LOGIN_ROOM)?;
        if config.room_id.as_ref().is_some_and(|wanted| !wanted.is_empty() && *wanted != room.id) {
            return Err(code::NOT_LOGIN_ROOM);
        }
        if self.players.len() >= MAX_PLAYERS {
            return Err(code::PLAYER_COUNT_EXCEED);
        }
        Ok(())
    }

    pub(super) fn stop_playing(&mut self, stream_id: &str) {
        let Some(player) = self.drop_player(stream_id) else {
            let info = "this stream is not being played";
            return self.debug_error(code::PLAYER_STREAM_WAS_NOT_PLAYED, "stopPlayingStream", info);
        };
        if let Some(session) = self.room.as_ref().and_then(|room| room.connected_session()) {
            let track_sids = player.subscribed.into_iter().collect();
            session.send(SessionCommand::Subscribe { track_sids, subscribe: false });
        }
        self.emit(event::player_state(stream_id, PlayerState::NoPlay, code::SUCCESS));
    }

    fn drop_player(&mut self, stream_id: &str) -> Option<Player> {
        self.registry.players.lock().remove(stream_id);
        let player = self.players.remove(stream_id)?;
        player.media.set_view(None);
        Some(player)
    }

    pub(super) fn drop_all_players(&mut self) {
        let streams: Vec<String> = self.players.keys().cloned().collect();
        for stream_id in streams {
            self.drop_player(&stream_id);
            self.emit(event::player_state(&stream_id, PlayerState::NoPlay, code::SUCCESS));
        }
    }

    /// Brings a player in step with what is published: subscribes to new tracks, tells changed device states.
    pub(super) fn sync_player(&mut self, stream_id: &str) {
        let Some(room) = &self.room else { return };
        let Some(session) = room.connected_session() else { return };
        let Some(player) = self.players.get_mut(stream_id) else { return };
        let Some(stream) = room.roster.stream(stream_id) else {
            player.subscribed.clear();
            if player.state == PlayerState::Playing {
                player.missing_since.get_or_insert_with(Instant::now);
            }
            return;
        };
        let wanted: BTreeSet<String> = stream.track_sids().map(str::to_owned).collect();
        let fresh: Vec<String> = wanted.difference(&player.subscribed).cloned().collect();
        player.subscribed = wanted;
        if !fresh.is_empty() {
            session.send(SessionCommand::Subscribe { track_sids: fresh, subscribe: true });
        }
        let (camera, microphone) = (stream.camera_state(), stream.microphone_state());
        let camera_changed = std::mem::replace(&mut player.camera, camera) != camera;
        let microphone_changed = std::mem::replace(&mut player.microphone, microphone) != microphone;
        if camera_changed {
            self.emit(event::remote_device_state("onRemoteCameraStateUpdate", stream_id, camera));
        }
        if microphone_changed {
            self.emit(event::remote_device_state("onRemoteMicStateUpdate", stream_id, microphone));
        }
    }

    pub(super) fn sync_all_players(&mut self) {
        let streams: Vec<String> = self.players.keys().cloned().collect();
        streams.iter().for_each(|stream_id| self.sync_player(stream_id));
    }

    /// The room connection was lost: playing waits for the next session.
    pub(super) fn interrupt_players(&mut self) {
        let streams: Vec<String> = self.players.keys().cloned().collect();
        for stream_id in streams {
            if let Some(player) = self.players.get_mut(&stream_id) {
                player.subscribed.clear();
                player.missing_since = None;
                player.state = PlayerState::PlayRequesting;
            }
            let code = code::PLAYER_NETWORK_INTERRUPT;
            self.emit(event::player_state(&stream_id, PlayerState::PlayRequesting, code));
        }
    }

    /// Tells players whose stream has been gone for a while that they wait again.
    pub(super) fn tell_interrupted_players(&mut self) {
        let now = Instant::now();
        let missed: Vec<String> = self
            .players
            .iter_mut()
            .filter(|(_, player)| player.missing_since.is_some_and(|since| now.duration_since(since) >= MISSED_AFTER))
            .map(|(stream_id, player)| {
                player.missing_since = None;
                player.state = PlayerState::PlayRequesting;
                stream_id.clone()
            })
            .collect();
        for stream_id in missed {
            let code = code::PLAYER_NETWORK_INTERRUPT;
            self.emit(event::player_state(&stream_id, PlayerState::PlayRequesting, code));
        }
    }

    /// A track that we asked for has arrived.
    pub(super) fn track(&mut self, track: RemoteTrack) {
        let found = self.players.iter_mut().find(|(_, player)| player.subscribed.contains(&track.track_id));
        // Stopped in the meantime: dropping the track ends it.
        let Some((stream_id, player)) = found else { return };
        let stream_id = stream_id.clone();
        player.missing_since = None;
        let began = std::mem::replace(&mut player.state, PlayerState::Playing) != PlayerState::Playing;
        let media = player.media.clone();
        if began {
            // First, so that the events of the media come after it.
            self.emit(event::player_state(&stream_id, PlayerState::Playing, code::SUCCESS));
        }
        match track.media {
            RemoteMedia::Video(receiver) => media.attach_video(receiver),
            RemoteMedia::Audio(receiver) => media.attach_audio(receiver),
        }
    }

    pub(super) fn player_event(&self, stream_id: &str, generation: u64, event: PlayerEvent) {
        if self.players.get(stream_id).is_none_or(|player| player.generation != generation) {
            return;
        }
        self.emit(match event {
            PlayerEvent::AudioFirstFrame => event::of_stream("onPlayerRecvAudioFirstFrame", stream_id),
            PlayerEvent::VideoFirstFrame => event::of_stream("onPlayerRecvVideoFirstFrame", stream_id),
            PlayerEvent::Size { width, height } => event::player_video_size(stream_id, width, height),
            PlayerEvent::RenderedFirstFrame => event::of_stream("onPlayerRenderVideoFirstFrame", stream_id),
        });
    }

    pub(super) fn set_play_volume(&self, stream_id: &str, volume: u32) {
        if volume > 200 {
            return self.debug_error(code::ILLEGAL_PARAM, "setPlayVolume", "the volume must be 0 to 200");
        }
        match self.players.get(stream_id) {
            Some(player) => player.media.set_volume(volume),
            None => {
                let info = "this stream is not being played";
                self.debug_error(code::PLAYER_STREAM_WAS_NOT_PLAYED, "setPlayVolume", info);
            }
        }
    }
}
