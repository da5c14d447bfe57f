//! Publishing: from the application's call through the server's response to audio and video on the wire.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use media::video::encoder::Content;
use protocol::conventions;
use protocol::limits::{self, IdError};
use transport::AudioSender;

use super::Actor;
use super::publish_settings::device_attribute;
use crate::command::Input;
use crate::config::{PublisherConfig, VideoConfig};
use crate::error::code;
use crate::event::{self, PublisherState};
use crate::opus_redundancy::{Copies, ExpectedLoss};
use crate::publisher::{AudioPublisher, EncoderFailed, FirstSent, PublisherCounters, VideoPublisher};
use crate::quality::PublisherReading;
use crate::room::RoomKey;
use crate::roster::DEVICE_OPEN;
use crate::session::{
    AudioTrack, PublishRequest, RefusedPublish, SenderSlot, SessionCommand, SessionHandle, VideoSenders, VideoTrack,
};
use crate::simulcast::{self, WantedLayers};
use crate::stats::PublisherEntry;
use crate::traffic_control::TrafficControl;

/// One publish channel that publishes or waits to.
pub(super) struct Publisher {
    pub(super) room: RoomKey,
    /// Seconds since the last periodic key frame.
    pub(super) since_key_frame_s: u32,
    /// When the present session was asked to publish.
    pub(super) requested_at: Instant,
    pub(super) stream_id: String,
    pub(super) state: PublisherState,
    /// Media does not get through at the moment; it publishes again as soon as it does.
    interrupted: bool,
    /// The missing media path was reported.
    no_path_reported: bool,
    pub(super) video: VideoPublisher,
    pub(super) audio: Arc<AudioPublisher>,
    video_slot: SenderSlot<VideoSenders>,
    wanted_layers: Arc<WantedLayers>,
    audio_slot: SenderSlot<AudioSender>,
    pub(super) counters: Arc<PublisherCounters>,
    pub(super) reading: (Instant, PublisherReading),
    pub(super) expected_loss: ExpectedLoss,
    pub(super) copies: Copies,
}

/// The code of an impossible stream ID.
fn check_stream_id(stream_id: &str) -> Result<(), i32> {
    limits::validate_stream_id(stream_id).map_err(|error| match error {
        IdError::Empty => code::STREAM_ID_NULL,
        IdError::TooLong => code::STREAM_ID_TOO_LONG,
        _ => code::STREAM_ID_INVALID_CHARACTER,
    })
}

impl Actor {
    pub(super) fn start_publishing(&mut self, stream_id: String, config: &PublisherConfig, channel: u32) {
        let Some(state) = self.channel(channel, "startPublishingStream") else { return };
        let (video_config, traffic, content) = (state.config.clone(), state.traffic, state.source.content());
        let room = match self.check_publish(&stream_id, config, channel) {
            Ok(room) => room,
            Err(code) => return self.emit(event::publisher_state(&stream_id, PublisherState::NoPublish, code)),
        };
        self.interrupt_speed_test(code::SPEED_TEST_STOPPED_BY_PUBLISHING);
        let publisher = match self.new_publisher(room, stream_id.clone(), video_config, traffic, channel) {
            Ok(publisher) => publisher,
            Err(error) => {
                tracing::error!(%error, "no encoder thread");
                let code = code::PUBLISHER_INNER_ERROR;
                return self.emit(event::publisher_state(&stream_id, PublisherState::NoPublish, code));
            }
        };
        publisher.video.set_content(content);
        let entry = PublisherEntry { stream_id: stream_id.clone(), counters: publisher.counters.clone() };
        self.registry.publishers.lock().insert(channel, entry);
        if let Some(state) = self.channels.get(channel as usize) {
            state.feed.set_encoder(Some(publisher.video.input()));
        }
        self.audio.add_encoder(u64::from(channel), publisher.audio.clone());
        self.publishers.insert(channel, publisher);
        self.apply_publish_mutes(channel);
        self.configure_audio_encoder(channel);
        self.start_audio_capture();
        self.update_cameras();
        self.stop_waiting_for_own_stream(&stream_id);
        self.emit(event::publisher_state(&stream_id, PublisherState::PublishRequesting, code::SUCCESS));
        self.request_publisher(channel);
    }

    /// The room to publish in, or the code of the mistake.
    fn check_publish(&self, stream_id: &str, config: &PublisherConfig, channel: u32) -> Result<RoomKey, i32> {
        check_stream_id(stream_id)?;
        let first = self.own_rooms().next().ok_or(code::NOT_LOGIN_ROOM)?;
        let room = match config.room_id.as_deref() {
            None if self.multi_room => return Err(code::PUBLISHER_NO_CONFIG_IN_MULTI_ROOM),
            Some("") if self.multi_room => return Err(code::PUBLISHER_NO_ROOM_ID_IN_MULTI_ROOM),
            None | Some("") => first,
            Some(wanted) => self.rooms.get(&RoomKey::own(wanted)).ok_or(code::NOT_LOGIN_ROOM)?,
        };
        if self.publishers.contains_key(&channel) {
            return Err(code::PUBLISHER_ALREADY_DO_PUBLISH);
        }
        // With an appSign the token is not used.
        let is_over = room.token_life.as_ref().is_some_and(|life| life.is_over(&self.now()));
        if self.profile.app_sign.is_empty() && is_over {
            return Err(code::PUBLISHER_AUTH_FAILED);
        }
        // Known here; streams of others are checked by the server.
        let by_us = self.publishers.values().any(|publisher| publisher.stream_id == stream_id);
        if by_us || room.roster.stream(stream_id).is_some() {
            return Err(code::PUBLISHER_REPETITIVE_STREAM);
        }
        Ok(room.key.clone())
    }

