//! The publish channels' capture side: cameras, previews, video settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use media::DeviceInfo;
use media::video::camera::{CameraFailure, CaptureFormat};
use tokio::sync::mpsc::UnboundedSender;

use super::Actor;
use super::devices::camera_state;
use super::publish_settings::{PublishSettings, PublishedDevice};
use crate::cameras::Wanted;
use crate::capture::{CaptureEvent, CaptureEvents, ChannelFeed, MirrorMode};
use crate::command::{Input, View};
use crate::config::{EngineProfile, VideoConfig, VideoSource, starts_with_camera};
use crate::error::code;
use crate::event;
use crate::roster::{DEVICE_DISABLED, DEVICE_OPEN};
use crate::screen_sources::Route;
use crate::traffic_control::TrafficControl;

/// `ZegoPublishChannel`: Main, Aux, Third, Fourth.
pub(crate) const CHANNELS: u32 = 4;

/// The capture side of one publish channel, whether or not it publishes.
pub(super) struct Channel {
    pub(super) config: VideoConfig,
    pub(super) traffic: TrafficControl,
    /// Set while the camera runs: the capture size is fixed until it stops.
    format: Option<CaptureFormat>,
    device: String,
    /// Incremented when the application chooses or enables the camera, see [`Wanted::choice`].
    choice: u64,
    /// Why the camera delivers no frames.
    pub(super) failure: Option<CameraFailure>,
    pub(super) camera_enabled: bool,
    pub(super) source: VideoSource,
    pub(super) settings: PublishSettings,
    previewing: bool,
    pub(super) feed: Arc<ChannelFeed>,
}

impl Channel {
    /// `ZegoRemoteDeviceState` of the channel's camera; a shared screen needs no camera.
    pub(super) fn device_state(&self) -> i32 {
        match self.source {
            VideoSource::Screen(_) => DEVICE_OPEN,
            _ if !self.camera_enabled => DEVICE_DISABLED,
            _ => camera_state(self.failure),
        }
    }
}

pub(super) fn all(profile: &EngineProfile, inbox: &UnboundedSender<Input>) -> Vec<Channel> {
    (0..CHANNELS)
        .map(|channel| {
            let inbox = inbox.clone();
            let events: CaptureEvents = Arc::new(move |event| {
                let _ = inbox.send(Input::Capture(event));
            });
            Channel {
                config: VideoConfig::for_scenario(profile.scenario),
                traffic: TrafficControl::default(),
                format: None,
                device: String::new(),
                choice: 0,
                failure: None,
                camera_enabled: starts_with_camera(profile.scenario),
                source: VideoSource::default(),
                settings: PublishSettings::default(),
                previewing: false,
                feed: ChannelFeed::new(channel, events),
            }
        })
        .collect()
}

impl Actor {
    /// The channel with this number, or `onDebugError`.
    pub(super) fn channel(&mut self, channel: u32, function: &str) -> Option<&mut Channel> {
        if channel >= CHANNELS {
            self.debug_error(code::ILLEGAL_PARAM, function, "the publish channel must be 0, 1, 2 or 3");
            return None;
        }
        self.channels.get_mut(channel as usize)
    }

    pub(super) fn set_scenario(&mut self, scenario: u32) {
        if self.is_in_a_room() {
            let info = "the scenario can only be set before the room login";
            return self.debug_error(code::CONFIG_AFTER_ROOM_LOGGED_IN, "setRoomScenario", info);
        }
        self.profile.scenario = scenario;
        for channel in &mut self.channels {
            channel.config = VideoConfig::for_scenario(scenario);
            channel.camera_enabled = starts_with_camera(scenario);
        }
        self.update_cameras();
    }

    pub(super) fn start_preview(&mut self, channel: u32, view: View) {
        let Some(state) = self.channel(channel, "startPreview") else { return };
        state.previewing = true;
        state.feed.set_preview(view);
        self.start_audio_capture();
        self.update_cameras();
    }

    pub(super) fn stop_preview(&mut self, channel: u32) {
        let Some(state) = self.channel(channel, "stopPreview") else { return };
        state.previewing = false;
        state.feed.set_preview(None);
        self.update_cameras();
        self.stop_idle_audio();
    }

    pub(super) fn enable_camera(&mut self, enable: bool, channel: u32) {
        let Some(state) = self.channel(channel, "enableCamera") else { return };
        state.camera_enabled = enable;
        state.choice += u64::from(enable);
        self.update_cameras();
        self.update_published_device(channel, PublishedDevice::Camera);
    }

