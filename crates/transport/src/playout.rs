//! When each received picture is shown: at once while they come evenly, else on a clock that waits as long as nearly
//! all of them need.
//!
//! A picture's transit time (completed minus RTP time) is compared with the fastest of the last seconds; the
//! differences go into a histogram that forgets, and the wait covers nearly all of it, as in the audio jitter
//! buffer. Sans-IO: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// RTP clock of video.
const CLOCK_HZ: f64 = 90_000.0;
/// The fastest transit is looked for among this much of the past.
const WINDOW: Duration = Duration::from_secs(4);
/// Width of a bucket, and how many there are: up to half a second.
const BUCKET_SECONDS: f64 = 0.002;
const BUCKETS: usize = 250;
/// How much of the histogram remains after one more picture (half is gone after 69, some two seconds).
const FORGET: f64 = 0.99;
/// Share of the pictures that must not come too late.
const QUANTILE: f64 = 0.95;
/// Unevenness below this is not seen: pictures differ in size, and so in the time that they take to come.
const UNSEEN_SECONDS: f64 = 0.010;
/// The wait grows by so much a picture, so that the motion slows down instead of stopping,
const GROW_SECONDS: f64 = 0.008;
/// and shrinks by so much.
const SHRINK_SECONDS: f64 = 0.001;
/// More than this is not waited for unless the application asks for it.
const USUAL_MOST: Duration = Duration::from_millis(200);
/// A jump of the transit time beyond this is another stream.
const MAX_JUMP_SECONDS: f64 = 2.0;

/// See the module.
#[derive(Debug)]
pub struct Playout {
    epoch: Option<Instant>,
    /// RTP time of the newest picture, extended beyond its wrap, in seconds.
    newest: Option<(u32, f64)>,
    /// (completed, transit), transit rising, in seconds: the first is the fastest of the window.
    fastest: VecDeque<(f64, f64)>,
    histogram: Vec<f64>,
    frames: u32,
    /// Seconds.
    delay: f64,
    least: Duration,
    most: Duration,
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
            least: Duration::ZERO,
            most: USUAL_MOST,
        }
    }
}

impl Playout {
    /// Keeps the wait within these bounds.
    pub fn set_range(&mut self, least: Duration, most: Duration) {
        self.least = least;
        self.most = most.max(least);
    }

