//! Video playout: when each received frame is rendered. At once while frames arrive evenly, otherwise after a delay that
//! nearly all of them meet.
//!
//! A frame's transit time (completion minus RTP time) is compared with the fastest of the last seconds. The differences go
//! into a histogram with exponential forgetting, and the delay covers nearly all of it, as in the audio jitter buffer.
//! Sans-IO: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// RTP clock of video.
const CLOCK_HZ: f64 = 90_000.0;
/// Window of the fastest transit time.
const BASE_WINDOW: Duration = Duration::from_secs(4);
/// Width of a histogram bucket.
const BUCKET_SECONDS: f64 = 0.002;
/// Number of buckets: the histogram covers half a second.
const BUCKETS: usize = 250;
/// What remains of the histogram after one more frame (half is forgotten after 69 frames, about two seconds).
const FORGET_FACTOR: f64 = 0.99;
/// Share of the frames that have to be in time.
const QUANTILE: f64 = 0.95;
/// Jitter below this is not visible and gets no delay: frames differ in size, and so in transit time.
const MIN_JITTER_SECONDS: f64 = 0.010;
/// Increase of the delay per frame, small enough that motion slows down instead of freezing.
const MAX_DELAY_INCREASE_SECONDS: f64 = 0.008;
/// Decrease of the delay per frame.
const MAX_DELAY_DECREASE_SECONDS: f64 = 0.001;
/// Longest delay unless the application sets another one.
const DEFAULT_MAX_DELAY: Duration = Duration::from_millis(200);
/// A larger jump of the transit time means another stream.
const MAX_JUMP_SECONDS: f64 = 2.0;

/// Playout clock of one video stream.
#[derive(Debug)]
pub struct Playout {
    epoch: Option<Instant>,
    /// RTP timestamp of the newest frame, and the same extended beyond its wrap, in seconds.
    newest: Option<(u32, f64)>,
    /// Completion and transit times in seconds, transit increasing: the first is the fastest of the window.
    fastest: VecDeque<(f64, f64)>,
    histogram: Vec<f64>,
    frames: u32,
    /// Seconds.
    delay: f64,
    min: Duration,
    max: Duration,
}

impl Default for Playout {
    fn default() -> Self {
        Self {
            epoch: None,
            newest: None,
            fastest: VecDeque::new(),
            histogram: vec![0.0; BUCKETS],
            frames: 0,
            delay: 0.0,
            min: Duration::ZERO,
            max: DEFAULT_MAX_DELAY,
        }
    }
}

impl Playout {
    /// Keeps the delay within these bounds.
    pub fn set_range(&mut self, min: Duration, max: Duration) {
        self.min = min;
        self.max = max.max(min);
    }