    /// Sets where the frames come from; a published stream continues with a key frame.
    pub(super) fn set_video_source(&mut self, source: VideoSource, channel: u32) {
        let Some(state) = self.channel(channel, "setVideoSource") else { return };
        let before = state.device_state();
        state.source = source;
        state.feed.select(source);
        let now = state.device_state();
        if let Some(publisher) = self.publishers.get(&channel) {
            publisher.video.set_content(source.content());
        }
        self.update_cameras();
        if now != before {
            self.update_published_device(channel, PublishedDevice::Camera);
        }
    }

    pub(super) fn use_video_device(&mut self, device: DeviceInfo, channel: u32) {
        let Some(state) = self.channel(channel, "useVideoDevice") else { return };
        state.device = device.id;
        state.choice += 1;
        self.update_cameras();
    }

    pub(super) fn set_mirror_mode(&mut self, mode: u32, channel: u32) {
        let Some(mode) = MirrorMode::from_number(mode) else {
            return self.debug_error(code::ILLEGAL_PARAM, "setVideoMirrorMode", "no such mirror mode");
        };
        let Some(state) = self.channel(channel, "setVideoMirrorMode") else { return };
        state.feed.set_mirror(mode);
    }

    pub(super) fn set_video_config(&mut self, config: VideoConfig, channel: u32) {
        if let Some((code, why)) = config.refusal() {
            return self.debug_error(code, "setVideoConfig", why);
        }
        let config = config.even();
        let Some(state) = self.channel(channel, "setVideoConfig") else { return };
        state.config = config.clone();
        if let Some(format) = &mut state.format {
            // The capture size is fixed until the camera stops; a higher frame rate needs the camera.
            format.fps = format.fps.max(config.fps);
        }
        if let Some(publisher) = self.publishers.get(&channel) {
            publisher.video.set_config(config);
        }
        self.update_cameras();
    }

    /// Passes the wanted cameras and screens to the capture side.
    pub(super) fn update_cameras(&mut self) {
        let (mut wants, mut routes) = (BTreeMap::new(), BTreeMap::<u32, Route>::new());
        for (channel, state) in (0u32..).zip(&mut self.channels) {
            let needed = state.previewing || self.publishers.contains_key(&channel);
            if let (true, VideoSource::Screen(index)) = (needed, state.source) {
                let route = routes.entry(index).or_default();
                route.feeds.push(state.feed.clone());
                route.fps = route.fps.max(state.config.fps);
            }
            if !needed || !state.camera_enabled || state.source != VideoSource::Camera {
                state.format = None;
                continue;
            }
            let config = &state.config;
            let format = *state.format.get_or_insert(CaptureFormat {
                width: config.capture_width,
                height: config.capture_height,
                fps: config.fps,
            });
            wants.insert(
                channel,
                Wanted { device: state.device.clone(), format, feed: state.feed.clone(), choice: state.choice },
            );
        }
        self.cameras.want(wants);
        self.screens.route(routes);
    }

    /// Whether a preview or a publisher needs the microphone.
    pub(super) fn needs_audio_capture(&self) -> bool {
        !self.publishers.is_empty() || self.channels.iter().any(|channel| channel.previewing)
    }

    /// Emits the engine's state when the first preview, publish or play begins and when the last one ends.
    pub(super) fn emit_engine_state(&mut self) {
        let runs = self.needs_audio_capture() || !self.players.is_empty();
        if std::mem::replace(&mut self.media_run, runs) != runs {
            self.emit(event::engine_state(runs));
        }
    }

    /// Closes the microphone when nothing needs it any more.
    pub(super) fn stop_idle_audio(&mut self) {
        if !self.needs_audio_capture() {
            self.audio.stop_capture();
            self.captured_audio = false;
        }
    }

    pub(super) fn capture_event(&mut self, event: CaptureEvent) {
        match event {
            CaptureEvent::FirstFrame { channel } => {
                self.emit(event::of_channel("onPublisherCapturedVideoFirstFrame", channel));
            }
            CaptureEvent::Size { channel, width, height } => {
                self.emit(event::publisher_video_size(width, height, channel));
            }
            CaptureEvent::Failed { error } => self.camera_failed(&error),
            CaptureEvent::CameraState { channel, failure } => self.on_camera_failure(channel, failure),
        }
    }
}