    /// How long a picture waits beyond the fastest route through the network.
    #[must_use]
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay)
    }

    /// Takes a picture that was completed at `arrival`, in decoding order, and gives the time to show it. That is past
    /// for one that is late, and for all of them while they come evenly.
    pub fn on_frame(&mut self, timestamp: u32, arrival: Instant) -> Instant {
        let epoch = *self.epoch.get_or_insert(arrival);
        let at = arrival.saturating_duration_since(epoch).as_secs_f64();
        let rtp = match self.newest {
            Some((newest, seconds)) => seconds + f64::from(timestamp.wrapping_sub(newest) as i32) / CLOCK_HZ,
            None => 0.0,
        };
        let transit = at - rtp;
        if self.base().is_some_and(|base| (transit - base).abs() > MAX_JUMP_SECONDS) {
            *self = Self { least: self.least, most: self.most, ..Self::default() };
            return self.on_frame(timestamp, arrival);
        }
        self.newest = Some((timestamp, rtp));
        self.learn(at, transit);
        let base = self.base().unwrap_or(transit);
        let wanted = self.wanted();
        self.delay += (wanted - self.delay).clamp(-SHRINK_SECONDS, GROW_SECONDS);
        epoch + Duration::from_secs_f64((rtp + base + self.delay).max(0.0))
    }

    fn base(&self) -> Option<f64> {
        self.fastest.front().map(|(_, transit)| *transit)
    }

    fn learn(&mut self, at: f64, transit: f64) {
        while self.fastest.back().is_some_and(|(_, slower)| *slower >= transit) {
            self.fastest.pop_back();
        }
        self.fastest.push_back((at, transit));
        while self.fastest.len() > 1 && self.fastest.front().is_some_and(|(old, _)| old + WINDOW.as_secs_f64() < at) {
            self.fastest.pop_front();
        }
        let late = transit - self.base().unwrap_or(transit);
        // What could not be waited for anyhow, as after an outage, is no reason to wait longer.
        if late > self.most.as_secs_f64() {
            return;
        }
        self.frames = self.frames.saturating_add(1);
        // The first ones count alike, so the histogram is a fair one from the start.
        let forget = FORGET.min(1.0 - 1.0 / f64::from(self.frames));
        let bucket = ((late / BUCKET_SECONDS) as usize).min(BUCKETS - 1);
        self.histogram.iter_mut().for_each(|share| *share *= forget);
        self.histogram[bucket] += 1.0 - forget;
    }

    /// Seconds that nearly all pictures need, within the bounds.
    fn wanted(&self) -> f64 {
        let mut covered = 0.0;
        let enough = self.histogram.iter().position(|share| {
            covered += share;
            covered >= QUANTILE
        });
        let needed = enough.map_or(BUCKETS, |bucket| bucket + 1) as f64 * BUCKET_SECONDS;
        let needed = if needed <= UNSEEN_SECONDS { 0.0 } else { needed };
        needed.clamp(self.least.as_secs_f64(), self.most.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u32 = 3000;

    fn frame_time(number: u32) -> Duration {
        Duration::from_secs_f64(f64::from(number) / 30.0)
    }

    /// Deterministic unevenness, 0 to 1.
    fn noise(number: u32) -> f64 {
        f64::from(number.wrapping_mul(2_654_435_761) >> 16 & 0xff) / 255.0
    }

    /// Plays `count` pictures, each late by so many milliseconds; gives when each is shown after it was captured (an
    /// even route of 20 ms included), in milliseconds.
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
    fn pictures_that_come_evenly_are_shown_at_once() {
        let (mut playout, start) = (Playout::default(), Instant::now());
        let shown = play(&mut playout, start, 0..300, |number| noise(number) * 6.0);
        assert!(shown.iter().all(|after| *after < 26.5), "{shown:?}");
        assert_eq!(playout.delay(), Duration::ZERO);
    }

    #[test]
    fn pictures_that_come_unevenly_are_shown_evenly() {
        let (mut playout, start) = (Playout::default(), Instant::now());
        let shown = play(&mut playout, start, 0..600, |number| noise(number) * 40.0);
        let settled = &shown[300..];
        let even = settled.iter().filter(|after| (*after - settled[0]).abs() < 3.0).count();
        assert!(even * 100 >= settled.len() * 93, "{even} of {}", settled.len());
        assert!(settled.iter().all(|after| *after < 20.0 + 45.0));
    }

    #[test]
    fn the_wait_ends_with_the_unevenness() {
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
    fn an_outage_is_no_reason_to_wait_longer() {
        let (mut playout, start) = (Playout::default(), Instant::now());
        play(&mut playout, start, 0..300, |_| 0.0);
        // A second of pictures comes all at once.
        play(&mut playout, start, 300..330, |number| 1000.0 - f64::from(number - 300) * 33.0);
        play(&mut playout, start, 330..345, |_| 0.0);
        assert!(playout.delay() < Duration::from_millis(80), "{:?}", playout.delay());
    }

    #[test]
    fn a_pause_and_another_stream_begin_afresh() {
        let (mut playout, start) = (Playout::default(), Instant::now());
        play(&mut playout, start, 0..100, |number| noise(number) * 50.0);
        let arrival = start + Duration::from_secs(60);
        assert!(playout.on_frame(77, arrival) <= arrival);
        assert!(
            playout.on_frame(77 + FRAME, arrival + Duration::from_millis(33)) <= arrival + Duration::from_millis(34)
        );
    }
}
