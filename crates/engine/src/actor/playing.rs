//! Playing: a stream is requested by its ID, subscribed to when a user publishes it, and played until it is stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use transport::{RemoteMedia, RemoteTrack};

use super::Actor;
use crate::command::{Input, View};
use crate::config::PlayerConfig;
use crate::error::code;
use crate::event::{self, PlayerState};
use crate::layer_request::LayerRequest;
use crate::playback_stalls::StallDetector;
use crate::player::{PlayerEvent, PlayerEvents, PlayerMedia};
use crate::quality::PlayerReading;
use crate::room::RoomKey;
use crate::roster::DEVICE_OPEN;
use crate::session::SessionCommand;

/// Upper bound of streams played at once.
const MAX_PLAYERS: usize = 20;
/// A stream that disappeared is reported after this time; a publisher that reconnects is back sooner.
const MISSED_AFTER: Duration = Duration::from_secs(3);

/// Upper bound of a stream ID that can be played, in bytes.
const MAX_PLAYED_ID_BYTES: usize = 1024;

/// One stream that the application plays or waits for.
pub(super) struct Player {
    pub(super) room: RoomKey,
    pub(super) state: PlayerState,
    pub(super) media: Arc<PlayerMedia>,
    generation: u64,
    /// Sids of the tracks that the present session has subscribed to.
    pub(super) subscribed: BTreeSet<String>,
    /// Whether the present session was asked to mute the audio.
    pub(super) requested_audio_muted: bool,
    camera: i32,
    microphone: i32,
    /// The layer that was requested from the present session.
    requested_layer: LayerRequest,
    pub(super) breaks: StallDetector,
    /// When a stream that was playing disappeared.
    missing_since: Option<Instant>,
    /// Media does not arrive at the moment; it plays again as soon as it does.
    interrupted: bool,
    /// The missing media path was reported.
    no_path_reported: bool,
    pub(super) reading: (Instant, PlayerReading),
}

impl Player {
    /// `ZegoRemoteDeviceState` of the publisher's camera and microphone.
    pub(super) fn device_states(&self) -> (i32, i32) {
        (self.camera, self.microphone)
    }
}

/// Whether a stream can have this ID. Stock clients' IDs come from the names of their users, so any characters are
/// allowed, up to the length of a name on the wire.
fn check_played_id(stream_id: &str) -> Result<(), i32> {
    match stream_id.len() {
        0 => Err(code::STREAM_ID_NULL),
        1..=MAX_PLAYED_ID_BYTES => Ok(()),
        _ => Err(code::STREAM_ID_TOO_LONG),
    }
}

impl Actor {
    pub(super) fn start_playing(&mut self, stream_id: String, view: View, config: &PlayerConfig) {
        if let Some(player) = self.players.get(&stream_id) {
            // Already playing: only the view changes.
            player.media.set_view(view);
            return self.request_layer(&stream_id);
        }
        let room = match self.check_play(&stream_id, config) {
            Ok(room) => room,
            Err(code) => return self.emit(event::player_state(&stream_id, PlayerState::NoPlay, code)),
        };
        self.interrupt_speed_test(code::SPEED_TEST_STOPPED_BY_PLAYING);
        let generation = self.next_generation();
        let (inbox, name) = (self.inbox.clone(), stream_id.clone());
        let events: PlayerEvents = Arc::new(move |event| {
            let _ = inbox.send(Input::Player { stream_id: name.clone(), generation, event });
        });
        let media = Arc::new(PlayerMedia::new(&self.audio, view, events));
        self.registry.players.lock().insert(stream_id.clone(), media.clone());
        let player = Player {
            room,
            state: PlayerState::PlayRequesting,
            media,
            generation,
            subscribed: BTreeSet::new(),
            requested_audio_muted: false,
            camera: DEVICE_OPEN,
            microphone: DEVICE_OPEN,
            requested_layer: LayerRequest::default(),
            breaks: StallDetector::default(),
            missing_since: None,
            interrupted: false,
            no_path_reported: false,
            reading: (Instant::now(), PlayerReading::default()),
        };
        self.players.insert(stream_id.clone(), player);
        self.emit(event::player_state(&stream_id, PlayerState::PlayRequesting, code::SUCCESS));
        self.apply_to_new_player(&stream_id);
        self.sync_player(&stream_id);
    }

