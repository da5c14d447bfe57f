//! What the application allows traffic control to reduce, and how far.
//!
//! The bitrate follows the network unless the application forbids it; frame rate, size and the audio bitrate only where it
//! allows that. Below a minimum bitrate that it may set there is no video, or two frames a second. Sans-IO: time is an
//! argument.

use std::time::{Duration, Instant};

/// `ZegoTrafficControlProperty`, a mask.
const ADAPTIVE_FPS: u32 = 1;
const ADAPTIVE_RESOLUTION: u32 = 2;
const ADAPTIVE_AUDIO: u32 = 4;
const ALL_PROPERTIES: u32 = ADAPTIVE_FPS | ADAPTIVE_RESOLUTION | ADAPTIVE_AUDIO;

/// Frame rate of video below its minimum bitrate, if it is sent at all.
pub(crate) const ULTRA_LOW_FPS: u32 = 2;
/// How long the bitrate has to be below the minimum before video stops.
const STOP_AFTER: Duration = Duration::from_secs(1);
/// The bitrate has to exceed the minimum by this factor before video returns.
const RETURN_FACTOR: f64 = 1.15;
/// How long it has to do so.
const RETURN_AFTER: Duration = Duration::from_secs(2);

/// Share of the path's bitrate for audio; the minimum below is in bits a second.
const AUDIO_SHARE: f64 = 0.3;
const MIN_AUDIO_BPS: u32 = 16_000;
/// Step of the audio bitrate, so that the encoder is not reconfigured all the time.
const AUDIO_STEP_BPS: u32 = 4_000;

/// `ZegoTrafficControlMinVideoBitrateMode`: what is sent while the network carries less than the minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BelowFloor {
    #[default]
    NoVideo,
    UltraLowFps,
}

impl BelowFloor {
    pub(crate) fn from_number(mode: u32) -> Option<Self> {
        match mode {
            0 => Some(Self::NoVideo),
            1 => Some(Self::UltraLowFps),
            _ => None,
        }
    }
}

/// `ZegoTrafficControlFocusOnMode`: whose network counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Focus {
    /// Our way to the room server.
    #[default]
    Local,
    /// The downlinks of the stream's subscribers as well.
    Remote,
}

impl Focus {
    pub(crate) fn from_number(mode: u32) -> Option<Self> {
        match mode {
            0 => Some(Self::Local),
            1 => Some(Self::Remote),
            _ => None,
        }
    }
}

/// The settings of one publish channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrafficControl {
    enabled: bool,
    properties: u32,
    /// Bits per second; 0 = no floor.
    pub(crate) least_video_bps: u64,
    pub(crate) below: BelowFloor,
    /// 0 = as we see fit.
    pub(crate) min_fps: u32,
    /// Pixels; 0 = as we see fit.
    pub(crate) least_size: (u32, u32),
    pub(crate) focus: Focus,
    /// The frame rate is reduced before the size: smaller text cannot be read.
    pub(crate) prefers_size: bool,
}

impl Default for TrafficControl {
    fn default() -> Self {
        Self {
            enabled: true,
            properties: ADAPTIVE_FPS | ADAPTIVE_RESOLUTION,
            least_video_bps: 0,
            below: BelowFloor::default(),
            min_fps: 0,
            least_size: (0, 0),
            focus: Focus::default(),
            prefers_size: false,
        }
    }
}

impl TrafficControl {
    /// `properties` is a mask of `ZegoTrafficControlProperty`. Returns false and changes nothing if it has unknown bits.
    pub(crate) fn enable(&mut self, enable: bool, properties: u32) -> bool {
        let known = properties & !ALL_PROPERTIES == 0;
        if known {
            (self.enabled, self.properties) = (enable, properties);
        }
        known
    }

    /// Whether the bitrate follows the network.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(crate) fn adapts_fps(&self) -> bool {
        self.enabled && self.properties & ADAPTIVE_FPS != 0
    }

    pub(crate) fn adapts_size(&self) -> bool {
        self.enabled && self.properties & ADAPTIVE_RESOLUTION != 0
    }

    pub(crate) fn adapts_audio(&self) -> bool {
        self.enabled && self.properties & ADAPTIVE_AUDIO != 0
    }

    /// The audio bitrate in bits a second for what the path carries; at most the configured one.
    pub(crate) fn audio_bps(&self, configured_bps: u32, path_bps: u64) -> u32 {
        if !self.adapts_audio() {
            return configured_bps;
        }
        let share = (path_bps as f64 * AUDIO_SHARE).min(f64::from(u32::MAX)) as u32 / AUDIO_STEP_BPS * AUDIO_STEP_BPS;
        share.max(MIN_AUDIO_BPS).min(configured_bps)
    }
}

/// Whether there is enough for video.
#[derive(Debug, Default)]
pub(crate) struct VideoFloor {
    is_below: bool,
    /// Since when it is the other way round.
    turned_since: Option<Instant>,
}

