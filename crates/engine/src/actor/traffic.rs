//! Traffic control: what may be reduced when the network is poor.

use super::Actor;
use crate::command::TrafficCommand;
use crate::error::code;
use crate::traffic_control::{BelowFloor, Focus};

/// Upper bound of a minimum bitrate, in kbit/s: that of a video.
const MAX_KBPS: u32 = 50_000;
/// Upper bound of a minimum frame rate.
const MAX_FPS: u32 = 60;

impl Actor {
    pub(super) fn traffic_command(&mut self, command: TrafficCommand, channel: u32) {
        let function = command.function();
        let Some(state) = self.channel(channel, function) else { return };
        let traffic = &mut state.traffic;
        let refusal = match command {
            TrafficCommand::Enable { enable, properties } => (!traffic.enable(enable, properties))
                .then_some((code::PUBLISHER_TRAFFIC_MODE_INVALID, "no such traffic control property")),
            TrafficCommand::LeastBitrate { kbps, mode } => match BelowFloor::from_number(mode) {
                Some(below) if kbps <= MAX_KBPS => {
                    (traffic.least_video_bps, traffic.below) = (u64::from(kbps) * 1000, below);
                    None
                }
                Some(_) => Some((code::PUBLISHER_BITRATE_INVALID, "the bitrate must be 0 to 50000 kbit/s")),
                None => Some((code::ILLEGAL_PARAM, "the mode must be 0 or 1")),
            },
            TrafficCommand::LeastFps(fps) if fps <= MAX_FPS => {
                traffic.min_fps = fps;
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

    /// The audio bitrate of a publishing channel, in bits a second, from the configured one.
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

    /// Whether a channel's audio bitrate follows the network.
    pub(super) fn adapts_audio(&self, channel: u32) -> bool {
        self.channels.get(channel as usize).is_some_and(|state| state.traffic.adapts_audio())
    }
}
