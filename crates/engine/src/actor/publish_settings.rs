//! Settings of a publish channel that remote users see: mutes, closed devices, the audio source.
//!
//! They count from `createEngine` on, whether or not the channel publishes.

use std::collections::HashMap;

use protocol::conventions;

use super::Actor;
use crate::roster::{DEVICE_DISABLED, DEVICE_OPEN, format_device_states};
use crate::session::{SessionCommand, TrackKind};

/// The settings of one channel.
#[derive(Clone, Debug, Default)]
pub(super) struct PublishSettings {
    pub(super) video_muted: bool,
    pub(super) audio_muted: bool,
    /// Sends no audio track.
    pub(super) is_soundless: bool,
    /// Stream extra info.
    pub(super) extra_info: String,
    /// Seconds between two key frames, in addition to requested ones.
    key_frame_interval_s: Option<u32>,
}

/// A device whose state remote users see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PublishedDevice {
    Camera,
    Microphone,
}

/// The attribute that reports devices without media, as `ZegoRemoteDeviceState`; an empty value removes it.
pub(super) fn device_attribute(stream_id: &str, camera: i32, microphone: i32) -> HashMap<String, String> {
    let all_open = (camera, microphone) == (DEVICE_OPEN, DEVICE_OPEN);
    let value = if all_open { String::new() } else { format_device_states(camera, microphone) };
    HashMap::from([(conventions::device_state_attribute(stream_id), value)])
}

impl Actor {
    pub(super) fn mute_publish_audio(&mut self, mute: bool, channel: u32) {
        let Some(state) = self.channel(channel, "mutePublishStreamAudio") else { return };
        state.settings.audio_muted = mute;
        self.apply_publish_mutes(channel);
        self.update_published_device(channel, PublishedDevice::Microphone);
    }

    pub(super) fn mute_publish_video(&mut self, mute: bool, channel: u32) {
        let Some(state) = self.channel(channel, "mutePublishStreamVideo") else { return };
        state.settings.video_muted = mute;
        self.apply_publish_mutes(channel);
        self.update_published_device(channel, PublishedDevice::Camera);
    }

    /// Seconds between periodic key frames: 2 to 5, or `None` for key frames on request only.
    pub(super) fn set_key_frame_interval(&mut self, seconds: Option<u32>, channel: u32) {
        if let Some(state) = self.channels.get_mut(channel as usize) {
            state.settings.key_frame_interval_s = seconds.map(|seconds| seconds.clamp(2, 5));
        }
    }

    /// Requests the periodic key frames that are due. Called every second.
    pub(super) fn send_due_key_frames(&mut self) {
        for (channel, publisher) in &mut self.publishers {
            let state = self.channels.get(*channel as usize);
            let interval = state.and_then(|state| state.settings.key_frame_interval_s);
            publisher.since_key_frame_s += 1;
            if interval.is_some_and(|interval| publisher.since_key_frame_s >= interval) {
                publisher.since_key_frame_s = 0;
                publisher.video.force_all_keyframes();
            }
        }
    }

    /// Whether a channel sends the microphone's audio or none; none looks like a closed microphone to remote users.
    pub(super) fn set_audio_source(&mut self, is_microphone: bool, channel: u32) {
        let Some(state) = self.channel(channel, "setAudioSource") else { return };
        state.settings.is_soundless = !is_microphone;
        self.apply_publish_mutes(channel);
        self.update_published_device(channel, PublishedDevice::Microphone);
    }

    /// Passes the mutes of a publishing channel to its encoders.
    pub(super) fn apply_publish_mutes(&self, channel: u32) {
        let (Some(publisher), Some(state)) = (self.publishers.get(&channel), self.channels.get(channel as usize))
        else {
            return;
        };
        publisher.video.set_muted(state.settings.video_muted);
        publisher.audio.set_muted(state.settings.audio_muted || state.settings.is_soundless);
    }

    /// `ZegoRemoteDeviceState` of the microphone for remote users.
    pub(super) fn published_microphone(&self, channel: u32) -> i32 {
        let is_soundless = self.channels.get(channel as usize).is_some_and(|state| state.settings.is_soundless);
        if self.sound.capture_enabled && !is_soundless { self.microphone_state } else { DEVICE_DISABLED }
    }

    fn send_mute(&self, channel: u32, kind: TrackKind, muted: bool) {
        if let Some(session) = self.session_of_publisher(channel) {
            session.send(SessionCommand::SetMuted { channel, kind, muted });
        }
    }

    /// Publishes a device state: as a mute for all clients, with its reason for ours.
    pub(super) fn update_published_device(&mut self, channel: u32, device: PublishedDevice) {
        let (Some(publisher), Some(state)) = (self.publishers.get(&channel), self.channels.get(channel as usize))
        else {
            return;
        };
        let (camera, microphone) = (state.device_state(), self.published_microphone(channel));
        let (kind, state_told, muted) = match device {
            PublishedDevice::Camera => (TrackKind::Video, camera, state.settings.video_muted),
            PublishedDevice::Microphone => (TrackKind::Audio, microphone, state.settings.audio_muted),
        };
        let open = state_told == DEVICE_OPEN;
        let muted = muted || !open;
        let attributes = device_attribute(&publisher.stream_id, camera, microphone);
        let attribute = SessionCommand::SetAttributes { attributes, request: 0 };
        let Some(session) = self.session_of_publisher(channel) else { return };
        // In this order no client sees a closed device as muted in between.
        if open {
            self.send_mute(channel, kind, muted);
            session.send(attribute);
        } else {
            session.send(attribute);
            self.send_mute(channel, kind, muted);
        }
    }
}