    /// Delay of a frame beyond the fastest transit.
    #[must_use]
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay)
    }

    /// Adds a frame that was completed at `arrival`, in decoding order, and returns the time to render it, which is past for
    /// a late frame, and for all frames while they arrive evenly.
    pub fn on_frame(&mut self, timestamp: u32, arrival: Instant) -> Instant {
        let epoch = *self.epoch.get_or_insert(arrival);
        let at = arrival.saturating_duration_since(epoch).as_secs_f64();
        let rtp = match self.newest {
            Some((newest, seconds)) => seconds + f64::from(timestamp.wrapping_sub(newest) as i32) / CLOCK_HZ,
            None => 0.0,
        };
        let transit = at - rtp;
        if self.base_transit().is_some_and(|base_transit| (transit - base_transit).abs() > MAX_JUMP_SECONDS) {
            *self = Self { min: self.min, max: self.max, ..Self::default() };
            return self.on_frame(timestamp, arrival);
        }
        self.newest = Some((timestamp, rtp));
        self.update_histogram(at, transit);
        let base_transit = self.base_transit().unwrap_or(transit);
        let target = self.target();
        self.delay += (target - self.delay).clamp(-MAX_DELAY_DECREASE_SECONDS, MAX_DELAY_INCREASE_SECONDS);
        epoch + Duration::from_secs_f64((rtp + base_transit + self.delay).max(0.0))
    }

    fn base_transit(&self) -> Option<f64> {
        self.fastest.front().map(|(_, transit)| *transit)
    }

    fn update_histogram(&mut self, at: f64, transit: f64) {
        while self.fastest.back().is_some_and(|(_, slower)| *slower >= transit) {
            self.fastest.pop_back();
        }
        self.fastest.push_back((at, transit));
        while self.fastest.len() > 1
            && self.fastest.front().is_some_and(|(old, _)| old + BASE_WINDOW.as_secs_f64() < at)
        {
            self.fastest.pop_front();
        }
        let late = transit - self.base_transit().unwrap_or(transit);
        // A frame later than any delay allows, as after an outage, must not increase the delay.
        if late > self.max.as_secs_f64() {
            return;
        }
        self.frames = self.frames.saturating_add(1);
        // The first frames have equal weight, so the histogram is representative from the start.
        let forget = FORGET_FACTOR.min(1.0 - 1.0 / f64::from(self.frames));
        self.histogram.iter_mut().for_each(|share| *share *= forget);
        let bucket = ((late / BUCKET_SECONDS) as usize).min(BUCKETS - 1);
        if let Some(share) = self.histogram.get_mut(bucket) {
            *share += 1.0 - forget;
        }
    }

    /// Delay in seconds that nearly all frames meet, within the bounds.
    fn target(&self) -> f64 {
        let mut covered = 0.0;
        let enough = self.histogram.iter().position(|share| {
            covered += share;
            covered >= QUANTILE
        });
        let needed = enough.map_or(BUCKETS, |bucket| bucket + 1) as f64 * BUCKET_SECONDS;
        let needed = if needed <= MIN_JITTER_SECONDS { 0.0 } else { needed };
        needed.clamp(self.min.as_secs_f64(), self.max.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u32 = 3000;

    fn frame_time(number: u32) -> Duration {
        Duration::from_secs_f64(f64::from(number) / 30.0)
    }

    /// Deterministic noise, 0 to 1.
    fn noise(number: u32) -> f64 {
        f64::from(number.wrapping_mul(2_654_435_761) >> 16 & 0xff) / 255.0
    }

    /// Plays frames, each late by `late_ms`; returns the time from capture to rendering in milliseconds, with a constant
    /// transit time of 20 ms.
    fn play(
        playout: &mut Playout,
        start: Instant,
        numbers: std::ops::Range<u32>,
        late_ms: impl Fn(u32) -> f64,
    ) -> Vec<f64> {
        numbers
            .map(|number| {
                let captured = start + frame_time(number);
                let arrival = captured + Duration::from_secs_f64((20.0 + late_ms(number)) / 1000.0);
                let shown =
                    playout.on_frame(number.wrapping_mul(FRAME).wrapping_add(u32::MAX - 9000), arrival).max(arrival);
                shown.duration_since(captured).as_secs_f64() * 1000.0
            })
            .collect()
    }

    #[test]
    fn frames_that_arrive_evenly_are_rendered_at_once() {
        let (mut playout, start) = (Playout::default(), Instant::now());
        let shown = play(&mut playout, start, 0..300, |number| noise(number) * 6.0);
        assert!(shown.iter().all(|after| *after < 26.5), "{shown:?}");
        assert_eq!(playout.delay(), Duration::ZERO);
    }

    #[test]
    fn frames_that_arrive_unevenly_are_rendered_evenly() {
        let (mut playout, start) = (Playout::default(), Instant::now());
        let shown = play(&mut playout, start, 0..600, |number| noise(number) * 40.0);
        let settled = &shown[300..];
        let even = settled.iter().filter(|after| (*after - settled[0]).abs() < 3.0).count();
        assert!(even * 100 >= settled.len() * 93, "{even} of {}", settled.len());
        assert!(settled.iter().all(|after| *after < 20.0 + 45.0));
    }

    #[test]
    fn the_delay_ends_with_the_jitter() {
        let (mut playout, start) = (Playout::default(), Instant::now());
        play(&mut playout, start, 0..300, |number| noise(number) * 60.0);
        assert!(playout.delay() > Duration::from_millis(40));
        play(&mut playout, start, 300..900, |_| 0.0);
        assert_eq!(playout.delay(), Duration::ZERO);
    }

    #[test]
    fn the_applications_range_is_kept() {
        let (mut playout, start) = (Playout::default(), Instant::now());
        playout.set_range(Duration::from_millis(100), Duration::from_millis(150));
        let shown = play(&mut playout, start, 0..100, |_| 0.0);
        assert!((shown[99] - 120.0).abs() < 1.0, "{}", shown[99]);
        play(&mut playout, start, 100..600, |number| noise(number) * 400.0);
        assert!(playout.delay() <= Duration::from_millis(150));
    }

    #[test]
    fn an_outage_does_not_increase_the_delay() {
        let (mut playout, start) = (Playout::default(), Instant::now());
        play(&mut playout, start, 0..300, |_| 0.0);
        // One second of frames arrives at once.
        play(&mut playout, start, 300..330, |number| 1000.0 - f64::from(number - 300) * 33.0);
        play(&mut playout, start, 330..345, |_| 0.0);
        assert!(playout.delay() < Duration::from_millis(80), "{:?}", playout.delay());
    }

    #[test]
    fn a_pause_or_another_stream_resets_the_delay() {
        let (mut playout, start) = (Playout::default(), Instant::now());
        play(&mut playout, start, 0..100, |number| noise(number) * 50.0);
        let arrival = start + Duration::from_secs(60);
        assert!(playout.on_frame(77, arrival) <= arrival);
        assert!(
            playout.on_frame(77 + FRAME, arrival + Duration::from_millis(33)) <= arrival + Duration::from_millis(34)
        );
    }
}
