//! The handle's calls about the network.

use std::time::Instant;

use crate::command::{Command, TrafficCommand};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::network_time::NetworkTime;
use crate::speed_test::SpeedTestConfig;

/// The channel that a call counts for which names none.
const MAIN_CHANNEL: u32 = 0;

impl Engine {
    /// `enableTrafficControl`: whether what is published follows the network, and what of it beside the bitrate of the
    /// video. `properties` is a mask of `ZegoTrafficControlProperty`: 1 the frame rate, 2 the size, 4 the bitrate of the
    /// sound; 0 nothing else. Without this call it is on, with 3.
    ///
    /// Switched off, pictures are encoded as configured; those that do not fit through are left out.
    pub fn enable_traffic_control(&self, enable: bool, properties: u32, channel: u32) -> Result<(), EngineError> {
        self.traffic(TrafficCommand::Enable { enable, properties }, channel)
    }

    /// `setMinVideoBitrateForTrafficControl`, main channel: while the network gives less than this for video, in kbit/s,
    /// there is none (`mode` 0), or two pictures a second (1). 0 kbit/s = no such floor.
    pub fn set_min_video_bitrate_for_traffic_control(&self, kbps: u32, mode: u32) -> Result<(), EngineError> {
        self.traffic(TrafficCommand::LeastBitrate { kbps, mode }, MAIN_CHANNEL)
    }

    /// `setMinVideoFpsForTrafficControl`: least frames per second where the frame rate may change, 0 to 60; 0 = 8.
    pub fn set_min_video_fps_for_traffic_control(&self, fps: u32, channel: u32) -> Result<(), EngineError> {
        self.traffic(TrafficCommand::LeastFps(fps), channel)
    }

    /// `setMinVideoResolutionForTrafficControl`: least pixels where the size may change; 0 = half of the configured sides.
    pub fn set_min_video_resolution_for_traffic_control(
        &self,
        width: u32,
        height: u32,
        channel: u32,
    ) -> Result<(), EngineError> {
        self.traffic(TrafficCommand::LeastSize { width, height }, channel)
    }

    /// `setTrafficControlFocusOn`: whether only our way to the room server counts (0) or also the ways from there to those
    /// who play the stream (1), as far as the server tells.
    pub fn set_traffic_control_focus_on(&self, mode: u32, channel: u32) -> Result<(), EngineError> {
        self.traffic(TrafficCommand::FocusOn(mode), channel)
    }

    /// `getNetworkTimeInfo`: the room server's clock, which everybody who is logged in there shares. Known from the first
    /// login on (`onNetworkTimeSynchronized`), and wrong by at most half a round trip of signalling.
    pub fn network_time(&self) -> NetworkTime {
        self.registry.clock.lock().now(Instant::now())
    }

    /// `startNetworkSpeedTest`: tells every `interval_ms` how well the ways carry what is wanted of them, for 30 seconds or
    /// until something is published, played or logged in to. Needs the AppSign. A new test takes the place of one that runs.
    pub fn start_network_speed_test(&self, config: SpeedTestConfig) -> Result<(), EngineError> {
        self.send(Command::StartSpeedTest(config))
    }

    /// `stopNetworkSpeedTest`.
    pub fn stop_network_speed_test(&self) -> Result<(), EngineError> {
        self.send(Command::StopSpeedTest)
    }

    fn traffic(&self, command: TrafficCommand, channel: u32) -> Result<(), EngineError> {
        self.send(Command::Traffic { command, channel })
    }
}