    fn new_publisher(
        &self,
        room: RoomKey,
        stream_id: String,
        config: VideoConfig,
        traffic: TrafficControl,
        channel: u32,
    ) -> std::io::Result<Publisher> {
        let counters = Arc::new(PublisherCounters::default());
        let (video_slot, audio_slot) = (SenderSlot::default(), SenderSlot::default());
        let first_sent = |video: bool| -> FirstSent {
            let inbox = self.inbox.clone();
            Box::new(move || {
                let _ = inbox.send(Input::SentFirstFrame { channel, video });
            })
        };
        let inbox = self.inbox.clone();
        let failed: EncoderFailed = Box::new(move |error| {
            let _ = inbox.send(Input::EncoderFailed { channel, reason: error.to_string() });
        });
        let wanted_layers = Arc::new(WantedLayers::default());
        let video = VideoPublisher::start(
            config,
            traffic,
            video_slot.clone(),
            wanted_layers.clone(),
            counters.clone(),
            first_sent(true),
            failed,
        )?;
        let audio = AudioPublisher::new(audio_slot.clone(), counters.clone(), first_sent(false));
        Ok(Publisher {
            room,
            since_key_frame_s: 0,
            requested_at: Instant::now(),
            stream_id,
            state: PublisherState::PublishRequesting,
            interrupted: false,
            no_path_reported: false,
            video,
            audio,
            video_slot,
            wanted_layers,
            audio_slot,
            counters,
            reading: (Instant::now(), PublisherReading::default()),
            expected_loss: ExpectedLoss::default(),
            copies: Copies::default(),
        })
    }

    /// The session that the channel publishes in, if it has logged in.
    pub(super) fn session_of_publisher(&self, channel: u32) -> Option<&SessionHandle> {
        self.rooms.get(&self.publishers.get(&channel)?.room)?.connected_session()
    }

    /// Asks the present session to publish, if there is one; otherwise that follows the login.
    fn request_publisher(&mut self, channel: u32) {
        if let Some(publisher) = self.publishers.get_mut(&channel) {
            publisher.requested_at = Instant::now();
        }
        let Some(session) = self.session_of_publisher(channel) else { return };
        let (Some(publisher), Some(state)) = (self.publishers.get(&channel), self.channels.get(channel as usize))
        else {
            return;
        };
        let mut attributes = HashMap::new();
        let (camera, microphone) = (state.device_state(), self.published_microphone(channel));
        if (camera, microphone) != (DEVICE_OPEN, DEVICE_OPEN) {
            attributes.extend(device_attribute(&publisher.stream_id, camera, microphone));
        }
        if !state.settings.extra_info.is_empty() {
            let name = conventions::extra_info_attribute(&publisher.stream_id);
            attributes.insert(name, state.settings.extra_info.clone());
        }
        if !attributes.is_empty() {
            session.send(SessionCommand::SetAttributes { attributes, request: 0 });
        }
        session.send(SessionCommand::Publish(PublishRequest {
            channel,
            stream_id: publisher.stream_id.clone(),
            video: VideoTrack {
                width: state.config.encode_width,
                height: state.config.encode_height,
                layers: simulcast::announced(&state.config, publisher.video.layers()),
                wanted: publisher.wanted_layers.clone(),
                is_screen: state.source.content() == Content::Screen,
                muted: state.settings.video_muted || camera != DEVICE_OPEN,
                slot: publisher.video_slot.clone(),
            },
            audio: AudioTrack {
                muted: state.settings.audio_muted || microphone != DEVICE_OPEN,
                is_stereo: self.sound.config(channel).is_stereo,
                slot: publisher.audio_slot.clone(),
            },
        }));
    }

    pub(super) fn request_publishers_of(&mut self, room: &RoomKey) {
        self.publishers_of(room).into_iter().for_each(|channel| self.request_publisher(channel));
    }

    fn publishers_of(&self, room: &RoomKey) -> Vec<u32> {
        let publishers = self.publishers.iter().filter(|(_, publisher)| publisher.room == *room);
        publishers.map(|(channel, _)| *channel).collect()
    }

