//! Publishing: from the application's call through a session's consent to pictures and sound on the wire.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use protocol::conventions;
use protocol::limits::{self, IdError};
use transport::{AudioSender, VideoSender};

use super::Actor;
use crate::audio_loss::ExpectedLoss;
use crate::command::Input;
use crate::config::{PublisherConfig, VideoConfig};
use crate::error::code;
use crate::event::{self, PublisherState};
use crate::publisher::{AudioPublisher, FirstSent, PublisherCounters, VideoPublisher};
use crate::quality::PublisherReading;
use crate::roster::{DEVICE_DISABLED, DEVICE_OPEN, format_device_states};
use crate::session::{AudioTrack, PublishRequest, RefusedPublish, SenderSlot, SessionCommand, TrackKind, VideoTrack};
use crate::stats::PublisherEntry;

/// One publish channel that publishes, or wants to.
pub(super) struct Publisher {
    pub(super) stream_id: String,
    pub(super) state: PublisherState,
    pub(super) video: VideoPublisher,
    audio: Arc<AudioPublisher>,
    video_slot: SenderSlot<VideoSender>,
    audio_slot: SenderSlot<AudioSender>,
    video_muted: bool,
    audio_muted: bool,
    pub(super) counters: Arc<PublisherCounters>,
    pub(super) reading: (Instant, PublisherReading),
    pub(super) expected_loss: ExpectedLoss,
}

/// The code for a stream ID that cannot be.
pub(super) fn check_stream_id(stream_id: &str) -> Result<(), i32> {
    limits::validate_stream_id(stream_id).map_err(|error| match error {
        IdError::Empty => code::STREAM_ID_NULL,
        IdError::TooLong => code::STREAM_ID_TOO_LONG,
        _ => code::STREAM_ID_INVALID_CHARACTER,
    })
}

impl Actor {
    pub(super) fn start_publishing(&mut self, stream_id: String, config: &PublisherConfig, channel: u32) {
        let Some(state) = self.channel(channel, "startPublishingStream") else { return };
        let video_config = state.config.clone();
        if let Err(code) = self.check_publish(&stream_id, config, channel) {
            return self.emit(event::publisher_state(&stream_id, PublisherState::NoPublish, code));
        }
        let publisher = match self.new_publisher(stream_id.clone(), video_config, channel) {
            Ok(publisher) => publisher,
            Err(error) => {
                tracing::error!(%error, "no encoder thread");
                let code = code::PUBLISHER_INNER_ERROR;
                return self.emit(event::publisher_state(&stream_id, PublisherState::NoPublish, code));
            }
        };
        let entry = PublisherEntry { stream_id: stream_id.clone(), counters: publisher.counters.clone() };
        self.registry.publishers.lock().insert(channel, entry);
        if let Some(state) = self.channels.get(channel as usize) {
            state.feed.set_encoder(Some(publisher.video.input()));
        }
        self.audio.add_encoder(u64::from(channel), publisher.audio.clone());
        self.audio.start_capture();
        self.publishers.insert(channel, publisher);
        self.update_cameras();
        self.emit(event::publisher_state(&stream_id, PublisherState::PublishRequesting, code::SUCCESS));
        self.request_publisher(channel);
    }

    fn check_publish(&self, stream_id: &str, config: &PublisherConfig, channel: u32) -> Result<(), i32> {
        check_stream_id(stream_id)?;
        let room = self.room.as_ref().ok_or(code::NOT_LOGIN_ROOM)?;
        if config.room_id.as_ref().is_some_and(|wanted| !wanted.is_empty() && *wanted != room.id) {
            return Err(code::NOT_LOGIN_ROOM);
        }
        if self.publishers.contains_key(&channel) {
            return Err(code::PUBLISHER_ALREADY_DO_PUBLISH);
        }
        // Known at once; what others publish at this very moment the server decides.
        let by_us = self.publishers.values().any(|publisher| publisher.stream_id == stream_id);
        if by_us || room.roster.stream(stream_id).is_some() {
            return Err(code::PUBLISHER_REPETITIVE_STREAM);
        }
        Ok(())
    }

    fn new_publisher(&self, stream_id: String, config: VideoConfig, channel: u32) -> std::io::Result<Publisher> {
        let counters = Arc::new(PublisherCounters::default());
        let (video_slot, audio_slot) = (SenderSlot::default(), SenderSlot::default());
        let first_sent = |video: bool| -> FirstSent {
            let inbox = self.inbox.clone();
            Box::new(move || {
                let _ = inbox.send(Input::SentFirstFrame { channel, video });
            })
        };
        let video = VideoPublisher::start(config, video_slot.clone(), counters.clone(), first_sent(true))?;
        let audio = AudioPublisher::new(audio_slot.clone(), counters.clone(), first_sent(false));
        Ok(Publisher {
            stream_id,
            state: PublisherState::PublishRequesting,
            video,
            audio,
            video_slot,
            audio_slot,
            video_muted: false,
            audio_muted: false,
            counters,
            reading: (Instant::now(), PublisherReading::default()),
            expected_loss: ExpectedLoss::default(),
        })
    }