    /// The room to play from, or the code of the mistake.
    fn check_play(&mut self, stream_id: &str, config: &PlayerConfig) -> Result<RoomKey, i32> {
        check_played_id(stream_id)?;
        if self.publishers.values().any(|publisher| publisher.stream_id == stream_id) {
            self.tell_own_stream();
            return Err(code::PLAYER_FAILED);
        }
        if self.players.len() >= MAX_PLAYERS {
            return Err(code::PLAYER_COUNT_EXCEED);
        }
        self.room_to_play_from(config.room_id.as_deref())
    }

    /// Stops waiting for a stream that this user publishes now: it never comes from the server.
    pub(super) fn stop_waiting_for_own_stream(&mut self, stream_id: &str) {
        if self.drop_player(stream_id).is_some() {
            self.tell_own_stream();
            self.emit(event::player_state(stream_id, PlayerState::NoPlay, code::PLAYER_FAILED));
        }
    }

    fn tell_own_stream(&self) {
        let info = "one's own stream does not come back from the server: startPreview shows it";
        self.debug_error(code::PLAYER_FAILED, "startPlayingStream", info);
    }

    pub(super) fn stop_playing(&mut self, stream_id: &str) {
        let Some(player) = self.drop_player(stream_id) else {
            let info = "this stream is not being played";
            return self.debug_error(code::PLAYER_STREAM_WAS_NOT_PLAYED, "stopPlayingStream", info);
        };
        if let Some(session) = self.rooms.get(&player.room).and_then(|room| room.connected_session()) {
            // Servers keep the settings of a track for the next subscription, which starts with the defaults.
            if player.requested_audio_muted || player.requested_layer != LayerRequest::default() {
                let undo = |sid: &String| SessionCommand::TrackSettings(LayerRequest::default().settings(sid));
                player.subscribed.iter().map(undo).for_each(|command| session.send(command));
            }
            let track_sids = player.subscribed.into_iter().collect();
            session.send(SessionCommand::Subscribe { track_sids, subscribe: false });
        }
        self.emit(event::player_state(stream_id, PlayerState::NoPlay, code::SUCCESS));
        self.leave_idle_guests();
    }

    fn drop_player(&mut self, stream_id: &str) -> Option<Player> {
        self.registry.players.lock().remove(stream_id);
        let player = self.players.remove(stream_id)?;
        self.play_settings.forget(stream_id);
        player.media.set_view(None);
        Some(player)
    }

    fn players_of(&self, room: &RoomKey) -> Vec<String> {
        self.players.iter().filter(|(_, player)| player.room == *room).map(|(stream_id, _)| stream_id.clone()).collect()
    }

    /// Stops everything that is played from a room that has ended.
    pub(super) fn drop_players_of(&mut self, room: &RoomKey, code: i32) {
        for stream_id in self.players_of(room) {
            self.drop_player(&stream_id);
            self.emit(event::player_state(&stream_id, PlayerState::NoPlay, code));
        }
    }