    pub(super) fn stop_publishing(&mut self, channel: u32) {
        let Some(state) = self.channel(channel, "stopPublishingStream") else { return };
        let has_extra_info = !state.settings.extra_info.is_empty();
        let Some(publisher) = self.publishers.get(&channel) else { return };
        if let Some(session) = self.rooms.get(&publisher.room).and_then(|room| room.session.as_ref()) {
            session.send(SessionCommand::Unpublish { channel });
            if has_extra_info {
                let name = conventions::extra_info_attribute(&publisher.stream_id);
                let attributes = HashMap::from([(name, String::new())]);
                session.send(SessionCommand::SetAttributes { attributes, request: 0 });
            }
        }
        if let Some(stream_id) = self.drop_publisher(channel) {
            self.emit(event::publisher_state(&stream_id, PublisherState::NoPublish, code::SUCCESS));
        }
    }

    /// Stops the media of a channel; returns the stream ID if it published.
    fn drop_publisher(&mut self, channel: u32) -> Option<String> {
        let publisher = self.publishers.remove(&channel)?;
        self.registry.publishers.lock().remove(&channel);
        if let Some(state) = self.channels.get(channel as usize) {
            state.feed.set_encoder(None);
        }
        self.audio.remove_encoder(u64::from(channel));
        self.update_cameras();
        self.stop_idle_audio();
        Some(publisher.stream_id)
    }

    /// Stops everything that was published to a room that has ended.
    pub(super) fn drop_publishers_of(&mut self, room: &RoomKey, code: i32) {
        for channel in self.publishers_of(room) {
            if let Some(stream_id) = self.drop_publisher(channel) {
                self.emit(event::publisher_state(&stream_id, PublisherState::NoPublish, code));
            }
        }
    }

    pub(super) fn published(&mut self, channel: u32) {
        let Some(publisher) = self.publishers.get_mut(&channel) else { return };
        publisher.state = PublisherState::Publishing;
        (publisher.interrupted, publisher.no_path_reported) = (false, false);
        publisher.video.force_all_keyframes();
        let stream_id = publisher.stream_id.clone();
        self.emit(event::publisher_state(&stream_id, PublisherState::Publishing, code::SUCCESS));
    }

    pub(super) fn publish_refused(&mut self, channel: u32, reason: RefusedPublish) {
        let code = match reason {
            RefusedPublish::StreamExists => code::PUBLISHER_REPETITIVE_STREAM,
            RefusedPublish::Forbidden => code::PUBLISHER_SERVER_FORBID,
            RefusedPublish::Other => code::PUBLISHER_INNER_ERROR,
        };
        if let Some(stream_id) = self.drop_publisher(channel) {
            self.emit(event::publisher_state(&stream_id, PublisherState::NoPublish, code));
        }
    }

    /// Marks the room's publishers as interrupted: no media gets through.
    pub(super) fn interrupt_publishers(&mut self, room: &RoomKey) {
        let mut interrupted = Vec::new();
        for publisher in self.publishers.values_mut().filter(|publisher| publisher.room == *room) {
            let before = std::mem::replace(&mut publisher.state, PublisherState::PublishRequesting);
            if before == PublisherState::Publishing {
                publisher.interrupted = true;
                interrupted.push(publisher.stream_id.clone());
            }
        }
        for stream_id in interrupted {
            let code = code::PUBLISHER_NETWORK_INTERRUPT;
            self.emit(event::publisher_state(&stream_id, PublisherState::PublishRequesting, code));
        }
    }

    /// Reports the missing media path once to each publisher of the room that waits for it.
    pub(super) fn report_no_path_to_publishers(&mut self, room: &RoomKey, reason: &str) {
        let waits = |publisher: &&mut Publisher| {
            publisher.room == *room
                && publisher.state == PublisherState::PublishRequesting
                && !publisher.no_path_reported
        };
        let mut waiting = Vec::new();
        for publisher in self.publishers.values_mut().filter(waits) {
            publisher.no_path_reported = true;
            waiting.push(publisher.stream_id.clone());
        }
        for stream_id in waiting {
            let (state, code) = (PublisherState::PublishRequesting, code::PUBLISHER_NETWORK_INTERRUPT);
            self.emit(event::publisher_state_because(&stream_id, state, code, reason));
        }
    }

    /// Resumes the publishers of a room whose media get through again.
    pub(super) fn resume_publishers(&mut self, room: &RoomKey) {
        let mut back = self.publishers_of(room);
        back.retain(|channel| self.publishers.get(channel).is_some_and(|publisher| publisher.interrupted));
        back.into_iter().for_each(|channel| self.published(channel));
    }

    pub(super) fn keyframe_requested(&self, channel: u32, layer: usize) {
        if let Some(publisher) = self.publishers.get(&channel) {
            tracing::debug!(channel, layer, "a key frame is wanted");
            publisher.video.force_keyframe(layer);
        }
    }

    pub(super) fn sent_first_frame(&self, channel: u32, video: bool) {
        let name = if video { "onPublisherSendVideoFirstFrame" } else { "onPublisherSendAudioFirstFrame" };
        self.emit(event::of_channel(name, channel));
    }
}