impl VideoFloor {
    /// What replaces the full video; `None` while the bitrate is sufficient. `max_bps` is the configured bitrate, `bps` what
    /// the network carries of it.
    pub(crate) fn update(
        &mut self,
        now: Instant,
        control: &TrafficControl,
        max_bps: u64,
        bps: u64,
    ) -> Option<BelowFloor> {
        let floor = control.least_video_bps.min(max_bps);
        if !control.enabled || floor == 0 {
            *self = Self::default();
            return None;
        }
        // A floor as high as the rate itself could never be passed by more.
        let back = ((floor as f64 * RETURN_FACTOR) as u64).min(max_bps);
        let turns = if self.is_below { bps >= back } else { bps < floor };
        let long = if self.is_below { RETURN_AFTER } else { STOP_AFTER };
        if !turns {
            self.turned_since = None;
        } else if now.saturating_duration_since(*self.turned_since.get_or_insert(now)) >= long {
            self.is_below = !self.is_below;
            self.turned_since = None;
        }
        self.is_below.then_some(control.below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(least_kbps: u64, below: BelowFloor) -> TrafficControl {
        TrafficControl { least_video_bps: least_kbps * 1000, below, ..TrafficControl::default() }
    }

    /// The answer after some seconds at a rate.
    fn after(floor: &mut VideoFloor, now: &mut Instant, control: &TrafficControl, kbps: u64) -> Option<BelowFloor> {
        let mut last = None;
        for _ in 0..90 {
            last = floor.update(*now, control, 2_000_000, kbps * 1000);
            *now += Duration::from_millis(33);
        }
        last
    }

    #[test]
    fn video_stops_below_its_minimum_and_returns_above_it() {
        let (mut floor, mut now) = (VideoFloor::default(), Instant::now());
        let control = control(300, BelowFloor::NoVideo);
        assert_eq!(after(&mut floor, &mut now, &control, 400), None);
        assert_eq!(after(&mut floor, &mut now, &control, 290), Some(BelowFloor::NoVideo));
        assert_eq!(after(&mut floor, &mut now, &control, 310), Some(BelowFloor::NoVideo), "hardly above is not enough");
        assert_eq!(after(&mut floor, &mut now, &control, 400), None);
    }

    #[test]
    fn a_short_dip_stops_nothing() {
        let (mut floor, now) = (VideoFloor::default(), Instant::now());
        let control = control(300, BelowFloor::UltraLowFps);
        assert_eq!(floor.update(now, &control, 2_000_000, 100_000), None);
        assert_eq!(floor.update(now + STOP_AFTER / 2, &control, 2_000_000, 400_000), None);
        assert_eq!(floor.update(now + STOP_AFTER, &control, 2_000_000, 100_000), None);
        assert_eq!(floor.update(now + STOP_AFTER * 2, &control, 2_000_000, 100_000), Some(BelowFloor::UltraLowFps));
    }

    #[test]
    fn a_floor_above_the_configured_rate_stops_nothing_on_a_good_link() {
        let (mut floor, mut now) = (VideoFloor::default(), Instant::now());
        let control = control(9000, BelowFloor::NoVideo);
        assert_eq!(after(&mut floor, &mut now, &control, 2000), None);
        assert_eq!(after(&mut floor, &mut now, &control, 1500), Some(BelowFloor::NoVideo));
        assert_eq!(after(&mut floor, &mut now, &control, 2000), None);
    }

    #[test]
    fn without_a_minimum_there_is_always_video() {
        let (mut floor, mut now) = (VideoFloor::default(), Instant::now());
        assert_eq!(after(&mut floor, &mut now, &TrafficControl::default(), 1), None);
        let mut off = control(300, BelowFloor::NoVideo);
        assert!(off.enable(false, 0));
        assert_eq!(after(&mut floor, &mut now, &off, 1), None);
    }

    #[test]
    fn the_audio_bitrate_is_reduced_only_where_allowed() {
        let mut control = TrafficControl::default();
        assert_eq!(control.audio_bps(48_000, 50_000), 48_000);
        assert!(control.enable(true, ADAPTIVE_AUDIO));
        assert_eq!(control.audio_bps(48_000, 1_000_000), 48_000);
        assert_eq!(control.audio_bps(48_000, 100_000), 28_000);
        assert_eq!(control.audio_bps(48_000, 0), 16_000);
        assert_eq!(control.audio_bps(12_000, 0), 12_000);
    }

    #[test]
    fn an_unknown_property_is_rejected() {
        let mut control = TrafficControl::default();
        assert!(!control.enable(true, 8));
        assert_eq!(control, TrafficControl::default());
        assert!(control.enable(true, 0), "only the bitrate");
        assert!(!control.adapts_fps() && !control.adapts_size() && control.is_enabled());
    }
}