    /// Adapts a player to what is published: subscribes to new tracks, emits changed device states.
    pub(super) fn sync_player(&mut self, stream_id: &str) {
        let Some(player) = self.players.get_mut(stream_id) else { return };
        let Some(room) = self.rooms.get(&player.room) else { return };
        let Some(session) = room.connected_session() else { return };
        let Some(stream) = room.roster.stream(stream_id) else {
            player.subscribed.clear();
            if player.state == PlayerState::Playing {
                player.missing_since.get_or_insert_with(Instant::now);
            }
            return;
        };
        // Encrypted media would only be noise and key-frame requests.
        let obstacles = stream.obstacles();
        let wanted: BTreeSet<String> = stream.playable_sids().map(str::to_owned).collect();
        let fresh: Vec<String> = wanted.difference(&player.subscribed).cloned().collect();
        player.subscribed = wanted;
        if !fresh.is_empty() {
            session.send(SessionCommand::Subscribe { track_sids: fresh, subscribe: true });
            // A new track arrives in its best layer until another one is requested.
            player.requested_layer = LayerRequest::default();
            player.requested_audio_muted = false;
        }
        let media = player.media.clone();
        let (camera, microphone) = (stream.camera_state(), stream.microphone_state());
        let camera_changed = std::mem::replace(&mut player.camera, camera) != camera;
        let microphone_changed = std::mem::replace(&mut player.microphone, microphone) != microphone;
        if camera_changed {
            self.emit(event::remote_device_state("onRemoteCameraStateUpdate", stream_id, camera));
        }
        if microphone_changed {
            self.emit(event::remote_device_state("onRemoteMicStateUpdate", stream_id, microphone));
        }
        media.announced(obstacles);
        self.request_layer(stream_id);
        self.request_audio(stream_id);
    }

    /// Requests the layer that the player needs now, if it has changed.
    pub(super) fn request_layer(&mut self, stream_id: &str) {
        let Some(player) = self.players.get_mut(stream_id) else { return };
        let Some(room) = self.rooms.get(&player.room) else { return };
        let Some(session) = room.connected_session() else { return };
        let video = room.roster.stream(stream_id).and_then(|stream| stream.video.as_ref());
        let Some(sid) = video.map(|track| &track.sid).filter(|sid| player.subscribed.contains(*sid)) else { return };
        let wish = if self.play_settings.video_muted(stream_id) {
            LayerRequest::Nothing
        } else {
            LayerRequest::of(self.play_settings.video_type(stream_id), player.media.view().as_deref())
        };
        if std::mem::replace(&mut player.requested_layer, wish) != wish {
            session.send(SessionCommand::TrackSettings(wish.settings(sid)));
        }
    }

    /// Requests the layers that the views need now. Called periodically, since their sizes change with the frames, too.
    pub(super) fn request_view_layers(&mut self) {
        let streams: Vec<String> = self.players.keys().cloned().collect();
        streams.iter().for_each(|stream_id| self.request_layer(stream_id));
    }

    pub(super) fn sync_players_of(&mut self, room: &RoomKey) {
        self.players_of(room).iter().for_each(|stream_id| self.sync_player(stream_id));
    }

    /// Marks the room's players as interrupted: no media arrives.
    pub(super) fn interrupt_players(&mut self, room: &RoomKey) {
        let mut interrupted = Vec::new();
        for (stream_id, player) in self.players.iter_mut().filter(|(_, player)| player.room == *room) {
            player.missing_since = None;
            if std::mem::replace(&mut player.state, PlayerState::PlayRequesting) == PlayerState::Playing {
                player.interrupted = true;
                interrupted.push(stream_id.clone());
            }
        }
        for stream_id in interrupted {
            let code = code::PLAYER_NETWORK_INTERRUPT;
            self.emit(event::player_state(&stream_id, PlayerState::PlayRequesting, code));
        }
    }

    /// Reports the missing media path once to each player of the room that waits for media.
    pub(super) fn report_no_path_to_players(&mut self, room: &RoomKey, reason: &str) {
        let waits = |player: &Player| {
            player.room == *room && player.state == PlayerState::PlayRequesting && !player.subscribed.is_empty()
        };
        let mut waiting = Vec::new();
        for (stream_id, player) in self.players.iter_mut().filter(|(_, player)| waits(player)) {
            if !std::mem::replace(&mut player.no_path_reported, true) {
                waiting.push(stream_id.clone());
            }
        }
        for stream_id in waiting {
            let (state, code) = (PlayerState::PlayRequesting, code::PLAYER_NETWORK_INTERRUPT);
            self.emit(event::player_state_because(&stream_id, state, code, reason));
        }
    }

