//! From the track's budget to how the next frame is encoded.
//!
//! The configured bitrate is the maximum. Below it the encoder gets what the network carries; where that is too little for
//! the size, first the size, then the frame rate is reduced, as far as the application allows; for a screen the frame rate
//! first. A frame is dropped while older ones still wait in the pacer. Sans-IO: time is an argument.

use std::time::{Duration, Instant};

use transport::MAX_ENCODER_BACKLOG;
use transport::SendBudget;

use crate::config::VideoConfig;
use crate::traffic_control::TrafficControl;

/// Minimum bitrate at which the encoder makes usable frames.
const MIN_BPS: u32 = 40_000;
/// Scales of the frame's sides, in eighths.
const SCALES: [u32; 3] = [8, 6, 4];
/// Bits per pixel below which a smaller frame looks better, unless the application configured as little.
const POOR_BITS_PER_PIXEL: f64 = 0.03;
/// The same threshold as a share of the configured bits per pixel.
const POOR_SHARE: f64 = 0.5;
/// Bits per pixel that the larger frame must have before it returns, as a multiple of the threshold.
const RETURN_FACTOR: f64 = 1.5;
/// How long the bitrate must be too low before the size is reduced; the one below is for the way back.
const SMALLER_AFTER: Duration = Duration::from_millis(800);
const LARGER_AFTER: Duration = Duration::from_secs(4);
/// Below this share of the threshold the smallest frame is sent at half the frame rate.
const SLOWER_BELOW: f64 = 0.5;
/// at this much a quarter as often,
const MUCH_SLOWER_BELOW: f64 = 0.2;
/// but not more rarely than this, unless the application says so.
const MIN_FPS: u32 = 8;
/// nor a screen, on which little moves, more rarely than this.
const MIN_SCREEN_FPS: u32 = 5;
/// A bitrate change below this share is not passed to the encoder.
const NOTICEABLE: f64 = 0.05;
/// The sides are multiples of this, and at least as large as the value below.
const SIDE_STEP: u32 = 2;
const MIN_SIDE: u32 = 64;

/// How a picture is to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    /// Frames per second.
    pub(crate) fps: u32,
    /// Bits per second.
    pub(crate) bitrate_bps: u32,
}

/// The rate control of one publish channel.
#[derive(Debug, Default)]
pub(crate) struct RateControl {
    config: Option<VideoConfig>,
    /// Index into [`SCALES`].
    scale: usize,
    poor_since: Option<Instant>,
    rich_since: Option<Instant>,
    told_bps: u32,
}

impl RateControl {
    /// How to encode at this moment.
    pub(crate) fn encoding(
        &mut self,
        now: Instant,
        config: &VideoConfig,
        control: &TrafficControl,
        budget: SendBudget,
    ) -> Encoding {
        if self.config.as_ref() != Some(config) {
            *self = Self { config: Some(config.clone()), ..Self::default() };
        }
        let most = config.bitrate_kbps.saturating_mul(1000);
        let given = if control.is_enabled() { u32::try_from(budget.bps).unwrap_or(u32::MAX) } else { most };
        let bps = given.min(most).max(MIN_BPS.min(most));
        self.follow(bps, most);
        let smallest = smallest_scale(config, control);
        // Where the frame rate is reduced first, the frame is small enough if it is good at the lowest frame rate.
        let slower_first = control.prefers_size && control.adapts_fps();
        let fps_of_size = if slower_first { min_fps(config, control) } else { config.fps };
        self.choose_scale(now, config, smallest, f64::from(bps), fps_of_size);
        let side = |pixels: u32| scaled(pixels, SCALES[self.scale]);
        let gives_way = control.adapts_fps() && (slower_first || self.scale == smallest);
        let fps = if gives_way { self.fps(config, control, f64::from(bps)) } else { config.fps };
        Encoding {
            width: side(config.encode_width),
            height: side(config.encode_height),
            fps,
            bitrate_bps: self.told_bps,
        }
    }

    /// Whether to leave a frame out, because older ones wait.
    pub(crate) fn skips(budget: SendBudget) -> bool {
        budget.backlog > MAX_ENCODER_BACKLOG
    }

    fn follow(&mut self, bps: u32, most: u32) {
        let change = f64::from(bps.abs_diff(self.told_bps));
        if change > f64::from(self.told_bps) * NOTICEABLE || bps == most {
            self.told_bps = bps;
        }
    }

    fn bits(&self, config: &VideoConfig, bps: f64, scale: usize, fps: u32) -> f64 {
        let side = |pixels: u32| f64::from(scaled(pixels, SCALES[scale]));
        bps / (side(config.encode_width) * side(config.encode_height) * f64::from(fps.max(1)))
    }

    /// The frame rate of a frame whose size stays.
    fn fps(&self, config: &VideoConfig, control: &TrafficControl, bps: f64) -> u32 {
        let share = self.bits(config, bps, self.scale, config.fps) / poor_bits(config);
        let fps = match share {
            share if control.prefers_size => (f64::from(config.fps) * share) as u32,
            share if share < MUCH_SLOWER_BELOW => config.fps / 4,
            share if share < SLOWER_BELOW => config.fps / 2,
            _ => config.fps,
        };
        fps.max(min_fps(config, control)).min(config.fps)
    }

