//! What the application lets the network change of what it publishes.

use super::Actor;
use crate::command::TrafficCommand;
use crate::error::code;
use crate::traffic_control::{BelowFloor, Focus};

/// Most kbit/s of a floor: the most that a video may have.
const MOST_KBPS: u32 = 50_000;
/// Most frames per second.
const MOST_FPS: u32 = 60;

impl Actor {
    pub(super) fn traffic_command(&mut self, command: TrafficCommand, channel: u32) {
        let function = command.function();
        let Some(state) = self.channel(channel, function) else { return };
        let traffic = &mut state.traffic;
        let refusal = match command {
            TrafficCommand::Enable { enable, properties } => (!traffic.enable(enable, properties))
                .then_some((code::PUBLISHER_TRAFFIC_MODE_INVALID, "no such traffic control property")),
            TrafficCommand::LeastBitrate { kbps, mode } => match BelowFloor::from_number(mode) {
                Some(below) if kbps <= MOST_KBPS => {
                    (traffic.least_video_bps, traffic.below) = (u64::from(kbps) * 1000, below);
                    None
                }
                Some(_) => Some((code::PUBLISHER_BITRATE_INVALID, "the bitrate must be 0 to 50000 kbit/s")),
                None => Some((code::ILLEGAL_PARAM, "the mode must be 0 or 1")),
            },
            TrafficCommand::LeastFps(fps) if fps <= MOST_FPS => {
                traffic.least_fps = fps;
                None
            }
            TrafficCommand::LeastFps(_) => Some((code::ILLEGAL_PARAM, "the frame rate must be 0 to 60")),
            TrafficCommand::LeastSize { width, height } => {
                traffic.least_size = (width, height);
                None
            }
            TrafficCommand::FocusOn(mode) => match Focus::from_number(mode) {
                Some(focus) => {
                    traffic.focus = focus;
                    None
                }
                None => Some((code::ILLEGAL_PARAM, "the mode must be 0 or 1")),
            },
        };
        let traffic = *traffic;
        if let Some((code, info)) = refusal {
            return self.debug_error(code, function, info);
        }
        if let Some(publisher) = self.publishers.get(&channel) {
            publisher.video.set_traffic_control(traffic);
            self.configure_audio_encoder(channel);
        }
    }

    /// Bits per second for the sound of a publishing channel for which the application configured so many.
    pub(super) fn audio_bps(&self, channel: u32, configured_bps: u32) -> u32 {
        let (Some(state), Some(publisher)) = (self.channels.get(channel as usize), self.publishers.get(&channel))
        else {
            return configured_bps;
        };
        let networks = self.registry.networks.lock();
        networks.get(&publisher.room).map_or(configured_bps, |network| {
            state.traffic.audio_bps(configured_bps, network.publisher.send_estimate_bps)
        })
    }

    /// Whether the sound of a channel follows the network.
    pub(super) fn adapts_audio(&self, channel: u32) -> bool {
        self.channels.get(channel as usize).is_some_and(|state| state.traffic.adapts_audio())
    }
}
