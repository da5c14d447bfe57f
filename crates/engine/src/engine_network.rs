//! The calls about the network.

use std::time::Instant;

use crate::command::{Command, TrafficCommand};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::network_time::NetworkTime;
use crate::speed_test::SpeedTestConfig;

/// The channel of calls that name none.
const MAIN_CHANNEL: u32 = 0;

impl Engine {
    /// `enableTrafficControl`: whether what is published follows the network, and which properties beside the video bitrate.
    /// `properties` is a mask of `ZegoTrafficControlProperty`: 1 the frame rate, 2 the size, 4 the audio bitrate; 0 none.
    /// Without this call it is on, with 3.
    ///
    /// When it is off, video is encoded as configured, and frames that do not fit the path are dropped.
    pub fn enable_traffic_control(&self, enable: bool, properties: u32, channel: u32) -> Result<(), EngineError> {
        self.traffic(TrafficCommand::Enable { enable, properties }, channel)
    }

    /// `setMinVideoBitrateForTrafficControl`, main channel: while the network carries less than this for video, in kbit/s,
    /// there is none (`mode` 0), or two frames a second (1). 0 kbit/s = no minimum.
    pub fn set_min_video_bitrate_for_traffic_control(&self, kbps: u32, mode: u32) -> Result<(), EngineError> {
        self.traffic(TrafficCommand::LeastBitrate { kbps, mode }, MAIN_CHANNEL)
    }

    /// `setMinVideoFpsForTrafficControl`: minimum frame rate where it may be reduced, 0 to 60; 0 = 8.
    pub fn set_min_video_fps_for_traffic_control(&self, fps: u32, channel: u32) -> Result<(), EngineError> {
        self.traffic(TrafficCommand::LeastFps(fps), channel)
    }

    /// `setMinVideoResolutionForTrafficControl`: minimum size where it may be reduced; 0 = half of the configured sides.
    pub fn set_min_video_resolution_for_traffic_control(
        &self,
        width: u32,
        height: u32,
        channel: u32,
    ) -> Result<(), EngineError> {
        self.traffic(TrafficCommand::LeastSize { width, height }, channel)
    }

    /// `setTrafficControlFocusOn`: whether only the uplink counts (0) or also the downlinks of the stream's subscribers (1),
    /// as far as the server reports them.
    pub fn set_traffic_control_focus_on(&self, mode: u32, channel: u32) -> Result<(), EngineError> {
        self.traffic(TrafficCommand::FocusOn(mode), channel)
    }

    /// `getNetworkTimeInfo`: the room server's clock, which all users who are logged in there share. Known from the first login
    /// on (`onNetworkTimeSynchronized`), with an error of at most half a round trip of signalling.
    pub fn network_time(&self) -> NetworkTime {
        self.registry.clock.lock().now(Instant::now())
    }

    /// `startNetworkSpeedTest`: reports every `interval_ms` how well the path carries the requested bitrates, for 30 seconds
    /// or until something is published, played or logged in to. Needs the appSign. A new test replaces a running one.
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