    fn choose_scale(&mut self, now: Instant, config: &VideoConfig, smallest: usize, bps: f64, fps: u32) {
        if self.scale > smallest {
            self.scale = smallest;
        }
        let poor = poor_bits(config);
        let is_poor = self.scale < smallest && self.bits(config, bps, self.scale, fps) < poor;
        let is_rich = self.scale > 0 && self.bits(config, bps, self.scale - 1, fps) >= poor * RETURN_FACTOR;
        let lasts = |since: &mut Option<Instant>, is_so: bool, long: Duration| {
            *since = if is_so { since.or(Some(now)) } else { None };
            since.is_some_and(|since| now.saturating_duration_since(since) >= long)
        };
        if lasts(&mut self.poor_since, is_poor, SMALLER_AFTER) {
            self.scale += 1;
            self.poor_since = None;
        } else if lasts(&mut self.rich_since, is_rich, LARGER_AFTER) {
            self.scale -= 1;
            self.rich_since = None;
        }
    }
}

/// Frames per second below which nothing gets slower.
fn min_fps(config: &VideoConfig, control: &TrafficControl) -> u32 {
    let ours = if control.prefers_size { MIN_SCREEN_FPS } else { MIN_FPS };
    let least = if control.min_fps == 0 { ours } else { control.min_fps };
    least.min(config.fps)
}

/// Index of the smallest scale that the application lets us use.
fn smallest_scale(config: &VideoConfig, control: &TrafficControl) -> usize {
    let (least_width, least_height) = control.least_size;
    let fits = |eighths: &u32| {
        scaled(config.encode_width, *eighths) >= least_width && scaled(config.encode_height, *eighths) >= least_height
    };
    if control.adapts_size() { SCALES.iter().rposition(fits).unwrap_or(0) } else { 0 }
}

/// Bits per pixel that count as poor for this application.
fn poor_bits(config: &VideoConfig) -> f64 {
    let pixels = f64::from(config.encode_width) * f64::from(config.encode_height) * f64::from(config.fps.max(1));
    POOR_BITS_PER_PIXEL.min(f64::from(config.bitrate_kbps) * 1000.0 / pixels * POOR_SHARE)
}