    /// Resumes the players of a room whose media arrive again.
    pub(super) fn resume_players(&mut self, room: &RoomKey) {
        let mut back = Vec::new();
        for (stream_id, player) in self.players.iter_mut().filter(|(_, player)| player.room == *room) {
            if std::mem::take(&mut player.interrupted) && !player.subscribed.is_empty() {
                player.state = PlayerState::Playing;
                player.no_path_reported = false;
                back.push(stream_id.clone());
            }
        }
        for stream_id in back {
            self.emit(event::player_state(&stream_id, PlayerState::Playing, code::SUCCESS));
        }
    }

    /// Forgets what the lost session was subscribed to.
    pub(super) fn forget_subscriptions(&mut self, room: &RoomKey) {
        for player in self.players.values_mut().filter(|player| player.room == *room) {
            player.subscribed.clear();
            player.requested_layer = LayerRequest::default();
            player.requested_audio_muted = false;
            player.interrupted = false;
        }
    }

    /// Reports players whose stream has been gone for a while as waiting.
    pub(super) fn emit_interrupted_players(&mut self) {
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

    /// A subscribed track has arrived.
    pub(super) fn track(&mut self, room: &RoomKey, track: RemoteTrack) {
        let mut players = self.players.iter_mut().filter(|(_, player)| player.room == *room);
        let found = players.find(|(_, player)| player.subscribed.contains(&track.track_id));
        // Stopped in the meantime: dropping the track ends it.
        let Some((stream_id, player)) = found else { return };
        let stream_id = stream_id.clone();
        player.missing_since = None;
        player.interrupted = false;
        let began = std::mem::replace(&mut player.state, PlayerState::Playing) != PlayerState::Playing;
        player.no_path_reported = false;
        let media = player.media.clone();
        if began {
            // First, so that the media events follow it.
            self.emit(match media.obstacle() {
                Some((kind, reason)) => {
                    let text = reason.text(kind);
                    event::player_state_because(&stream_id, PlayerState::Playing, reason.code(), &text)
                }
                None => event::player_state(&stream_id, PlayerState::Playing, code::SUCCESS),
            });
        }
        match track.media {
            RemoteMedia::Video(receiver) => {
                media.attach_video(receiver);
                // A server forgets settings of a track that it does not have yet.
                if let Some(player) = self.players.get_mut(&stream_id) {
                    player.requested_layer = LayerRequest::default();
                }
                self.request_layer(&stream_id);
            }
            RemoteMedia::Audio(receiver) => {
                media.attach_audio(receiver);
                if let Some(player) = self.players.get_mut(&stream_id) {
                    player.requested_audio_muted = false;
                }
                self.request_audio(&stream_id);
            }
        }
    }

    pub(super) fn player_event(&mut self, stream_id: &str, generation: u64, event: PlayerEvent) {
        if self.players.get(stream_id).is_none_or(|player| player.generation != generation) {
            return;
        }
        self.emit(match event {
            PlayerEvent::AudioFirstFrame => event::of_stream("onPlayerRecvAudioFirstFrame", stream_id),
            PlayerEvent::VideoFirstFrame => event::of_stream("onPlayerRecvVideoFirstFrame", stream_id),
            PlayerEvent::Size { width, height } => event::player_video_size(stream_id, width, height),
            PlayerEvent::Decodability { kind, reason } => return self.decodability(stream_id, kind, reason.as_ref()),
            PlayerEvent::Sei(data) => return self.emit_sei(stream_id, &data),
            PlayerEvent::RenderedFirstFrame => event::of_stream("onPlayerRenderVideoFirstFrame", stream_id),
        });
    }
}