    /// Asks the present session, if any, to publish; without one it is done after the login.
    fn request_publisher(&self, channel: u32) {
        let Some(session) = self.room.as_ref().and_then(|room| room.connected_session()) else { return };
        let (Some(publisher), Some(state)) = (self.publishers.get(&channel), self.channels.get(channel as usize))
        else {
            return;
        };
        if !state.camera_enabled {
            session.send(SessionCommand::SetAttributes(device_attribute(&publisher.stream_id, false)));
        }
        session.send(SessionCommand::Publish(PublishRequest {
            channel,
            stream_id: publisher.stream_id.clone(),
            video: VideoTrack {
                width: state.config.encode_width,
                height: state.config.encode_height,
                muted: publisher.video_muted || !state.camera_enabled,
                slot: publisher.video_slot.clone(),
            },
            audio: AudioTrack { muted: publisher.audio_muted, slot: publisher.audio_slot.clone() },
        }));
    }

    pub(super) fn request_all_publishers(&self) {
        self.publishers.keys().for_each(|channel| self.request_publisher(*channel));
    }

    pub(super) fn stop_publishing(&mut self, channel: u32) {
        if self.channel(channel, "stopPublishingStream").is_none() {
            return;
        }
        let Some(publisher) = self.drop_publisher(channel) else { return };
        if let Some(session) = self.room.as_ref().and_then(|room| room.session.as_ref()) {
            session.send(SessionCommand::Unpublish { channel });
        }
        self.emit(event::publisher_state(&publisher, PublisherState::NoPublish, code::SUCCESS));
    }

    /// Stops the media of a channel; gives the stream ID if it published.
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

    /// The room is gone: everything that published stops.
    pub(super) fn drop_all_publishers(&mut self) {
        let channels: Vec<u32> = self.publishers.keys().copied().collect();
        for channel in channels {
            if let Some(stream_id) = self.drop_publisher(channel) {
                self.emit(event::publisher_state(&stream_id, PublisherState::NoPublish, code::SUCCESS));
            }
        }
    }

    pub(super) fn published(&mut self, channel: u32) {
        let Some(publisher) = self.publishers.get_mut(&channel) else { return };
        publisher.state = PublisherState::Publishing;
        publisher.video.force_keyframe();
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

    /// The room connection was lost: publishing waits for the next session.
    pub(super) fn interrupt_publishers(&mut self) {
        let streams: Vec<String> = self
            .publishers
            .values_mut()
            .map(|publisher| {
                publisher.state = PublisherState::PublishRequesting;
                publisher.stream_id.clone()
            })
            .collect();
        for stream_id in streams {
            let code = code::PUBLISHER_NETWORK_INTERRUPT;
            self.emit(event::publisher_state(&stream_id, PublisherState::PublishRequesting, code));
        }
    }

    pub(super) fn keyframe_requested(&self, channel: u32) {
        if let Some(publisher) = self.publishers.get(&channel) {
            tracing::debug!(channel, "a key frame is wanted");
            publisher.video.force_keyframe();
        }
    }

    pub(super) fn sent_first_frame(&self, channel: u32, video: bool) {
        let name = if video { "onPublisherSendVideoFirstFrame" } else { "onPublisherSendAudioFirstFrame" };
        self.emit(event::of_channel(name, channel));
    }

    pub(super) fn mute_publish_audio(&mut self, mute: bool, channel: u32) {
        if self.channel(channel, "mutePublishStreamAudio").is_none() {
            return;
        }
        let Some(publisher) = self.publishers.get_mut(&channel) else {
            return self.not_publishing("mutePublishStreamAudio");
        };
        publisher.audio_muted = mute;
        publisher.audio.set_muted(mute);
        self.send_mute(channel, TrackKind::Audio, mute);
    }

    pub(super) fn mute_publish_video(&mut self, mute: bool, channel: u32) {
        if self.channel(channel, "mutePublishStreamVideo").is_none() {
            return;
        }
        let Some(publisher) = self.publishers.get_mut(&channel) else {
            return self.not_publishing("mutePublishStreamVideo");
        };
        publisher.video_muted = mute;
        publisher.video.set_muted(mute);
        self.update_published_devices(channel);
    }

    fn not_publishing(&self, function: &str) {
        self.debug_error(code::ILLEGAL_PARAM, function, "this channel does not publish");
    }

    fn send_mute(&self, channel: u32, kind: TrackKind, muted: bool) {
        if let Some(session) = self.room.as_ref().and_then(|room| room.connected_session()) {
            session.send(SessionCommand::SetMuted { channel, kind, muted });
        }
    }

    /// Tells the others about the camera of a publishing channel: muted for all clients, and why for ours.
    pub(super) fn update_published_devices(&mut self, channel: u32) {
        let (Some(publisher), Some(state)) = (self.publishers.get(&channel), self.channels.get(channel as usize))
        else {
            return;
        };
        let open = state.camera_enabled;
        let muted = publisher.video_muted || !open;
        let attribute = SessionCommand::SetAttributes(device_attribute(&publisher.stream_id, open));
        let Some(session) = self.room.as_ref().and_then(|room| room.connected_session()) else { return };
        // In this order nobody sees a closed camera as muted in between.
        if open {
            self.send_mute(channel, TrackKind::Video, muted);
            session.send(attribute);
        } else {
            session.send(attribute);
            self.send_mute(channel, TrackKind::Video, muted);
        }
    }
}

/// The attribute that tells a closed camera; an empty value takes it back.
fn device_attribute(stream_id: &str, camera_open: bool) -> HashMap<String, String> {
    let value = if camera_open { String::new() } else { format_device_states(DEVICE_DISABLED, DEVICE_OPEN) };
    HashMap::from([(conventions::device_state_attribute(stream_id), value)])
}