fn scaled(pixels: u32, eighths: u32) -> u32 {
    let smaller = pixels * eighths / 8 / SIDE_STEP * SIDE_STEP;
    smaller.max(MIN_SIDE.min(pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> VideoConfig {
        VideoConfig { fps: 30, bitrate_kbps: 2500, ..VideoConfig::preset(4) }
    }

    fn budget(kbps: u64) -> SendBudget {
        SendBudget { bps: kbps * 1000, backlog: Duration::ZERO }
    }

    /// Runs for some seconds at a budget; returns the last encoding.
    fn run(control: &mut RateControl, now: &mut Instant, millis: u64, kbps: u64) -> Encoding {
        let end = *now + Duration::from_millis(millis);
        let traffic = TrafficControl::default();
        let mut last = control.encoding(*now, &config(), &traffic, budget(kbps));
        while *now < end {
            *now += Duration::from_millis(33);
            last = control.encoding(*now, &config(), &traffic, budget(kbps));
        }
        last
    }

    /// The final encoding at a low bitrate under these settings.
    fn settled(traffic: TrafficControl, kbps: u64) -> (u32, u32, u32) {
        let (mut control, now) = (RateControl::default(), Instant::now());
        let encodings = (0..300)
            .map(|at| control.encoding(now + Duration::from_millis(at * 33), &config(), &traffic, budget(kbps)));
        encodings.last().map(|last| (last.width, last.fps, last.bitrate_bps)).unwrap()
    }

    fn traffic(properties: u32) -> TrafficControl {
        let mut traffic = TrafficControl::default();
        assert!(traffic.enable(true, properties));
        traffic
    }

    #[test]
    fn only_what_the_application_allows_is_changed() {
        assert_eq!(settled(traffic(0), 100), (1280, 30, 100_000), "the bitrate alone");
        assert_eq!(settled(traffic(1), 300), (1280, 15, 300_000), "the frame rate");
        assert_eq!(settled(traffic(1), 100), (1280, 8, 100_000));
        assert_eq!(settled(traffic(2), 100), (640, 30, 100_000), "the size");
        assert_eq!(settled(traffic(3), 100), (640, 15, 100_000), "both");
    }

    fn of_screen(mut traffic: TrafficControl) -> TrafficControl {
        traffic.prefers_size = true;
        traffic
    }

    #[test]
    fn a_screen_gets_slower_before_it_gets_smaller() {
        let screen = of_screen(TrafficControl::default());
        assert_eq!(settled(screen, 2500), (1280, 30, 2_500_000));
        assert_eq!(settled(screen, 400), (1280, 14, 400_000));
        assert_eq!(settled(screen, 200), (1280, 7, 200_000));
        assert_eq!(settled(screen, 80), (960, 5, 80_000));
        assert_eq!(settled(of_screen(traffic(2)), 100), (640, 30, 100_000), "what the application forbids stays");
    }

    #[test]
    fn without_traffic_control_video_stays_as_configured() {
        let mut off = TrafficControl::default();
        off.enable(false, 0);
        assert_eq!(settled(off, 100), (1280, 30, 2_500_000));
    }

    #[test]
    fn the_applications_minimum_size_and_frame_rate_are_kept() {
        let least = |width, height, fps| {
            let mut traffic = TrafficControl::default();
            (traffic.least_size, traffic.min_fps) = ((width, height), fps);
            traffic
        };
        assert_eq!(settled(least(900, 500, 0), 100).0, 960);
        assert_eq!(settled(least(1280, 720, 20), 100), (1280, 20, 100_000));
        assert_eq!(settled(least(4000, 4000, 60), 100), (1280, 30, 100_000), "more than there is");
        assert_eq!(settled(least(0, 0, 3), 40), (640, 7, 40_000), "and lower ones than ours count too");
    }

    #[test]
    fn a_size_that_is_forbidden_while_it_is_used_is_left_at_once() {
        let (mut control, mut now) = (RateControl::default(), Instant::now());
        assert_eq!(run(&mut control, &mut now, 5000, 100).width, 640);
        assert_eq!(control.encoding(now, &config(), &traffic(1), budget(100)).width, 1280);
    }

    #[test]
    fn the_configured_bitrate_is_the_maximum() {
        let (mut control, mut now) = (RateControl::default(), Instant::now());
        let encoding = run(&mut control, &mut now, 100, 9000);
        assert_eq!(encoding, Encoding { width: 1280, height: 720, fps: 30, bitrate_bps: 2_500_000 });
    }

    #[test]
    fn a_good_path_sends_the_first_frame_in_full_size() {
        let (mut control, mut now) = (RateControl::default(), Instant::now());
        assert_eq!(run(&mut control, &mut now, 0, 900).width, 1280);
    }

    #[test]
    fn the_size_follows_the_bitrate_down_at_once_and_up_slowly() {
        let (mut control, mut now) = (RateControl::default(), Instant::now());
        assert_eq!(run(&mut control, &mut now, 500, 600).width, 1280);
        assert_eq!(run(&mut control, &mut now, 500, 600).width, 960);
        let low = run(&mut control, &mut now, 5000, 80);
        assert_eq!((low.width, low.height, low.fps), (640, 360, 15));
        assert_eq!(run(&mut control, &mut now, 2000, 2500).width, 640);
        assert_eq!(run(&mut control, &mut now, 9000, 2500).width, 1280);
    }

    #[test]
    fn a_rate_between_two_sizes_does_not_make_it_swing() {
        let (mut control, mut now) = (RateControl::default(), Instant::now());
        run(&mut control, &mut now, 3000, 750);
        let width = run(&mut control, &mut now, 3000, 850).width;
        for kbps in [750, 900, 800, 1000, 760] {
            assert_eq!(run(&mut control, &mut now, 3000, kbps).width, width);
        }
    }

    #[test]
    fn an_application_that_asked_for_few_bits_gets_its_size() {
        let (mut control, now) = (RateControl::default(), Instant::now());
        let (config, traffic) = (VideoConfig { bitrate_kbps: 400, ..config() }, TrafficControl::default());
        for at in 0..300 {
            let encoding = control.encoding(now + Duration::from_millis(at * 33), &config, &traffic, budget(400));
            assert_eq!((encoding.width, encoding.fps), (1280, 30));
        }
    }

    #[test]
    fn small_changes_do_not_bother_the_encoder() {
        let (mut control, mut now) = (RateControl::default(), Instant::now());
        assert_eq!(run(&mut control, &mut now, 0, 1000).bitrate_bps, 1_000_000);
        assert_eq!(run(&mut control, &mut now, 0, 1030).bitrate_bps, 1_000_000);
        assert_eq!(run(&mut control, &mut now, 0, 940).bitrate_bps, 940_000);
    }

    #[test]
    fn a_new_configuration_begins_afresh() {
        let (mut control, mut now) = (RateControl::default(), Instant::now());
        run(&mut control, &mut now, 5000, 300);
        let small = VideoConfig::preset(2);
        assert_eq!(control.encoding(now, &small, &TrafficControl::default(), budget(600)).width, 640);
    }

    #[test]
    fn frames_are_skipped_while_older_ones_wait() {
        assert!(!RateControl::skips(budget(1000)));
        assert!(RateControl::skips(SendBudget { bps: 1_000_000, backlog: MAX_ENCODER_BACKLOG * 2 }));
    }

    #[test]
    fn odd_and_tiny_sizes_stay_valid() {
        for (width, height) in [(16, 16), (66, 34), (4096, 2160)] {
            for eighths in SCALES {
                let (w, h) = (scaled(width, eighths), scaled(height, eighths));
                assert!(w % 2 == 0 && h % 2 == 0 && w >= 16 && h >= 16 && w <= width && h <= height);
            }
        }
    }
}
