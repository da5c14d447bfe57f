//! The class's methods about the network. They convert and pass on.

use engine::SpeedTestConfig;
use napi::Result;
use napi_derive::napi;

use crate::engine::NativeEngine;

#[napi]
impl NativeEngine {
    /// `enableTrafficControl`.
    #[napi]
    pub fn enable_traffic_control(&self, enable: bool, properties: u32, channel: u32) -> Result<()> {
        self.run(|engine| engine.enable_traffic_control(enable, properties, channel))
    }

    /// `setMinVideoBitrateForTrafficControl`.
    #[napi]
    pub fn set_min_video_bitrate_for_traffic_control(&self, kbps: u32, mode: u32) -> Result<()> {
        self.run(|engine| engine.set_min_video_bitrate_for_traffic_control(kbps, mode))
    }

    /// `setMinVideoFpsForTrafficControl`.
    #[napi]
    pub fn set_min_video_fps_for_traffic_control(&self, fps: u32, channel: u32) -> Result<()> {
        self.run(|engine| engine.set_min_video_fps_for_traffic_control(fps, channel))
    }

    /// `setMinVideoResolutionForTrafficControl`.
    #[napi]
    pub fn set_min_video_resolution_for_traffic_control(&self, width: u32, height: u32, channel: u32) -> Result<()> {
        self.run(|engine| engine.set_min_video_resolution_for_traffic_control(width, height, channel))
    }

    /// `setTrafficControlFocusOn`.
    #[napi]
    pub fn set_traffic_control_focus_on(&self, mode: u32, channel: u32) -> Result<()> {
        self.run(|engine| engine.set_traffic_control_focus_on(mode, channel))
    }

    /// `startNetworkSpeedTest`; a way without a bitrate (kbit/s) is not tested.
    #[napi]
    pub fn start_network_speed_test(&self, interval_ms: u32, uplink: Option<u32>, downlink: Option<u32>) -> Result<()> {
        let config = SpeedTestConfig { uplink_kbps: uplink, downlink_kbps: downlink, interval_ms };
        self.run(|engine| engine.start_network_speed_test(config))
    }

    /// `stopNetworkSpeedTest`.
    #[napi]
    pub fn stop_network_speed_test(&self) -> Result<()> {
        self.run(|engine| engine.stop_network_speed_test())
    }

    /// `getNetworkTimeInfo`.
    #[napi]
    pub fn get_network_time_info(&self) -> Result<JsNetworkTime> {
        let time = self.engine()?.network_time();
        Ok(JsNetworkTime { timestamp: time.timestamp_ms as f64, max_deviation: time.max_deviation_ms })
    }
}

/// `ZegoNetworkTimeInfo`, in milliseconds.
#[napi(object)]
pub struct JsNetworkTime {
    pub timestamp: f64,
    #[napi(js_name = "maxDeviation")]
    pub max_deviation: u32,
}
