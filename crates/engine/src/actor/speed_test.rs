//! The network speed test that the application may run before a call.

use super::Actor;
use crate::error::code;
use crate::event;
use crate::speed_test::{self, Access, SpeedTest, SpeedTestConfig};
use crate::wall_clock::unix_ms;

/// Intervals between two reports, in milliseconds.
const INTERVALS: std::ops::RangeInclusive<u32> = 100..=30_000;
/// Upper bound of the tested bitrate, in kbit/s.
const MAX_KBPS: u32 = 50_000;

impl Actor {
    pub(super) fn start_speed_test(&mut self, config: SpeedTestConfig) {
        const FUNCTION: &str = "startNetworkSpeedTest";
        let too_much = [config.uplink_kbps, config.downlink_kbps].into_iter().flatten().any(|kbps| kbps > MAX_KBPS);
        if too_much || !INTERVALS.contains(&config.interval_ms) {
            let info = "the interval must be 100 to 30000 ms, a bitrate at most 50000 kbit/s";
            return self.debug_error(code::ILLEGAL_PARAM, FUNCTION, info);
        }
        if config.uplink_kbps.is_none() && config.downlink_kbps.is_none() {
            return self.debug_error(code::ILLEGAL_PARAM, FUNCTION, "there is nothing to test");
        }
        let busy = match (self.publishers.is_empty(), self.players.is_empty()) {
            (false, _) => Some(code::SPEED_TEST_STOPPED_BY_PUBLISHING),
            (_, false) => Some(code::SPEED_TEST_STOPPED_BY_PLAYING),
            _ => None,
        };
        let dialer = self.dialer.clone().ok();
        let refusal = if self.profile.app_sign.is_empty() {
            tracing::warn!("a speed test needs the AppSign, which opens a room of its own");
            Some(code::SPEED_TEST_CONNECT_FAILED)
        } else {
            busy.or(dialer.is_none().then_some(code::SPEED_TEST_CONNECT_FAILED))
        };
        let (Some(dialer), None) = (dialer, refusal) else {
            let code = refusal.unwrap_or(code::SPEED_TEST_CONNECT_FAILED);
            for (way, kbps) in [config.uplink_kbps, config.downlink_kbps].into_iter().enumerate() {
                if kbps.is_some() {
                    self.emit(event::speed_test_error(code, u32::from(way != 0)));
                }
            }
            return;
        };
        let access = Access {
            server: self.server.clone(),
            app: self.profile.app_id.to_string(),
            secret: self.profile.app_sign.clone(),
            policy: self.policy.clone(),
            ways: self.ways.clone(),
            dialer,
            now_s: self.clock.now_s(unix_ms()),
        };
        self.speed_test = Some(speed_test::start(config, &access, self.gate.clone()));
    }

    pub(super) fn stop_speed_test(&mut self) {
        self.speed_test = None;
    }

    /// Stops the test because a call needs the network.
    pub(super) fn interrupt_speed_test(&mut self, code: i32) {
        if let Some(test) = self.speed_test.take() {
            SpeedTest::stop(test, code);
        }
    }
}
